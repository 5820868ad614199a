"""`security.deviance` -> `security.commands`: scores of windows of frames become signals, one for each commotion. Pure.

A signal begins at a high score and ends at a low one, so a score that wavers between does not tear it apart. A camera
that falls silent ends its signal, too: that it is silent is an event (`idle`), so a replay agrees.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import orjson
from immutables import Map
from msgspec.structs import replace

from schemas.errors import InvalidEvent
from schemas.identity import NAMESPACE
from streams.steps import Emitted, Event

SCORED: Final = "DevianceScored"
SILENCE: Final = "silence"
"""Model of a window that nobody looked at: the camera sent none."""
KEY: Final = b"security"
REMEMBERED_US: Final = 86_400_000_000
"""A camera that has sent nothing for so long is forgotten."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Scores from 0 to 1 where none come with the window: a signal begins at `on` and more, ends at `off` and less.

    A score that is higher by `louder` than all before it is told of. A window that begins `gap_s` seconds after the
    one before belongs to nothing that came before; after so long without any, the signal has ended.
    """

    on: float = 0.5
    off: float = 0.25
    louder: float = 0.05
    gap_s: float = 30.0


THRESHOLDS: Final = Thresholds()


class Camera(msgspec.Struct, frozen=True, array_like=True):
    """How far a camera is. Of a signal that is on: when it began, its highest score, and what was seen then."""

    device_id: str
    end_us: int
    log_ms: int
    start_us: int | None = None
    score: float = 0.0
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
    before = state.cameras.get(record["camera_id"])
    if before is not None and record["window_end_us"] <= before.end_us and not _is_silence(record, before):
        return state, ()
    camera, emitted = _next(before, event, limits)
    return State(_recent(state.cameras, event.log_time_ms).set(record["camera_id"], camera)), emitted


def idle(state: State, now_ms: int, limits: Thresholds = THRESHOLDS) -> Sequence[Emitted]:
    """Say of cameras with a signal that they have been silent for too long."""
    return [
        Emitted(SCORED, camera_id.encode(), _silence(camera_id, camera))
        for camera_id, camera in state.cameras.items()
        if camera.start_us is not None and now_ms - camera.log_ms >= limits.gap_s * 1000
    ]


def signal_id(camera_id: str, start_us: int) -> str:
    """The id of the signal that began then."""
    return str(uuid.uuid5(NAMESPACE, f"deviance\n{camera_id}\n{start_us}"))


def _next(before: Camera | None, event: Event, limits: Thresholds) -> tuple[Camera, Sequence[Emitted]]:
    record, emitted = event.record, list[Emitted]()
    camera = before or Camera(record["device_id"], record["window_start_us"], event.log_time_ms)
    if camera.start_us is not None and record["window_start_us"] - camera.end_us >= limits.gap_s * 1_000_000:
        emitted.append(_command(record["camera_id"], camera, camera.end_us))
        camera = _ended(camera)
    on, off = _thresholds(record, limits)
    camera = replace(camera, device_id=record["device_id"], log_ms=event.log_time_ms, end_us=record["window_end_us"])
    if camera.start_us is None:
        if record["score"] >= on:
            camera = _seen(replace(camera, start_us=record["window_start_us"]), record)
            emitted.append(_command(record["camera_id"], camera, None))
        return camera, emitted
    is_louder = record["score"] >= camera.score + limits.louder
    camera = _seen(camera, record) if record["score"] > camera.score else camera
    if record["score"] <= off:
        emitted.append(_command(record["camera_id"], camera, record["window_start_us"]))
        return _ended(camera), emitted
    return camera, [*emitted, _command(record["camera_id"], camera, None)] if is_louder else emitted


def _seen(camera: Camera, record: Mapping[str, Any]) -> Camera:
    evidence = {name: record[name] for name in ("device_id", "frame", "clip")}
    try:
        participants = orjson.loads(record["participants"])
    except orjson.JSONDecodeError as error:
        raise InvalidEvent("Participants are no JSON.") from error
    told = orjson.dumps(evidence | {"participants": participants}).decode()
    return replace(camera, score=record["score"], model=record["model"], evidence=told)


def _ended(camera: Camera) -> Camera:
    return Camera(camera.device_id, camera.end_us, camera.log_ms)


def _command(camera_id: str, camera: Camera, end_us: int | None) -> Emitted:
    """The signal as far as it is known, under the one id it has: it begins, is louder now, or ends."""
    start_us = camera.start_us or 0
    record = {
        "alert_id": signal_id(camera_id, start_us), "kind": "deviance", "camera_id": camera_id, "user_id": None,
        "start_us": start_us, "end_us": None if end_us is None else max(end_us, start_us), "score": camera.score,
        "model": camera.model, "evidence": camera.evidence, "by": None,
    }  # fmt: skip
    return Emitted("RaiseAlert", KEY, record)


def _thresholds(record: Mapping[str, Any], limits: Thresholds) -> tuple[float, float]:
    on = limits.on if record["deviance_on"] is None else record["deviance_on"]
    off = limits.off if record["deviance_off"] is None else record["deviance_off"]
    return on, min(off, on)


def _is_silence(record: Mapping[str, Any], camera: Camera) -> bool:
    return record["model"] == SILENCE and camera.start_us is not None and record["window_end_us"] == camera.end_us


def _silence(camera_id: str, camera: Camera) -> dict[str, Any]:
    return {
        "camera_id": camera_id, "device_id": camera.device_id, "window_start_us": camera.end_us,
        "window_end_us": camera.end_us, "score": 0.0, "model": SILENCE, "frame": None, "clip": None,
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
