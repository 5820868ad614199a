"""Who looks at which camera: one child and one task for each, begun and ended as cameras come and go."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from streams.cameras.roster import Camera
from streams.cameras.watch import USUAL, Pace, Tell, Watch
from streams.steps import Heavy

log = logging.getLogger(__name__)


class Look(Heavy, Protocol):
    """A child of one's own."""

    def close(self) -> Awaitable[None]: ...  # noqa: D102 - see streams.workers.pool.ChildPool


@dataclass(slots=True)
class _Post:
    camera: Camera
    task: asyncio.Task[None]


class Crew:
    """For one event loop. At most `most` cameras are looked at; which others are left out is said once."""

    def __init__(self, look: Callable[[Camera], Look], tell: Tell, *, most: int = 16, pace: Pace = USUAL) -> None:
        self._look, self._tell, self._most, self._pace = look, tell, most, pace
        self._posts: dict[str, _Post] = {}
        self._left_out: frozenset[str] = frozenset()

    async def set(self, wanted: Mapping[str, Camera]) -> None:
        """Look at these and at no others. One that was set otherwise begins anew; a film that is through does not."""
        gone = [one for one, post in self._posts.items() if wanted.get(one) != post.camera]
        await asyncio.gather(*(self._end(self._posts.pop(one)) for one in gone))
        for camera_id, camera in wanted.items():
            if camera_id not in self._posts and len(self._posts) < self._most:
                self._begin(camera)
        self._say_left_out(frozenset(wanted) - self._posts.keys())

    async def close(self) -> None:
        """Look at none."""
        await self.set({})

    def _begin(self, camera: Camera) -> None:
        look = self._look(camera)
        working = asyncio.create_task(self._work(camera, look), name=camera.camera_id)
        self._posts[camera.camera_id] = _Post(camera, working)
        log.info("Camera %r is looked at", camera.camera_id)

    async def _work(self, camera: Camera, look: Look) -> None:
        try:
            ended = False
            while not ended:
                ended = await self._watched(camera, look)
        finally:
            await look.close()

    async def _watched(self, camera: Camera, look: Look) -> bool:
        """Whether it was looked at to its end; a bug costs a camera a pause, and is told."""
        try:
            await Watch(camera, look, self._tell, self._pace).run()
        except Exception:
            log.exception("Camera %r: a bug; again in %.0f s", camera.camera_id, self._pace.longest_retry_s)
            await asyncio.sleep(self._pace.longest_retry_s)
            return False
        return True

    async def _end(self, post: _Post) -> None:
        post.task.cancel()
        await asyncio.gather(post.task, return_exceptions=True)
        log.info("Camera %r is looked at no more", post.camera.camera_id)

    def _say_left_out(self, left_out: frozenset[str]) -> None:
        if left_out and left_out != self._left_out:
            names = ", ".join(sorted(left_out)[:20])
            log.error("Only %d cameras are looked at at once (CAMERAS_MOST); not: %s", self._most, names)
        self._left_out = left_out
