"""A crowd: the oldest points over many persons at once are the same as sorting everything, and cost little."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from typing import Any

import httpx
import psycopg
import pytest

from api import app
from projections.queries import mix
from projections.queries.points import Window
from tests.drivers import read_models

START = 1_765_289_734_000
SESSION = "device_id=crowd&session_id=s"


@pytest.fixture(scope="module")
def crowd(database_url: str) -> list[tuple[int, int]]:
    """Thirty persons who overlap; every (t_ms, session_person_id) in the order of the answer."""
    chance = random.Random(7)
    rows = []
    with psycopg.connect(database_url, autocommit=True) as connection:
        read_models.create(connection, [(2025, 12)])
        for person in range(30):
            begin = START + chance.randrange(120_000)
            points = [(begin + i * chance.choice([50, 100]), 0.1, 0.2) for i in range(0, 3000, 2)]
            points = list({t_ms: (t_ms, v, a) for t_ms, v, a in points}.values())
            read_models.add_person(connection, ("crowd", "s", person), points)
            rows += [(t_ms, person) for t_ms, *_ in points]
        read_models.aggregate(connection)
    return sorted(rows)


@pytest.fixture
async def client(crowd: list[tuple[int, int]], database_url: str) -> AsyncIterator[httpx.AsyncClient]:
    del crowd
    wired = app.wire(database_url)
    transport = httpx.ASGITransport(app.build(wired))
    async with wired.running(), httpx.AsyncClient(transport=transport, base_url="http://sensorium") as session:
        yield session


@pytest.mark.parametrize("limit", [1, 10, 500, 5000, 10_000])
@pytest.mark.parametrize("from_ms", [None, START + 60_000, START + 150_001])
async def test_the_oldest_are_the_oldest(
    client: httpx.AsyncClient, crowd: list[tuple[int, int]], limit: int, from_ms: int | None
) -> None:
    url = f"/v1/logs?{SESSION}&limit={limit}" + (f"&from_ms={from_ms}" if from_ms else "")
    records = (await client.get(url)).json()["records"]
    expected = [row for row in crowd if from_ms is None or row[0] >= from_ms][:limit]
    assert [(record["t_ms"], record["session_person_id"]) for record in records] == expected


async def test_pages_of_a_crowd_join_up(client: httpx.AsyncClient, crowd: list[tuple[int, int]]) -> None:
    found: list[tuple[int, int]] = []
    url = f"/v1/logs?{SESSION}&limit=7000"
    while url:
        answer = await client.get(url)
        found += [(record["t_ms"], record["session_person_id"]) for record in answer.json()["records"]]
        url = "/v1/logs" + answer.links["next"]["url"] if "next" in answer.links else ""
    assert found == crowd


async def test_little_more_is_read_than_asked(crowd: list[tuple[int, int]], database_url: str) -> None:
    wired = app.wire(database_url)
    window = Window(limit=3000)

    async def bound(connection: Any) -> int:
        people = await mix.persons(connection, "crowd", "s", window)
        return await mix._tightened(connection, people, window)

    async with wired.running():
        last = await wired.database.read(bound)
    assert 3000 <= len([row for row in crowd if row[0] <= last]) <= 5500
    assert len(crowd) > 30_000
