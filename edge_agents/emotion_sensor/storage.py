"""The sensor's one database file: opening it, its tables, and the lock that keeps a second sensor out."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from edge_agents.emotion_sensor.errors import AlreadyRunning, SensorError

OUTBOX_FILE = "outbox.sqlite"
LOCK_FILE = "lock.sqlite"
TABLES = """
CREATE TABLE IF NOT EXISTS sessions (session_id TEXT PRIMARY KEY, device_id TEXT NOT NULL, started_ms INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS points (seq INTEGER PRIMARY KEY, session_id TEXT NOT NULL,
  session_person_id INTEGER NOT NULL, track_id INTEGER NOT NULL, t_ms INTEGER NOT NULL,
  absolute_time TEXT NOT NULL, valence REAL NOT NULL,
  arousal REAL NOT NULL, x1 INTEGER NOT NULL, y1 INTEGER NOT NULL, x2 INTEGER NOT NULL, y2 INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS posts (post_id INTEGER PRIMARY KEY AUTOINCREMENT, n_points INTEGER NOT NULL,
  created_ms INTEGER NOT NULL, passed_over INTEGER NOT NULL DEFAULT 0, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS refused (post_id INTEGER PRIMARY KEY, n_points INTEGER NOT NULL, created_ms INTEGER NOT NULL,
  refused_ms INTEGER NOT NULL, status INTEGER NOT NULL, answer TEXT NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS totals (person_id INTEGER PRIMARY KEY, happy REAL NOT NULL, sad REAL NOT NULL,
  angry REAL NOT NULL, neutral REAL NOT NULL, last_seen_ms INTEGER NOT NULL, version INTEGER NOT NULL DEFAULT 1,
  reported INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS totals_unreported ON totals (last_seen_ms) WHERE version > reported;
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value REAL NOT NULL);
"""
log = logging.getLogger(__name__)


def open_database(directory: Path) -> sqlite3.Connection:
    """A connection for one thread, in autocommit, write-ahead log, tables made.

    A file that SQLite finds damaged is put aside under another name and a new one begun; that is said loudly.
    Raises SensorError when the directory cannot be written.
    """
    path = directory / OUTBOX_FILE
    try:
        directory.mkdir(parents=True, exist_ok=True)
        return _connect(path)
    except (OSError, sqlite3.OperationalError) as error:
        raise SensorError(
            f"the outbox {path} cannot be opened ({error}): free disk space, or choose another --home"
        ) from error
    except sqlite3.DatabaseError as error:
        aside = path.with_name(f"{path.name}.damaged-{int(time.time())}")
        log.warning("The outbox %s is damaged (%s). It is kept as %s and a new one is begun.", path, error, aside)
        for ending in ("-wal", "-shm", ""):
            part = path.with_name(path.name + ending)
            if part.exists():
                part.rename(aside.with_name(aside.name + ending))
        return _connect(path)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=10, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.executescript(TABLES)
    except sqlite3.DatabaseError:
        connection.close()
        raise
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection, *, flushed: bool = True) -> Generator[None]:
    """All or nothing. Survives a kill of this process in any case, and with `flushed` a power cut too (fsync)."""
    connection.execute(f"PRAGMA synchronous = {'FULL' if flushed else 'NORMAL'}")
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # SQLite may have rolled back by itself (a full disk); a second rollback would hide the cause.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextmanager
def sole_sensor(directory: Path) -> Generator[None]:
    """Hold the directory for this process; the lock falls with the process, however it ends. Raises AlreadyRunning."""
    directory.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(directory / LOCK_FILE, timeout=0, isolation_level=None)
    try:
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        connection.close()
        raise AlreadyRunning(
            f"another sensor works in {directory}: stop it, or give this one a --home of its own"
        ) from error
    try:
        yield
    finally:
        connection.close()
