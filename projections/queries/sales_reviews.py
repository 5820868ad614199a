"""Reviews: one, a page, all of a range for export. Reads `dialogue_reviews` and `sales_dialogues`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

if TYPE_CHECKING:
    from projections.queries.database import Connection

_REVIEW: Final = "r.review_id, r.dialogue_id, r.created_at, r.reviewer, r.flag, r.reason, r.notes, r.corrected"
_ONE: Final = f"SELECT {_REVIEW}, r.forgotten FROM dialogue_reviews r WHERE r.review_id = %s"  # noqa: S608 - made of constants
_MATCHING: Final = """
    FROM dialogue_reviews r JOIN sales_dialogues d ON d.dialogue_id = r.dialogue_id
    WHERE (%(first)s::timestamptz IS NULL OR (d.start_ts >= %(first)s AND d.start_ts < %(end)s))
      AND (%(point_id)s::uuid IS NULL OR d.point_id = %(point_id)s)
      AND (%(status)s::text IS NULL OR d.review_status = %(status)s)
      AND (%(reason)s::text IS NULL OR r.reason = %(reason)s)
"""
# An analysis that is being made again shows nothing of the one before, as in the original.
_SHOWN: Final = "CASE WHEN d.analysis_status IN ('DONE', 'SKIPPED') THEN d.{0} END AS {0}"
_PAGE: Final = f"""
    SELECT {_REVIEW}, d.start_ts AS dialogue_start_ts, d.end_ts AS dialogue_end_ts, d.point_id, d.review_status,
           {_SHOWN.format("attempted")}, {_SHOWN.format("quality_score")}, {_SHOWN.format("categories")},
           {_SHOWN.format("customer_reaction")}, left(d.text, 200) AS text_snippet
    {_MATCHING} ORDER BY r.created_at DESC, r.review_id DESC LIMIT %(limit)s OFFSET %(offset)s
"""
_TOTAL: Final = f"SELECT count(*) AS n {_MATCHING}"
_EXPORT: Final = """
    SELECT d.dialogue_id, d.point_id, d.register_id, d.start_ts, d.end_ts, d.review_status, d.text AS transcript,
           a.analysis_id, a.attempted, a.quality_score, a.categories, a.closing_question, a.customer_reaction,
           a.summary, a.evidence_quotes, a.confidence, r.review_id, r.created_at, r.reason, r.notes, r.corrected
    FROM sales_dialogues d
    LEFT JOIN dialogue_upsell_analysis a ON a.dialogue_id = d.dialogue_id
    LEFT JOIN dialogue_reviews r ON r.dialogue_id = d.dialogue_id
    WHERE d.review_status <> 'NONE' AND d.start_ts >= %(first)s AND d.start_ts < %(end)s {after}
    ORDER BY d.start_ts, d.dialogue_id, r.created_at, r.review_id LIMIT %(limit)s
"""
# A dialogue whose review is not there (yet) stands once, without one: nothing of it comes after.
_AFTER: Final = """
    AND (d.start_ts, d.dialogue_id, r.created_at, r.review_id)
        > (%(start_ts)s, %(dialogue_id)s, %(created_at)s::timestamptz, %(review_id)s::uuid)
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which reviews; `first` and `end` bound the start of the dialogue, both or none."""

    first: datetime | None = None
    end: datetime | None = None
    point_id: UUID | None = None
    status: str | None = None
    reason: str | None = None
    limit: int = 50
    offset: int = 0


async def one(connection: Connection, review_id: UUID) -> dict[str, Any] | None:
    """A review, or None."""
    return await (await connection.execute(_ONE, (review_id,))).fetchone()


async def page(connection: Connection, wanted: Wanted) -> tuple[int, list[dict[str, Any]]]:
    """How many there are, and one page of them with their dialogues, the newest review first."""
    parameters = {name: getattr(wanted, name) for name in wanted.__slots__}
    total = await (await connection.execute(_TOTAL, parameters)).fetchone()
    rows = await (await connection.execute(_PAGE, parameters)).fetchall()
    return int(total["n"]) if total else 0, rows


Place = tuple[datetime, UUID, datetime | None, UUID | None]
"""Where an export goes on: start and id of a dialogue, time and id of its review."""


def place(row: dict[str, Any]) -> Place:
    """The place of a row of `export`."""
    return row["start_ts"], row["dialogue_id"], row["created_at"], row["review_id"]


async def export(
    connection: Connection, first: datetime, end: datetime, limit: int, after: Place | None = None
) -> list[dict[str, Any]]:
    """Dialogues that were ever reviewed, by start, once for each review; those that come after a place."""
    wanted: dict[str, Any] = {"first": first, "end": end, "limit": limit}
    if after is not None:
        wanted |= dict(zip(("start_ts", "dialogue_id", "created_at", "review_id"), after, strict=True))
        wanted["first"] = after[0]
    sql = _EXPORT.replace("{after}", _AFTER if after else "")
    return await (await connection.execute(sql, wanted)).fetchall()  # pyright: ignore[reportArgumentType]
