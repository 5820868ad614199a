"""The sensing loop: frame -> faces -> tracks -> expressions -> points. Time, storage and senders are handed in."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from edge_agents.emotion_sensor.affect import affect, strongest
from edge_agents.emotion_sensor.boxes import Box
from edge_agents.emotion_sensor.clock import JumpDetector, PointTimes, WallMs
from edge_agents.emotion_sensor.detection import FaceDetector, Picture, grey_of
from edge_agents.emotion_sensor.expressions import ExpressionModel
from edge_agents.emotion_sensor.frame_sender import FrameSender, Labelled
from edge_agents.emotion_sensor.points import Point, absolute_time
from edge_agents.emotion_sensor.sources import Frame
from edge_agents.emotion_sensor.tracking import Sighting, Tracker

log = logging.getLogger(__name__)
Shares = Mapping[str, float]
Seen = Sequence[tuple[Sighting, Shares]]


class Keeper(Protocol):
    """What becomes of what is seen. One for points, one for totals."""

    def new_session(self, wall_ms: int) -> Tracker:
        """A session begins (start, or the clock was set): the tracker to number its people."""
        ...

    def keep(self, seen: Seen, wall_ms: int, now_s: float) -> None:
        """Take what one frame showed; called for every frame, also with nobody in it."""
        ...

    def end(self, persons: Sequence[int], now_s: float) -> None:
        """These people are gone."""
        ...


@dataclass(slots=True)
class Meter:
    """Frames and points per second, over about the last ten seconds and the last minute."""

    frames_per_second: float = 0.0
    points_per_second: float = 0.0
    _last_s: float | None = None
    _watched_s: float = 0.0

    def frame(self, points: int, now_s: float) -> None:
        """Count a frame with so many points, seen at `now_s`."""
        last, self._last_s = self._last_s, now_s
        if last is None or now_s <= last:
            return
        passed = now_s - last
        # A plain mean until there is a whole window to look back on.
        self._watched_s += passed
        self.frames_per_second += (1 / passed - self.frames_per_second) * passed / max(passed, min(10, self._watched_s))
        self.points_per_second += (
            (points / passed - self.points_per_second) * passed / max(passed, min(60, self._watched_s))
        )


@dataclass(slots=True)
class Eyes:
    """What looks at a picture."""

    detector: FaceDetector
    model: ExpressionModel

    def faces(self, picture: Picture | None) -> tuple[Picture | None, list[Box]]:
        """The grey picture and the boxes in it."""
        if picture is None:
            return None, []
        grey = grey_of(picture)
        return grey, self.detector.faces(grey)

    def expressions(self, grey: Picture | None, sightings: Sequence[Sighting]) -> Seen:
        """Each sighting with the shares of its expressions."""
        if grey is None:
            return []
        shares = self.model.shares(grey, [sighting.box for sighting in sightings])
        return list(zip(sightings, shares, strict=True))


@dataclass(slots=True)
class Sensor:
    """State of the loop. `steady` gives seconds that nobody sets; tracking and jumps of the wall clock rest on it."""

    eyes: Eyes
    keeper: Keeper
    wall_ms: WallMs
    steady: Callable[[Frame], float]
    live: FrameSender | None = None
    meter: Meter = field(default_factory=Meter)
    _jumps: JumpDetector = field(default_factory=JumpDetector)
    _tracker: Tracker | None = None
    _scene: int | None = None

    def run(self, frames: Iterable[Frame]) -> None:
        """Look at every frame, and end everybody's visit at the end."""
        now_s = 0.0
        for frame in frames:
            now_s = self.steady(frame)
            self.step(frame, now_s)
        self._everybody_leaves(now_s)

    def step(self, frame: Frame, now_s: float) -> None:
        """Look at one frame."""
        wall_ms = self.wall_ms(frame.moment_s)
        tracker = self._tracker_for(frame, wall_ms, now_s)
        grey, boxes = self.eyes.faces(frame.picture)
        tracked = tracker.update(now_s, boxes)
        seen = self.eyes.expressions(grey, tracked.sightings)
        self.keeper.keep(seen, wall_ms, now_s)
        if tracked.ended:
            self.keeper.end(tracked.ended, now_s)
        self.meter.frame(len(seen), time.monotonic())
        if self.live is not None and frame.picture is not None:
            self.live.offer(frame.picture, _labels(seen), self.meter.frames_per_second, now_s)

    def _tracker_for(self, frame: Frame, wall_ms: int, now_s: float) -> Tracker:
        jumped = self._jumps.jumped(wall_ms, now_s)
        if self._tracker is None or jumped:
            if jumped:
                log.warning("The clock of this machine was set: a new session begins.")
            self._everybody_leaves(now_s)
            self._tracker = self.keeper.new_session(wall_ms)
        elif frame.scene != self._scene:
            self._everybody_leaves(now_s)
        self._scene = frame.scene
        return self._tracker

    def _everybody_leaves(self, now_s: float) -> None:
        present = self._tracker.close() if self._tracker is not None else ()
        if present:
            self.keeper.end(present, now_s)


def _labels(seen: Seen) -> list[Labelled]:
    return [Labelled(one.box, f"#{one.session_person_id} {strongest(shares)}") for one, shares in seen]


def points_of(seen: Seen, wall_ms: int, times: PointTimes) -> list[tuple[Point, Shares]]:
    """The points of one frame, each with the shares it was made from."""
    points: list[tuple[Point, Shares]] = []
    for sighting, shares in seen:
        t_ms = times.stamp(sighting.track_id, wall_ms)
        valence, arousal = affect(shares)
        ids = (sighting.session_person_id, sighting.track_id)
        points.append((Point(*ids, t_ms, absolute_time(t_ms), valence, arousal, sighting.box), shares))
    return points
