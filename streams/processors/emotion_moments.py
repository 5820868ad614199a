"""`emotion.points` -> `emotion.moments`: strong or sudden changes of a person's valence and arousal. Pure.

Every signal is smoothed twice, by a fast average (what the face shows now) and by a slow one (what it usually shows).
STRONG looks at the fast average, SUDDEN at how far it left the slow one. Both have hysteresis: open high, close low.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, TypeAlias

import msgspec

from schemas.errors import InvalidEvent
from schemas.identity import NAMESPACE
from streams.steps import Emitted, Event


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When a change is a moment. Affect is in -1..1, times are in milliseconds of the points' own clock.

    - `fast_ms` 1 s: expressions of emotion last between half a second and four seconds (Ekman, Darwin, deception, and
      facial expression, 2003), a detector's noise is shorter.
    - `slow_ms` 15 s: longer than an expression, shorter than a stay in front of a camera.
    - `sudden_open` 0.35 is about a sixth of the scale: more than a detector's drift between poses, less than the way
      from neutral (0) to happy (0.8). `sudden_close` 0.15 is below half of it, so a wavering face is one moment.
    - `strong_open` 0.7 is reached by plainly happy or angry faces only; `strong_close` 0.5 leaves room to waver.
    - `min_duration_ms`: shorter ones are detector glitches; it must stay above the closing threshold for so long.
    - `refractory_ms`: after one of a kind has closed, the next of this kind waits.
    - `warm_up_ms`: before this time nobody has a usual face, and nothing opens.
    - `gap_ms`: after such a pause averages start anew, and what was open ended with the last point before it.
    - `idle_ms` (log time): a device unheard of for so long has no open moments any more: their persons' last points end
      them. Long enough for a device that reconnects, short enough to be seen soon; what comes later from its outbox
      meets the usual face it left, and at worst one moment is told as two.
    - `forget_ms` (log time): a person unheard of for so long is forgotten, what was open is closed.
    - `max_persons` bounds the state of a partition: the one unheard of longest goes first.
    """

    fast_ms: float = 1_000
    slow_ms: float = 15_000
    sudden_open: float = 0.35
    sudden_close: float = 0.15
    strong_open: float = 0.7
    strong_close: float = 0.5
    min_duration_ms: int = 300
    refractory_ms: int = 2_000
    warm_up_ms: int = 2_000
    gap_ms: int = 5_000
    idle_ms: int = 60_000
    forget_ms: int = 600_000
    max_persons: int = 4_096


THRESHOLDS: Final = Thresholds()
KINDS: Final = ("STRONG", "SUDDEN")
SIGNALS: Final = ("VALENCE", "AROUSAL")
CLOCKS_MS: Final = 1_000  # the asking clock may be ahead of the log's by so much

PersonKey: TypeAlias = tuple[str, str, int]
"""device_id, session_id, session_person_id."""


class Phase(IntEnum):
    """Of a watch: nothing yet, above the opening threshold but not long enough, a moment is open."""

    IDLE = 0
    RISING = 1
    OPEN = 2


class Watch(msgspec.Struct, frozen=True, array_like=True):
    """Hysteresis of one kind on one signal. `sign` is +1 (up), -1 (down); value and baseline are as at `since_ms`."""

    phase: Phase = Phase.IDLE
    sign: int = 1
    since_ms: int = 0
    value: float = 0.0
    baseline: float = 0.0
    peak: float = 0.0
    peak_ms: int = 0
    quiet_until_ms: int = -(2**63)


class Signal(msgspec.Struct, frozen=True, array_like=True):
    """The two averages of a signal and the watches over them, in the order of KINDS."""

    fast: float
    slow: float
    strong: Watch = Watch()
    sudden: Watch = Watch()


class Person(msgspec.Struct, frozen=True, array_like=True):
    """What is remembered of a person: first and last point since the last gap, log time, signals as in SIGNALS."""

    first_ms: int
    last_ms: int
    log_time_ms: int
    valence: Signal
    arousal: Signal


class State(msgspec.Struct, frozen=True):
    """Persons of a partition, the one unheard of longest first."""

    persons: dict[PersonKey, Person] = msgspec.field(default_factory=dict[PersonKey, Person])


@dataclass(frozen=True, slots=True)
class _Change:
    """A watch opened (`end_ms` None) or closed; `watch` holds the moment's numbers."""

    signal: str
    kind: str
    watch: Watch
    end_ms: int | None


