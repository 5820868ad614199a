"""The sensor's time: a point's wall-clock milliseconds, never the same twice in a track; jumps of the clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

JUMP_MS = 2_000
WallMs = Callable[[float], int]


def real_wall(_: float) -> int:
    """UTC epoch milliseconds of this machine, whatever the media's moment."""
    return int(time.time() * 1000)


def media_wall(start_ms: int) -> WallMs:
    """UTC epoch milliseconds as if the media had begun at `start_ms`."""
    return lambda moment_s: start_ms + round(moment_s * 1000)


@dataclass(slots=True)
class PointTimes:
    """Gives each track rising times: (track, t_ms) is part of a point's key, and a second one would be lost."""

    _last: dict[int, int] = field(default_factory=dict[int, int])

    def stamp(self, track_id: int, t_ms: int) -> int:
        """`t_ms`, or one more than the track's last where the clock stood still or was set back a little."""
        stamped = max(t_ms, self._last.get(track_id, t_ms - 1) + 1)
        self._last[track_id] = stamped
        return stamped


@dataclass(slots=True)
class JumpDetector:
    """Compares the wall clock with a steady one."""

    _difference_ms: float | None = None

    def jumped(self, wall_ms: int, steady_s: float) -> bool:
        """Whether the wall clock was set by more than two seconds since the last call. Slow drift is followed."""
        difference = wall_ms - steady_s * 1000
        last, self._difference_ms = self._difference_ms, difference
        return last is not None and abs(difference - last) > JUMP_MS
