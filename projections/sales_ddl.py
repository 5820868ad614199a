"""SQL of `sales_dialogues`: its tables, and the views that join them into what the original system's tables showed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from projections.sales_tables import ALL, PIECES, REVISIONS

_OPTIONAL: Final = frozenset(
    {
        "merged_into", "started_at", "worker", "attempt", "started_pass", "started_model", "failed_at", "error",
        "finished_at", "segments_json", "words_json", "avg_logprob", "no_speech_prob", "second_pass_reason",
        "prompt_version", "requested_by", "analysis_id", "analyser", "attempted", "quality_score", "categories",
        "closing_question", "customer_reaction", "evidence_quotes", "quotes", "quotes_dropped", "summary",
        "confidence", "prompt_tokens", "completion_tokens", "cost_micros", "elapsed_s", "reviewer", "notes",
        "corrected", "corrected_by", "model", "resolved",
    }
)  # fmt: skip
_ALWAYS: Final = {"transcripts": ("model", "worker", "elapsed_s"), "analysis_costs": ("cost_micros", "finished_at")}
SEARCHED: Final = "to_tsvector('russian', translate({0}, 'ёЁ', 'еЕ')) || to_tsvector('english', {0})"
"""Both languages at once: whatever a word's language is, it is found by its stem or as it stands; ё counts as е."""
_SEARCH: Final = ("transcripts", "corrected_texts")
_INDEXES: Final = """
CREATE INDEX heads_by_start ON {s}.dialogue_heads (start_ts, dialogue_id);
CREATE INDEX heads_of_device ON {s}.dialogue_heads (device_id, start_ts, dialogue_id);
CREATE INDEX heads_of_point ON {s}.dialogue_heads (point_id, start_ts, dialogue_id);
CREATE INDEX heads_of_register ON {s}.dialogue_heads (register_id, start_ts, dialogue_id);
CREATE INDEX segments_of_chunk ON {s}.dialogue_segments (chunk_id);
CREATE INDEX transcripts_search ON {s}.transcripts USING gin (search);
CREATE INDEX corrected_search ON {s}.corrected_texts USING gin (search);
CREATE INDEX runs_by_category ON {s}.analysis_runs USING gin (categories);
CREATE INDEX costs_by_time ON {s}.analysis_costs (finished_at);
CREATE INDEX reviews_of_dialogue ON {s}.dialogue_reviews (dialogue_id);
CREATE INDEX reviews_by_time ON {s}.dialogue_reviews (created_at, review_id);
CREATE INDEX resolutions_of_dialogue ON {s}.review_resolutions (dialogue_id);
CREATE INDEX states_by_status ON {s}.review_states (status);
CREATE INDEX corrections_of_dialogue ON {s}.transcript_corrections (dialogue_id);
"""
# A transcript of an older revision stands until the newer one's is there; what a person wrote holds until new speech
# is transcribed. Everything is joined by primary key, so a question that leaves a part out never reads it.
_WIDE: Final = """
CREATE VIEW {s}.sales_dialogues AS
SELECT h.dialogue_id, h.device_id, h.point_id, h.register_id, h.start_ts, h.end_ts, h.created_at,
    h.revision, h.status AS cut, h.merged_into, h.topic, h.kafka_partition, h.kafka_offset,
    CASE WHEN k.revision IS NULL OR k.revision < h.revision THEN 'PENDING' WHEN k.done THEN 'DONE'
         WHEN k.failed_at >= COALESCE(k.started_at, k.failed_at) THEN 'FAILED' ELSE 'PROCESSING' END AS asr_status,
    k.started_at AS asr_started_at, k.finished_at AS asr_finished_at, k.worker AS asr_worker,
    k.error AS asr_error_message, k.started_pass, k.started_model,
    t.transcript_id, t.revision AS transcript_revision, t.final AS transcript_final,
    t.asr_pass, t.model AS asr_model, t.language, t.text AS heard_text, t.segments_json, t.words_json,
    t.pieces AS transcript_pieces, t.audio_s, t.avg_logprob, t.no_speech_prob, t.second_pass_reason,
    t.elapsed_s AS asr_elapsed_s, t.created_at AS transcribed_at,
    (t.forgotten OR COALESCE(c.forgotten, false)) AS text_forgotten,
    c.correction_id, c.corrected_at, COALESCE(c.text, t.text) AS text, COALESCE(c.search, t.search) AS search,
    CASE WHEN w.revision IS NULL OR w.revision < h.revision THEN 'PENDING' WHEN r.outcome IS NULL THEN 'PENDING'
         WHEN r.outcome = 'STARTED' THEN 'PROCESSING' ELSE r.outcome END AS analysis_status,
    w.run AS analysis_run, w.kind AS analysis_kind, r.started_at AS analysis_started_at,
    r.finished_at AS analysis_finished_at, r.error AS analysis_error_message, r.analysis_id, r.analyser,
    r.model AS analysis_model, r.prompt_version AS analysis_prompt_version, r.attempted, r.quality_score, r.categories,
    r.closing_question, r.customer_reaction, r.evidence_quotes, r.quotes, r.quotes_dropped, r.summary, r.confidence,
    r.prompt_tokens, r.completion_tokens, r.cost_micros, r.elapsed_s AS analysis_elapsed_s,
    r.revision AS analysis_revision, COALESCE(r.forgotten, false) AS analysis_forgotten,
    COALESCE(v.status, 'NONE') AS review_status, COALESCE(v.reviews, 0) AS reviews,
    v.attempted AS corrected_attempted, v.quality_score AS corrected_quality_score,
    v.categories AS corrected_categories, v.closing_question AS corrected_closing_question,
    v.customer_reaction AS corrected_customer_reaction,
    COALESCE(v.attempted, r.attempted) AS verdict_attempted,
    COALESCE(v.quality_score, r.quality_score) AS verdict_quality_score,
    COALESCE(v.categories, r.categories) AS verdict_categories,
    COALESCE(v.closing_question, r.closing_question) AS verdict_closing_question,
    COALESCE(v.customer_reaction, r.customer_reaction) AS verdict_customer_reaction
FROM {s}.dialogue_heads h
LEFT JOIN {s}.transcriptions k ON k.dialogue_id = h.dialogue_id
LEFT JOIN {s}.transcripts t ON t.dialogue_id = h.dialogue_id
LEFT JOIN {s}.corrected_texts c ON c.dialogue_id = h.dialogue_id AND c.logged_at >= t.first_at
LEFT JOIN {s}.analysis_wanted w ON w.dialogue_id = h.dialogue_id
LEFT JOIN {s}.analysis_runs r ON r.dialogue_id = w.dialogue_id AND r.run = w.run
LEFT JOIN {s}.review_states v ON v.dialogue_id = h.dialogue_id
WHERE h.status <> 'WITHDRAWN';
"""
_TEXTS: Final = """
CREATE VIEW {s}.spoken_texts AS
SELECT dialogue_id, search FROM {s}.transcripts UNION ALL SELECT dialogue_id, search FROM {s}.corrected_texts;
"""
# What the wanted run said; where that is a new revision's and not there yet, what was last said of the one before.
_CURRENT: Final = """
CREATE VIEW {s}.current_analyses AS
SELECT w.dialogue_id, x.run
FROM {s}.analysis_wanted w
JOIN {s}.dialogue_heads h ON h.dialogue_id = w.dialogue_id AND h.status <> 'WITHDRAWN'
CROSS JOIN LATERAL (
    SELECT r.run FROM {s}.analysis_wants a JOIN {s}.analysis_runs r USING (dialogue_id, run)
    WHERE a.dialogue_id = w.dialogue_id AND r.outcome IN ('DONE', 'SKIPPED')
      AND (a.run = w.run OR w.kind = 'revision')
    ORDER BY (a.run = w.run) DESC, a.revision DESC, a.nth DESC LIMIT 1
) x;
"""
_CONTRACT: Final = """
CREATE VIEW {s}.dialogues AS
SELECT dialogue_id, device_id, point_id, register_id, start_ts, end_ts, 'vad'::text AS source, created_at, asr_status,
    CASE WHEN asr_status = 'PROCESSING' THEN asr_started_at END AS asr_processing_started_at, asr_started_at,
    CASE WHEN asr_status = 'DONE' THEN asr_finished_at END AS asr_finished_at,
    CASE WHEN asr_status = 'FAILED' THEN asr_error_message END AS asr_error_message,
    CASE WHEN asr_status = 'DONE' THEN asr_pass END AS asr_pass,
    CASE WHEN asr_status = 'DONE' THEN asr_model END AS asr_model, analysis_status,
    CASE WHEN analysis_status = 'PROCESSING' THEN analysis_started_at END AS analysis_processing_started_at,
    CASE WHEN analysis_status <> 'PENDING' THEN analysis_started_at END AS analysis_started_at,
    CASE WHEN analysis_status <> 'PENDING' THEN analysis_finished_at END AS analysis_finished_at,
    CASE WHEN analysis_status = 'ERROR' THEN analysis_error_message END AS analysis_error_message,
    CASE WHEN analysis_status = 'DONE' THEN analysis_model END AS analysis_model,
    CASE WHEN analysis_status = 'DONE' THEN analysis_prompt_version END AS analysis_prompt_version,
    review_status, revision, cut, topic, kafka_partition, kafka_offset
FROM {s}.sales_dialogues;
CREATE VIEW {s}.dialogue_transcripts AS
SELECT transcript_id, dialogue_id, language, text, segments_json, avg_logprob, no_speech_prob,
    transcribed_at AS created_at, transcript_revision AS revision, asr_pass, transcript_final AS final,
    asr_model AS model, audio_s, second_pass_reason, words_json, heard_text, correction_id, text_forgotten AS forgotten
FROM {s}.sales_dialogues WHERE transcript_id IS NOT NULL;
CREATE VIEW {s}.dialogue_upsell_analysis AS
SELECT r.analysis_id, r.dialogue_id, r.attempted, r.quality_score, r.categories, r.closing_question,
    r.customer_reaction, r.evidence_quotes, r.summary, r.confidence, r.finished_at AS created_at, r.run, r.revision,
    r.outcome, r.analyser, r.model, r.prompt_version, r.quotes, r.quotes_dropped, r.prompt_tokens, r.completion_tokens,
    r.cost_micros, r.elapsed_s, r.forgotten, r.topic, r.kafka_partition, r.kafka_offset
FROM {s}.current_analyses JOIN {s}.analysis_runs r USING (dialogue_id, run);
CREATE VIEW {s}.dialogue_upsell_analysis_history AS
SELECT r.analysis_id AS history_id, r.dialogue_id,
    COALESCE((SELECT min(n.wanted_at) FROM {s}.analysis_wants n WHERE n.dialogue_id = a.dialogue_id AND n.nth > a.nth),
             r.finished_at) AS archived_at,
    r.attempted, r.quality_score, r.categories, r.closing_question, r.customer_reaction, r.evidence_quotes, r.summary,
    r.confidence, r.model AS analysis_model, r.prompt_version AS analysis_prompt_version,
    r.finished_at AS original_created_at, r.run, r.revision, r.outcome, r.analyser, r.quotes, r.quotes_dropped,
    r.prompt_tokens, r.completion_tokens, r.cost_micros, r.elapsed_s, r.forgotten, r.topic, r.kafka_partition,
    r.kafka_offset
FROM {s}.analysis_runs r JOIN {s}.analysis_wants a USING (dialogue_id, run)
WHERE r.outcome IN ('DONE', 'SKIPPED')
  AND NOT EXISTS (SELECT FROM {s}.current_analyses c WHERE c.dialogue_id = r.dialogue_id AND c.run = r.run);
"""