def step(state: State, event: Event, limits: Thresholds = THRESHOLDS) -> tuple[State, list[Emitted]]:
    """Fold one event into the state; the moments it opens and closes, in the order of their points.

    Points of a person that are not newer than what was seen of them are ignored. A truncation forgets everybody
    and is passed on into the same partition, where the moments of these devices are. A device that was idle, by the
    log's own times, and still is has nothing open any more.

    Raises:
        InvalidEvent: an event that does not belong on `emotion.points`.
    """
    if event.name == "EmotionLogsTruncated":
        record = {name: event.record[name] for name in ("truncation_id", "requested_at_ms")}
        return State(), [Emitted("EmotionMomentsTruncated", None, record, event.partition)]
    if event.name == "EmotionDeviceIdle":
        return _rest(state, event, limits)
    if event.name != "EmotionPointsRecorded":
        raise InvalidEvent(f"{event.name} is not an event of emotion.points.")
    persons = dict(state.persons)
    emitted = list(_forget(persons, event.log_time_ms - limits.forget_ms))
    for key, t_ms, valence, arousal in _points(event.record):
        person, changes = _advance(persons.get(key), (t_ms, valence, arousal), event.log_time_ms, limits)
        persons[key] = person
        emitted += [_moment(key, change) for change in changes]
    _touch(persons, event)
    while len(persons) > limits.max_persons:
        emitted += _close_all(persons, next(iter(persons)))
    return State(persons), emitted


def idle(state: State, now_ms: int, limits: Thresholds = THRESHOLDS) -> list[Emitted]:
    """What time calls for at `now_ms` (log time): an EmotionDeviceIdle per silent device with something open."""
    heard: dict[str, int] = {}
    waiting: set[str] = set()
    for (device, _, _), person in state.persons.items():
        heard[device] = max(heard.get(device, 0), person.log_time_ms)
        if any(_endings(person)):
            waiting.add(device)
    return [
        Emitted("EmotionDeviceIdle", device.encode(), {"device_id": device, "idle_since_ms": heard[device]})
        for device in sorted(waiting)
        if now_ms - heard[device] >= limits.idle_ms + CLOCKS_MS
    ]


def _rest(state: State, event: Event, limits: Thresholds) -> tuple[State, list[Emitted]]:
    """Close what is open of a silent device. Said twice, too early, or when it has spoken since: nothing happens."""
    latest_ms = min(event.record["idle_since_ms"], event.log_time_ms - limits.idle_ms)
    persons, emitted = dict(state.persons), list[Emitted]()
    for key, person in state.persons.items():
        if key[0] == event.record["device_id"] and person.log_time_ms <= latest_ms:
            emitted += [_moment(key, change) for change in _endings(person)]
            persons[key] = _rested(person, limits)
    return State(persons), emitted


def _rested(person: Person, limits: Thresholds) -> Person:
    """The same person with nothing open; what is usual for it stays known."""
    closed = Watch(quiet_until_ms=person.last_ms + limits.refractory_ms)

    def rest(signal: Signal) -> Signal:
        strong, sudden = (closed if one.phase is Phase.OPEN else one for one in (signal.strong, signal.sudden))
        return Signal(signal.fast, signal.slow, strong, sudden)

    return msgspec.structs.replace(person, valence=rest(person.valence), arousal=rest(person.arousal))


def _points(record: Any) -> Iterator[tuple[PersonKey, int, float, float]]:
    device, session, who, times = record["device_id"], record["session_id"], record["session_person_id"], record["t_ms"]
    valence, arousal = record["valence"], record["arousal"]
    for row in sorted(range(len(times)), key=times.__getitem__):
        yield (device, session, who[row]), times[row], valence[row], arousal[row]


def _touch(persons: dict[PersonKey, Person], event: Event) -> None:
    record = event.record
    for who in dict.fromkeys(record["session_person_id"]):
        key = (record["device_id"], record["session_id"], who)
        persons[key] = msgspec.structs.replace(persons.pop(key), log_time_ms=event.log_time_ms)


def _forget(persons: dict[PersonKey, Person], before_ms: int) -> Iterator[Emitted]:
    for key in list(persons):
        if persons[key].log_time_ms >= before_ms:
            return
        yield from _close_all(persons, key)


def _close_all(persons: dict[PersonKey, Person], key: PersonKey) -> list[Emitted]:
    return [_moment(key, change) for change in _endings(persons.pop(key))]


def _endings(person: Person) -> list[_Change]:
    return [
        _Change(name, kind, watch, person.last_ms)
        for name, signal in zip(SIGNALS, (person.valence, person.arousal), strict=True)
        for kind, watch in zip(KINDS, (signal.strong, signal.sudden), strict=True)
        if watch.phase is Phase.OPEN
    ]


