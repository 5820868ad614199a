"""One dialogue with everything that is known of it. Reads `sales_dialogues` and what belongs to it, by key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

if TYPE_CHECKING:
    from projections.queries.database import Connection

_HEAD: Final = "SELECT status, merged_into FROM dialogue_heads WHERE dialogue_id = %s"
_CORRECTION: Final = """
    SELECT correction_id, dialogue_id, corrected_at, text, forgotten FROM transcript_corrections
    WHERE correction_id = %s
"""
_PARTS: Final = {
    "pieces": """
        SELECT chunk_id, chunk_start_ts, start_ms, end_ms, sha256, stored_path FROM dialogue_segments
        WHERE dialogue_id = %s ORDER BY position
    """,
    "revisions": """
        SELECT revision, status, merged_into, start_ts, end_ts, pieces, speech_ms, revised_at, topic, kafka_partition,
               kafka_offset
        FROM dialogue_revisions WHERE dialogue_id = %s ORDER BY revision
    """,
    "versions": """
        SELECT r.run, r.revision, r.outcome, r.started_at, r.finished_at, r.analysis_id, r.analyser, r.model,
               r.prompt_version, r.attempted, r.quality_score, r.categories, r.closing_question, r.customer_reaction,
               r.quotes, r.quotes_dropped, r.summary, r.confidence, r.error, r.prompt_tokens, r.completion_tokens,
               r.cost_micros, r.elapsed_s, r.forgotten, w.kind, w.requested_by, w.wanted_at, r.topic,
               r.kafka_partition, r.kafka_offset,
               EXISTS (SELECT FROM dialogue_upsell_analysis a WHERE a.dialogue_id = r.dialogue_id AND a.run = r.run)
               AS current
        FROM analysis_runs r LEFT JOIN analysis_wants w ON w.dialogue_id = r.dialogue_id AND w.run = r.run
        WHERE r.dialogue_id = %s ORDER BY w.nth, r.run
    """,
    "reviews": """
        SELECT review_id, created_at, reviewer, flag, reason, notes, corrected, forgotten, resolved
        FROM dialogue_reviews WHERE dialogue_id = %s ORDER BY created_at, review_id
    """,
    "corrections": """
        SELECT correction_id, corrected_at, corrected_by, text, forgotten FROM transcript_corrections
        WHERE dialogue_id = %s ORDER BY logged_at, kafka_offset
    """,
}


async def row(connection: Connection, dialogue_id: UUID) -> dict[str, Any] | None:
    """The dialogue as `sales_dialogues` has it; None for an unknown and for a withdrawn one."""
    sql = "SELECT * FROM sales_dialogues WHERE dialogue_id = %s"
    return await (await connection.execute(sql, (dialogue_id,))).fetchone()


async def correction(connection: Connection, correction_id: UUID) -> dict[str, Any] | None:
    """One correction, or None."""
    return await (await connection.execute(_CORRECTION, (correction_id,))).fetchone()


async def merged_into(connection: Connection, dialogue_id: UUID) -> UUID | None:
    """Where a withdrawn dialogue's speech is now."""
    head = await (await connection.execute(_HEAD, (dialogue_id,))).fetchone()
    return head["merged_into"] if head and head["status"] == "WITHDRAWN" else None


async def parts(connection: Connection, dialogue_id: UUID) -> dict[str, list[dict[str, Any]]]:
    """`pieces` of audio, `revisions`, `versions` of its analysis, `reviews`, `corrections`; each in order of time."""
    return {
        name: await (await connection.execute(sql, (dialogue_id,))).fetchall()  # pyright: ignore[reportArgumentType]
        for name, sql in _PARTS.items()
    }
