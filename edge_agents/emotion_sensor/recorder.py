"""Keeps what was observed: outbox first, CSV second, memory when the disk is full. Belongs to the sensing thread."""

from __future__ import annotations

import logging
import sqlite3
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from edge_agents.emotion_sensor.csv_log import CsvLog
from edge_agents.emotion_sensor.errors import SensorError
from edge_agents.emotion_sensor.outbox import Outbox
from edge_agents.emotion_sensor.points import Point

HELD_IN_MEMORY = 5_000  # points, about a quarter of an hour of one face
log = logging.getLogger(__name__)
Observed = Sequence[tuple[Point, Mapping[str, float]]]


@dataclass(frozen=True, slots=True)
class RecorderRules:
    """Visits are posted in parts of `flush_points` or `flush_s`; the disk is told to write every `fsync_s`."""

    flush_points: int = 500
    flush_s: float = 30.0
    fsync_s: float = 1.0
    complain_s: float = 60.0


@dataclass(slots=True)
class _Visit:
    since_s: float
    points: int = 0


class Recorder:
    """Every method takes `now_s`, any steady clock. None raises for a full disk or a damaged outbox, but goes on."""

    def __init__(self, outbox: Outbox, csv: CsvLog | None, rules: RecorderRules, wake: Callable[[], None]) -> None:
        self._outbox = outbox
        self._csv = csv
        self._rules = rules
        self._wake = wake
        self._visits: dict[tuple[str, int], _Visit] = {}
        self._held: deque[tuple[str, Point]] = deque()
        self._ending: list[tuple[str, int]] = []
        self._dropped = 0
        self._flushed_s = self._complained_s = float("-inf")

    def record(self, session_id: str, observed: Observed, now_s: float) -> None:
        """Keep the points of one frame; a long visit is posted in parts on the way."""
        self._held.extend((session_id, point) for point, _ in observed)
        for point, _ in observed:
            visit = self._visits.setdefault((session_id, point.session_person_id), _Visit(now_s))
            visit.points += 1
            if visit.points >= self._rules.flush_points or now_s - visit.since_s >= self._rules.flush_s:
                self._end(session_id, point.session_person_id)
        self.save(now_s)
        if observed and not self._held:
            self._write_csv(session_id, observed, now_s)

    def end(self, session_id: str, persons: Sequence[int], now_s: float) -> None:
        """These people are gone: their points become posts."""
        for person in persons:
            self._end(session_id, person)
        self.save(now_s)

    def save(self, now_s: float) -> None:
        """Move what is held in memory to the disk, and finish what has ended."""
        if not (self._held or self._ending):
            return
        try:
            self._outbox.mending(lambda: self._save(now_s))
        except (sqlite3.DatabaseError, SensorError) as error:
            self._drop_beyond_memory()
            text = "Points cannot be written (%s): %d held in memory, %d dropped. Free disk space; sensing goes on."
            self._complain(now_s, text, error, len(self._held), self._dropped)

    def _end(self, session_id: str, person: int) -> None:
        self._visits.pop((session_id, person), None)
        if (session_id, person) not in self._ending:
            self._ending.append((session_id, person))

    def _save(self, now_s: float) -> None:
        flushed = now_s - self._flushed_s >= self._rules.fsync_s
        for session_id in dict.fromkeys(session for session, _ in self._held):
            points = [point for session, point in self._held if session == session_id]
            self._outbox.add(session_id, points, flushed=flushed)
            self._held = deque(pair for pair in self._held if pair[0] != session_id)
        self._flushed_s = now_s if flushed else self._flushed_s
        if self._dropped:
            self._outbox.count_dropped(self._dropped)
            self._dropped = 0
        while self._ending:
            self._outbox.finish(*self._ending[0])
            self._ending.pop(0)
            self._wake()

    def _drop_beyond_memory(self) -> None:
        while len(self._held) > HELD_IN_MEMORY:
            self._held.popleft()
            self._dropped += 1

    def _write_csv(self, session_id: str, observed: Observed, now_s: float) -> None:
        if self._csv is None:
            return
        try:
            self._csv.write(session_id, observed)
        except OSError as error:
            self._complain(now_s, "The CSV file cannot be written (%s); the points are safe in the outbox.", error)

    def _complain(self, now_s: float, text: str, *values: object) -> None:
        if now_s - self._complained_s >= self._rules.complain_s:
            self._complained_s = now_s
            log.error(text, *values)
