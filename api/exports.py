"""CSV and Parquet in a stream: page by page through pyarrow, so memory is bounded by a page whatever is exported."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Final, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from fastapi.responses import StreamingResponse

PAGE: Final = 10_000
"""Rows read, and held, at a time; also a row group of Parquet."""

MEDIA: Final = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}
_FORMULA: Final = "^([=+\\-@\\t\\r])"

Rows = Sequence[dict[str, Any]]
Key = tuple[Any, ...]


async def walk(
    read: Callable[[Key | None, int], Awaitable[Rows]],
    key: Callable[[dict[str, Any]], Key],
    start: Key | None,
    limit: int | None,
    page: int | None = None,
) -> AsyncIterator[Rows]:
    """Pages by keyset until the rows, or `limit` of them, are all read; no connection is held between two pages.

    `page`: rows at a time where they are larger than most.
    """
    left, most = limit, page or PAGE
    while left is None or left > 0:
        wanted = most if left is None else min(most, left)
        rows = await read(start, wanted)
        if rows:
            yield rows
        if len(rows) < wanted:
            return
        start = key(rows[-1])
        left = None if left is None else left - len(rows)


class Encoder(Protocol):
    """Turns pages of rows into bytes of one file."""

    def page(self, rows: Rows) -> bytes:
        """The bytes of one more page."""
        ...

    def end(self) -> bytes:
        """The bytes that close the file."""
        ...


class CsvEncoder:
    """RFC 4180 with a header. A text cell that a spreadsheet would run as a formula gets an apostrophe in front."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._header = True

    def page(self, rows: Rows) -> bytes:
        """Rows as CSV; the first page carries the header."""
        table = _harmless(pa.Table.from_pylist(list(rows), schema=self._schema))
        sink = pa.BufferOutputStream()
        pa_csv.write_csv(table, sink, pa_csv.WriteOptions(include_header=self._header))
        self._header = False
        return sink.getvalue().to_pybytes()

    def end(self) -> bytes:
        """CSV has no footer."""
        return b""


class ParquetEncoder:
    """One row group a page, zstd; the footer comes last."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._sink = _Collected()
        self._writer = pq.ParquetWriter(self._sink, schema, compression="zstd")

    def page(self, rows: Rows) -> bytes:
        """Rows as one row group."""
        if rows:
            self._writer.write_table(pa.Table.from_pylist(list(rows), schema=self._schema))
        return self._sink.taken()

    def end(self) -> bytes:
        """The footer."""
        self._writer.close()
        return self._sink.taken()


class _Collected:
    """A file that only collects what is written until it is taken."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._length = 0
        self.closed = False

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        self._length += len(data)
        return len(data)

    def tell(self) -> int:
        return self._length

    def flush(self) -> None:
        """Nothing is buffered below."""

    def close(self) -> None:
        self.closed = True

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def taken(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


def _harmless(table: pa.Table) -> pa.Table:
    for index, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            safe = pc.replace_substring_regex(table.column(index), _FORMULA, "'\\1")  # pyright: ignore
            table = table.set_column(index, field, safe)
    return table


async def exported(kind: str, name: str, schema: pa.Schema, pages: AsyncIterator[Rows]) -> StreamingResponse:
    """A streamed file. The first page is read before the answer starts, so that a failure still has its status."""
    first: Rows = await anext(pages, None) or ()
    encoder: Encoder = CsvEncoder(schema) if kind == "csv" else ParquetEncoder(schema)
    headers = {"Content-Disposition": f'attachment; filename="{name}.{kind}"', "Vary": "Accept"}
    return StreamingResponse(encoded(encoder, first, pages), headers=headers, media_type=MEDIA[kind])


async def encoded(encoder: Encoder, first: Rows, pages: AsyncIterator[Rows]) -> AsyncIterator[bytes]:
    """A file's bytes, as its pages are read."""
    # In a thread: a page takes some 30 ms, and this process also answers devices.
    yield await asyncio.to_thread(encoder.page, first)
    async for rows in pages:
        yield await asyncio.to_thread(encoder.page, rows)
    yield await asyncio.to_thread(encoder.end)
