"""Frames of a camera or a network stream: the newest counts, what nobody took is dropped, a silent one is restarted."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

import av
import cv2
import numpy as np
from av.error import ExitError, FFmpegError

from streams.vision.addresses import nameless, scheme_of
from streams.vision.boxes import Picture
from streams.vision.frames import MOST_PIXELS, REASON, Frame, check_size, never, unfolded
from streams.workers import BadInput, NotNow

log = logging.getLogger(__name__)
Pictures = Callable[[], Iterator[Picture]]
"""Opens the source; the iterator ends or raises OSError when it gives no more."""
PROTOCOLS: Final = "rtsp,rtsps,rtmp,http,https,udp,rtp,tcp,tls,srt,crypto"
TIMEOUT_S: Final = (10.0, 20.0)
"""For opening and for reading a network stream."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds: without a frame until the source is restarted, between two starts, and without any until it is told.

    One that has not given any yet is not waited for so long: whoever asks for it tries again, or does not.
    """

    silence_s: float = 20.0
    pause_s: float = 10.0
    give_up_s: float = 60.0


class _Reader:
    """One attempt, in a thread of its own: reading may hang in a driver for ever, then the thread is left behind."""

    def __init__(self, pictures: Pictures, clock: Callable[[], float]) -> None:
        self._pictures, self._clock = pictures, clock
        self._new = threading.Condition()
        self._newest: tuple[int, float, Picture] | None = None
        self._stopping = False
        self.count, self.heard_s, self.ended, self.why = 0, clock(), False, "no frame came"
        self.refused: BadInput | None = None
        threading.Thread(target=self._run, name="live-source", daemon=True).start()

    def take(self, wait_s: float) -> tuple[int, float, Picture] | None:
        """The newest frame, its number in this attempt and its time; each once."""
        with self._new:
            self._new.wait_for(lambda: self._newest is not None or self.ended, wait_s)
            newest, self._newest = self._newest, None
            return newest

    def stop(self) -> None:
        self._stopping = True

    def _run(self) -> None:
        try:
            for picture in self._pictures():
                if self._stopping:
                    return
                check_size(picture.shape[1], picture.shape[0])
                with self._new:
                    self.heard_s = self._clock()
                    self._newest = (self.count, self.heard_s, picture)
                    self.count += 1
                    self._new.notify_all()
            self.why = "it ended"
        except BadInput as refused:
            self.refused = refused
        except ExitError:  # what the library calls its own timeout
            self.why = "it does not answer"
        except (FFmpegError, OSError, ValueError, cv2.error) as failed:
            self.why = getattr(failed, "strerror", None) or failed.__class__.__name__
        finally:
            with self._new:
                self.ended = True
                self._new.notify_all()


class Live:
    """A source that is there now. Frame numbers count what came, also what was dropped."""

    live = True

    def __init__(
        self,
        name: str,
        pictures: Pictures,
        patience: Patience = Patience(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name, self._pictures, self._patience, self._clock = name, pictures, patience, clock
        self._first, self._begin_s, self._heard_s = 0, clock(), clock()
        self._not_before_s = clock()
        self._reader: _Reader | None = None
        self.frames_total: int | None = None
        self.fps: float | None = None
        self.size: tuple[int, int] = (0, 0)
        self._last: tuple[int, float] | None = None

    def next(self, wait_s: float) -> Frame | None:
        """The newest frame; None when none came in this time.

        Raises:
            NotNow: none came for a long time, or the first start has failed.
        """
        until = self._clock() + wait_s
        while True:
            taken = self._attempt(until)
            if taken is not None:
                return self._framed(*taken)
            now = self._clock()
            if now - self._heard_s > self._patience.give_up_s:
                raise self._silent()
            if now >= until:
                return None

    def go_to(self, number: int, enough: Callable[[], bool] = never) -> bool:
        """Count from this number on, at once."""
        del enough
        if self._reader:
            self._reader.stop()
        self._first, self._reader, self._last = number, None, None
        return True

    def close(self) -> None:
        """Stop reading, as soon as the driver answers."""
        if self._reader:
            self._reader.stop()
        self._reader = None

    _why = "no frame came"

    def _attempt(self, until: float) -> tuple[int, float, Picture] | None:
        now = self._clock()
        if self._reader is None:
            if now < self._not_before_s:
                threading.Event().wait(max(0.0, min(until, self._not_before_s) - now))
                return None
            self._reader = _Reader(self._pictures, self._clock)
            self._not_before_s = now + self._patience.pause_s
        reader = self._reader
        silent_at = reader.heard_s + self._patience.silence_s
        taken = reader.take(max(0.0, min(until, silent_at) - now))
        if taken is None and (reader.ended or self._clock() >= silent_at):
            self._lose(reader)
        return taken

    def _lose(self, reader: _Reader) -> None:
        reader.stop()
        self._reader, self._first = None, self._first + reader.count
        if reader.refused:
            raise reader.refused
        self._why = reader.why
        if self._last is None:
            raise self._silent()
        log.warning("%s gives no more frames (%s); it is started again", self._name, reader.why)

    def _silent(self) -> NotNow:
        return NotNow(f"{REASON}: {self._name} gives no frames: {self._why}")

    def _framed(self, count: int, at_s: float, picture: Picture) -> Frame:
        self._heard_s = at_s
        self.size = (picture.shape[1], picture.shape[0])
        number = self._first + count
        if self._last and at_s > self._last[1]:
            self.fps = round((number - self._last[0]) / (at_s - self._last[1]), 2)
        self._last = self._last or (number, at_s)
        return Frame(number, round((at_s - self._begin_s) * 1000), lambda: picture)


def camera(number: int) -> Pictures:
    """Frames of the camera of this number."""

    def pictures() -> Iterator[Picture]:
        capture = cv2.VideoCapture(number)
        try:
            while capture.isOpened():
                read, picture = capture.read()
                if not read:
                    return
                yield np.asarray(picture, np.uint8)
            raise OSError(0, "it cannot be opened: is it plugged in, free, and allowed?")
        finally:
            capture.release()

    return pictures


def address(url: str) -> Pictures:
    """Frames of a network stream. It can name no file of this machine, and no playlist can lead to one."""
    rtsp = {"rtsp_transport": "tcp"} if scheme_of(url) in ("rtsp", "rtsps") else {}

    def pictures() -> Iterator[Picture]:
        limits: dict[str, Any] = {
            "container_options": {"protocol_whitelist": PROTOCOLS, **rtsp},
            "stream_options": [{"max_pixels": str(MOST_PIXELS)}],
        }
        with closing(av.open(url, timeout=TIMEOUT_S, metadata_errors="replace", **limits)) as container:
            if not container.streams.video:
                raise BadInput(f"{REASON}: {nameless(url)} holds no video")
            stream = container.streams.video[0]
            check_size(stream.codec_context.width, stream.codec_context.height)
            for frame in container.decode(stream):
                check_size(frame.width, frame.height)
                yield unfolded(frame)

    return pictures
