"""What is observed and not yet stored at the server. Points come in as they are seen, posts go out whole."""

from __future__ import annotations

import gzip
import json
import secrets
import shutil
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from pathlib import Path

from edge_agents.emotion_sensor.boxes import Box
from edge_agents.emotion_sensor.points import Point, packed, post_body
from edge_agents.emotion_sensor.storage import Storage, transaction

# Measured: a gzipped post of 100 points takes about 22 bytes a point, the journal of open visits about 110.
USUAL_BYTES_PER_POINT = 30.0
_POINT_COLUMNS = "session_person_id, track_id, t_ms, absolute_time, valence, arousal, x1, y1, x2, y2"


@dataclass(frozen=True, slots=True)
class Post:
    """A finished post: `body` is gzipped JSON and never changes."""

    post_id: int
    n_points: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Backlog:
    """How the outbox stands. Sizes in bytes."""

    posts: int
    points: int
    open_points: int
    refused: int
    dropped_points: int
    bytes_per_point: float
    points_per_second: float
    used: int
    limit: int
    disk_free: int

    @property
    def hours_left(self) -> float | None:
        """How many more hours of points can be held at the current rate; None while nobody is seen."""
        if self.points_per_second <= 0:
            return None
        room = max(0, min(self.limit - self.used, self.disk_free))
        return room / (self.bytes_per_point * self.points_per_second) / 3600


