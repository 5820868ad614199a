"""A camera or network stream: read by a thread of its own, reopened with pauses when it is lost."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np

from edge_agents.emotion_sensor.backoff import Backoff
from edge_agents.emotion_sensor.detection import Picture
from edge_agents.emotion_sensor.sources import Frame
from edge_agents.emotion_sensor.ticks import Ticks

SILENCE_S = 20.0  # a camera that gives nothing for longer is opened anew (Frigate's figure)
log = logging.getLogger(__name__)
OpenCapture = Callable[[], Any]


def opener(camera: int | str) -> OpenCapture:
    """How to open a camera by its index or a stream by its URL, with time limits where OpenCV has them."""
    if isinstance(camera, int):
        return lambda: cv2.VideoCapture(camera)
    limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, 10_000, cv2.CAP_PROP_READ_TIMEOUT_MSEC, 10_000]
    return lambda: cv2.VideoCapture(camera, cv2.CAP_FFMPEG, limits)


class _Reader:
    """One attempt at the camera. Reading may hang in the driver for ever: then the thread is left behind."""

    def __init__(self, open_capture: OpenCapture) -> None:
        self._open_capture = open_capture
        self._newest: Picture | None = None
        self._lock = threading.Lock()
        self.heard_s = time.monotonic()
        self.frames = 0
        self.failed = threading.Event()
        self._stopping = threading.Event()
        threading.Thread(target=self._run, name="camera", daemon=True).start()

    def take(self) -> Picture | None:
        """The newest frame, once."""
        with self._lock:
            newest, self._newest = self._newest, None
        return newest

    def stop(self) -> None:
        """Release the camera as soon as its driver answers."""
        self._stopping.set()

    def _run(self) -> None:
        capture = self._open_capture()
        try:
            while not self._stopping.is_set() and capture.isOpened():
                read, picture = capture.read()
                if not read:
                    break
                with self._lock:
                    self._newest = np.asarray(picture, dtype=np.uint8)
                self.frames += 1
                self.heard_s = time.monotonic()
        finally:
            capture.release()
            self.failed.set()


class Camera:
    """Frames of a camera for as long as there are ticks. Never ends by itself, never raises: a lost camera is said."""

    def __init__(self, name: str, open_capture: OpenCapture, backoff: Backoff | None = None) -> None:
        self._name = name
        self._open_capture = open_capture
        self._backoff = backoff or Backoff(longest_s=30.0)
        self._reader: _Reader | None = None
        self._again_s = 0.0
        self._reported = False

    def frames(self, ticks: Ticks) -> Iterator[Frame]:
        """The newest picture at each tick, None when there is no new one."""
        try:
            for tick in ticks:
                yield Frame(self._look(), tick, 0)
        finally:
            if self._reader is not None:
                self._reader.stop()

    def _look(self) -> Picture | None:
        now = time.monotonic()
        if self._reader is None:
            if now >= self._again_s:
                self._reader = _Reader(self._open_capture)
            return None
        picture = self._reader.take()
        if picture is not None:
            self._heard()
        elif self._reader.failed.is_set() or now - self._reader.heard_s > SILENCE_S:
            self._lose(self._reader, now)
        return picture

    def _heard(self) -> None:
        if self._backoff.failures or not self._reported:
            log.info("The camera %s gives pictures.", self._name)
        self._reported = True
        self._backoff.after_success()

    def _lose(self, reader: _Reader, now: float) -> None:
        reader.stop()
        self._reader = None
        pause = self._backoff.after_failure()
        self._again_s = now + pause
        why = "gives no more pictures" if reader.frames else "cannot be opened: is it plugged in, free, and allowed?"
        log.warning("The camera %s %s It is tried again in %.0f s.", self._name, why, pause)
