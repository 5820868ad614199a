"""When each sample was heard: counted, and held to the moments at which blocks really came. Pure.

A sound card's seconds are not the clock's (50 ppm are 2.5 s in a shop's day), and a card that lost samples is silent
about it.
Blocks only ever come late, never early, so the earliest one of a chunk tells the truth.
"""

from __future__ import annotations

from dataclasses import dataclass, field

# What a chunk's start may be moved by to follow the card's drift, and what can only be lost sound.
SLEW_US = 20_000
STEP_US = 250_000


@dataclass(slots=True)
class Timeline:
    """Microseconds of the steady clock for the samples of one uninterrupted capture."""

    sample_rate: int
    _zero_us: float | None = None
    _earliest_us: float = float("inf")
    lost_us: int = field(default=0, init=False)

    def observe(self, count: int, heard_us: float) -> None:
        """Sample number `count` was heard at `heard_us` or earlier."""
        self._earliest_us = min(self._earliest_us, heard_us - self._length_us(count))

    def start_us(self, count: int) -> int:
        """The moment of sample `count`, the first of a chunk; something must have been observed before."""
        if self._zero_us is None:
            self._zero_us = self._earliest_us
        elif self._earliest_us != float("inf"):
            drift = self._earliest_us - self._zero_us
            if drift > STEP_US:
                self.lost_us += round(drift)
                self._zero_us += drift
            else:
                self._zero_us += max(-SLEW_US, min(SLEW_US, drift))
        self._earliest_us = float("inf")
        return round(self._zero_us + self._length_us(count))

    def _length_us(self, count: int) -> float:
        return count * 1e6 / self.sample_rate
