"""The tables of `sales_dialogues`. Each is written from one topic only, so the order between topics changes no row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from projections.sales_rows import Table

_PLACE: Final = {"topic": "text", "kafka_partition": "smallint", "kafka_offset": "bigint"}
_SPAN: Final = {
    "device_id": "uuid", "point_id": "uuid", "register_id": "uuid", "start_ts": "timestamptz", "end_ts": "timestamptz",
}  # fmt: skip

# From speech.dialogues.
REVISIONS: Final = Table(
    "dialogue_revisions",
    {
        "dialogue_id": "uuid", "revision": "int", "status": "text", "merged_into": "uuid", **_SPAN, "pieces": "int",
        "speech_ms": "bigint", "revised_at": "timestamptz", **_PLACE,
    },
    ("dialogue_id", "revision"),
)  # fmt: skip
HEADS: Final = Table(
    "dialogue_heads",
    {
        "dialogue_id": "uuid", "revision": "int", "status": "text", "merged_into": "uuid", **_SPAN,
        "created_at": "timestamptz", **_PLACE,
    },
    ("dialogue_id",), ("revision", "created_at"),
)  # fmt: skip
PIECES: Final = Table(
    "dialogue_segments",
    {
        "dialogue_id": "uuid", "chunk_id": "uuid", "start_ms": "int", "end_ms": "int", "position": "int",
        "chunk_start_ts": "timestamptz", "sha256": "text", "stored_path": "text",
    },
    ("dialogue_id", "chunk_id", "start_ms", "end_ms"),
)  # fmt: skip

# From speech.transcripts.
_WORK: Final = {
    "dialogue_id": "uuid", "revision": "int", "started_at": "timestamptz", "worker": "text", "attempt": "int",
    "started_pass": "text", "started_model": "text", "failed_at": "timestamptz", "error": "text",
    "finished_at": "timestamptz", "done": "boolean",
}  # fmt: skip
WORK: Final = Table("transcriptions", _WORK, ("dialogue_id",), tuple(_WORK))
TRANSCRIPTS: Final = Table(
    "transcripts",
    {
        "dialogue_id": "uuid", "transcript_id": "uuid", "revision": "int", "asr_pass": "text", "final": "boolean",
        "language": "text", "model": "text", "worker": "text", "text": "text", "segments_json": "jsonb",
        "words_json": "jsonb", "pieces": "jsonb", "audio_s": "float8", "avg_logprob": "float8",
        "no_speech_prob": "float8", "second_pass_reason": "text", "elapsed_s": "float8", "forgotten": "boolean",
        "first_at": "timestamptz", "created_at": "timestamptz", **_PLACE,
    },
    ("dialogue_id",), ("revision", "asr_pass", "final", "first_at"),
)  # fmt: skip
WANTS: Final = Table(
    "analysis_wants",
    {
        "dialogue_id": "uuid", "run": "text", "kind": "text", "revision": "int", "nth": "bigint", "model": "text",
        "prompt_version": "text", "requested_by": "text", "wanted_at": "timestamptz",
    },
    ("dialogue_id", "run"),
)  # fmt: skip
WANTED: Final = Table(
    "analysis_wanted",
    {"dialogue_id": "uuid", "run": "text", "kind": "text", "revision": "int"},
    ("dialogue_id",),
    ("run", "revision"),
)

# From speech.analyses.
RUNS: Final = Table(
    "analysis_runs",
    {
        "dialogue_id": "uuid", "run": "text", "revision": "int", "outcome": "text", "started_at": "timestamptz",
        "finished_at": "timestamptz", "analysis_id": "uuid", "analyser": "text", "model": "text",
        "prompt_version": "text", "attempted": "text", "quality_score": "int", "categories": "jsonb",
        "closing_question": "boolean", "customer_reaction": "text", "evidence_quotes": "jsonb", "quotes": "jsonb",
        "quotes_dropped": "int", "summary": "text", "confidence": "float8", "error": "text", "forgotten": "boolean",
        "prompt_tokens": "bigint", "completion_tokens": "bigint", "cost_micros": "bigint", "elapsed_s": "float8",
        **_PLACE,
    },
    ("dialogue_id", "run"), ("outcome", "started_at", "analysis_id"),
)  # fmt: skip
COSTS: Final = Table(
    "analysis_costs",
    {
        "dialogue_id": "uuid", "run": "text", "outcome": "text", "finished_at": "timestamptz", "analyser": "text",
        "model": "text", "prompt_version": "text", "prompt_tokens": "bigint", "completion_tokens": "bigint",
        "cost_micros": "bigint",
    },
    ("dialogue_id", "run", "outcome", "finished_at"),
)  # fmt: skip

# From speech.reviews.
_REVIEWS: Final = {
    "review_id": "uuid", "dialogue_id": "uuid", "created_at": "timestamptz", "reviewer": "text", "flag": "boolean",
    "reason": "text", "notes": "text", "corrected": "jsonb", "forgotten": "boolean", "resolved": "boolean", **_PLACE,
}  # fmt: skip
REVIEWS: Final = Table("dialogue_reviews", _REVIEWS, ("review_id",), tuple(_REVIEWS))
RESOLUTIONS: Final = Table(
    "review_resolutions",
    {
        "review_id": "uuid", "at": "timestamptz", "resolved": "boolean", "dialogue_id": "uuid",
        "kafka_offset": "bigint",
    },
    ("review_id", "at", "resolved"),
)  # fmt: skip
_STATES: Final = {
    "dialogue_id": "uuid", "status": "text", "reviews": "int", "attempted": "text", "quality_score": "int",
    "categories": "jsonb", "closing_question": "boolean", "customer_reaction": "text",
}  # fmt: skip
STATES: Final = Table("review_states", _STATES, ("dialogue_id",), tuple(_STATES))
CORRECTIONS: Final = Table(
    "transcript_corrections",
    {
        "correction_id": "uuid", "dialogue_id": "uuid", "corrected_at": "timestamptz", "corrected_by": "text",
        "text": "text", "forgotten": "boolean", "logged_at": "timestamptz", **_PLACE,
    },
    ("correction_id",),
)  # fmt: skip
CORRECTED: Final = Table(
    "corrected_texts",
    {
        "dialogue_id": "uuid", "correction_id": "uuid", "text": "text", "forgotten": "boolean",
        "corrected_at": "timestamptz", "logged_at": "timestamptz",
    },
    ("dialogue_id",),
)  # fmt: skip

ALL: Final = (
    REVISIONS, HEADS, PIECES, WORK, TRANSCRIPTS, WANTS, WANTED, RUNS, COSTS, REVIEWS, RESOLUTIONS, STATES, CORRECTIONS,
    CORRECTED,
)  # fmt: skip
FOLDED: Final = tuple(table for table in ALL if table is not PIECES)
"""Loaded and changed row by row; pieces are replaced as a whole."""


def _hashed(name: str, kind: str) -> str:
    """How a column goes into a checksum: no floats."""
    return f"round({name} * 1e6)::bigint" if kind == "float8" else name


CHECKSUMS: Final[Mapping[str, str]] = {
    table.name: f"{', '.join(_hashed(*column) for column in table.columns.items())} | {{s}}.{table.name}"
    for table in ALL
}
