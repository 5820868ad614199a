"""The state behind decider `security`: cameras, who is watched, what was raised of late. Pure.

It stays small: what is dealt with is forgotten after a day of log time, what nobody dealt with after 30.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import msgspec
from immutables import Map
from msgspec.structs import replace

DEVIANCE: Final = "deviance"
THREAT: Final = "threat"
ALL: Final = "all"
MERGED_US: Final = 60_000_000
"""Sightings of a person by a camera that are no further apart are one passing by."""
FORGOTTEN_US: Final = 86_400_000_000
"""So long after its last news a resolved alert is forgotten."""
NEGLECTED_US: Final = 30 * FORGOTTEN_US
"""And so long one that was never resolved."""
SWEPT_US: Final = 3_600_000_000
"""How often it is looked for what can be forgotten."""
OPEN: Final = "open"
RESOLVED: Final = "resolved"


class Camera(msgspec.Struct, frozen=True, array_like=True):
    """What of its configuration matters here. `schedule`: JSON as it was sent, checked."""

    deviance: bool
    faces: bool
    schedule: str = "[]"


class Alert(msgspec.Struct, frozen=True, array_like=True):
    """An alert. `last_us` is the newest sighting, or the end of a signal; `is_on`: a signal that has not ended.

    Times are those of the cameras, but `news_us`, which is the log's.
    """

    kind: str
    camera_id: str
    user_id: str | None
    start_us: int
    last_us: int
    score: float
    news_us: int
    status: str = OPEN
    is_on: bool = False
    sightings: int = 1


class State(msgspec.Struct, frozen=True):
    """Everything by its id. `latest` has a camera's newest deviance signal, `passing` a person's alerts at a camera."""

    cameras: Map[str, Camera] = Map()
    watched: Map[str, str] = Map()
    """Person -> level."""
    mutes: Map[str, int | None] = Map()
    """Camera and kind -> until when (log time, microseconds); null: for ever."""
    alerts: Map[str, Alert] = Map()
    latest: Map[str, str] = Map()
    passing: Map[str, list[str]] = Map()
    swept_us: int = 0


def evolve(state: State, name: str, record: Mapping[str, Any]) -> State:
    """Give the state after an event."""
    change = _CHANGES.get(name)
    return change(state, record) if change else state


def is_muted(state: State, camera_id: str, kind: str, at_us: int) -> bool:
    """Whether nothing is to be heard of this kind from a camera at a moment of log time."""
    for muted in (kind, ALL):
        until = state.mutes.get(mute_of(camera_id, muted), 0)
        if until is None or until > at_us:
            return True
    return False


def mute_of(camera_id: str, kind: str) -> str:
    """Where a mute stands."""
    return f"{kind}\n{camera_id}"


def passer_of(camera_id: str, user_id: str | None) -> str:
    """Where a person's alerts at a camera stand."""
    return f"{user_id}\n{camera_id}"


def _configured(state: State, record: Mapping[str, Any]) -> State:
    camera = Camera(record["deviance"], record["faces"], record["schedule"])
    return replace(state, cameras=state.cameras.set(record["camera_id"], camera))


def _camera_removed(state: State, record: Mapping[str, Any]) -> State:
    camera_id = record["camera_id"]
    mutes = state.mutes
    for kind in (DEVIANCE, THREAT, ALL):
        mutes = _without(mutes, mute_of(camera_id, kind))
    return replace(state, cameras=_without(state.cameras, camera_id), mutes=mutes)


def _muted(state: State, record: Mapping[str, Any]) -> State:
    where, until = mute_of(record["camera_id"], record["kind"]), record["until_us"]
    is_over = until is not None and until <= record["at_us"]
    return replace(state, mutes=_without(state.mutes, where) if is_over else state.mutes.set(where, until))


def _watched(state: State, record: Mapping[str, Any]) -> State:
    return replace(state, watched=state.watched.set(record["user_id"], record["level"]))


def _unwatched(state: State, record: Mapping[str, Any]) -> State:
    return replace(state, watched=_without(state.watched, record["user_id"]))


def _raised(state: State, record: Mapping[str, Any]) -> State:
    state = _swept(state, record["at_us"])
    kind, camera_id, user_id = record["kind"], record["camera_id"], record["user_id"]
    start_us, end_us = record["start_us"], record["end_us"]
    last_us = start_us if end_us is None else end_us
    is_on = kind == DEVIANCE and end_us is None
    alert = Alert(kind, camera_id, user_id, start_us, last_us, record["score"], record["at_us"], is_on=is_on)
    state = replace(state, alerts=state.alerts.set(record["alert_id"], alert))
    if kind == DEVIANCE:
        return replace(state, latest=state.latest.set(camera_id, record["alert_id"]))
    where = passer_of(camera_id, user_id)
    return replace(state, passing=state.passing.set(where, [*state.passing.get(where, []), record["alert_id"]]))


def _updated(state: State, record: Mapping[str, Any]) -> State:
    alert = state.alerts.get(record["alert_id"])
    if alert is None:
        return state
    last_us = alert.last_us if record["end_us"] is None else record["end_us"]
    changed = replace(
        alert,
        last_us=last_us,
        score=record["score"],
        news_us=record["at_us"],
        sightings=record["sightings"],
        is_on=alert.is_on and record["end_us"] is None,
    )
    return replace(state, alerts=state.alerts.set(record["alert_id"], changed))


def _settled(state: State, record: Mapping[str, Any]) -> State:
    alert = state.alerts.get(record["alert_id"])
    if alert is None:
        return state
    changed = replace(alert, status=record["verdict"], news_us=record["at_us"])
    return replace(state, alerts=state.alerts.set(record["alert_id"], changed))


_CHANGES: Final[Mapping[str, Callable[[State, Mapping[str, Any]], State]]] = {
    "CameraConfigured": _configured,
    "CameraRemoved": _camera_removed,
    "CameraMuted": _muted,
    "PersonWatched": _watched,
    "PersonUnwatched": _unwatched,
    "AlertRaised": _raised,
    "AlertUpdated": _updated,
    "AlertSettled": _settled,
}


def _swept(state: State, at_us: int) -> State:
    """Forget what is old, once in a while."""
    if at_us - state.swept_us < SWEPT_US:
        return state
    alerts, latest, passing = state.alerts, state.latest, state.passing
    for alert_id, alert in _old(state, at_us):
        alerts = alerts.delete(alert_id)
        if latest.get(alert.camera_id) == alert_id:
            latest = latest.delete(alert.camera_id)
        where = passer_of(alert.camera_id, alert.user_id)
        left = [one for one in passing.get(where, []) if one != alert_id]
        passing = passing.set(where, left) if left else _without(passing, where)
    mutes = state.mutes
    for where, until in state.mutes.items():
        mutes = mutes.delete(where) if until is not None and until <= at_us else mutes
    return replace(state, alerts=alerts, latest=latest, passing=passing, mutes=mutes, swept_us=at_us)


def _old(state: State, at_us: int) -> Iterator[tuple[str, Alert]]:
    for alert_id, alert in state.alerts.items():
        limit = FORGOTTEN_US if alert.status == RESOLVED else NEGLECTED_US
        if at_us - alert.news_us >= limit:
            yield alert_id, alert


def _without(entries: Map[str, Any], key: str) -> Map[str, Any]:
    return entries.delete(key) if key in entries else entries