def tables(schema: str) -> str:
    """SQL of one version."""
    made = [_table(schema, table.name, table.columns, table.key) for table in ALL]
    return "\n".join(made) + (_INDEXES + _WIDE + _TEXTS + _CURRENT + _CONTRACT).format(s=schema)


def _table(schema: str, name: str, columns: Mapping[str, str], key: tuple[str, ...]) -> str:
    lines = [f"    {column} {kind}{_null(name, column)}{_check(column)}" for column, kind in columns.items()]
    if name in _SEARCH:
        lines.append(f"    search tsvector GENERATED ALWAYS AS ({SEARCHED.format('text')}) STORED")
    lines.append(f"    PRIMARY KEY ({', '.join(key)})")
    storage = "" if name in (REVISIONS.name, PIECES.name) else " WITH (fillfactor = 80)"
    return f"CREATE TABLE {schema}.{name} (\n" + ",\n".join(lines) + f"\n){storage};"


def _null(table: str, column: str) -> str:
    return "" if column in _OPTIONAL and column not in _ALWAYS.get(table, ()) else " NOT NULL"


def _check(column: str) -> str:
    return {
        "attempted": " CHECK (attempted IN ('yes', 'no', 'uncertain'))",
        "quality_score": " CHECK (quality_score BETWEEN 0 AND 3)",
        "customer_reaction": " CHECK (customer_reaction IN ('accepted', 'rejected', 'unclear'))",
    }.get(column, "")


