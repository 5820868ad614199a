"""Exports page by page: never more rows at once than a page, cut where asked, formulas made harmless."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from api import exports
from api.exports import CsvEncoder, walk

SCHEMA = pa.schema({"name": pa.string(), "n": pa.int64()})


class Table:
    """Numbers 0..n-1, read by key."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.asked: list[int] = []

    async def read(self, after: Any, limit: int) -> list[dict[str, Any]]:
        self.asked.append(limit)
        start = 0 if after is None else after[0] + 1
        return [{"n": i} for i in range(start, min(self.n, start + limit))]


@pytest.mark.parametrize(
    ("n", "limit", "found"), [(25, None, 25), (20, None, 20), (25, 12, 12), (25, 10, 10), (0, None, 0)]
)
async def test_everything_or_the_limit_is_walked(
    n: int, limit: int | None, found: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "PAGE", 10)
    table = Table(n)
    pages = [page async for page in walk(table.read, lambda row: (row["n"],), None, limit)]
    assert [row["n"] for page in pages for row in page] == list(range(found))
    assert max(table.asked) <= 10
    assert all(pages)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@a", "\tx", "\rx"])
def test_a_formula_becomes_text(text: str) -> None:
    body = CsvEncoder(SCHEMA).page([{"name": text, "n": -5}]).decode()
    assert body == f'"name","n"\n"\'{text}",-5\n'


def test_quotes_and_line_breaks_stay_inside_their_cell() -> None:
    body = CsvEncoder(SCHEMA).page([{"name": 'a"b\nc,d', "n": None}]).decode()
    assert body == '"name","n"\n"a""b\nc,d",\n'
