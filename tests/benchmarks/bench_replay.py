"""Replay: the log to a fresh keyed version with its aggregates, beside bare binary COPY of the same rows + the key."""

from __future__ import annotations

import argparse
import os
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import psycopg

from ops.replay import KEY_MEMORY, Replay, Servers
from projections.emotion_rows import columns_of, gather, lay_out
from projections.emotion_tables import POINT_COLUMNS, keyed, loose, tables
from schemas.envelope import KeyRing
from schemas.record import Record
from tests.benchmarks.bench_projector import publish
from tests.drivers.emotion_points import traffic
from tests.drivers.projecting import Site, site, wrong_sums

POSTS_A_COPY = 1000
KEYS = KeyRing({"k": bytes(32)}, "k")


class Phases:
    """When each phase began."""

    def __init__(self) -> None:
        self.began: list[tuple[str, float]] = []

    def phase(self, name: str, total: int) -> None:
        """Note it."""
        self.began.append((name, time.perf_counter()))

    def advanced(self, rows: int, offsets: int) -> None:
        """Not needed."""

    def took(self) -> float:
        """Seconds from the first phase to the comparison."""
        return next(at for name, at in self.began if name.startswith("comparing")) - self.began[0][1]


def payloads(posts: Sequence[dict[str, Any]]) -> Iterator[list[bytes]]:
    """The same rows, ready for COPY."""
    for at in range(0, len(posts), POSTS_A_COPY):
        part = posts[at : at + POSTS_A_COPY]
        points = gather([Record("t", 0, at + i, 0, None, None) for i in range(len(part))], columns_of(part))
        person = np.array([hash((b["device_id"], b["session_person_id"][0])) & 0x7FFFFFFF for b in part])
        yield lay_out(points).payload(person[points.post_of_row], np.arange(len(points)))


def bare_rate(made: Site, posts: Sequence[dict[str, Any]], rows: int) -> float:
    """Rows/s of binary COPY without a key, and then the key; laying out is not counted."""
    took = 0.0
    with psycopg.connect(made.database_url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS bare CASCADE; CREATE SCHEMA bare")
        connection.execute(tables("bare").encode())
        connection.execute(loose("bare").encode())
        connection.execute("SET search_path TO bare; SET synchronous_commit TO off")
        connection.execute(
            "CREATE TABLE points_all PARTITION OF emotion_points FOR VALUES FROM (1420070400000) TO (2240611200000)"
        )
        for payload in payloads(posts):
            begin = time.perf_counter()
            with connection.cursor().copy(
                f"COPY emotion_points ({', '.join(POINT_COLUMNS)}) FROM STDIN (FORMAT BINARY)".encode()
            ) as copy:
                for part in payload:
                    copy.write(part)
            took += time.perf_counter() - begin
        begin = time.perf_counter()
        with connection.transaction():
            connection.execute(KEY_MEMORY)
            connection.execute(keyed("bare").encode())
        took += time.perf_counter() - begin
        connection.execute("DROP SCHEMA bare CASCADE")
    return rows / took


def replay_rate(made: Site, rows: int) -> float:
    """Rows/s of a replay up to the comparison; the version is checked and dropped."""
    phases = Phases()
    servers = Servers(made.bootstrap, made.database_url, KEYS)
    outcome = Replay(servers, made.models["emotion_logs"], threading.Event(), phases).next_version()
    assert outcome.switched
    assert outcome.rows["emotion_points"] == rows
    assert wrong_sums(made, outcome.schema) == [] or rows > 1_000_000
    Replay(servers, made.models["emotion_logs"], threading.Event(), phases).roll_back()
    Replay(servers, made.models["emotion_logs"], threading.Event(), phases).retire()
    return rows / phases.took()


def measure(bootstrap: str, database_url: str, posts: int = 50_000, rounds: int = 1) -> dict[str, float]:
    """Medians in rows/s, and the ratio of both (100 points a post)."""
    bodies = list(traffic(posts))
    with site(bootstrap, database_url, "emotion_logs") as made:
        publish(made, bodies)
        with made.projector():
            made.caught_up("emotion_logs", timeout=600)
        pairs = [(bare_rate(made, bodies, 100 * posts), replay_rate(made, 100 * posts)) for _ in range(rounds)]
    bare, replay = (statistics.median(column) for column in zip(*pairs, strict=True))
    return {"bare_copy_and_key_rows_s": bare, "replay_rows_s": replay, "ratio": replay / bare}


def main() -> None:
    """Print the figures for the servers named by the environment."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--posts", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    servers = os.environ["KAFKA_BOOTSTRAP_SERVERS"], os.environ["DATABASE_URL"]
    for name, value in measure(*servers, options.posts, options.rounds).items():
        print(f"{name:26} {value:,.2f}")


if __name__ == "__main__":
    main()
