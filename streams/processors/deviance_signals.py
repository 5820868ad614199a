"""`security.deviance` -> `security.commands`: scores of windows of frames become signals, one for each commotion. Pure.

A signal begins at a high score and ends at a low one (`streams.vision.signals`), so a score that wavers between does
not tear it apart. A camera that falls silent ends its signal, too: that it is silent is an event (`idle`), so a replay
agrees.
"""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import orjson
from immutables import Map
from msgspec.structs import replace

from schemas.errors import InvalidEvent
from schemas.identity import NAMESPACE
from streams.steps import Emitted, Event
from streams.vision import signals
from streams.vision.signals import Rule

SCORED: Final = "DevianceScored"
SILENCE: Final = "silence"
"""Model of a window that nobody looked at: the camera sent none."""
KEY: Final = b"security"
REMEMBERED_US: Final = 86_400_000_000
"""A camera that has sent nothing for so long is forgotten."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When a signal begins and ends where the window does not carry its camera's own scores; see `signals.Rule`.

    A score that is higher by `louder` than all before it is told of.
    """

    rule: Rule = field(default_factory=Rule)
    louder: float = 0.05


THRESHOLDS: Final = Thresholds()


class Camera(msgspec.Struct, frozen=True, array_like=True):
    """How far a camera is; of a signal that is rising or on, the highest score told of, and what was seen then."""

    device_id: str
    log_ms: int
    past: signals.State = signals.State()
    told: float = 0.0
    model: str = ""
    evidence: str = "{}"


class State(msgspec.Struct, frozen=True):
    """Cameras by their ids."""

    cameras: Map[str, Camera] = Map()


def step(state: State, event: Event, limits: Thresholds = THRESHOLDS) -> tuple[State, Sequence[Emitted]]:
    """Take a window in. One that was seen already, or is older than what was seen, changes nothing.

    Raises:
        InvalidEvent: no score, a score that is none, or a window that ends before it begins.
    """
    record = event.record
    if event.name != SCORED:
        raise InvalidEvent(f"{event.name} is not an event of security.deviance.")
    if not 0 <= record["score"] <= 1 or record["window_end_us"] < record["window_start_us"]:
        raise InvalidEvent(f"A score of {record['score']}, or its window, is none.")
    before = state.cameras.get(record["camera_id"]) or Camera(record["device_id"], event.log_time_ms)
    camera, emitted = _silent(before, record) if record["model"] == SILENCE else _heard(before, event, limits)
    if camera is before:
        return state, ()
    camera = replace(camera, device_id=record["device_id"], log_ms=event.log_time_ms)
    return State(_recent(state.cameras, event.log_time_ms).set(record["camera_id"], camera)), emitted


def idle(state: State, now_ms: int, limits: Thresholds = THRESHOLDS) -> Sequence[Emitted]:
    """Say of cameras with a signal that they have been silent for too long."""
    return [
        Emitted(SCORED, camera_id.encode(), _silence(camera_id, camera))
        for camera_id, camera in state.cameras.items()
        if camera.past.on is not None and (now_ms - camera.log_ms) * 1000 >= limits.rule.gap_us
    ]


def signal_id(camera_id: str, start_us: int) -> str:
    """The id of the signal that began then."""
    return str(uuid.uuid5(NAMESPACE, f"deviance\n{camera_id}\n{start_us}"))


def _heard(before: Camera, event: Event, limits: Thresholds) -> tuple[Camera, Sequence[Emitted]]:
    """Take a window in. Of a camera whose clock was set back nothing before it counts: it would be deaf till then."""
    record, past = event.record, before.past
    if not signals.was_ahead(past.seen_us, record["window_end_us"], 1000 * event.log_time_ms):
        return _next(before, record, limits)
    ended = [] if past.on is None else [_command(record["camera_id"], before, past.on, past.on.end_us)]
    camera, emitted = _next(Camera(before.device_id, before.log_ms), record, limits)
    return camera, [*ended, *emitted]


