"""What a runner holds: an assignment, and for how long by its own clock. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from schemas.errors import SensoriumError


class RunOver(SensoriumError):
    """The scenario is not ours any more, or may not be: nothing more is written for this run."""


class Lease:
    """Counted from before the question was sent, so it ends here before it ends for those who gave it.

    Times are seconds of a steady clock.
    """

    def __init__(self, length_s: float, asked_at: float) -> None:
        self.length_s = length_s
        self._until = asked_at + length_s

    def renewed(self, asked_at: float) -> None:
        """A renewal that was asked for then has been given."""
        self._until = max(self._until, asked_at + self.length_s)

    def left_s(self, now: float) -> float:
        """Seconds that are left; 0 when it is over."""
        return max(0.0, self._until - now)


@dataclass(frozen=True, slots=True)
class Assignment:
    """A scenario to work on from a frame on. `source` None: the runner's own video.

    `summary`: what was seen up to there, by whoever worked on it before.
    """

    scenario_id: int
    epoch: int
    attempt: int
    from_frame: int
    source: str | None
    settings: Mapping[str, Any]
    summary: Mapping[str, Any] | None
    lease: Lease

    def __str__(self) -> str:
        return f"scenario {self.scenario_id} (epoch {self.epoch}, attempt {self.attempt})"
