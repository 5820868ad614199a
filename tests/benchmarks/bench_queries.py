"""Queries over HTTP on many points: p50 and p99 of a sequential client, beside a route that only does SELECT 1."""

from __future__ import annotations

import argparse
import http.client
import os
import random
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import quote

import psycopg
import uvicorn
from fastapi import Request, Response
from psycopg import Connection
from psycopg.conninfo import make_conninfo

from api import app
from api.answers import json_answer
from projections import emotion_tables
from projections.queries.database import Connection as Reading
from tests.drivers import read_models

SCHEMA = "emotion_logs_v1"
START = 1_751_328_000_000  # 2025-07-01T00:00Z
MONTHS = [(2025, month) for month in range(7, 13)]
POINTS_A_PERSON = 10_000
PERSONS_A_SESSION = 10
STEP_MS = 100
BETWEEN_SESSIONS_MS = 150 * 60_000
LONG = "long"
"""The device of a session with a single person, who has a tenth of all points."""

POINTS = f"""
    INSERT INTO {SCHEMA}.emotion_points (t_ms, track_id, kafka_offset, valence, arousal, person_id,
                                         bbox_x1, bbox_y1, bbox_x2, bbox_y2, kafka_partition, absolute_time)
    SELECT %(start)s::bigint + %(skip)s::bigint * ((p - 1) / {PERSONS_A_SESSION}) + i * {STEP_MS}, p, i,
           round((sin(i / 97.0 + p) * 0.6 + 0.3 * random())::numeric, 4),
           round((cos(i / 61.0 + p) * 0.5 + 0.3 * random())::numeric, 4),
           p, 10, 20, 110, 220, 0, '2025-12-09T17:15:34+03:00'
    FROM generate_series(%(first)s::int, %(last)s::int) AS p, generate_series(0, %(n)s::int - 1) AS i
"""
PERSONS = f"""
    INSERT INTO {SCHEMA}.persons
    SELECT person_id, CASE WHEN person_id = %(long)s THEN '{LONG}' ELSE 'device-' || (person_id - 1) / 100 %% 10 END,
           'session-' || (person_id - 1) / {PERSONS_A_SESSION}, person_id, n, v, a, first, last, 0, 0, n
    FROM (SELECT person_id, sum(n) AS n, sum(sum_valence) AS v, sum(sum_arousal) AS a,
                 min(bucket_ms) AS first, max(bucket_ms) + 3900 AS last FROM {SCHEMA}.buckets
          WHERE level = 0 GROUP BY person_id) AS counted
"""
HIGHER = """
    INSERT INTO {s}.buckets
    SELECT person_id, {level}, bucket_ms - bucket_ms % {width}, sum(n), sum(sum_valence), sum(sum_arousal),
           (min(ARRAY[min_valence, min_valence_ms]))[1], (min(ARRAY[min_valence, min_valence_ms]))[2],
           (max(ARRAY[max_valence, -max_valence_ms]))[1], -(max(ARRAY[max_valence, -max_valence_ms]))[2],
           (min(ARRAY[min_arousal, min_arousal_ms]))[1], (min(ARRAY[min_arousal, min_arousal_ms]))[2],
           (max(ARRAY[max_arousal, -max_arousal_ms]))[1], -(max(ARRAY[max_arousal, -max_arousal_ms]))[2]
    FROM {s}.buckets WHERE level = {level} - 1 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""


def fill(connection: Connection[object], points: int) -> int:
    """So many points and their aggregates, by SQL alone; returns the person with a tenth of them."""
    read_models.create(connection, MONTHS)
    people = max(PERSONS_A_SESSION, int(points * 0.9) // POINTS_A_PERSON // PERSONS_A_SESSION * PERSONS_A_SESSION)
    long = people + 1
    connection.execute(emotion_tables.loose(SCHEMA))
    shared = {"start": START, "skip": BETWEEN_SESSIONS_MS}
    connection.execute("SET work_mem = '256MB'; SET maintenance_work_mem = '512MB'; SET synchronous_commit = off")
    connection.execute(POINTS, shared | {"first": 1, "last": people, "n": POINTS_A_PERSON})
    connection.execute(POINTS, shared | {"first": long, "last": long, "n": points // 10, "skip": 0})
    connection.execute(emotion_tables.keyed(SCHEMA))
    connection.execute(read_models.BUCKETS.format(level=0, width=4000))
    for level in range(1, 5):
        connection.execute(HIGHER.format(s=SCHEMA, level=level, width=4000 * 8**level))
    connection.execute(PERSONS, {"long": long})
    connection.execute(read_models.SESSIONS)
    connection.execute("VACUUM ANALYZE")
    return long


@contextmanager
def database(server_url: str) -> Iterator[str]:
    """A database of one's own on that server."""
    name = f"bench_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        try:
            yield make_conninfo(server_url, dbname=name)
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def serve(database_url: str, port: int) -> None:
    """The API and the floor, in a process of its own."""
    wired = app.wire(database_url)
    served = app.build(wired)

    async def nothing(reading: Reading) -> int:
        row = await (await reading.execute("SELECT 1 AS one")).fetchone()
        return int(row["one"]) if row else 0

    @served.get("/floor")
    async def floor(request: Request) -> Response:
        return json_answer(request, await wired.database.read(nothing))

    uvicorn.run(served, port=port, log_level="warning", access_log=False, timeout_graceful_shutdown=1)


