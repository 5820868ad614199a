"""Which cameras there are to look at: a fold of what was decided about cameras. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from immutables import Map

from streams.watch_hours import is_watched

CONFIGURED: Final = "CameraConfigured"
REMOVED: Final = "CameraRemoved"


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera with a source of its own. A signal of it begins at a score of `on` and ends below `off`."""

    camera_id: str
    device_id: str
    source: str
    deviance: bool
    faces: bool
    on: float
    off: float
    schedule: str


Roster: TypeAlias = Map[str, Camera]
"""Cameras by their ids."""


def evolve(roster: Roster, name: str, record: Mapping[str, Any]) -> Roster:
    """Take an event in; what says nothing of cameras changes nothing. One whose device sends has no source."""
    if name not in (CONFIGURED, REMOVED):
        return roster
    camera_id = record["camera_id"]
    if name == CONFIGURED and record["source"] and (record["deviance"] or record["faces"]):
        return roster.set(camera_id, _camera(record))
    return roster.delete(camera_id) if camera_id in roster else roster


def watched(roster: Roster, at_us: int) -> dict[str, Camera]:
    """Those that are looked at in this moment (UTC epoch microseconds), by their schedules."""
    return {camera_id: camera for camera_id, camera in roster.items() if is_watched(camera.schedule, at_us)}


def _camera(record: Mapping[str, Any]) -> Camera:
    return Camera(
        record["camera_id"],
        record["device_id"] or record["camera_id"],
        record["source"],
        record["deviance"],
        record["faces"],
        record["deviance_on"],
        record["deviance_off"],
        record["schedule"],
    )
