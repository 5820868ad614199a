"""Counts of dialogues by day and hour of a zone, and of offered categories. Reads `sales_dialogues`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

if TYPE_CHECKING:
    from projections.queries.database import Connection


@dataclass(frozen=True, slots=True)
class Range:
    """Dialogues that start in [first, end), of one point or all; days and hours are those of `zone` (IANA)."""

    first: datetime
    end: datetime
    zone: str = "UTC"
    point_id: UUID | None = None


HEARD: Final = ""
"""What the analyser said."""
VERDICT: Final = "verdict_"
"""The same with what people have corrected."""

WITHIN: Final = """
    start_ts >= %(first)s AND start_ts < %(end)s AND (%(point_id)s::uuid IS NULL OR point_id = %(point_id)s)
"""
_DONE: Final = "analysis_status = 'DONE'"
_COUNTS: Final = """
    SELECT (start_ts AT TIME ZONE %(zone)s)::date AS day,
        extract(hour FROM start_ts AT TIME ZONE %(zone)s)::int AS hour,
        extract(epoch FROM (start_ts AT TIME ZONE %(zone)s) - (start_ts AT TIME ZONE 'UTC'))::int AS utc_offset,
        count(*) AS dialogues,
        count(*) FILTER (WHERE asr_status = 'DONE') AS transcribed,
        count(*) FILTER (WHERE asr_status = 'FAILED') AS not_transcribed,
        count(*) FILTER (WHERE {done}) AS analyzed,
        count(*) FILTER (WHERE analysis_status = 'SKIPPED') AS skipped,
        count(*) FILTER (WHERE analysis_status = 'ERROR') AS errors,
        count(*) FILTER (WHERE review_status = 'FLAGGED') AS flagged,
        count(*) FILTER (WHERE {done} AND {v}attempted = 'yes') AS yes,
        count(*) FILTER (WHERE {done} AND {v}attempted = 'no') AS no,
        count(*) FILTER (WHERE {done} AND {v}attempted = 'uncertain') AS uncertain,
        count(*) FILTER (WHERE {done} AND {v}customer_reaction = 'accepted') AS accepted,
        count(*) FILTER (WHERE {done} AND {v}customer_reaction = 'rejected') AS rejected,
        count(*) FILTER (WHERE {done} AND {v}customer_reaction = 'unclear') AS unclear,
        count(*) FILTER (WHERE {done} AND {v}quality_score = 0) AS quality_0,
        count(*) FILTER (WHERE {done} AND {v}quality_score = 1) AS quality_1,
        count(*) FILTER (WHERE {done} AND {v}quality_score = 2) AS quality_2,
        count(*) FILTER (WHERE {done} AND {v}quality_score = 3) AS quality_3
    FROM sales_dialogues WHERE {within}
    GROUP BY 1, 2, 3 ORDER BY 1, 2, 3 DESC
"""
_CATEGORIES: Final = """
    SELECT category, count(DISTINCT dialogue_id) AS count
    FROM sales_dialogues, jsonb_array_elements_text({v}categories) AS category
    WHERE {within} AND {done} GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT %(limit)s
"""
_POINTS: Final = """
    SELECT point_id, count(*) AS dialogue_count FROM sales_dialogues WHERE start_ts >= %s GROUP BY 1 ORDER BY 2 DESC, 1
"""


def asked(where: Range) -> dict[str, Any]:
    """Parameters of `WITHIN`, and the zone."""
    return {"first": where.first, "end": where.end, "zone": where.zone, "point_id": where.point_id}


async def hours(connection: Connection, where: Range, whose: str = HEARD) -> list[dict[str, Any]]:
    """One row per hour with dialogues, in order of time: `day`, `hour`, `utc_offset` (seconds), and integer counts."""
    sql = _COUNTS.replace("{done}", _DONE).replace("{v}", whose).replace("{within}", WITHIN)
    return await (await connection.execute(sql, asked(where))).fetchall()  # pyright: ignore[reportArgumentType]


async def categories(connection: Connection, where: Range, whose: str = HEARD, limit: int = 10) -> list[dict[str, Any]]:
    """`category` and in how many dialogues it was offered, most first."""
    sql = _CATEGORIES.replace("{done}", _DONE).replace("{v}", whose).replace("{within}", WITHIN)
    return await (await connection.execute(sql, asked(where) | {"limit": limit})).fetchall()  # pyright: ignore[reportArgumentType]


async def points(connection: Connection, since: datetime) -> list[dict[str, Any]]:
    """`point_id` and `dialogue_count` of every point with dialogues since then, most first."""
    return await (await connection.execute(_POINTS, (since,))).fetchall()
