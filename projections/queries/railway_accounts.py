"""Purchases for the accounts. Reads `booked_purchases` and `booked_lines`.

Rows have `purchase_id`, `store_id`, `user_id`, `total_penny`, `channel`, `booked_at`, `kafka_partition`, `kafka_offset`
and `lines`: `item_id`, `count`, `name`, `category`, `price_penny` (of one piece, when it was bought).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from projections.queries.database import Connection

Row = dict[str, Any]
Place = tuple[datetime, int, int]
"""Where a page in time ended: the `booked_at`, `kafka_partition` and `kafka_offset` of its last row."""

_COLUMNS: Final = "purchase_id, store_id, user_id, total_penny, channel, booked_at, kafka_partition, kafka_offset"
# Of every partition the first `limit` after its cursor, laid one into the other by time without ever changing the
# order within a partition: what was given out is always all there is up to some place of each partition.
_AFTER: Final = f"""
WITH RECURSIVE known AS (
    (SELECT kafka_partition FROM booked_purchases ORDER BY kafka_partition LIMIT 1)
    UNION ALL
    SELECT (SELECT b.kafka_partition FROM booked_purchases b WHERE b.kafka_partition > k.kafka_partition
            ORDER BY b.kafka_partition LIMIT 1)
    FROM known k WHERE k.kafka_partition IS NOT NULL
), starts AS (
    SELECT k.kafka_partition, COALESCE(c.kafka_offset, -1) AS kafka_offset
    FROM known k LEFT JOIN unnest(%(partitions)s::smallint[], %(offsets)s::bigint[])
        AS c(kafka_partition, kafka_offset) USING (kafka_partition)
    WHERE k.kafka_partition IS NOT NULL
)
SELECT {_COLUMNS} FROM (
    SELECT b.*, max(b.booked_at) OVER (PARTITION BY b.kafka_partition ORDER BY b.kafka_offset) AS reached_at
    FROM starts s CROSS JOIN LATERAL (
        SELECT * FROM booked_purchases p
        WHERE p.kafka_partition = s.kafka_partition AND p.kafka_offset > s.kafka_offset
        ORDER BY p.kafka_offset LIMIT %(limit)s
    ) AS b
) AS merged ORDER BY reached_at, kafka_partition, kafka_offset LIMIT %(limit)s
"""  # noqa: S608 - made of constants
_REACHED: Final = f"""
SELECT kafka_partition, max(kafka_offset) AS kafka_offset FROM ({_AFTER}) AS page GROUP BY kafka_partition
"""  # noqa: S608 - made of constants
_BETWEEN: Final = f"""
SELECT {_COLUMNS} FROM booked_purchases
WHERE (%(since)s::timestamptz IS NULL OR booked_at >= %(since)s)
  AND (%(until)s::timestamptz IS NULL OR booked_at < %(until)s)
  AND (%(store_id)s::uuid IS NULL OR store_id = %(store_id)s)
  AND (%(at)s::timestamptz IS NULL OR (booked_at, kafka_partition, kafka_offset) > (%(at)s, %(partition)s, %(offset)s))
ORDER BY booked_at, kafka_partition, kafka_offset LIMIT %(limit)s
"""  # noqa: S608 - made of constants
_LINES: Final = """
SELECT l.kafka_partition, l.kafka_offset, l.item_id, l.count, l.name, l.category, l.price_penny
FROM unnest(%(partitions)s::smallint[], %(offsets)s::bigint[]) AS w(kafka_partition, kafka_offset)
JOIN booked_lines l USING (kafka_partition, kafka_offset) ORDER BY l.kafka_partition, l.kafka_offset, l.line
"""


async def after(
    connection: Connection, cursor: Mapping[int, int], limit: int = 1000
) -> tuple[list[Row], dict[int, int]]:
    """Give the next purchases after a cursor, and the cursor after them: partition -> offset of the last one given.

    Start with an empty cursor; nothing is ever left out or given twice, whatever is booked meanwhile.
    """
    asked = {"partitions": list(cursor.keys()), "offsets": list(cursor.values()), "limit": limit}
    found = await _all(connection, _AFTER, asked)
    reached = {row["kafka_partition"]: row["kafka_offset"] for row in found}
    return await _with_lines(connection, found), {**cursor, **reached}


async def reached(connection: Connection, cursor: Mapping[int, int], limit: int) -> dict[int, int]:
    """Give where `after` with this limit ends: partition -> offset, of partitions that have something after it."""
    asked = {"partitions": list(cursor.keys()), "offsets": list(cursor.values()), "limit": limit}
    return {row["kafka_partition"]: row["kafka_offset"] for row in await _all(connection, _REACHED, asked)}


async def between(
    connection: Connection,
    since: datetime | None = None,
    until: datetime | None = None,
    *,
    store_id: str | None = None,
    place: Place | None = None,
    limit: int = 1000,
) -> list[Row]:
    """Purchases booked from `since` on and before `until` (None: open), in time, after the page that ended at `place`.

    Of one store when `store_id` is given. A page with fewer rows than `limit` is the last one.
    """
    at, partition, offset = place or (None, None, None)
    asked = {"since": since, "until": until, "store_id": store_id, "limit": limit}
    found = await _all(connection, _BETWEEN, asked | {"at": at, "partition": partition, "offset": offset})
    return await _with_lines(connection, found)


async def _with_lines(connection: Connection, found: list[Row]) -> list[Row]:
    places = [(row["kafka_partition"], row["kafka_offset"]) for row in found]
    lines: dict[tuple[int, int], list[Row]] = {place: [] for place in places}
    asked = {"partitions": [place[0] for place in places], "offsets": [place[1] for place in places]}
    for line in await _all(connection, _LINES, asked) if found else ():
        lines[line.pop("kafka_partition"), line.pop("kafka_offset")].append(line)
    return [row | {"lines": lines[place]} for row, place in zip(found, places, strict=True)]


async def _all(connection: Connection, statement: str, asked: Mapping[str, Any]) -> list[Row]:
    return await (await connection.execute(cast("Any", statement), asked)).fetchall()
