"""Trying again: as long as it takes, ever more slowly, and told loudly. The clock comes in as an argument."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from schemas.errors import Overloaded, TransientFailure

log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(slots=True)
class Patience:
    """Repeats what fails for now. `waiting` says for what, so that nobody takes patience for a stall."""

    first_s: float = 0.1
    longest_s: float = 10.0
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    waiting: str | None = None

    async def until_done(self, attempt: Callable[[], Awaitable[T]], what: str) -> T:
        """Await `attempt()` until it does not end in `TransientFailure` or `Overloaded`; `what` goes into the log."""
        pause_s, failures = self.first_s, 0
        while True:
            try:
                done = await attempt()
            except (TransientFailure, Overloaded) as failure:
                failures += 1
                self.waiting = f"{what}: {failure}"
                log.error("%s (attempt %d, next in %.1f s)", self.waiting, failures, pause_s)  # noqa: TRY400
                await self.sleep(pause_s * random.uniform(0.8, 1.2))  # noqa: S311 - spreads load, guards nothing
                pause_s = min(2 * pause_s, self.longest_s)
                continue
            if failures:
                log.warning("%s: done after %d failed attempts", what, failures)
            self.waiting = None
            return done