@contextmanager
def serving(database_url: str, port: int) -> Iterator[http.client.HTTPConnection]:
    """A keep-alive connection to a served API."""
    command = [sys.executable, "-m", "tests.benchmarks.bench_queries", "--serve", database_url, "--port", str(port)]
    process = subprocess.Popen(command)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        for _ in range(200):
            try:
                connection.connect()
                break
            except OSError:
                time.sleep(0.1)
        yield connection
    finally:
        connection.close()
        process.terminate()
        process.wait()


def questions(long: int, chance: random.Random) -> dict[str, Callable[[], str]]:
    """What is asked, each time about somebody else."""
    people = long - 1

    def someone() -> int:
        return chance.randint(1, people)

    def session() -> str:
        person = someone()
        device, name = f"device-{(person - 1) // 100 % 10}", f"session-{(person - 1) // PERSONS_A_SESSION}"
        return f"device_id={quote(device)}&session_id={quote(name)}"

    def window() -> str:
        middle = START + chance.randrange(POINTS_A_PERSON * people // 90) * STEP_MS
        return f"from_ms={middle}&to_ms={middle + chance.choice([60, 600, 6000]) * 1000}"

    return {
        "floor (SELECT 1)": lambda: "/floor",
        "sessions, a page": lambda: "/v1/sessions?limit=50",
        "sessions of a device": lambda: f"/v1/sessions?limit=50&device_id=device-{chance.randint(0, 9)}",
        "persons of a session": lambda: "/v1/persons?" + session(),
        "persons of all, a page": lambda: "/v1/persons?limit=50",
        "curve of a person": lambda: f"/v1/logs?person_id={someone()}&max_points=1000",
        "curve of the long one": lambda: f"/v1/logs?person_id={long}&max_points=1000",
        "zoom into the long one": lambda: f"/v1/logs?person_id={long}&max_points=1000&{window()}",
        "curve of a session": lambda: f"/v1/logs?{session()}&max_points=1000",
        "a thousand points": lambda: f"/v1/logs?person_id={someone()}",
        "a thousand, mixed": lambda: f"/v1/logs?{session()}",
    }


def latencies(connection: http.client.HTTPConnection, ask: Callable[[], str], times: int) -> list[float]:
    """Milliseconds of each request, sorted; the first ten are not counted."""
    spent = []
    for _ in range(times + 10):
        url = ask()
        begin = time.perf_counter()
        connection.request("GET", url)
        answer = connection.getresponse()
        body = answer.read()
        spent.append((time.perf_counter() - begin) * 1000)
        assert answer.status == 200, (url, body)
    return sorted(spent[10:])


def measure(
    server_url: str, points: int = 10_000_000, times: int = 300, port: int = 19_180
) -> dict[str, dict[str, float]]:
    """Per question p50 and p99 in ms, and p50 as a ratio to the floor's."""
    found: dict[str, dict[str, float]] = {}
    with database(server_url) as database_url:
        with psycopg.connect(database_url, autocommit=True) as connection:
            long = fill(connection, points)
        with serving(database_url, port) as client:
            for name, ask in questions(long, random.Random(1)).items():
                spent = latencies(client, ask, times)
                p50, p99 = spent[len(spent) // 2], spent[int(len(spent) * 0.99)]
                floor = found["floor (SELECT 1)"]["p50_ms"] if found else p50
                found[name] = {"p50_ms": p50, "p99_ms": p99, "to_floor": p50 / floor}
    return found


def main() -> None:
    """Print the figures for the server named by DATABASE_URL."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--points", type=int, default=10_000_000)
    parser.add_argument("--times", type=int, default=300)
    parser.add_argument("--port", type=int, default=19_180)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options.port)
        return
    begin = time.perf_counter()
    found = measure(os.environ["DATABASE_URL"], options.points, options.times, options.port)
    print(f"{options.points:,} points, {options.times} requests each, {time.perf_counter() - begin:.0f} s in all")
    for name, one in found.items():
        print(f"{name:24} p50 {one['p50_ms']:7.2f} ms   p99 {one['p99_ms']:7.2f} ms   {one['to_floor']:5.1f} x floor")


if __name__ == "__main__":
    main()
