"""The ways to keep what is seen: points of visits (mode points), seconds of moods (mode totals), or both."""

from __future__ import annotations

import logging
import sqlite3
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from edge_agents.emotion_sensor.affect import strongest
from edge_agents.emotion_sensor.clock import PointTimes
from edge_agents.emotion_sensor.errors import SensorError
from edge_agents.emotion_sensor.outbox import Outbox
from edge_agents.emotion_sensor.recorder import HELD_IN_MEMORY, Recorder
from edge_agents.emotion_sensor.sensor import Seen, points_of
from edge_agents.emotion_sensor.totals import LONGEST_LOOK_S, Totals, Watch
from edge_agents.emotion_sensor.tracking import Tracker, TrackingRules

log = logging.getLogger(__name__)
Looks = dict[int, tuple[str, float]]


class PointKeeper:
    """A session's points go to the recorder under the session's id."""

    def __init__(self, device_id: str, outbox: Outbox, recorder: Recorder, rules: TrackingRules) -> None:
        self._device_id = device_id
        self._outbox = outbox
        self._recorder = recorder
        self._rules = rules
        self._session_id = ""
        self._tracker: Tracker | None = None
        self._times = PointTimes()

    def new_session(self, wall_ms: int) -> Tracker:
        """Take a session id that this device never had. With a full disk the old session goes on.

        The first one then begins all the same; it is stored with its first points.
        """
        started = datetime.fromtimestamp(wall_ms / 1000, UTC).astimezone()
        try:
            self._session_id = self._outbox.mending(lambda: self._outbox.open_session(self._device_id, started))
        except (sqlite3.DatabaseError, SensorError) as error:
            if self._tracker is not None:
                log.warning("No new session can be begun (%s): the old one goes on.", error)
                return self._tracker
            self._session_id = self._outbox.unstored_session(self._device_id, started)
        log.info("Session %s of %r begins.", self._session_id, self._device_id)
        self._times = PointTimes()
        self._tracker = Tracker(self._rules)
        return self._tracker

    def keep(self, seen: Seen, wall_ms: int, now_s: float) -> None:
        """Record the frame's points."""
        self._recorder.record(self._session_id, points_of(seen, wall_ms, self._times), now_s)

    def end(self, persons: Sequence[int], now_s: float) -> None:
        """Post these people's points."""
        self._recorder.end(self._session_id, persons, now_s)


@dataclass(slots=True)
class _Numbers:
    """How many people earlier sessions had: each number is somebody's for ever. None until it can be read."""

    before: int | None = None


class TotalsKeeper:
    """Adds up seconds by the strongest expression. People are numbered on over all sessions."""

    def __init__(self, totals: Totals, rules: TrackingRules, longest_look_s: float = LONGEST_LOOK_S) -> None:
        self._totals = totals
        self._rules = rules
        self._watch = Watch(longest_look_s)
        self._numbers = _Numbers()
        self._highest = 0
        self._held: deque[tuple[_Numbers, Looks, int]] = deque(maxlen=HELD_IN_MEMORY)
        self._complained_s = float("-inf")

    def new_session(self, wall_ms: int) -> Tracker:
        """Numbers go on after the highest one that was ever kept."""
        log.info("Totals begin at %s.", datetime.fromtimestamp(wall_ms / 1000, UTC).isoformat(timespec="seconds"))
        self._watch = Watch(self._watch.longest_s)
        self._numbers = _Numbers()
        return Tracker(self._rules)

    def keep(self, seen: Seen, wall_ms: int, now_s: float) -> None:
        """Add the time since each person's last look to what the face shows now."""
        looks: Looks = {
            one.session_person_id: (strongest(shares), self._watch.look(one.session_person_id, now_s))
            for one, shares in seen
        }
        if looks:
            self._held.append((self._numbers, looks, wall_ms))
        try:
            self._totals.mending(self._save)
        except (sqlite3.DatabaseError, SensorError) as error:
            self._complain(error, now_s)

    def _save(self) -> None:
        while self._held:
            numbers, looks, wall_ms = self._held[0]
            if numbers.before is None:
                numbers.before = max(self._highest, self._totals.next_person() - 1)
            people = {numbers.before + person: look for person, look in looks.items()}
            self._totals.add(people, wall_ms)
            self._highest = max(self._highest, *people)
            self._held.popleft()

    def end(self, persons: Sequence[int], now_s: float) -> None:
        """Nothing is posted at a person's end: the next report has the sums."""
        self._watch.forget(persons)

    def _complain(self, error: Exception, now_s: float) -> None:
        if now_s - self._complained_s >= 60:
            self._complained_s = now_s
            text = "The totals cannot be written (%s): %d looks are held in memory (at most %d). Free disk space."
            log.error(text, error, len(self._held), HELD_IN_MEMORY)


class BothKeepers:
    """Points and totals of the same people; the points' keeper numbers them."""

    def __init__(self, points: PointKeeper, totals: TotalsKeeper) -> None:
        self._points = points
        self._totals = totals

    def new_session(self, wall_ms: int) -> Tracker:
        """One session for both."""
        self._totals.new_session(wall_ms)
        return self._points.new_session(wall_ms)

    def keep(self, seen: Seen, wall_ms: int, now_s: float) -> None:
        """Points first: they are what cannot be had again."""
        self._points.keep(seen, wall_ms, now_s)
        self._totals.keep(seen, wall_ms, now_s)

    def end(self, persons: Sequence[int], now_s: float) -> None:
        """These people are gone for both."""
        self._points.end(persons, now_s)
        self._totals.end(persons, now_s)