def _advance(
    person: Person | None, point: tuple[int, float, float], log_time_ms: int, limits: Thresholds
) -> tuple[Person, list[_Change]]:
    t_ms, valence, arousal = point
    if person is None:
        return _newcomer(point, log_time_ms), []
    if t_ms <= person.last_ms:
        return person, []
    if t_ms - person.last_ms > limits.gap_ms:
        return _newcomer(point, log_time_ms), _endings(person)
    seen_ms, passed_ms = t_ms - person.first_ms, t_ms - person.last_ms
    # Until an average is as old as its time constant it is a plain mean: a first point has no weight of its own.
    fast = max(1 - math.exp(-passed_ms / limits.fast_ms), passed_ms / seen_ms)
    slow = max(1 - math.exp(-passed_ms / limits.slow_ms), passed_ms / seen_ms)
    weights = fast, slow, seen_ms >= limits.warm_up_ms
    new_valence, changes = _signal("VALENCE", person.valence, valence, (t_ms, weights), limits)
    new_arousal, more = _signal("AROUSAL", person.arousal, arousal, (t_ms, weights), limits)
    return Person(person.first_ms, t_ms, log_time_ms, new_valence, new_arousal), [*changes, *more]


def _newcomer(point: tuple[int, float, float], log_time_ms: int) -> Person:
    t_ms, valence, arousal = point
    return Person(t_ms, t_ms, log_time_ms, Signal(valence, valence), Signal(arousal, arousal))


def _signal(
    name: str, signal: Signal, sample: float, at: tuple[int, tuple[float, float, bool]], limits: Thresholds
) -> tuple[Signal, list[_Change]]:
    t_ms, (fast_weight, slow_weight, warm) = at
    fast = signal.fast + fast_weight * (sample - signal.fast)
    slow = signal.slow + slow_weight * (sample - signal.slow)
    now = _Reading(t_ms, fast, slow, warm)
    strong, strong_end = _watch(signal.strong, fast, (limits.strong_open, limits.strong_close), now, limits)
    sudden, sudden_end = _watch(signal.sudden, fast - slow, (limits.sudden_open, limits.sudden_close), now, limits)
    changes = [
        _Change(name, kind, watch, end_ms)
        for kind, watch, end_ms in (("STRONG", *strong_end), ("SUDDEN", *sudden_end))
        if watch is not None
    ]
    return Signal(fast, slow, strong, sudden), changes


@dataclass(frozen=True, slots=True)
class _Reading:
    t_ms: int
    fast: float
    slow: float
    warm: bool


_Ending: TypeAlias = tuple[Watch | None, int | None]
_NOTHING: Final[_Ending] = (None, None)


def _watch(
    watch: Watch, measure: float, thresholds: tuple[float, float], now: _Reading, limits: Thresholds
) -> tuple[Watch, _Ending]:
    """Move one watch on by one reading; with it the moment it opened (end None) or closed, if any."""
    open_at, close_at = thresholds
    if watch.phase is Phase.IDLE:
        if abs(measure) < open_at or not now.warm or now.t_ms < watch.quiet_until_ms:
            return watch, _NOTHING
        sign = 1 if measure > 0 else -1
        watch = Watch(Phase.RISING, sign, now.t_ms, now.fast, now.slow, now.fast, now.t_ms)
    if watch.sign * measure < close_at:
        if watch.phase is Phase.RISING:
            return Watch(quiet_until_ms=watch.quiet_until_ms), _NOTHING
        return Watch(quiet_until_ms=now.t_ms + limits.refractory_ms), (watch, now.t_ms)
    if watch.sign * (now.fast - watch.peak) > 0:
        watch = msgspec.structs.replace(watch, peak=now.fast, peak_ms=now.t_ms)
    if watch.phase is Phase.RISING and now.t_ms - watch.since_ms >= limits.min_duration_ms:
        watch = msgspec.structs.replace(watch, phase=Phase.OPEN)
        return watch, (watch, None)
    return watch, _NOTHING


def _moment(key: PersonKey, change: _Change) -> Emitted:
    device, session, who = key
    watch = change.watch
    name = msgspec.json.encode([device, session, who, change.signal, change.kind, watch.since_ms]).decode()
    record = {
        "moment_id": str(uuid.uuid5(NAMESPACE, f"moment/{name}")),
        "phase": "OPENED" if change.end_ms is None else "CLOSED",
        "device_id": device,
        "session_id": session,
        "session_person_id": who,
        "signal": change.signal,
        "kind": change.kind,
        "direction": "UP" if watch.sign > 0 else "DOWN",
        "start_ms": watch.since_ms,
        "end_ms": change.end_ms,
        "value": watch.value,
        "baseline": watch.baseline,
        "peak": watch.peak,
        "peak_ms": watch.peak_ms,
    }
    return Emitted("EmotionMomentDetected", device.encode(), record)
