"""Decider `security`: which cameras are watched and how, who is unwanted, and what people are to know of.

One person walking by a camera is one threat, one commotion before it is one deviance signal: what comes on top of it
is merged. Who is not on the watch list is no threat, whatever was matched: there is one list, and it is this state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson

from schemas.errors import InvalidEvent
from streams.decisions import Accepted, Command, Fact, Refused
from streams.security_state import (
    ALL,
    DEVIANCE,
    MERGED_US,
    OPEN,
    RESOLVED,
    THREAT,
    Alert,
    State,
    evolve,
    is_muted,
    mute_of,
    passer_of,
)
from streams.vision.signals import was_ahead
from streams.watch_hours import hours_of, is_watched

__all__ = ["ALLOWED", "KEY", "State", "decide", "evolve"]

KEY: Final = "security"
"""Key of every command and event."""
LEVELS: Final = ("low", "medium", "high")
ALLOWED: Final[Mapping[str, frozenset[str]]] = {
    OPEN: frozenset({"acknowledged", "escalated", RESOLVED}),
    "acknowledged": frozenset({"escalated", RESOLVED}),
    "escalated": frozenset({RESOLVED}),
    RESOLVED: frozenset(),
}
"""How an alert stands -> how it may be settled."""
LOUDER: Final = 0.01
"""A signal that goes on is told of again when its score has risen by so much."""
STALE_US: Final = 600_000_000
"""A signal that never ended, and was not told of for so long, takes no other into itself."""
_CAMERA: Final = (
    "camera_id", "name", "location", "device_id", "source", "deviance", "deviance_on", "deviance_off", "faces",
    "schedule",
)  # fmt: skip
_RAISED: Final = (
    "alert_id", "kind", "camera_id", "user_id", "start_us", "end_us", "score", "model", "evidence",
)  # fmt: skip


def decide(state: State, command: Command) -> Accepted | Refused:
    """Give the events of a command, or why not."""
    rule = _RULES.get(command.name)
    if rule is None:
        raise InvalidEvent(f"{command.name} is no command for security.")
    return rule(state, command)


def _configure(_state: State, command: Command) -> Accepted | Refused:
    record = command.record
    if not record["camera_id"] or not 0 <= record["deviance_off"] <= record["deviance_on"] <= 1:
        return Refused("invalid_camera", "A camera has an id, and 0 <= deviance_off <= deviance_on <= 1")
    try:
        hours_of(record["schedule"])
    except ValueError as error:
        return Refused("invalid_schedule", str(error))
    told = {name: record[name] for name in _CAMERA}
    return Accepted((Fact("CameraConfigured", KEY, told | _at(command)),))


def _remove_camera(state: State, command: Command) -> Accepted:
    camera_id = command.record["camera_id"]
    removed = Fact("CameraRemoved", KEY, {"camera_id": camera_id} | _at(command))
    return Accepted((removed,) if camera_id in state.cameras else ())


def _mute(state: State, command: Command) -> Accepted | Refused:
    """Until a moment that has passed: it is heard again."""
    record = command.record
    if record["kind"] not in (DEVIANCE, THREAT, ALL):
        return Refused("invalid_kind", f"{record['kind']!r} is no kind of alerts")
    until = record["until_us"]
    is_over = until is not None and until <= command.at_us
    where = mute_of(record["camera_id"], record["kind"])
    if (is_over and where not in state.mutes) or (where in state.mutes and state.mutes[where] == until):
        return Accepted()
    told = {name: record[name] for name in ("camera_id", "kind", "until_us")}
    return Accepted((Fact("CameraMuted", KEY, told | _at(command)),))


def _watch(_state: State, command: Command) -> Accepted | Refused:
    record = command.record
    if record["level"] not in LEVELS:
        return Refused("invalid_level", f"{record['level']!r} is no level: {', '.join(LEVELS)}")
    if record["details"]["subject"] != f"watch/{record['user_id']}":
        raise InvalidEvent("The details are somebody else's.")
    told = {name: record[name] for name in ("user_id", "level", "details")}
    return Accepted((Fact("PersonWatched", KEY, told | _at(command)),))


def _unwatch(state: State, command: Command) -> Accepted:
    user_id = command.record["user_id"]
    gone = Fact("PersonUnwatched", KEY, {"user_id": user_id} | _at(command))
    return Accepted((gone,) if user_id in state.watched else ())


def _raise(state: State, command: Command) -> Accepted | Refused:
    record = command.record
    if record["kind"] not in (DEVIANCE, THREAT) or (record["kind"] == THREAT) != (record["user_id"] is not None):
        return Refused("invalid_alert", "An alert is a deviance signal, or a threat by a person")
    end_us = record["end_us"]
    if not _is_object(record["evidence"]) or (end_us is not None and end_us < record["start_us"]):
        return Refused("invalid_alert", "Evidence is a JSON object, and nothing ends before it begins")
    known = state.alerts.get(record["alert_id"])
    if known is not None and not known.is_on:
        return _known(record["alert_id"])
    if record["kind"] == THREAT and record["user_id"] not in state.watched:
        return Refused("not_watched", "Nobody on the watch list")
    found = _signal(state, command) if record["kind"] == DEVIANCE else _passing(state, command)
    if found is not None:
        return found
    if not _is_wanted(state, record):
        return Refused("camera_off", "The camera is not watched for this now")
    return _raised(state, command)


def _raised(state: State, command: Command) -> Accepted:
    record = command.record
    told = {name: record[name] for name in _RAISED}
    told["muted"] = is_muted(state, record["camera_id"], record["kind"], command.at_us)
    told["level"] = state.watched.get(record["user_id"]) if record["kind"] == THREAT else None
    raised = Fact("AlertRaised", KEY, told | _at(command))
    return Accepted((raised,), {"alert_id": record["alert_id"], "raised": True})


def _signal(state: State, command: Command) -> Accepted | None:
    """What is to be said of a signal that is on, or of one that came before; None: it is a new one."""
    record = command.record
    alert_id = state.latest.get(record["camera_id"])
    if alert_id is None:
        return None
    alert = state.alerts[alert_id]
    is_other = alert_id != record["alert_id"]
    if is_other and (
        command.at_us - alert.news_us > STALE_US or was_ahead(alert.last_us, record["start_us"], command.at_us)
    ):
        return None
    if not alert.is_on:
        return _known(alert_id) if record["start_us"] <= alert.last_us else None
    end_us = record["end_us"]
    if end_us is None and record["score"] < alert.score + LOUDER:
        return _known(alert_id)
    end_us = None if end_us is None else max(end_us, alert.start_us)
    return _updated(alert_id, alert, command, end_us, alert.sightings)


def _passing(state: State, command: Command) -> Accepted | None:
    """What is to be said of a person who was just seen there; None: she comes by anew."""
    record = command.record
    seen_us = record["start_us"]
    ids = state.passing.get(passer_of(record["camera_id"], record["user_id"]), [])
    alerts = [(alert_id, state.alerts[alert_id]) for alert_id in reversed(ids)]
    for alert_id, alert in alerts:
        # A repeat, or before what is known already. What was once so stays so: alerts only grow.
        if alert.start_us - MERGED_US <= seen_us <= alert.last_us:
            return _known(alert_id)
    for alert_id, alert in alerts:
        if alert.last_us < seen_us <= alert.last_us + MERGED_US:
            return _updated(alert_id, alert, command, seen_us, alert.sightings + 1)
    return None


def _updated(alert_id: str, alert: Alert, command: Command, end_us: int | None, sightings: int) -> Accepted:
    told = {
        "alert_id": alert_id, "kind": alert.kind, "camera_id": alert.camera_id, "user_id": alert.user_id,
        "end_us": end_us, "score": max(alert.score, command.record["score"]),
        "evidence": command.record["evidence"], "sightings": sightings,
    }  # fmt: skip
    updated = Fact("AlertUpdated", KEY, told | _at(command))
    return Accepted((updated,), {"alert_id": alert_id, "raised": False})


def _settle(state: State, command: Command) -> Accepted | Refused:
    record = command.record
    alert = state.alerts.get(record["alert_id"])
    if alert is None:
        return Refused("alert_not_found", "There is no such alert, or it was dealt with long ago")
    if alert.status == record["verdict"]:
        return Accepted()
    if record["verdict"] not in ALLOWED[alert.status]:
        return Refused("not_allowed", f"The alert is {alert.status}: it cannot become {record['verdict']}")
    told = {name: record[name] for name in ("alert_id", "verdict", "note")}
    return Accepted((Fact("AlertSettled", KEY, told | _at(command)),))


_RULES: Final[Mapping[str, Callable[[State, Command], Accepted | Refused]]] = {
    "ConfigureCamera": _configure,
    "RemoveCamera": _remove_camera,
    "MuteCamera": _mute,
    "WatchPerson": _watch,
    "UnwatchPerson": _unwatch,
    "RaiseAlert": _raise,
    "SettleAlert": _settle,
}


def _is_wanted(state: State, record: Mapping[str, Any]) -> bool:
    """Whether a camera is watched for this at that time; one that nobody configured always is."""
    camera = state.cameras.get(record["camera_id"])
    if camera is None:
        return True
    is_on = camera.deviance if record["kind"] == DEVIANCE else camera.faces
    return is_on and is_watched(camera.schedule, record["start_us"])


def _known(alert_id: str) -> Accepted:
    return Accepted((), {"alert_id": alert_id, "raised": False})


def _at(command: Command) -> dict[str, Any]:
    return {"at_us": command.at_us, "by": command.record["by"]}


def _is_object(text: str) -> bool:
    try:
        return isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        return False
