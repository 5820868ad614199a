"""Any page of a long list in a few milliseconds: the counts of `projections.page_counts` tell where it begins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from projections.page_counts import BUCKET

if TYPE_CHECKING:
    from projections.queries.database import Connection

# One statement, so rows and total are of the same moment; past the end its only row holds the total. Only stretches
# that have rows of the page are looked into, so what was removed costs nothing, however much it is.
_PAGE: Final = """
WITH counted AS MATERIALIZED (
    SELECT bucket, sum(live) OVER (ORDER BY bucket) - live AS before, live
    FROM {counts} WHERE list = %(list)s AND scope = %(scope)s AND live > 0
), wanted AS MATERIALIZED (
    SELECT bucket * {bucket} AS start, before FROM counted
    WHERE before + live > %(offset)s AND before < %(offset)s::bigint + %(size)s
), numbers AS MATERIALIZED (
    SELECT found.number FROM wanted CROSS JOIN LATERAL (
        SELECT number FROM {source} WHERE {where} AND number >= wanted.start AND number < wanted.start + {bucket}
        LIMIT {bucket} -- changes nothing but the plan: stretch by stretch through the index
    ) AS found ORDER BY found.number OFFSET %(offset)s::bigint - (SELECT min(before) FROM wanted) LIMIT %(size)s
)
SELECT (SELECT COALESCE(max(before + live), 0) FROM counted) AS total_, page.*
FROM (SELECT 1) AS always LEFT JOIN (
    SELECT {columns}, number AS number_ FROM {source}
    WHERE {where} AND number = ANY(ARRAY(SELECT number FROM numbers))
) AS page ON true ORDER BY page.number_
"""


@dataclass(frozen=True, slots=True)
class Numbered:
    """A list that is counted under `name` in the view `counts`.

    `source` is one table with a column `number` and an index that begins with what `where` compares with `%(scope)s`
    and ends with the number; `columns` are SQL and are computed for the rows of the page only.
    """

    name: str
    counts: str
    source: str
    columns: str
    where: str = "true"


async def page(
    connection: Connection, of: Numbered, scope: str, page: int, size: int
) -> tuple[list[dict[str, Any]], int]:
    """Give the rows of page `page` (>= 1) of `size` rows, in the order of their numbers, and how many there are in all.

    `scope` is whose list it is, as it was counted; "" where there is only one.
    """
    statement = _PAGE.format(counts=of.counts, columns=of.columns, source=of.source, where=of.where, bucket=BUCKET)
    asked = {"list": of.name, "scope": scope, "offset": (page - 1) * size, "size": size}
    rows = await (await connection.execute(cast("Any", statement), asked)).fetchall()
    total = rows[0]["total_"]
    names = ("total_", "number_")
    found = [row for row in rows if row["number_"] is not None]
    return [{name: value for name, value in row.items() if name not in names} for row in found], total