def _next(before: Camera, record: Mapping[str, Any], limits: Thresholds) -> tuple[Camera, Sequence[Emitted]]:
    window = signals.Window(record["window_start_us"], record["window_end_us"], record["score"])
    past, ended = signals.step(before.past, window, _rule(record, limits.rule))
    if past is before.past:
        return before, ()
    emitted = [_command(record["camera_id"], before, ended, ended.end_us)] if ended else list[Emitted]()
    camera = Camera(before.device_id, before.log_ms) if ended else before
    loudest = past.on or past.rising
    camera = replace(camera, past=past) if loudest else Camera(before.device_id, before.log_ms, past)
    if loudest is not None and loudest.score == record["score"] and record["score"] > _score(before, ended):
        camera = _seen(camera, record)
    if past.on is not None and (ended or before.past.on is None or past.on.score >= camera.told + limits.louder):
        camera = replace(camera, told=past.on.score)
        emitted.append(_command(record["camera_id"], camera, past.on, None))
    return camera, emitted


def _silent(before: Camera, record: Mapping[str, Any]) -> tuple[Camera, Sequence[Emitted]]:
    """A camera has been silent for too long, unless it has been heard of since that was said."""
    on = before.past.on
    if on is None or record["window_end_us"] != before.past.seen_us:
        return before, ()
    after = Camera(before.device_id, before.log_ms, signals.State(seen_us=before.past.seen_us))
    return after, [_command(record["camera_id"], before, on, on.end_us)]


def _score(before: Camera, ended: signals.Signal | None) -> float:
    """The highest score of what goes on; -1 of nothing."""
    known = None if ended else before.past.on or before.past.rising
    return -1.0 if known is None else known.score


def _seen(camera: Camera, record: Mapping[str, Any]) -> Camera:
    try:
        participants = orjson.loads(record["participants"])
    except orjson.JSONDecodeError as error:
        raise InvalidEvent("Participants are no JSON.") from error
    evidence = {name: record[name] for name in ("device_id", "frame", "clip")} | {"participants": participants}
    return replace(camera, model=record["model"], evidence=orjson.dumps(evidence).decode())


def _command(camera_id: str, camera: Camera, signal: signals.Signal, end_us: int | None) -> Emitted:
    """The signal as far as it is known, under the one id it has: it begins, is louder now, or ends."""
    record = {
        "alert_id": signal_id(camera_id, signal.start_us), "kind": "deviance", "camera_id": camera_id,
        "user_id": None, "start_us": signal.start_us, "end_us": end_us, "score": signal.score, "model": camera.model,
        "evidence": camera.evidence, "by": None,
    }  # fmt: skip
    return Emitted("RaiseAlert", KEY, record)


def _rule(record: Mapping[str, Any], rule: Rule) -> Rule:
    """The rule with the camera's own scores, where the window carries them."""
    on = rule.on if record["deviance_on"] is None else record["deviance_on"]
    off = rule.off if record["deviance_off"] is None else record["deviance_off"]
    return rule if (on, off) == (rule.on, rule.off) else dataclasses.replace(rule, on=on, off=min(off, on))


def _silence(camera_id: str, camera: Camera) -> dict[str, Any]:
    return {
        "camera_id": camera_id, "device_id": camera.device_id, "window_start_us": camera.past.seen_us,
        "window_end_us": camera.past.seen_us, "score": 0.0, "model": SILENCE, "frame": None, "clip": None,
        "participants": "[]", "at_us": None, "deviance_on": None, "deviance_off": None,
    }  # fmt: skip


def _recent(cameras: Map[str, Camera], now_ms: int) -> Map[str, Camera]:
    """Without cameras that were not heard of for a day; looked at only when there are many."""
    if len(cameras) < 1000:
        return cameras
    old = [one for one, camera in cameras.items() if (now_ms - camera.log_ms) * 1000 > REMEMBERED_US]
    for one in old:
        cameras = cameras.delete(one)
    return cameras
