"""Pages of a list of a million items: p50 and p99 of any page by counted stretches, beside OFFSET over the same rows.

The rows are those of `railway_stores`, put into a schema of its own by SQL; every tenth item and a whole stretch of
2 % were removed since. Both ways give the page and the total, as the API asks for them, on a connection like the
API's. `--beside` says how many others read pages at the same time.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import statistics
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, cast

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row

from projections import railway_store_tables
from projections.page_counts import BUCKET
from projections.queries import railway_stores
from projections.queries.database import Connection

SCHEMA: Final = "bench_pages"
STORE: Final = uuid.UUID(int=1)
_FILL: Final = f"""
INSERT INTO {SCHEMA}.store_items
SELECT '{STORE}', 'Item ' || n, 'What it is', 'item.jpg', n %% 50, 100 + n %% 9000, 'food',
       timestamptz '2026-01-01' + n * interval '1 second', gen_random_uuid(), n, 'railway.events', 0, n
FROM generate_series(0, %(items)s - 1) AS n
WHERE n %% 10 <> 3 AND NOT n BETWEEN %(items)s * 0.40 AND %(items)s * 0.42
"""
_COUNT: Final = f"""
INSERT INTO {SCHEMA}.{railway_store_tables.COUNTS}
SELECT 'store_items', store_id::text, number / {BUCKET}, count(*) FROM {SCHEMA}.store_items GROUP BY 1, 2, 3
"""
_OFFSET: Final = """
SELECT *, (SELECT count(*) FROM store_items WHERE store_id = %(store)s) AS total
FROM store_items WHERE store_id = %(store)s ORDER BY number OFFSET %(offset)s LIMIT %(size)s
"""
_OPTIONS: Final = "-c default_transaction_read_only=on -c jit=off -c timezone=UTC"
Turn = Callable[[Connection, int, int], Awaitable[object]]


def fill(url: str, items: int) -> int:
    """Make the tables; how many items are left in the list."""
    with psycopg.connect(url, autocommit=True) as connection:
        run: Callable[..., Any] = connection.execute
        run(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
        run(f"CREATE SCHEMA {SCHEMA}")
        run(railway_store_tables.tables(SCHEMA))
        run(_FILL, {"items": items})
        run(_COUNT)
        run(f"VACUUM ANALYZE {SCHEMA}.store_items")
        run(f"VACUUM ANALYZE {SCHEMA}.{railway_store_tables.COUNTS}")
        return run(f"SELECT count(*) FROM {SCHEMA}.store_items").fetchone()[0]


async def counted(connection: Connection, page: int, size: int) -> object:
    """The API's way."""
    rows, total = await railway_stores.items(connection, str(STORE), page, size)
    assert rows, (page, size, total)
    return rows


async def offset(connection: Connection, page: int, size: int) -> object:
    """The plain way."""
    asked = {"store": STORE, "offset": (page - 1) * size, "size": size}
    return await (await connection.execute(cast("Any", _OFFSET), asked)).fetchall()


async def times(url: str, turn: Turn, pages: Sequence[tuple[int, int]], beside: int) -> list[float]:
    """Milliseconds of each page; `beside` other connections read the same pages all the while."""
    over = asyncio.Event()

    async def other(seed: int) -> None:
        shuffled = random.Random(seed).sample(pages, len(pages))
        async with await _connect(url) as connection:
            while not over.is_set():
                for page, size in shuffled:
                    await turn(connection, page, size)
                    if over.is_set():
                        return

    others = [asyncio.create_task(other(seed)) for seed in range(beside)]
    found: list[float] = []
    async with await _connect(url) as connection:
        for page, size in pages:
            began = time.perf_counter()
            await turn(connection, page, size)
            found.append((time.perf_counter() - began) * 1000)
    over.set()
    await asyncio.gather(*others)
    return found


async def _connect(url: str) -> AsyncConnection[DictRow]:
    options = f"{_OPTIONS} -c search_path={SCHEMA}"
    return await AsyncConnection[DictRow].connect(
        url, autocommit=True, prepare_threshold=None, row_factory=dict_row, options=options
    )


def line(name: str, found: Sequence[float]) -> str:
    """Medians and tails."""
    ordered = sorted(found)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return f"{name:34} p50 {statistics.median(ordered):7.2f} ms  p99 {p99:7.2f} ms  max {ordered[-1]:7.2f} ms"


def pages_of(total: int, number: int) -> list[tuple[int, int]]:
    """(page, size) anywhere in the list, the first and the last among them."""
    chance = random.Random(1)
    sizes = [chance.choice((50, 100)) for _ in range(number)]
    last = [(-(-total // size), size) for size in (50, 100)]
    return [(1, 50), *last, *((chance.randint(1, -(-total // size)), size) for size in sizes)]


def main() -> None:
    """Print the figures for the PostgreSQL named by the environment."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--pages", type=int, default=1_000)
    parser.add_argument("--beside", type=int, default=1)
    chosen = parser.parse_args()
    url = os.environ["DATABASE_URL"]
    try:
        total = fill(url, chosen.items)
        pages = pages_of(total, chosen.pages)
        asyncio.run(times(url, counted, pages[:50], 0))  # warms up
        print(f"{total:,} of {chosen.items:,} items left")
        print(line("any page", asyncio.run(times(url, counted, pages, 0))))
        print(line(f"any page, {chosen.beside} reading beside", asyncio.run(times(url, counted, pages, chosen.beside))))
        print(line("OFFSET and count(*)", asyncio.run(times(url, offset, pages[:40], 0))), flush=True)
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")


if __name__ == "__main__":
    main()