class Outbox(Storage):
    """The durable queue. Every instance has a connection of its own and belongs to one thread."""

    def __init__(self, directory: Path, limit_bytes: int, *, check: bool = True, may_mend: bool = True) -> None:
        super().__init__(directory, check=check, may_mend=may_mend)
        self._limit = limit_bytes
        # Told again to a file that was begun later than the session.
        self._sessions: dict[str, tuple[str, str, int]] = {}

    def open_session(self, device_id: str, started: datetime) -> str:
        """A new session id, YYYYMMDD_HHMMSS of `started`; with _2, _3 ... if the clock stood there before."""
        stem = started.strftime("%Y%m%d_%H%M%S")
        with transaction(self._db):
            like = f"{stem}%"
            taken = {
                row[0] for row in self._db.execute("SELECT session_id FROM sessions WHERE session_id LIKE ?", (like,))
            }
            names = (stem if n == 1 else f"{stem}_{n}" for n in range(1, len(taken) + 2))
            session_id = next(name for name in names if name not in taken)
            row = (session_id, device_id, int(started.timestamp() * 1000))
            self._db.execute("INSERT INTO sessions VALUES (?, ?, ?)", row)
        self._sessions[session_id] = row
        return session_id

    def unstored_session(self, device_id: str, started: datetime) -> str:
        """A session id when nothing can be stored: chance keeps it apart. It is stored with its first points."""
        session_id = f"{started:%Y%m%d_%H%M%S}_{secrets.token_hex(4)}"
        self._sessions[session_id] = (session_id, device_id, int(started.timestamp() * 1000))
        return session_id

    def add(self, session_id: str, points: Sequence[Point], *, flushed: bool = True) -> None:
        """Keep points of visits that go on. Raises sqlite3.OperationalError, keeping none, when the disk is full."""
        session = [row for row in (self._sessions.get(session_id),) if row is not None]
        rows = [
            (
                session_id,
                *(p.session_person_id, p.track_id, p.t_ms, p.absolute_time, p.valence, p.arousal),
                *astuple(p.box),
            )
            for p in points
        ]
        with transaction(self._db, flushed=flushed):
            self._db.executemany("INSERT OR IGNORE INTO sessions VALUES (?, ?, ?)", session)
            insert = f"INSERT INTO points (session_id, {_POINT_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
            self._db.executemany(insert, rows)

    def finish(self, session_id: str, session_person_id: int) -> None:
        """Turn the kept points of one person into a post, in one step. Nothing happens when there are none."""
        with transaction(self._db):
            self._finish(session_id, session_person_id)
        self._keep_limit()

    def finish_all(self) -> int:
        """Finish every visit that a killed process left open; the number of posts made."""
        with transaction(self._db):
            left = self._db.execute("SELECT DISTINCT session_id, session_person_id FROM points").fetchall()
            for session_id, person in left:
                self._finish(session_id, person)
        self._keep_limit()
        return len(left)

    def _finish(self, session_id: str, person: int) -> None:
        whose = (session_id, person)
        where = "WHERE session_id = ? AND session_person_id = ?"
        rows = self._db.execute(f"SELECT {_POINT_COLUMNS} FROM points {where} ORDER BY seq", whose).fetchall()  # noqa: S608
        if not rows:
            return
        (device_id,) = self._db.execute("SELECT device_id FROM sessions WHERE session_id = ?", (session_id,)).fetchone()
        body = post_body(device_id, session_id, [Point(*row[:6], box=Box(*row[6:])) for row in rows])
        created = int(time.time() * 1000)
        self._db.execute("INSERT INTO posts (n_points, created_ms, body) VALUES (?, ?, ?)", (len(rows), created, body))
        self._db.execute(f"DELETE FROM points {where}", whose)  # noqa: S608

    def next_post(self, passing_over: Sequence[int] = ()) -> Post | None:
        """The oldest post among those least often passed over, leaving out the ids in `passing_over`."""
        marks = ",".join("?" * len(passing_over))
        query = (
            f"SELECT post_id, n_points, body FROM posts WHERE post_id NOT IN ({marks}) ORDER BY passed_over, post_id"  # noqa: S608
        )
        row = self._db.execute(f"{query} LIMIT 1", tuple(passing_over)).fetchone()
        return Post(*row) if row else None

    def done(self, post_id: int) -> None:
        """The server has it."""
        # Lost in a power cut it is sent again, which the server counts as 0 inserted: no fsync is needed here.
        with transaction(self._db, flushed=False):
            self._db.execute("DELETE FROM posts WHERE post_id = ?", (post_id,))

    def pass_over(self, post_id: int) -> None:
        """The server failed at this post: the others go first."""
        with transaction(self._db, flushed=False):
            self._db.execute("UPDATE posts SET passed_over = passed_over + 1 WHERE post_id = ?", (post_id,))

    def split(self, post: Post) -> None:
        """Two posts, each with half of the points as they are, in the place of one that is too large."""
        whole = json.loads(gzip.decompress(post.body))
        records, middle = whole["records"], post.n_points // 2
        insert = "INSERT INTO posts (n_points, created_ms, body) SELECT ?, created_ms, ? FROM posts WHERE post_id = ?"
        with transaction(self._db):
            for half in (records[:middle], records[middle:]):
                self._db.execute(insert, (len(half), packed(whole | {"records": half}), post.post_id))
            self._db.execute("DELETE FROM posts WHERE post_id = ?", (post.post_id,))

    def refuse(self, post_id: int, status: int, answer: str) -> None:
        """The server will never take this post as it is: keep it aside with what it said."""
        with transaction(self._db):
            self._db.execute(
                "INSERT INTO refused SELECT post_id, n_points, created_ms, ?, ?, ?, body FROM posts WHERE post_id = ?",
                (int(time.time() * 1000), status, answer[:2000], post_id),
            )
            self._db.execute("DELETE FROM posts WHERE post_id = ?", (post_id,))

    def refusals(self) -> list[tuple[int, int, int, int, str]]:
        """(post id, points, refused at in epoch ms, status, answer) of what is set aside, oldest first."""
        query = "SELECT post_id, n_points, refused_ms, status, answer FROM refused ORDER BY post_id"
        return self._db.execute(query).fetchall()

    def retry_refused(self) -> int:
        """Put everything set aside back among the posts, after the cause was mended; the number of posts."""
        with transaction(self._db):
            columns = "post_id, n_points, created_ms, body"
            back = f"INSERT INTO posts ({columns}) SELECT {columns} FROM refused"  # noqa: S608
            count = self._db.execute(back).rowcount
            self._db.execute("DELETE FROM refused")
        return count

    def count_dropped(self, points: int) -> None:
        """Points that could not be kept at all."""
        with transaction(self._db):
            self._count("dropped_points", points)

    def note_rate(self, points_per_second: float) -> None:
        """Remember the current rate, for whoever asks how long the outbox lasts."""
        with transaction(self._db, flushed=False):
            row = ("points_per_second", points_per_second)
            self._db.execute("INSERT OR REPLACE INTO counters VALUES (?, ?)", row)

    def backlog(self) -> Backlog:
        """How the outbox stands now."""
        posts, points, size = self._row(
            "SELECT count(*), coalesce(sum(n_points), 0), coalesce(sum(length(body)), 0) FROM posts"
        )
        return Backlog(
            posts=posts,
            points=points,
            open_points=self._row("SELECT count(*) FROM points")[0],
            refused=self._row("SELECT count(*) FROM refused")[0],
            dropped_points=int(self._counter("dropped_points")),
            bytes_per_point=size / points if points else USUAL_BYTES_PER_POINT,
            points_per_second=self._counter("points_per_second"),
            used=self._used(),
            limit=self._limit,
            disk_free=shutil.disk_usage(self._directory).free,
        )

    def _keep_limit(self) -> None:
        """Beyond the limit the oldest go: first what the server refused, then what still waits. All is counted."""
        while self._used() > self._limit:
            with transaction(self._db):
                # What was refused goes first: it has the worst prospects.
                lost = sum(row[0] for row in self._drop_oldest("refused") or self._drop_oldest("posts"))
                self._count("dropped_points", lost)
            if not lost:
                return

    def _drop_oldest(self, table: str) -> list[tuple[int]]:
        # A handful at a time: one by one would fsync for each.
        oldest = f"SELECT post_id FROM {table} ORDER BY post_id LIMIT 8"  # noqa: S608
        return self._db.execute(f"DELETE FROM {table} WHERE post_id IN ({oldest}) RETURNING n_points").fetchall()  # noqa: S608

    def _used(self) -> int:
        pages, free, size = (self._row(f"PRAGMA {name}")[0] for name in ("page_count", "freelist_count", "page_size"))
        return (pages - free) * size

    def _count(self, name: str, more: float) -> None:
        add = "INSERT INTO counters VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value"
        self._db.execute(add, (name, more))

    def _counter(self, name: str) -> float:
        row = self._db.execute("SELECT value FROM counters WHERE name = ?", (name,)).fetchone()
        return row[0] if row else 0.0

    def _row(self, query: str) -> sqlite3.Row:
        return self._db.execute(query).fetchone()
