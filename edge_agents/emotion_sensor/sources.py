"""Where frames come from: pictures, video files, and playlists of them. Cameras are in cameras.py."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from edge_agents.emotion_sensor.detection import Picture
from edge_agents.emotion_sensor.errors import SourceUnavailable
from edge_agents.emotion_sensor.motion import moved
from edge_agents.emotion_sensor.ticks import Ticks

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
VIDEOS = (".mp4", ".avi", ".mkv", ".mov", ".webm")
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Frame:
    """What is seen at one moment. `picture` is BGR, or None when the camera gives nothing.

    `moment_s` counts from the start of the sensor; another `scene` means that nobody can be the same person.
    """

    picture: Picture | None
    moment_s: float
    scene: int


class Source(Protocol):
    """Shows one frame a tick, and ends when it has no more."""

    def frames(self, ticks: Ticks) -> Iterator[Frame]:
        """Frames at the given moments; the first tick is the source's beginning."""
        ...


class Pictures:
    """Still pictures one after the other, each moving slowly for `seconds`. An unreadable one is passed over."""

    def __init__(self, paths: Sequence[Path], seconds: float) -> None:
        self._paths = [path for path in paths if path.suffix.lower() in PICTURES]
        self._seconds = seconds
        if not self._paths:
            raise SourceUnavailable(f"no picture ({', '.join(PICTURES)}) was found")

    def frames(self, ticks: Ticks) -> Iterator[Frame]:
        """Each picture is a scene of its own."""
        start, shown, picture = None, -1, None
        for tick in ticks:
            start = tick if start is None else start
            index = int((tick - start) / self._seconds)
            if index >= len(self._paths):
                return
            if index != shown:
                shown, picture = index, _read(self._paths[index])
            if picture is not None:
                yield Frame(moved(picture, tick - start - index * self._seconds), tick, index)


class Video:
    """A video file from its beginning to its end, at its own speed."""

    def __init__(self, path: str) -> None:
        self._path = path

    def frames(self, ticks: Ticks) -> Iterator[Frame]:
        """The picture that is on at each tick; raises SourceUnavailable when the file cannot be opened."""
        capture = cv2.VideoCapture(self._path)
        if not capture.isOpened():
            raise SourceUnavailable(f"the video {self._path} cannot be opened: does it exist, is it a video?")
        try:
            yield from _played(capture, ticks)
        finally:
            capture.release()


def _played(capture: cv2.VideoCapture, ticks: Ticks) -> Iterator[Frame]:
    stated = capture.get(cv2.CAP_PROP_FPS)
    rate = stated if 1 <= stated <= 240 else 25.0  # broken headers say 0, NaN or 90000
    start, index = None, -1
    for tick in ticks:
        start = tick if start is None else start
        wanted = int((tick - start) * rate + 1e-6)
        while index < wanted:
            if not capture.grab():
                return
            index += 1
        read, picture = capture.retrieve()
        yield Frame(np.asarray(picture, dtype=np.uint8) if read else None, tick, 0)


class Playlist:
    """Sources one after the other, and again from the first with `loop`."""

    def __init__(self, sources: Sequence[Source], *, loop: bool) -> None:
        self._sources = sources
        self._loop = loop

    def frames(self, ticks: Ticks) -> Iterator[Frame]:
        """Scenes are numbered anew: no two of the whole list are the same."""
        scene, last, showed = -1, None, True
        rounds = 0
        while showed and (rounds == 0 or self._loop):
            showed = False
            for place, source in enumerate(self._sources):
                for frame in source.frames(ticks):
                    showed = True
                    if (rounds, place, frame.scene) != last:
                        scene, last = scene + 1, (rounds, place, frame.scene)
                    yield replace(frame, scene=scene)
            rounds += 1


def _read(path: Path) -> Picture | None:
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        log.warning("The picture %s cannot be read and is passed over.", path)
        return None
    # Decoded photographs can have 50 megapixels; the canvas needs a fraction.
    factor = min(1.0, 1280 / max(picture.shape[:2]))
    return np.asarray(cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), dtype=np.uint8)
