"""GET /v1/railway/purchases: what was bought on board, for the accounts, as a feed in JSON or as CSV.

A cursor says how far each partition of the log was read, so a reader who comes again gets what is new: nothing twice,
nothing left out, also after a rebuild of the tables.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import UTC
from functools import partial
from typing import Annotated, Any, Final

import pyarrow as pa
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse

from api import cursors
from api.answers import json_answer, next_page, refused
from api.exports import MEDIA, CsvEncoder, Rows, encoded
from api.railway.parts import Admits
from projections.queries import railway_accounts
from projections.queries.database import Database

PAGE: Final = 1000
"""Purchases read, and held, at a time."""
MOST: Final = 100_000
"""Purchases of one CSV, at most; its Link leads on."""
_SMALLEST: Final = 2**15
_COLUMNS: Final = pa.schema(
    [
        *((name, pa.string()) for name in ("purchase_id", "date", "store_id", "user_id", "channel")),
        *(("line", pa.int32()), ("item_id", pa.string()), ("name", pa.string()), ("category", pa.string())),
        *((name, pa.int64()) for name in ("count", "price_penny", "sum_penny", "purchase_total_penny")),
    ]
)
Cursor = Mapping[int, int]
After = Annotated[str | None, Query(description="The cursor that the page before ended with.")]


def build(database: Database, guard: Admits) -> APIRouter:
    """The routes over one database, for whom `guard` lets in."""
    router = APIRouter(prefix="/v1/railway", tags=["railway"], dependencies=[Depends(guard)])

    @router.get("/purchases", summary="Purchases for the accounts")
    async def feed(
        request: Request, limit: Annotated[int, Query(ge=1, le=PAGE)] = 100, after: After = None
    ) -> Response:
        """In the order in which they were made; keep `cursor` and come again with it for what is new."""
        read = partial(railway_accounts.after, cursor=_read(after), limit=limit)
        rows, cursor = await database.read(read)
        reached = _write(cursor)
        told = {"items": [_told(row) for row in rows], "cursor": reached}
        return json_answer(request, told, after=reached if len(rows) == limit else None)

    @router.get("/purchases.csv", summary="Purchases as CSV")
    async def csv(
        request: Request, limit: Annotated[int, Query(ge=1, le=MOST)] = MOST, after: After = None
    ) -> Response:
        """A row for each line of a purchase; the Link goes on from the end, now or when there is more."""
        start = _read(after)
        end = await database.read(partial(railway_accounts.reached, cursor=start, limit=limit))
        headers = {"Content-Disposition": 'attachment; filename="purchases.csv"', "Cache-Control": "no-cache"}
        if end:
            headers["Link"] = f'<{next_page(request, _write({**start, **end}))}>; rel="next"'
        pages = _pages(database, start, end)
        # Read before the answer starts, so that a failure still has its status.
        first: Rows = await anext(pages, None) or ()
        return StreamingResponse(encoded(CsvEncoder(_COLUMNS), first, pages), headers=headers, media_type=MEDIA["csv"])

    return router


async def _pages(database: Database, start: Cursor, end: Cursor) -> AsyncIterator[Rows]:
    """Lines of all purchases after `start` and up to `end`, whatever is booked meanwhile."""
    cursor = start
    while any(cursor.get(partition, -1) < last for partition, last in end.items()):
        rows, cursor = await database.read(partial(railway_accounts.after, cursor=cursor, limit=PAGE))
        if not rows:
            return  # the tables are being rebuilt and are not as far any more
        wanted = [row for row in rows if row["kafka_offset"] <= end.get(row["kafka_partition"], -1)]
        yield [line for row in wanted for line in _lines(row)]


def _told(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **{name: str(row[name]) for name in ("purchase_id", "store_id", "user_id")},
        "date": row["booked_at"].astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "channel": row["channel"],
        "total_penny": row["total_penny"],
        "lines": [dict(line) | {"item_id": str(line["item_id"])} for line in row["lines"]],
    }


def _lines(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    told = _told(row)
    lines, total = told.pop("lines"), told.pop("total_penny")
    return [
        told | line | {"line": n, "sum_penny": line["count"] * line["price_penny"], "purchase_total_penny": total}
        for n, line in enumerate(lines, 1)
    ]


def _write(cursor: Cursor) -> str:
    return cursors.write(*(number for place in sorted(cursor.items()) for number in place))


def _read(text: str | None) -> dict[int, int]:
    """Offsets by partition. Raises RequestValidationError."""
    numbers = cursors.read_numbers(text)
    partitions, offsets = numbers[::2], numbers[1::2]
    if (
        len(partitions) != len(offsets)
        or any(not 0 <= one < _SMALLEST for one in partitions)
        or min(numbers, default=0) < 0
    ):
        raise refused("after", "cursor", cursors.NOT_ONE, text)
    return dict(zip(partitions, offsets, strict=True))
