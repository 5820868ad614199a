"""Requests that come at once share a read of their sessions, and none is answered from before it asked."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, cast

import pytest

from api.railway.session_look_ups import LookUps
from projections.queries.database import Database
from projections.queries.errors import Unavailable


class Slow:
    """A database whose reads end when the test says so."""

    def __init__(self) -> None:
        self.rows: dict[str, Any] = {}
        self.asked: list[list[str]] = []
        self.gates: list[asyncio.Future[None]] = []
        self.news = asyncio.Event()

    async def read(self, read: partial[Any]) -> dict[str, Any]:
        tokens = read.keywords["token_sha256s"]
        self.asked.append(tokens)
        gate = asyncio.get_running_loop().create_future()
        self.gates.append(gate)
        self.news.set()
        found = {token: self.rows[token] for token in tokens if token in self.rows}
        await gate
        return found


async def begun(database: Slow, reads: int) -> None:
    async with asyncio.timeout(5):
        while len(database.gates) < reads:
            database.news.clear()
            await database.news.wait()


@pytest.fixture
def database() -> Slow:
    return Slow()


@pytest.fixture
def look_ups(database: Slow) -> LookUps:
    return LookUps(cast("Database", database))


async def test_alone_it_is_read_at_once(database: Slow, look_ups: LookUps) -> None:
    database.rows["a"] = {"session_id": 1}
    for n, (token, expected) in enumerate({"a": {"session_id": 1}, "unknown": None}.items()):
        asking = asyncio.create_task(look_ups.find(token))
        await begun(database, n + 1)
        database.gates[n].set_result(None)
        assert await asking == expected
    assert database.asked == [["a"], ["unknown"]]


async def test_who_comes_during_a_read_shares_the_next(database: Slow, look_ups: LookUps) -> None:
    database.rows |= {token: {"session_id": token} for token in "abc"}
    first = asyncio.create_task(look_ups.find("a"))
    await begun(database, 1)
    later = [asyncio.create_task(look_ups.find(token)) for token in "bcb"]
    await asyncio.sleep(0)
    database.gates[0].set_result(None)
    await begun(database, 2)
    database.gates[1].set_result(None)
    assert await first == {"session_id": "a"}
    assert await asyncio.gather(*later) == [{"session_id": one} for one in "bcb"]
    assert database.asked == [["a"], ["b", "c"]]


async def test_a_session_that_was_revoked_before_the_question_is_gone(database: Slow, look_ups: LookUps) -> None:
    """A read under way has seen the row; who asks now does not get it."""
    database.rows["a"] = {"session_id": 1}
    first = asyncio.create_task(look_ups.find("a"))
    await begun(database, 1)
    del database.rows["a"]
    second = asyncio.create_task(look_ups.find("a"))
    await asyncio.sleep(0)
    database.gates[0].set_result(None)
    await begun(database, 2)
    database.gates[1].set_result(None)
    assert (await first, await second) == ({"session_id": 1}, None)


@pytest.mark.parametrize("failure", [Unavailable("away"), RuntimeError("a bug")])
async def test_a_failed_read_fails_everybody_who_waits_and_nobody_later(
    database: Slow, look_ups: LookUps, failure: Exception
) -> None:
    first = asyncio.create_task(look_ups.find("a"))
    await begun(database, 1)
    second = asyncio.create_task(look_ups.find("b"))
    await asyncio.sleep(0)
    database.gates[0].set_exception(failure)
    for one in (first, second):
        with pytest.raises(type(failure)):
            await one
    third = asyncio.create_task(look_ups.find("a"))
    await begun(database, 2)
    database.gates[1].set_result(None)
    assert await third is None


async def test_a_request_that_is_given_up_takes_nobody_along(database: Slow, look_ups: LookUps) -> None:
    database.rows["a"] = {"session_id": 1}
    both = [asyncio.create_task(look_ups.find("a")) for _ in range(2)]
    await begun(database, 1)
    both[0].cancel()
    await asyncio.sleep(0)
    database.gates[0].set_result(None)
    assert await both[1] == {"session_id": 1}
    assert database.asked == [["a"]]
