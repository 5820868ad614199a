"""Given these points: the real tables of the read models, filled without Kafka, aggregates derived by SQL."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any

from psycopg import Connection

from projections import emotion_tables
from projections.projectors import emotion_moments, person_emotions

MODELS = {
    "emotion_logs_v1": (emotion_tables.tables, emotion_tables.VIEWS),
    "person_emotions_v1": (person_emotions.tables, person_emotions.READ_MODEL.views),
    "emotion_moments_v1": (emotion_moments.tables, emotion_moments.READ_MODEL.views),
}

PERSONS = """
    UPDATE persons SET (n_points, sum_valence, sum_arousal, min_ms, max_ms) = (
        SELECT count(*), coalesce(sum((valence * 1e9)::bigint), 0), coalesce(sum((arousal * 1e9)::bigint), 0),
               coalesce(min(t_ms), 0), coalesce(max(t_ms), 0)
        FROM emotion_points AS points WHERE points.person_id = persons.person_id)
"""
SESSIONS = """
    INSERT INTO sessions SELECT device_id, session_id, sum(n_points), count(*), min(min_ms), max(max_ms), 0
    FROM persons GROUP BY 1, 2
"""
BUCKETS = """
    INSERT INTO buckets
    SELECT person_id, {level}, t_ms - ((t_ms % {width}) + {width}) % {width}, count(*),
           sum((valence * 1e9)::bigint), sum((arousal * 1e9)::bigint),
           (min(ARRAY[valence, t_ms]))[1], (min(ARRAY[valence, t_ms]))[2],
           (max(ARRAY[valence, -t_ms]))[1], -(max(ARRAY[valence, -t_ms]))[2],
           (min(ARRAY[arousal, t_ms]))[1], (min(ARRAY[arousal, t_ms]))[2],
           (max(ARRAY[arousal, -t_ms]))[1], -(max(ARRAY[arousal, -t_ms]))[2]
    FROM emotion_points GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
HEATMAPS = """
    INSERT INTO heatmaps
    SELECT device_id, session_id, array_agg(coalesce(n, 0) ORDER BY cell) FROM (
        SELECT device_id, session_id, cell, n
        FROM sessions CROSS JOIN generate_series(0, 399) AS cell
        LEFT JOIN (
            SELECT device_id, session_id,
                   least(19, greatest(0, floor((arousal + 1) * 10)::int)) * 20
                   + least(19, greatest(0, floor((valence + 1) * 10)::int)) AS cell, count(*)::int AS n
            FROM emotion_points JOIN persons USING (person_id) GROUP BY 1, 2, 3
        ) AS counted USING (device_id, session_id, cell)
    ) AS cells GROUP BY 1, 2
"""


def month_of(t_ms: int) -> tuple[int, int]:
    """The UTC year and month of a time."""
    moment = datetime.fromtimestamp(t_ms / 1000, UTC)
    return moment.year, moment.month


def bounds_of(year: int, month: int) -> tuple[int, int]:
    """First millisecond of a month and of the next."""
    first = datetime(year, month, 1, tzinfo=UTC)
    after = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
    return int(first.timestamp() * 1000), int(after.timestamp() * 1000)


def create(connection: Connection[Any], months: list[tuple[int, int]]) -> None:
    """The tables of every read model in their schemas, views by their plain names, and the control table."""
    connection.execute("CREATE SCHEMA sensorium")
    connection.execute(
        "CREATE TABLE sensorium.models (schema_name text PRIMARY KEY, model text, version int, state text,"
        " as_of_name text, until_ms bigint)"
    )
    for schema, (tables, views) in MODELS.items():
        create_version(connection, schema, tables(schema))
        connection.execute(
            "INSERT INTO sensorium.models VALUES (%s, %s, 1, 'live')", (schema, schema.removesuffix("_v1"))
        )
        show(connection, schema, views)
    for month in months:
        add_month(connection, *month)


def create_version(connection: Connection[Any], schema: str, sql: str) -> None:
    """One schema with its tables."""
    connection.execute(f"CREATE SCHEMA {schema}")
    connection.execute(sql)


def show(connection: Connection[Any], schema: str, views: Any) -> None:
    """Views in public with explicit columns, as a switch makes them."""
    for name, columns in views.items():
        connection.execute(f"DROP VIEW IF EXISTS public.{name}")
        connection.execute(f"CREATE VIEW public.{name} AS SELECT {', '.join(columns)} FROM {schema}.{name}")


def add_month(connection: Connection[Any], year: int, month: int, schema: str = "emotion_logs_v1") -> None:
    """The partition of one month."""
    connection.execute(emotion_tables.month_partition(schema, year, month, bounds_of(year, month)))


def add_person(
    connection: Connection[Any], key: tuple[str, str, int], points: list[tuple[int, float, float]], track_id: int = 1
) -> int:
    """One person with points (t_ms, valence, arousal) and no box on every second; returns its person_id."""
    (person_id,) = connection.execute(
        "INSERT INTO persons SELECT coalesce(max(person_id), 0) + 1, %s, %s, %s, 0, 0, 0, 0, 0, 0, 0, 0 FROM persons"
        " RETURNING person_id",
        key,
    ).fetchone() or (0,)
    rows = [
        (t_ms, track_id, offset, valence, arousal, person_id, *box, 0, f"at {t_ms}")
        for offset, ((t_ms, valence, arousal), box) in enumerate(
            zip(points, itertools.cycle([(10, 20, 110, 220), (None,) * 4]), strict=False)
        )
    ]
    names = emotion_tables.POINT_COLUMNS[1:]
    with connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO emotion_points ({', '.join(names)}) VALUES ({', '.join(['%s'] * len(names))})", rows
        )
    return int(person_id)


def aggregate(connection: Connection[Any]) -> None:
    """Persons, sessions, buckets and heatmaps out of the points; run once, after the last person."""
    connection.execute(PERSONS)
    connection.execute(SESSIONS)
    for level in range(5):
        connection.execute(BUCKETS.format(level=level, width=4000 * 8**level))
    connection.execute(HEATMAPS)
