"""Seconds of each mood per person, kept over restarts and reported whole every few seconds (the totals contract)."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from edge_agents.emotion_sensor.backoff import Backoff
from edge_agents.emotion_sensor.delivery import Delivery, Later, Refused, Stored, Verdict, says_status_ok
from edge_agents.emotion_sensor.errors import SensorError
from edge_agents.emotion_sensor.storage import Storage, transaction

MOODS = ("happy", "sad", "angry", "neutral")
BATCH = "/api/emotions/batch"
# Two looks further apart than this had something unseen between them: it counts for nobody.
LONGEST_LOOK_S = 1.0
PEOPLE_A_POST = 500
log = logging.getLogger(__name__)


@dataclass(slots=True)
class Watch:
    """Turns looks at people into seconds. Pure; a pause of the program or of the camera counts for nobody."""

    longest_s: float = LONGEST_LOOK_S
    _last_s: dict[int, float] = field(default_factory=dict[int, float])

    def look(self, person: int, now_s: float) -> float:
        """Seconds that this look adds: the time since the last one; 0 after more than `longest_s` and at first."""
        last, self._last_s[person] = self._last_s.get(person), now_s
        passed = 0.0 if last is None else now_s - last
        return passed if 0 < passed <= self.longest_s else 0.0

    def forget(self, persons: Sequence[int]) -> None:
        """These people are gone."""
        for person in persons:
            self._last_s.pop(person, None)


class Totals(Storage):
    """The durable sums. Every instance has a connection of its own and belongs to one thread."""

    def next_person(self) -> int:
        """The first number nobody has had on this device: a restart must not give a stranger somebody's sums."""
        return self._db.execute("SELECT coalesce(max(person_id), 0) + 1 FROM totals").fetchone()[0]

    def add(self, seen: Mapping[int, tuple[str, float]], now_ms: int) -> None:
        """Add (expression, seconds) for each person. Expressions outside MOODS keep the person seen and add nothing."""
        if not seen:
            return
        insert = (
            "INSERT INTO totals VALUES (?, ?, ?, ?, ?, ?, 1, 0) ON CONFLICT (person_id) DO UPDATE SET "
            "happy = happy + excluded.happy, sad = sad + excluded.sad, angry = angry + excluded.angry, "
            "neutral = neutral + excluded.neutral, last_seen_ms = excluded.last_seen_ms, version = version + 1"
        )
        with transaction(self._db, flushed=False):
            for person, (expression, seconds) in seen.items():
                sums = [seconds if mood == expression else 0.0 for mood in MOODS]
                self._db.execute(insert, (person, *sums, now_ms))

    def unreported(self) -> list[tuple[Any, ...]]:
        """(person, four sums, last seen in epoch ms, version) of those whose sums the server has not, oldest first."""
        columns = f"person_id, {', '.join(MOODS)}, last_seen_ms, version"
        query = f"SELECT {columns} FROM totals WHERE version > reported ORDER BY last_seen_ms LIMIT {PEOPLE_A_POST}"  # noqa: S608
        return self._db.execute(query).fetchall()

    def reported(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """The server has these versions; what was added since remains to be reported."""
        with transaction(self._db, flushed=False):
            marks = [(row[-1], row[0]) for row in rows]
            self._db.executemany("UPDATE totals SET reported = max(reported, ?) WHERE person_id = ?", marks)


def batch(device_id: str, rows: Sequence[tuple[Any, ...]]) -> dict[str, Any]:
    """The post for `rows` of Totals.unreported; its timestamp is when the last of them was seen, in UTC."""
    seen = datetime.fromtimestamp(max(row[5] for row in rows) / 1000, UTC)
    people = [
        {"person_id": str(row[0]), "cumulative": {mood: round(row[1 + n], 3) for n, mood in enumerate(MOODS)}}
        for row in rows
    ]
    return {"device_id": device_id, "timestamp": seen.isoformat(timespec="microseconds"), "people": people}


def present_together(rows: Sequence[tuple[Any, ...]], within_ms: int = 5000) -> list[tuple[Any, ...]]:
    """The leading rows that were last seen within one reporting interval: they can share a timestamp honestly."""
    return [row for row in rows if row[5] - rows[0][5] <= within_ms]


class TotalsReporter:
    """The thread that reports, every `every_s` seconds and once more when told to stop."""

    def __init__(
        self, device_id: str, open_totals: Callable[[], Totals], delivery: Delivery, every_s: float = 5.0
    ) -> None:
        self._device_id = device_id
        self._open_totals = open_totals
        self._delivery = delivery
        self._every_s = every_s
        self._backoff = Backoff()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="totals", daemon=True)

    def start(self) -> None:
        """Begin to report."""
        self._thread.start()

    def stop(self, grace_s: float) -> None:
        """Report what is left once more, for at most `grace_s` seconds; the rest is kept for the next start."""
        self._stopping.set()
        self._thread.join(grace_s)

    def _run(self) -> None:
        totals: Totals | None = None
        pause = self._every_s
        while True:
            last = self._stopping.wait(pause)
            try:
                totals = totals or self._open_totals()
                pause = self.step(totals)
            except (sqlite3.Error, SensorError) as error:
                if totals is None or not totals.mend(error):
                    log.warning("The totals cannot be read or written (%s); tried again in 5 s.", error)
                pause = 5.0
            except Exception:  # a slip of ours must not leave a device that senses and never sends
                log.exception("Reporting failed in a way that was not foreseen; tried again in 60 s.")
                pause = 60.0
            if last:
                return

    def step(self, totals: Totals) -> float:
        """Report everything that is unreported, in posts of people seen together; seconds to rest."""
        totals.follow()
        while rows := totals.unreported():
            together = present_together(rows)
            verdict = self._delivery.post_json(BATCH, batch(self._device_id, together), says_status_ok)
            pause = self._settle(totals, together, verdict)
            if pause is not None:
                return pause
        return self._every_s

    def _settle(self, totals: Totals, rows: Sequence[tuple[Any, ...]], verdict: Verdict) -> float | None:
        match verdict:
            case Stored():
                self._backoff.after_success()
                totals.reported(rows)
                return None
            case Refused(status, answer):
                # The sums stay: the next change of these people reports them whole again.
                totals.reported(rows)
                log.error("The server refused the totals of %d people with %d: %r", len(rows), status, answer[:500])
                return None
            case Later(reason, retry_after):
                pause = max(self._every_s, self._backoff.after_failure(retry_after))
                log.warning("The totals wait %.1f s: %s", pause, reason)
                return pause
