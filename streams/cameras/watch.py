"""One camera being looked at, window by window, by a child process; what was seen is told before it looks on."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from schemas.errors import InvalidEvent, TransientFailure
from streams.cameras.roster import Camera
from streams.steps import Heavy, WorkFailed

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Seen:
    """A window of frames: UTC epoch microseconds, its score, who is in it, and its key frame as JPEG where wanted."""

    start_us: int
    end_us: int
    score: float
    model: str
    participants: list[Mapping[str, Any]]
    picture: bytes | None


Tell = Callable[[Camera, Seen], Awaitable[None]]
"""Keeps a window, however long that takes."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds: the length of a window, how long one look may take, and the pauses after failures, which double."""

    window_s: float = 2.0
    look_s: float = 60.0
    retry_s: float = 1.0
    longest_retry_s: float = 30.0


USUAL: Final = Pace()


def now_us() -> int:
    """UTC epoch microseconds."""
    return time.time_ns() // 1000


class Watch:
    """A camera, its child and whoever is told. For one use."""

    def __init__(
        self, camera: Camera, look: Heavy, tell: Tell, pace: Pace = USUAL, clock: Callable[[], int] = now_us
    ) -> None:
        self._camera, self._look, self._tell, self._pace, self._clock = camera, look, tell, pace, clock
        self._pause_s = pace.retry_s

    async def run(self) -> None:
        """Until cancelled; a film ends when it is through. Whatever the source does, it is tried again."""
        while True:
            try:
                await self._follow()
            except (InvalidEvent, TransientFailure, WorkFailed) as failure:
                log.warning("Camera %r: %s; again in %.0f s", self._camera.camera_id, failure, self._pause_s)
            else:
                log.info("Camera %r: its film is through", self._camera.camera_id)
                return
            await asyncio.sleep(self._pause_s)
            self._pause_s = min(2 * self._pause_s, self._pace.longest_retry_s)

    async def _follow(self) -> None:
        """From the source's beginning to its end, if it has one."""
        following, end, began_us = 0, False, None
        while not end:
            answer = await self._look(self._request(following))
            following, end = answer["next_frame"], answer["end"]
            if answer["score"] is None or answer["end_ms"] - answer["start_ms"] < 500 * self._pace.window_s:
                continue  # too little to judge by
            self._pause_s = self._pace.retry_s
            began_us = self._clock() - 1000 * answer["end_ms"] if began_us is None else began_us
            seen = _seen(answer, began_us)
            # A film is looked at as fast as it was filmed: its windows have happened when they are told.
            await asyncio.sleep(max(0.0, (seen.end_us - self._clock()) / 1e6))
            await self._tell(self._camera, seen)

    def _request(self, first: int) -> dict[str, Any]:
        request = {"source": self._camera.source, "first_frame": first, "window_s": self._pace.window_s}
        return request | {"picture": self._camera.faces, "limit_s": self._pace.look_s}


def _seen(answer: Mapping[str, Any], began_us: int) -> Seen:
    start_us, end_us = (began_us + 1000 * answer[name] for name in ("start_ms", "end_ms"))
    told = (answer[name] for name in ("score", "model", "participants", "key_picture"))
    return Seen(start_us, end_us, *told)
