"""How long to wait after a failure: doubling, with jitter, back to the start on success."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Backoff:
    """Seconds. `jitter` is the share of the wait that chance may add."""

    shortest: float
    longest: float
    jitter: float = 0.3
    chance: Callable[[], float] = random.random
    _next: float = field(default=0.0, init=False)

    def wait(self) -> float:
        """The next wait."""
        now = min(max(self._next, self.shortest), self.longest)
        self._next = min(now * 2, self.longest)
        return now + self.chance() * self.jitter * now

    def reset(self) -> None:
        """It worked: begin at the shortest again."""
        self._next = 0.0
