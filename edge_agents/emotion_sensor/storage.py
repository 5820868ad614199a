"""The sensor's one database file: opening it, its tables, and the lock that keeps a second sensor out."""

from __future__ import annotations

import logging
import re
import sqlite3
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

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
UNREADABLE = frozenset({sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_CORRUPTFS})
_NUMBERED = re.compile(r"outbox(?:\.(\d+))?\.sqlite")
_marking = threading.Lock()
T = TypeVar("T")
log = logging.getLogger(__name__)


def open_database(directory: Path, *, check: bool = True, may_mend: bool = True) -> sqlite3.Connection:
    """A connection for one thread, in autocommit, write-ahead log, tables made; with `check` all its pages are read.

    A file that is damaged is put aside and a new one begun; that is said loudly. Without `may_mend` it is left alone
    and sqlite3.DatabaseError raised. Raises SensorError when the directory cannot be written.
    """
    path = directory / OUTBOX_FILE
    try:
        path = current_file(directory)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            return _connect(path, check=check)
        except sqlite3.DatabaseError as error:
            if not (may_mend and is_damage(error)):
                raise
            put_aside(path, error)
        path = current_file(directory)
        return _connect(path, check=False)
    except (OSError, sqlite3.OperationalError) as error:
        raise SensorError(
            f"the outbox {path} cannot be opened ({error}): free disk space, or choose another --home"
        ) from error


def current_file(directory: Path) -> Path:
    """The file in use: outbox.sqlite, or outbox.2.sqlite and so on after the ones before were damaged."""
    names = {entry.name for entry in directory.iterdir()} if directory.is_dir() else set[str]()
    newest = max((int(found[1] or 1) for found in map(_NUMBERED.fullmatch, names) if found), default=1)
    path = directory / _numbered(newest)
    return directory / _numbered(newest + 1) if _mark_of(path).name in names else path


def put_aside(path: Path, error: sqlite3.DatabaseError) -> None:
    """Mark a damaged file, so that nothing uses it any more. OSError when the mark cannot be written.

    It keeps its name: SQLite goes by names, and other threads still have it open. Theirs end when they look up
    `current_file`; closing a renamed one would delete the new file's write-ahead log.
    """
    with _marking:
        if _mark_of(path).exists():
            return
        _mark_of(path).touch(mode=0o600)
    text = "THE OUTBOX %s IS DAMAGED (%s). It is put aside as it is, with what it held; %s is begun in its place."
    log.critical(text, path, error, current_file(path.parent))


def is_damage(error: Exception) -> bool:
    """Whether the file itself is broken: SQLite says so, or the disk cannot read it back."""
    return type(error) is sqlite3.DatabaseError or getattr(error, "sqlite_errorcode", None) in UNREADABLE


def _numbered(number: int) -> str:
    stem, ending = OUTBOX_FILE.split(".")
    return OUTBOX_FILE if number == 1 else f"{stem}.{number}.{ending}"


def _mark_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.damaged")


def _connect(path: Path, *, check: bool) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=10, isolation_level=None)
    try:
        with suppress(OSError):
            path.chmod(0o600)  # SQLite gives its journals the same mode
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.executescript(TABLES)
        found = connection.execute("PRAGMA quick_check(1)").fetchone()[0] if check else "ok"
        if found != "ok":
            raise sqlite3.DatabaseError(found.replace("\n", " "))
    except sqlite3.DatabaseError:
        connection.close()
        raise
    return connection


class Storage:
    """One thread's connection, opened when it is first needed. A damaged file is left for the one that replaces it."""

    def __init__(self, directory: Path, *, check: bool = True, may_mend: bool = True) -> None:
        self._directory = directory
        self._check, self._may_mend = check, may_mend
        self._path: Path | None = None
        self._connection: sqlite3.Connection | None = None

    @property
    def _db(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = open_database(self._directory, check=self._check, may_mend=self._may_mend)
            self._path = Path(self._connection.execute("PRAGMA database_list").fetchone()[2])
        return self._connection

    def close(self) -> None:
        """Release the file."""
        connection, self._connection, self._path = self._connection, None, None
        if connection is not None:
            connection.close()

    def follow(self) -> bool:
        """Let go of a file that another thread has put aside; whether there was one."""
        if self._connection is None or self._path is None:
            return False
        try:
            if self._path.name == current_file(self._directory).name:
                return False
        except OSError:  # the directory cannot be read now
            return False
        self.close()
        return True

    def mend(self, error: Exception) -> bool:
        """Put the file aside if `error` says that it is damaged; the next use opens a new one. Never raises."""
        if not (isinstance(error, sqlite3.DatabaseError) and is_damage(error) and self._path is not None):
            return False
        try:
            put_aside(self._path, error)
        except OSError as full:
            log.critical("The outbox %s is damaged (%s) and cannot be put aside: %s", self._path, error, full)
            return False
        with suppress(sqlite3.Error):
            self.close()
        return True

    def mending(self, action: Callable[[], T]) -> T:
        """Do something with the file; if it proves damaged, put it aside and do it once more with a new one."""
        self.follow()
        try:
            return action()
        except sqlite3.DatabaseError as error:
            if not self.mend(error):
                raise
        return action()


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
    connection = _locked(directory)
    try:
        yield
    finally:
        connection.close()


def _locked(directory: Path) -> sqlite3.Connection:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        connection = sqlite3.connect(directory / LOCK_FILE, timeout=0, isolation_level=None)
    except (OSError, sqlite3.OperationalError) as error:
        raise SensorError(f"the home {directory} cannot be used ({error}): choose another --home") from error
    try:
        # An empty file would want room for its first page at every lock, and a full disk has none.
        connection.execute("CREATE TABLE IF NOT EXISTS held (holder INTEGER)")
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
            log.warning("The home %s cannot be locked (%s): see that no second sensor works in it.", directory, error)
            return connection
        connection.close()
        if error.sqlite_errorcode == sqlite3.SQLITE_NOTADB:  # damaged; it holds nothing, and nobody holds it
            (directory / LOCK_FILE).unlink()
            return _locked(directory)
        if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
            raise SensorError(f"the home {directory} cannot be locked ({error}): choose another --home") from error
        raise AlreadyRunning(
            f"another sensor works in {directory}: stop it, or give this one a --home of its own"
        ) from error
    return connection
