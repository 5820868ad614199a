"""Migrations of the control schema `sensorium`, as plain SQL files. Read models are rebuilt, never migrated."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path

import psycopg

HERE = Path(__file__).parent
LOCK = 5_361_001  # advisory lock: two processes that start together migrate one after the other
HISTORY_TABLE = """
CREATE SCHEMA IF NOT EXISTS sensorium;
CREATE TABLE IF NOT EXISTS sensorium.migrations (
    name text PRIMARY KEY, sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now()
)"""


class MigrationChanged(Exception):
    """An applied migration's file is not what was applied."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step: its name, the checksum of its SQL, and when it was applied here (None: not yet)."""

    name: str
    checksum: str
    applied_at: datetime | None


def up(database_url: str) -> list[str]:
    """Apply what is missing, in order, each in one transaction; return the names applied.

    Raises MigrationChanged when a file was edited after it had been applied.
    """
    with psycopg.connect(database_url) as connection:
        applied = _lock_and_read(connection)
        done: list[str] = []
        for name in _names():
            sql, checksum = _read(name, "up")
            if name not in applied:
                connection.execute(sql)
                connection.execute("INSERT INTO sensorium.migrations (name, sha256) VALUES (%s, %s)", (name, checksum))
                done.append(name)
            elif applied[name][0] != checksum:
                raise MigrationChanged(f"Migration {name} was edited after it had been applied: add a new one instead.")
        return done


def down(database_url: str) -> str | None:
    """Take back the newest migration; return its name, or None when there is nothing to take back."""
    with psycopg.connect(database_url) as connection:
        applied = _lock_and_read(connection)
        if not applied:
            return None
        name = max(applied)
        connection.execute(_read(name, "down")[0])
        connection.execute("DELETE FROM sensorium.migrations WHERE name = %s", (name,))
        return name


def history(database_url: str) -> list[Migration]:
    """Every known migration in order, with the time it was applied."""
    with psycopg.connect(database_url) as connection:
        applied = _lock_and_read(connection)
    return [Migration(name, _read(name, "up")[1], applied.get(name, ("", None))[1]) for name in _names()]


def _lock_and_read(connection: psycopg.Connection) -> dict[str, tuple[str, datetime | None]]:
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
    connection.execute(HISTORY_TABLE)
    rows = connection.execute("SELECT name, sha256, applied_at FROM sensorium.migrations").fetchall()
    return {name: (checksum, applied_at) for name, checksum, applied_at in rows}


def _names() -> list[str]:
    return sorted(path.name.removesuffix(".up.sql") for path in HERE.glob("*.up.sql"))


def _read(name: str, direction: str) -> tuple[bytes, str]:
    content = (HERE / f"{name}.{direction}.sql").read_bytes()
    return content, sha256(content).hexdigest()
