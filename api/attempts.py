"""How often a place may try to sign in. Kept in memory and bounded; pure but for the clock that comes in.

Attempts count for the place they come from, so that whoever guesses somebody's password shuts out nobody but himself.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Final

from schemas.errors import SensoriumError

KNOWN: Final = 10_000


class TooManyAttempts(SensoriumError):
    """Come again after `retry_after_s` seconds."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"Too many attempts to sign in; try again in {retry_after_s} s")
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class AttemptLimits:
    """Within `window_s` seconds: attempts of one place for one name, and of one place in all."""

    per_name: int = 5
    per_source: int = 30
    window_s: float = 60.0


class Attempts:
    """Counts attempts; one that succeeds is not counted, and clears its name for its place."""

    def __init__(self, limits: AttemptLimits = AttemptLimits(), clock: Callable[[], float] = time.monotonic) -> None:
        self._limits, self._clock = limits, clock
        self._counted: dict[tuple[str, str | None], deque[float]] = {}

    def begin(self, address: str, username: str) -> None:
        """Count an attempt before it is looked at, so that many at once are many. Raises TooManyAttempts."""
        now, source = self._clock(), place(address)
        limits = {(source, username): self._limits.per_name, (source, None): self._limits.per_source}
        for key, limit in limits.items():
            times = self._recent(key, now)
            if len(times) >= limit:
                raise TooManyAttempts(max(1, round(times[0] + self._limits.window_s - now + 0.5)))
        for key in limits:
            self._recent(key, now).append(now)
        self._bound(now)

    def succeeded(self, address: str, username: str) -> None:
        """Forget the attempts for this name."""
        source = place(address)
        mine = self._counted.pop((source, username), ())
        if mine and (all_of_place := self._counted.get((source, None))):
            all_of_place.pop()

    def _recent(self, key: tuple[str, str | None], now: float) -> deque[float]:
        times = self._counted.setdefault(key, deque())
        while times and times[0] <= now - self._limits.window_s:
            times.popleft()
        return times

    def _bound(self, now: float) -> None:
        if len(self._counted) <= KNOWN:
            return
        for key in [key for key in self._counted if not self._recent(key, now)]:
            del self._counted[key]
        while len(self._counted) > KNOWN:
            del self._counted[next(iter(self._counted))]


def place(address: str) -> str:
    """Who shares a limit: an IPv4 address, an IPv6 network of 64 bits, or the address as it was given."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is None:
        return parsed.exploded[:19]
    return str(getattr(parsed, "ipv4_mapped", None) or parsed)
