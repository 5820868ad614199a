"""The accounts' feed: pages and cursors over partitions, CSV that no spreadsheet runs."""

from __future__ import annotations

import csv
import io
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import HTTPException

from api import cursors
from api.routes import railway_purchases
from projections.queries import railway_accounts
from projections.queries.errors import Unavailable
from tests.drivers.desk import app_of

START = datetime(2026, 1, 1, 9, tzinfo=UTC)
FEED, CSV = "/v1/railway/purchases", "/v1/railway/purchases.csv"


def booked(n: int, partition: int) -> dict[str, Any]:
    line = {"item_id": uuid.UUID(int=7), "name": "=1+1", "category": "food", "count": 2, "price_penny": 150}
    return {
        "purchase_id": uuid.UUID(int=n), "store_id": uuid.UUID(int=1), "user_id": uuid.UUID(int=2), "channel": "ROBOT",
        "booked_at": START + timedelta(seconds=n), "kafka_partition": partition, "kafka_offset": n,
        "total_penny": 300 + n, "lines": [line, line | {"name": "Чай, чёрный", "count": 1, "price_penny": n}],
    }  # fmt: skip


class Accounts:
    """A database with some purchases in three partitions; `late` come while somebody reads."""

    def __init__(self, n: int) -> None:
        self.rows = [booked(i, i % 3) for i in range(n)]
        self.late: list[dict[str, Any]] = []
        self.outage: Exception | None = None
        self.limits: list[int] = []

    async def read(self, read: Any, **_: Any) -> Any:
        if self.outage:
            raise self.outage
        cursor, limit = read.keywords["cursor"], read.keywords["limit"]
        left = [row for row in self.rows if row["kafka_offset"] > cursor.get(row["kafka_partition"], -1)]
        found = sorted(left, key=lambda row: row["booked_at"])[:limit]
        ends = {row["kafka_partition"]: row["kafka_offset"] for row in found}
        if read.func is railway_accounts.reached:
            self.rows += self.late
            return ends
        assert read.func is railway_accounts.after
        self.limits.append(limit)
        return found, {**cursor, **ends}


async def admitted() -> str | None:
    return None


async def asked(accounts: Any, path: str, guard: Any = admitted) -> httpx.Response:
    transport = httpx.ASGITransport(app_of(railway_purchases.build(accounts, guard)))
    async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
        return await client.get(path)


def next_of(answer: httpx.Response) -> str:
    return answer.headers["link"].split(">")[0].removeprefix("<")


async def test_the_feed_goes_on_from_its_cursor() -> None:
    accounts = Accounts(7)
    first = await asked(accounts, f"{FEED}?limit=4")
    assert first.status_code == 200
    assert first.json()["items"][0] == {
        "purchase_id": str(uuid.UUID(int=0)), "store_id": str(uuid.UUID(int=1)), "user_id": str(uuid.UUID(int=2)),
        "date": "2026-01-01T09:00:00Z", "channel": "ROBOT", "total_penny": 300,
        "lines": [
            {"item_id": str(uuid.UUID(int=7)), "name": "=1+1", "category": "food", "count": 2, "price_penny": 150},
            {"item_id": str(uuid.UUID(int=7)), "name": "Чай, чёрный", "category": "food", "count": 1, "price_penny": 0},
        ],
    }  # fmt: skip
    second = await asked(accounts, FEED + next_of(first))
    assert [uuid.UUID(one["purchase_id"]).int for one in second.json()["items"]] == [4, 5, 6]
    assert "link" not in second.headers
    nothing = await asked(accounts, f"{FEED}?after={second.json()['cursor']}")
    assert nothing.json() == {"items": [], "cursor": second.json()["cursor"]}
    accounts.rows.append(booked(7, 0))
    new = await asked(accounts, f"{FEED}?after={second.json()['cursor']}")
    assert [uuid.UUID(one["purchase_id"]).int for one in new.json()["items"]] == [7]


async def test_csv_has_a_row_for_each_line_and_no_formula() -> None:
    answer = await asked(Accounts(2), CSV)
    assert answer.headers["content-type"].startswith("text/csv")
    assert "purchases.csv" in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(rows) == 4
    assert rows[3] == {
        "purchase_id": str(uuid.UUID(int=1)), "date": "2026-01-01T09:00:01Z", "store_id": str(uuid.UUID(int=1)),
        "user_id": str(uuid.UUID(int=2)), "channel": "ROBOT", "line": "2", "item_id": str(uuid.UUID(int=7)),
        "name": "Чай, чёрный", "category": "food", "count": "1", "price_penny": "1", "sum_penny": "1",
        "purchase_total_penny": "301",
    }  # fmt: skip
    assert rows[0]["name"] == "'=1+1"
    assert rows[0]["sum_penny"] == "300"


async def test_a_csv_ends_where_its_link_begins_whatever_is_booked_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(railway_purchases, "PAGE", 2)
    accounts = Accounts(8)
    late = booked(9, 3) | {"booked_at": START + timedelta(seconds=1.5)}  # from a partition that was behind
    accounts.late = [late]
    first = await asked(accounts, f"{CSV}?limit=5")
    accounts.late = []
    second = await asked(accounts, CSV + next_of(first))
    seen = [[row["purchase_id"] for row in csv.DictReader(io.StringIO(one.text))] for one in (first, second)]
    assert len(seen[0]) == 10
    assert sorted(uuid.UUID(one).int for one in seen[0] + seen[1]) == sorted([*range(8), 9] * 2)
    third = await asked(accounts, CSV + next_of(second))
    assert list(csv.DictReader(io.StringIO(third.text))) == []
    assert "link" not in third.headers
    assert third.text.startswith('"purchase_id"')


async def test_nothing_booked_yet() -> None:
    assert (await asked(Accounts(0), FEED)).json() == {"items": [], "cursor": cursors.write()}
    assert (await asked(Accounts(0), CSV)).text.count("\n") == 1


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=100001", "after=x", "after=%00", f"after={cursors.write(1)}", f"after={cursors.write(-1, 1)}",
     f"after={cursors.write(1, -1)}", f"after={cursors.write(2**15, 1)}", f"after={cursors.write(1, 2**63)}",
     f"after={cursors.write('1', 1)}", f"after={cursors.write(True, 1)}", "after=bnVsbA", "after=W1tbW1td"],
)  # fmt: skip
async def test_bad_questions_are_422(query: str) -> None:
    for path in (FEED, CSV):
        assert (await asked(Accounts(3), f"{path}?{query}")).status_code == 422


async def test_failures_keep_their_status() -> None:
    async def nobody() -> str | None:
        raise HTTPException(401, "Invalid admin token")

    accounts = Accounts(1)
    for path in (FEED, CSV):
        assert (await asked(accounts, path, nobody)).status_code == 401
    accounts.outage = Unavailable("PostgreSQL does not answer.")
    for path in (FEED, CSV):
        assert (await asked(accounts, path)).status_code == 503
