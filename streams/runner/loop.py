"""A runner's loop: take the next scenario, work on it, rest when there is none. Outlives Kafka and its children."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from schemas.errors import Overloaded, TransientFailure
from streams.runner.desk import Desk
from streams.runner.lease import Assignment
from streams.runner.shift import Pace, Shift
from streams.steps import Heavy

log = logging.getLogger(__name__)
LONGEST_PAUSE_S: Final = 10.0


@dataclass(slots=True)
class News:
    """What wakes a runner. `is_heard`: news come here, so there is no need to ask all the time."""

    event: asyncio.Event = field(default_factory=asyncio.Event)
    is_heard: bool = False


@dataclass(frozen=True, slots=True)
class Rest:
    """Seconds between two questions for work: where no news are heard, where they are, and the share by chance."""

    poll_s: float = 1.0
    heard_s: float = 15.0
    jitter: float = 0.2


@dataclass(slots=True)
class Runner:
    """Works on one scenario at a time, until `stop`. `chance` gives numbers from 0 to 1."""

    desk: Desk
    look: Heavy
    video: str | None
    stop: asyncio.Event
    news: News = field(default_factory=News)
    pace: Pace = field(default_factory=Pace)
    rest: Rest = field(default_factory=Rest)
    chance: Callable[[], float] = random.random

    async def run(self) -> None:
        """Work until `stop` is set, and what was taken is told or given back."""
        failures = 0
        while not self.stop.is_set():
            self.news.event.clear()
            try:
                run = await self.desk.claim()
            except (TransientFailure, Overloaded) as failure:
                failures += 1
                pause_s = min(self.rest.poll_s * 2 ** min(failures - 1, 10), LONGEST_PAUSE_S)
                log.warning("asking for work: %s (again in %.1f s)", failure, pause_s)
                await self._pause(pause_s, self.stop)
                continue
            failures = 0
            await (self._rest() if run is None else self._work(run))

    async def _work(self, run: Assignment) -> None:
        await Shift(self.desk, self.look, run, self.video, self.pace).work(self.stop)

    async def _rest(self) -> None:
        usual_s = self.rest.heard_s if self.news.is_heard else self.rest.poll_s
        await self._pause(usual_s, self.stop, self.news.event)

    async def _pause(self, seconds: float, *until: asyncio.Event) -> None:
        """For about so long, or until one of these happens. By chance, so that runners do not ask in step."""
        waits = [asyncio.create_task(one.wait()) for one in until]
        spread = 1 + self.rest.jitter * (2 * self.chance() - 1)
        await asyncio.wait(waits, timeout=seconds * spread, return_when=asyncio.FIRST_COMPLETED)
        for one in waits:
            one.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
