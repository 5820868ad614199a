"""The camera for everybody who looks: one reader in a thread, the newest frame in the loop. Nothing here blocks it."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from edge_agents.emotion_sensor import ticks
from edge_agents.emotion_sensor.cameras import Camera, opener
from edge_agents.emotion_sensor.errors import SensorError
from edge_agents.emotion_sensor.sources import PICTURES, Frame, Playlist, Source, Video
from edge_agents.robot.errors import SourceUnavailable
from edge_agents.robot.pictures import Picture

AGAIN_S: Final = 10.0
STALE_S: Final = 3.0
"""A frame that old shows nobody who is there: a camera that vanished must not let its last passenger in again."""
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Shot:
    """A frame (BGR), its number from 1 on, and when it was taken (UTC epoch microseconds)."""

    picture: Picture
    number: int
    at_us: int


class Stills:
    """Pictures one after the other, each for so many seconds, again and again."""

    def __init__(self, pictures: Sequence[Picture], seconds: float) -> None:
        self._pictures = pictures
        self._seconds = seconds

    def frames(self, ticks: Iterator[float]) -> Iterator[Frame]:
        """The picture that is on at each tick."""
        for tick in ticks:
            index = int(tick / self._seconds)
            yield Frame(self._pictures[index % len(self._pictures)], tick, index)


def source_of(camera: int | None, video: str | None, pictures: Path | None, seconds: float) -> Source:
    """A camera (the first when nothing is named), a file or stream, or a folder of pictures.

    Raises SourceUnavailable for a folder without pictures.
    """
    if video is not None and "://" in video:
        return Camera(video, opener(video))
    if video is not None:
        return Playlist([Video(video)], loop=True)
    if pictures is None:
        return Camera(str(camera or 0), opener(camera or 0))
    paths = sorted(pictures.iterdir()) if pictures.is_dir() else []
    read = [cv2.imread(str(path), cv2.IMREAD_COLOR) for path in paths if path.suffix.lower() in PICTURES]
    found = [np.asarray(picture, dtype=np.uint8) for picture in read if picture is not None]
    if not found:
        raise SourceUnavailable(f"the folder {pictures} holds no picture ({', '.join(PICTURES)})")
    return Stills(found, seconds)


class Eye:
    """Looks at a source from `start` to `stop`; a source that fails or ends is begun again."""

    def __init__(self, source: Source, fps: float, again_s: float = AGAIN_S, stale_s: float = STALE_S) -> None:
        self._source = source
        self._fps = fps
        self._again_s = again_s
        self._stale_s = max(stale_s, 2 / fps)
        self._stopping = threading.Event()
        self._number = 0
        self._newest: Shot | None = None
        self._arrived_s = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._arrival: asyncio.Future[Shot] | None = None
        self._thread = threading.Thread(target=self._run, name="eye", daemon=True)

    def start(self) -> None:
        """Begin to look; to be called in the running loop."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def stop(self) -> None:
        """End. A camera whose driver hangs is left behind."""
        self._stopping.set()
        self._thread.join(2.0)

    @property
    def newest(self) -> Shot | None:
        """The newest frame; None before the first, and while the source shows nothing."""
        return self._newest if time.monotonic() - self._arrived_s < self._stale_s else None

    async def next(self) -> Shot:
        """The next frame to come."""
        if self._arrival is None:
            self._arrival = asyncio.get_running_loop().create_future()
        return await asyncio.shield(self._arrival)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                for frame in self._source.frames(ticks.real_time(self._fps, self._stopping)):
                    if frame.picture is not None:
                        self._take(frame.picture)
            except (SensorError, cv2.error, OSError) as error:
                log.warning("There is nothing to see (%s); tried again in %.0f s.", error, self._again_s)
            self._stopping.wait(self._again_s)

    def _take(self, picture: Picture) -> None:
        self._number += 1
        shot = Shot(picture, self._number, time.time_ns() // 1000)
        loop = self._loop
        try:
            if loop is not None:
                loop.call_soon_threadsafe(self._arrive, shot)
        except RuntimeError:  # the loop was closed under us
            self._stopping.set()

    def _arrive(self, shot: Shot) -> None:
        self._newest, self._arrived_s = shot, time.monotonic()
        arrival, self._arrival = self._arrival, None
        if arrival is not None and not arrival.done():
            arrival.set_result(shot)
