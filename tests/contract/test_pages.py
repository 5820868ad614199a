"""The request sequences of the seeds' own pages, replayed: what they ask, which keys and types they rely on."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import httpx
import psycopg
import pytest

from api import app
from tests.drivers import read_models
from tests.integration.conftest import database_url, postgres_server, server_home

__all__ = ["database_url", "postgres_server", "server_home"]

START = 1_765_289_734_000
INVENTED = {"p1", "p2", 1234.5, 345.0, 120.0}
"""Figures that seed 001's pages show when an answer is not what they need."""


@pytest.fixture(scope="module")
def filled(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        read_models.create(connection, [(2025, 12)])
        for n in range(3):
            points = [(START + n * 10**6 + i * 100, math.sin(i / 40), math.cos(i / 40)) for i in range(200 + n)]
            read_models.add_person(connection, ("raspberry_pi_001", "20251209_180102", -1 - n), points, track_id=n)
        read_models.aggregate(connection)
        connection.execute("INSERT INTO device_totals VALUES ('jetson_1', 100500000, 20000000, 5000000, 7000000)")
        for name, times in (("Anna", (100.5, 20, 5, 7)), ("Boris", (0, 0, 0, 0))):
            connection.execute(
                "INSERT INTO person_emotions (device_id, person_id, time_happy, time_sad, time_angry, time_neutral,"
                " last_seen, reported_us, topic, kafka_partition, kafka_offset)"
                " VALUES ('jetson_1', %s, %s, %s, %s, %s, '2025-11-14T12:34:56Z', 0, 'emotion.totals', 0, 0)",
                (name, *times),
            )


@pytest.fixture
async def browser(filled: None, database_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """What the pages are to the server: a client without a token."""
    del filled
    wired = app.wire(database_url, frame_fps=lambda _: 12.5)
    transport = httpx.ASGITransport(app.build(wired))
    async with wired.running(), httpx.AsyncClient(transport=transport, base_url="http://server") as session:
        yield session


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


async def test_the_page_of_seed_000_gets_everything_it_draws(browser: httpx.AsyncClient) -> None:
    answer = await browser.get("/api/v1/persons", headers={"Cache-Control": "no-store"})
    assert answer.status_code == 200
    persons = answer.json()
    assert [type(person["person_id"]) for person in persons] == [int, int, int]
    assert persons[0]["person_id"] == max(person["person_id"] for person in persons)  # row 0 is opened first
    for person in persons:
        assert isinstance(person["device_id"], str)
        assert all(is_number(person[key]) for key in ("n_points", "avg_valence", "avg_arousal"))
    asked = [browser.get(f"/api/v1/logs?person_id={person['person_id']}&limit=5000") for person in persons]
    for person, logs in zip(persons, await asyncio.gather(*asked), strict=True):
        records = logs.json()["records"]
        assert len(records) == person["n_points"]
        assert [record["t_ms"] for record in records] == sorted(record["t_ms"] for record in records)
        assert all(is_number(record[key]) for record in records for key in ("t_ms", "valence", "arousal", "track_id"))
        assert all(record["bbox"] == [10, 20, 110, 220] or record["bbox"] == [None] * 4 for record in records)


async def test_the_document_of_seed_000_describes_a_page_that_works_too(browser: httpx.AsyncClient) -> None:
    (session,) = (await browser.get("/api/v1/sessions")).json()
    query = {"device_id": session["device_id"], "session_id": session["session_id"]}
    persons = (await browser.get("/api/v1/persons", params=query)).json()
    assert sum(person["n_points"] for person in persons) == session["n_points"]
    for person in persons:
        key = {**query, "session_person_id": person["session_person_id"]}
        logs = (await browser.get("/api/v1/logs", params=key)).json()
        assert logs["count"] == len(logs["records"]) == person["n_points"]
    mix = (await browser.get("/api/v1/logs", params=query)).json()
    assert mix["count"] == session["n_points"]


def draw_001(summary: Any) -> dict[str, Any]:
    """What seed 001's newest page (P2) computes from a summary; whatever it would crash on is an error here."""
    totals = summary["emotion_totals"]
    return {
        "title": f"{summary['device_name']} ({summary['device_id']})",
        "updated": datetime.fromisoformat(summary["updated_at"]),
        "totals": [totals.get(emotion, 0) for emotion in ("happy", "sad", "angry")],
        "rows": [
            (
                person["person_id"],
                person["current_emotion"].lower(),
                *(f"{person[f'time_{emotion}']:.1f}s" for emotion in ("happy", "sad", "angry", "neutral")),
                datetime.fromisoformat(person["last_seen"]),
            )
            for person in summary["current_people"]
        ],
        "fps": f"{summary.get('model_fps', 0):.1f}",
    }


async def test_the_pages_of_seed_001_show_real_figures(browser: httpx.AsyncClient) -> None:
    for _ in range(2):  # every five seconds, the same
        answer = await browser.get("/api/dashboard/summary?device_id=jetson_1")
        assert answer.status_code == 200
        drawn = draw_001(answer.json())
        assert drawn["title"] == "Entrance Camera (jetson_1)"
        assert drawn["updated"].utcoffset() is not None
        assert drawn["totals"] == [100.5, 20.0, 5.0]
        assert [row[:6] for row in drawn["rows"]] == [
            ("Anna", "happy", "100.5s", "20.0s", "5.0s", "7.0s"),
            ("Boris", "neutral", "0.0s", "0.0s", "0.0s", "0.0s"),
        ]
        assert drawn["fps"] == "12.5"
        shown = {drawn["title"], *drawn["totals"], *(row[0] for row in drawn["rows"])}
        assert shown.isdisjoint(INVENTED)
        assert len({row[0] for row in drawn["rows"]}) == len(drawn["rows"])  # React's keys
