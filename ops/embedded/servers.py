"""The embedded servers as services: what tests and `sensorium up` start."""

from __future__ import annotations

import secrets
import signal
from pathlib import Path

from ops import ports, processes
from ops.embedded.kafka import Kafka, answers
from ops.embedded.postgres import DATABASE, Postgres, create_database, postmaster, refusal
from ops.embedded.privileges import server_user
from ops.service import Service


def kafka_service(kafka: Kafka, home: Path) -> Service:
    """The embedded broker. SIGTERM lets it write its snapshot; a SIGKILL costs a log recovery."""

    def launch() -> processes.Launch:
        kafka.prepare()
        return processes.Launch(kafka.command(), home / "logs" / "kafka.log", {processes.HOME_MARK: str(home)})

    return Service("kafka", launch, lambda _: answers(kafka.bootstrap), stop_patience_s=20, start_patience_s=120)


def postgres(home: Path) -> Postgres:
    """The place of the home's PostgreSQL."""
    directory = home / "postgres"
    return Postgres(directory, server_user(directory / "data"))


def postgres_service(server: Postgres, home: Path) -> Service:
    """The embedded database server. SIGINT is PostgreSQL's fast shutdown: sessions end, everything is written."""

    def launch() -> processes.Launch:
        server.prepare()
        return processes.Launch(
            server.command(),
            home / "logs" / "postgres.log",
            {processes.HOME_MARK: str(home)},
            death_signal=signal.SIGINT,
            user=server.user,
            cwd=server.directory,
        )

    def ready(_: int) -> bool:
        if postmaster(server.data) is None or refusal(server.url_of("postgres")):
            return False
        create_database(server.url_of("postgres"), DATABASE)
        return True

    # Replaying a long write-ahead log after a kill can take a while.
    return Service("postgres", launch, ready, stop_signal=signal.SIGINT, stop_patience_s=30, start_patience_s=300)


def free_port() -> int:
    """A loopback TCP port that nobody uses now.

    Below the range that systems take the ports of outgoing connections from (32768 on Linux): whoever connects
    somewhere in the meantime does not take it. By chance, so that two who ask at once rarely get the same.
    """
    return ports.next_free(15_000 + secrets.randbelow(17_000))
