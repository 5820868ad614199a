"""The down-sampling pyramid's arithmetic: which level, how wide a bucket. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

LEVELS: Final = 5
FINEST_MS: Final = 4_000
FACTOR: Final = 8


def width_ms(level: int) -> int:
    """How long a bucket of a level lasts: 4 s x 8^level."""
    return FINEST_MS * FACTOR**level


def start_of(t_ms: int, width: int) -> int:
    """Start of the bucket, aligned to the epoch, that holds a time (also before 1970)."""
    return t_ms - t_ms % width


def finest(lived_ms: int, rows: int) -> int:
    """The finest level on which so long a time has at most so many buckets; the coarsest where none has."""
    return next((level for level in range(LEVELS) if lived_ms // width_ms(level) <= rows), LEVELS - 1)


@dataclass(frozen=True, slots=True)
class Plan:
    """How a curve is answered: rows as they are, points put into buckets of `width`, or a level's buckets merged."""

    raw: bool
    level: int | None = None
    width: int = 0


def plan(n_points: int, span_ms: int, lived_ms: int, max_points: int) -> Plan:
    """Choose for `n_points` over `span_ms`, of people who were there for `lived_ms` altogether.

    A bucket draws two points of each signal (its lowest and its highest), so there are at most half as many buckets.
    Reading some thousand rows by key costs milliseconds (1 us a point, 2.5 us a bucket), so those are put into
    buckets as finely as asked; beyond that the finest level is taken that costs at most three rows a bucket.
    """
    if n_points <= max_points:
        return Plan(raw=True)
    wanted = max(1, max_points // 2)
    # One bucket fewer: a range that is not aligned touches one more than it is long.
    needed = max(1, -(-span_ms // max(1, wanted - 1)))
    if n_points <= max(2 * max_points, 6_000):
        return Plan(raw=False, width=needed)
    level = finest(lived_ms, 3 * max(wanted, 250))
    step = width_ms(level)
    return Plan(raw=False, level=level, width=step * max(1, -(-needed // step)))