_TRACE: Final = ("topic", "kafka_partition", "kafka_offset")
_COSTED: Final = ("prompt_tokens", "completion_tokens", "cost_micros", "elapsed_s", "forgotten", *_TRACE)
VIEWS: Final[Mapping[str, tuple[str, ...]]] = {
    "dialogues": (
        "dialogue_id", "device_id", "point_id", "register_id", "start_ts", "end_ts", "source", "created_at",
        "asr_status", "asr_processing_started_at", "asr_started_at", "asr_finished_at", "asr_error_message",
        "asr_pass", "asr_model", "analysis_status", "analysis_processing_started_at", "analysis_started_at",
        "analysis_finished_at", "analysis_error_message", "analysis_model", "analysis_prompt_version",
        "review_status", "revision", "cut", *_TRACE,
    ),
    "dialogue_segments": tuple(PIECES.columns),
    "dialogue_transcripts": (
        "transcript_id", "dialogue_id", "language", "text", "segments_json", "avg_logprob", "no_speech_prob",
        "created_at", "revision", "asr_pass", "final", "model", "audio_s", "second_pass_reason", "words_json",
        "heard_text", "correction_id", "forgotten",
    ),
    "dialogue_upsell_analysis": (
        "analysis_id", "dialogue_id", "attempted", "quality_score", "categories", "closing_question",
        "customer_reaction", "evidence_quotes", "summary", "confidence", "created_at", "run", "revision", "outcome",
        "analyser", "model", "prompt_version", "quotes", "quotes_dropped", *_COSTED,
    ),
    "dialogue_upsell_analysis_history": (
        "history_id", "dialogue_id", "archived_at", "attempted", "quality_score", "categories", "closing_question",
        "customer_reaction", "evidence_quotes", "summary", "confidence", "analysis_model", "analysis_prompt_version",
        "original_created_at", "run", "revision", "outcome", "analyser", "quotes", "quotes_dropped", *_COSTED,
    ),
    "dialogue_reviews": (
        "review_id", "dialogue_id", "created_at", "reviewer", "flag", "reason", "notes", "corrected", "forgotten",
        "resolved", *_TRACE,
    ),
    "dialogue_revisions": tuple(REVISIONS.columns),
    "transcript_corrections": (
        "correction_id", "dialogue_id", "corrected_at", "corrected_by", "text", "forgotten", "logged_at", *_TRACE,
    ),
    "analysis_costs": (
        "dialogue_id", "run", "outcome", "finished_at", "analyser", "model", "prompt_version", "prompt_tokens",
        "completion_tokens", "cost_micros",
    ),
    "analysis_runs": (
        "dialogue_id", "run", "revision", "outcome", "started_at", "finished_at", "analysis_id", "analyser", "model",
        "prompt_version", "attempted", "quality_score", "categories", "closing_question", "customer_reaction",
        "evidence_quotes", "quotes", "quotes_dropped", "summary", "confidence", "error", *_COSTED,
    ),
    "analysis_wants": (
        "dialogue_id", "run", "kind", "revision", "nth", "model", "prompt_version", "requested_by", "wanted_at",
    ),
    "spoken_texts": ("dialogue_id", "search"),
    "dialogue_heads": (
        "dialogue_id", "revision", "status", "merged_into", "device_id", "point_id", "register_id", "start_ts",
        "end_ts", "created_at", *_TRACE,
    ),
    "sales_dialogues": (
        "dialogue_id", "device_id", "point_id", "register_id", "start_ts", "end_ts", "created_at", "revision", "cut",
        "merged_into", *_TRACE, "asr_status", "asr_started_at", "asr_finished_at", "asr_worker", "asr_error_message",
        "started_pass", "started_model", "transcript_id", "transcript_revision", "transcript_final", "asr_pass",
        "asr_model", "language", "heard_text", "segments_json", "words_json", "transcript_pieces", "audio_s",
        "avg_logprob", "no_speech_prob", "second_pass_reason", "asr_elapsed_s", "transcribed_at", "text_forgotten",
        "correction_id", "corrected_at", "text", "search", "analysis_status", "analysis_run", "analysis_kind",
        "analysis_started_at", "analysis_finished_at", "analysis_error_message", "analysis_id", "analyser",
        "analysis_model", "analysis_prompt_version", "attempted", "quality_score", "categories", "closing_question",
        "customer_reaction", "evidence_quotes", "quotes", "quotes_dropped", "summary", "confidence", "prompt_tokens",
        "completion_tokens", "cost_micros", "analysis_elapsed_s", "analysis_revision", "analysis_forgotten",
        "review_status", "reviews", "corrected_attempted", "corrected_quality_score", "corrected_categories",
        "corrected_closing_question", "corrected_customer_reaction", "verdict_attempted", "verdict_quality_score",
        "verdict_categories", "verdict_closing_question", "verdict_customer_reaction",
    ),
}  # fmt: skip
"""Live views in `public` and their columns: the original tables' first, ours after them."""
