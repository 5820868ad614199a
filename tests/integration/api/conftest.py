"""A served API over a PostgreSQL with a few known points."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import psycopg
import pytest

from api import app
from tests.drivers import read_models

START = 1_765_289_734_000  # 2025-12-09T14:15:34Z
DAY = ("raspberry_pi_001", "20251209_180102")
HOSTILE = '<img src=x onerror="alert(1)">'


def wave(n: int, step_ms: int, start: int = START) -> list[tuple[int, float, float]]:
    """A slow wave with one spike of each sign."""
    points = [
        (start + i * step_ms, round(0.5 * math.sin(i / 50), 6), round(0.3 * math.cos(i / 70), 6)) for i in range(n)
    ]
    if n > 100:
        points[n // 3] = (points[n // 3][0], 0.987, -0.9)
        points[n // 2] = (points[n // 2][0], -0.991, 0.95)
    return points


@pytest.fixture(scope="module")
def filled(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    """Two devices, three sessions, a long person, a flat one and one that is only a moment."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        read_models.create(connection, [(2025, 12), (2026, 1)])
        read_models.add_person(connection, (*DAY, 5), wave(30_000, 40))
        read_models.add_person(connection, (*DAY, 2), [(START + i * 1000, 0.0, 0.0) for i in range(10)], track_id=7)
        read_models.add_person(connection, (*DAY, -9), wave(50, 1000, START + 500), track_id=9)
        read_models.add_person(connection, (HOSTILE, "=1+1", 1), wave(3, 1000, START + 10**9))
        read_models.add_person(connection, ("b", "old", 1), [(START - 10**6, 0.0004, -0.12345)])
        read_models.aggregate(connection)
        yield connection


@pytest.fixture
async def client(filled: psycopg.Connection[Any], database_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the API alone."""
    del filled
    wired = app.wire(
        database_url,
        frame_fps=lambda device: 12.5 if device == "jetson_1" else 0.0,
        device_names=lambda device: {"jetson_2": "Back door"}.get(device, app.DEFAULT_NAME),
    )
    served = app.build(wired)
    async with (
        wired.running(),
        httpx.AsyncClient(transport=httpx.ASGITransport(served), base_url="http://sensorium") as session,
    ):
        yield session
