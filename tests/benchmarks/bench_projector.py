"""Projector: first event in Kafka to last row visible, beside psycopg's own staging loop fed from memory."""

from __future__ import annotations

import argparse
import os
import statistics
import threading
import time
from collections.abc import Sequence
from typing import Any

import psycopg

from producers.publisher import Message, Publisher
from projections.emotion_tables import tables
from projections.runner import run
from schemas import serde
from schemas.envelope import KeyRing
from tests.drivers.emotion_points import traffic
from tests.drivers.projecting import Site, site, wrong_sums

ROWS_A_BATCH = 10_000
COLUMNS = (
    "t_ms", "track_id", "kafka_offset", "valence", "arousal", "person_id", "bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2",
    "kafka_partition", "absolute_time",
)  # fmt: skip
TYPES = ("int8", "int8", "int8", "float8", "float8", "int4", "int4", "int4", "int4", "int4", "int2", "text")


def publish(made: Site, posts: Sequence[dict[str, Any]]) -> None:
    """Append all posts, in slices that fit the producer's queue."""
    encode = serde.encoder("EmotionPointsRecorded")
    topic = made.prefix + "emotion.points"
    publisher = Publisher(made.bootstrap, client_id="bench", linger_ms=20, deadline_s=60)
    try:
        for at in range(0, len(posts), 2000):
            publisher.publish_all(
                [Message(topic, b["device_id"].encode(), encode(b), []) for b in posts[at : at + 2000]]
            )
    finally:
        publisher.close()


def projector_rate(made: Site, rows: int) -> float:
    """Rows/s of a projector process's main function on a log that is full; aggregates are checked afterwards."""
    stop = threading.Event()
    arguments = (made.bootstrap, made.database_url, KeyRing({"k": bytes(32)}, "k"), "bench", stop, made.models)
    thread = threading.Thread(target=run, args=arguments)
    pause = threading.Event()
    with psycopg.connect(made.database_url, autocommit=True) as connection:
        begin = time.perf_counter()
        thread.start()
        while True:
            try:
                row = connection.execute("SELECT COALESCE(sum(n_points), 0) FROM sessions").fetchone()
            except psycopg.errors.UndefinedTable:
                row = None
            if row and row[0] == rows:
                break
            pause.wait(0.01)
        took = time.perf_counter() - begin
    stop.set()
    thread.join()
    schema = made.live("emotion_logs")
    assert made.one(f"SELECT count(*) FROM {schema}.emotion_points") == rows
    assert wrong_sums(made, schema) == []
    made.sql(f"DROP SCHEMA {schema} CASCADE; DELETE FROM sensorium.models; DROP SCHEMA sensorium CASCADE")
    made.sql("DROP VIEW IF EXISTS sessions, persons, points, buckets, heatmaps, emotion_logs CASCADE")
    return rows / took


def staging_rate(made: Site, posts: Sequence[dict[str, Any]]) -> float:
    """Rows/s of COPY (psycopg's write_row) to a staging table + INSERT .. SELECT .. ON CONFLICT, from memory."""
    rows = [
        (t, track, offset, v, a, person, x1, y1, x2, y2, 0, text)
        for offset, b in enumerate(posts)
        for person in [hash((b["device_id"], b["session_id"], b["session_person_id"][0])) & 0x7FFFFFFF]
        for track, t, text, v, a, x1, y1, x2, y2 in zip(
            b["track_id"], b["t_ms"], b["absolute_time"], b["valence"], b["arousal"],
            b["bbox_x1"], b["bbox_y1"], b["bbox_x2"], b["bbox_y2"], strict=True,
        )
    ]  # fmt: skip
    names = ", ".join(COLUMNS)
    with psycopg.connect(made.database_url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS staged CASCADE; CREATE SCHEMA staged")
        connection.execute(tables("staged").encode())
        connection.execute("SET search_path TO staged; SET synchronous_commit TO off")
        connection.execute(
            "CREATE TABLE points_all PARTITION OF emotion_points FOR VALUES FROM (1420070400000) TO (2240611200000)"
        )
        connection.execute("CREATE TEMP TABLE staging (LIKE emotion_points) ON COMMIT DELETE ROWS")
        connection.execute("ALTER TABLE staging ALTER id DROP NOT NULL")
        begin = time.perf_counter()
        for at in range(0, len(rows), ROWS_A_BATCH):
            with connection.transaction(), connection.cursor() as cursor:
                with cursor.copy(f"COPY staging ({names}) FROM STDIN (FORMAT BINARY)".encode()) as copy:
                    copy.set_types(TYPES)
                    for row in rows[at : at + ROWS_A_BATCH]:
                        copy.write_row(row)
                cursor.execute(
                    f"INSERT INTO emotion_points ({names}) SELECT {names} FROM staging ON CONFLICT DO NOTHING".encode()
                )
        took = time.perf_counter() - begin
        connection.execute("DROP SCHEMA staged CASCADE")
    return len(rows) / took


def measure(bootstrap: str, database_url: str, posts: int = 5000, rounds: int = 3) -> dict[str, float]:
    """Medians in rows/s, and the ratio of both (100 points a post)."""
    bodies = list(traffic(posts))
    with site(bootstrap, database_url, "emotion_logs") as made:
        publish(made, bodies)
        pairs = [(staging_rate(made, bodies), projector_rate(made, 100 * posts)) for _ in range(rounds)]
    staging, projector = (statistics.median(column) for column in zip(*pairs, strict=True))
    return {"staging_rows_s": staging, "projector_rows_s": projector, "ratio": projector / staging}


def main() -> None:
    """Print the figures for the servers named by the environment."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--posts", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    servers = os.environ["KAFKA_BOOTSTRAP_SERVERS"], os.environ["DATABASE_URL"]
    for name, value in measure(*servers, options.posts, options.rounds).items():
        print(f"{name:18} {value:,.2f}")


if __name__ == "__main__":
    main()
