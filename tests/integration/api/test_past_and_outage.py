"""Views of the past, a switch of versions under load, and PostgreSQL gone: what the asker sees."""

from __future__ import annotations

import asyncio
import re
import time
from functools import partial
from typing import Any

import httpx
import psycopg
import pytest

from api import app
from api.live import Hub
from projections import emotion_tables
from projections.queries.changes import listen
from projections.queries.database import Database
from tests.drivers import read_models
from tests.integration.api.conftest import DAY

SESSION = "device_id={}&session_id={}".format(*DAY)


@pytest.fixture(scope="module")
def monday(filled: psycopg.Connection[Any]) -> None:
    """A view of the past with one session in it."""
    read_models.create_version(filled, "emotion_logs_at_monday", emotion_tables.tables("emotion_logs_at_monday"))
    filled.execute("INSERT INTO emotion_logs_at_monday.sessions VALUES ('then', 's', 1, 1, 5, 6, 0)")
    filled.execute(
        "INSERT INTO sensorium.models VALUES ('emotion_logs_at_monday', 'emotion_logs', NULL, 'as_of', 'monday', 1700)"
    )


@pytest.mark.usefixtures("monday")
async def test_a_view_of_the_past_answers_for_its_time(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v1/as-of")).json() == [{"name": "monday", "model": "emotion_logs", "until_ms": 1700}]
    then = (await client.get("/v1/sessions?as_of=monday")).json()
    assert [row["device_id"] for row in then] == ["then"]
    for path in ("persons?as_of=monday", "logs?person_id=1&as_of=monday", f"heatmap?{SESSION}&as_of=monday"):
        assert (await client.get("/v1/" + path)).status_code == 200
    assert (await client.get("/v1/logs?person_id=1&as_of=monday")).json()["count"] == 0
    assert len((await client.get("/v1/sessions")).json()) == 3  # the next question is about now again


@pytest.mark.usefixtures("monday")
async def test_an_unknown_view_says_which_exist(client: httpx.AsyncClient) -> None:
    answer = await client.get('/v1/sessions?as_of=x"; DROP TABLE points --')
    assert answer.status_code == 404
    assert "monday" in answer.json()["detail"]
    answer = await client.get(f"/v1/moments?{SESSION}&as_of=monday")
    assert (answer.status_code, "none" in answer.json()["detail"]) == (404, True)


async def test_views_replaced_under_load_are_never_noticed(
    client: httpx.AsyncClient, filled: psycopg.Connection[Any]
) -> None:
    stop = asyncio.Event()

    async def ask() -> set[int]:
        codes = set()
        while not stop.is_set():
            codes.add((await client.get("/v1/sessions")).status_code)
            codes.add((await client.get("/v1/logs?person_id=1&limit=10")).status_code)
        return codes

    askers = [asyncio.create_task(ask()) for _ in range(4)]
    for _ in range(10):
        await asyncio.to_thread(_switch, filled)
    stop.set()
    assert set().union(*await asyncio.gather(*askers)) == {200}


def _switch(connection: psycopg.Connection[Any]) -> None:
    with connection.transaction():
        read_models.show(connection, "emotion_logs_v1", emotion_tables.VIEWS)


async def test_connections_that_postgresql_closed_are_replaced(
    client: httpx.AsyncClient, filled: psycopg.Connection[Any]
) -> None:
    for _ in range(3):
        answers = await asyncio.gather(*(client.get("/v1/sessions") for _ in range(12)))
        assert {answer.status_code for answer in answers} == {200}
        filled.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'sensorium-api' AND datname = current_database()"
        )


async def test_without_postgresql_the_answer_is_503_soon() -> None:
    wired = app.wire("host=/nowhere dbname=none user=none")
    transport = httpx.ASGITransport(app.build(wired))
    async with wired.running(), httpx.AsyncClient(transport=transport, base_url="http://sensorium") as session:
        for path in ("/v1/sessions", "/api/v1/persons", "/v1/logs?person_id=1", "/api/dashboard/summary"):
            begun = time.monotonic()
            answer = await session.get(path)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
            assert answer.json()["detail"] == "PostgreSQL does not answer."
            assert time.monotonic() - begun < 3
        assert (await session.get("/ui")).status_code == 200
        assert (await session.get("/registry/subjects")).status_code == 200


async def test_a_question_that_hangs_is_503_at_its_deadline(filled: psycopg.Connection[Any], database_url: str) -> None:
    database = Database(database_url, deadline_s=0.3)
    wired = app.Api(database, Hub(partial(listen, database_url)))
    transport = httpx.ASGITransport(app.build(wired))
    async with wired.running(), httpx.AsyncClient(transport=transport, base_url="http://sensorium") as session:
        assert (await session.get("/v1/sessions")).status_code == 200
        with filled.transaction():
            filled.execute("LOCK TABLE emotion_logs_v1.sessions IN ACCESS EXCLUSIVE MODE")
            begun = time.monotonic()
            answer = await session.get("/v1/sessions")
            assert (answer.status_code, answer.json()["detail"]) == (503, "PostgreSQL did not answer in time.")
            assert time.monotonic() - begun < 2
        assert (await session.get("/v1/sessions")).status_code == 200


async def test_before_the_first_projector_has_run_the_answer_is_503(
    filled: psycopg.Connection[Any], database_url: str
) -> None:
    filled.execute("ALTER VIEW public.sessions RENAME TO elsewhere")
    wired = app.wire(database_url)
    transport = httpx.ASGITransport(app.build(wired))
    async with wired.running(), httpx.AsyncClient(transport=transport, base_url="http://sensorium") as session:
        answer = await session.get("/v1/sessions")
    filled.execute("ALTER VIEW public.elsewhere RENAME TO sessions")
    assert answer.status_code == 503
    assert "not there yet" in answer.json()["detail"]


async def test_the_documentation_needs_no_network(client: httpx.AsyncClient) -> None:
    for page in ("/docs", "/redoc"):
        text = (await client.get(page)).text
        assert re.findall(r"https?://[^\"' ]+", text.replace("https://www.w3.org", "")) == []
        for address in re.findall(r'(?:src|href)="?(/[^" >]+)', text):
            assert (await client.get(address)).status_code == 200
    paths = (await client.get("/openapi.json")).json()["paths"]
    assert {"/v1/sessions", "/api/v1/sessions", "/v1/live", "/api/dashboard/summary", "/registry/subjects"} <= set(
        paths
    )
