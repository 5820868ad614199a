"""GET /v1/live over a socket: what a projector announces in PostgreSQL reaches a reader as a server-sent event."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import psycopg
import pytest

from api import app
from tests.drivers.serving import served

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def address(database_url: str) -> Iterator[str]:
    with served(app.build(app.wire(database_url))) as base:
        yield base


def _until(lines: Iterator[str], event: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif fields.get("event") == event:
            return fields
        else:
            fields = {}
    raise AssertionError(f"The stream ended before {event}")


@pytest.mark.parametrize("path", ["/v1/live", "/api/v1/live"])
def test_an_announcement_reaches_the_reader(address: str, database_url: str, path: str) -> None:
    with httpx.stream("GET", address + path, timeout=20) as stream, psycopg.connect(database_url) as connection:
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert stream.headers["cache-control"] == "no-store"
        lines = stream.iter_lines()
        _until(lines, "online")
        connection.execute("""SELECT pg_notify('sensorium_live', '{"model":"emotion_logs","sessions":[["d","s"]]}')""")
        connection.commit()
        change = _until(lines, "change")
    assert change["data"] == '{"changes":[{"model":"emotion_logs","sessions":[["d","s"]]}]}'
    run, _, number = change["id"].partition("-")
    headers = {"Last-Event-ID": f"{run}-{int(number) - 1}"}
    with httpx.stream("GET", address + path, timeout=20, headers=headers) as again:
        assert _until(again.iter_lines(), "change")["id"] == change["id"]


def test_a_lost_listener_comes_back_and_says_so(address: str, database_url: str) -> None:
    with (
        httpx.stream("GET", address + "/v1/live", timeout=20) as stream,
        psycopg.connect(database_url, autocommit=True) as connection,
    ):
        lines = stream.iter_lines()
        _until(lines, "online")
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'sensorium-live' AND datname = current_database()"
        )
        _until(lines, "offline")
        _until(lines, "reset")
        _until(lines, "online")


def test_a_head_is_405(address: str) -> None:
    assert httpx.head(address + "/v1/live").status_code == 405
