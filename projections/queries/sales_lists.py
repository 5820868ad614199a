"""What the original page lists of a day, and one dialogue as it shows it. Reads `sales_dialogues`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from projections.queries.sales_figures import WITHIN, Range, asked

if TYPE_CHECKING:
    from projections.queries.database import Connection

SNIPPET: Final = 200
_MATCHING: Final = (
    "FROM sales_dialogues WHERE analysis_status = 'DONE' AND "
    + WITHIN
    + " AND (%(min_quality)s::int IS NULL OR quality_score >= %(min_quality)s)"
    " AND (%(attempted)s::text IS NULL OR attempted = %(attempted)s)"
)
_VERDICT: Final = "quality_score, attempted, categories, customer_reaction, closing_question, summary"
_PAGE: Final = f"""
    SELECT dialogue_id, point_id, register_id, start_ts, end_ts, {_VERDICT}, left(text, {SNIPPET}) AS text_snippet
    {_MATCHING} ORDER BY start_ts DESC, dialogue_id DESC LIMIT %(limit)s OFFSET %(offset)s
"""
_TOTAL: Final = f"SELECT count(*) AS n {_MATCHING}"
_ONE: Final = """
    SELECT d.dialogue_id, d.point_id, d.register_id, d.start_ts, d.end_ts, a.attempted, a.quality_score, a.categories,
           a.closing_question, a.customer_reaction, a.evidence_quotes, a.summary, a.confidence, d.review_status,
           COALESCE(d.text, '') AS text
    FROM sales_dialogues d JOIN dialogue_upsell_analysis a ON a.dialogue_id = d.dialogue_id
    WHERE d.dialogue_id = %(dialogue_id)s AND a.dialogue_id = %(dialogue_id)s
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which analysed dialogues of a range."""

    where: Range
    min_quality: int | None = None
    attempted: str | None = None
    limit: int = 50
    offset: int = 0


async def page(connection: Connection, wanted: Wanted) -> tuple[int, list[dict[str, Any]]]:
    """How many there are, and one page of them, the latest start first."""
    parameters = asked(wanted.where) | {
        "min_quality": wanted.min_quality,
        "attempted": wanted.attempted,
        "limit": wanted.limit,
        "offset": wanted.offset,
    }
    total = await (await connection.execute(_TOTAL, parameters)).fetchone()
    rows = await (await connection.execute(_PAGE, parameters)).fetchall()  # pyright: ignore[reportArgumentType]
    return int(total["n"]) if total else 0, rows


async def one(connection: Connection, dialogue_id: UUID) -> dict[str, Any] | None:
    """A dialogue that has an analysis, else None."""
    return await (await connection.execute(_ONE, {"dialogue_id": dialogue_id})).fetchone()
