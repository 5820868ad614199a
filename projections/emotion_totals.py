"""Aggregates of points: sums per person, the pyramid of time buckets, heat maps. Integers, order-free. Pure."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

FIXED_POINT: Final = 1e9
BUCKET_MS: Final = 4000
LEVELS: Final = 5
FAN_OUT: Final = 8
"""Level k of the pyramid has buckets of 4 s * 8^k, aligned to the epoch."""
SIDE: Final = 20
CELLS: Final = SIDE * SIDE
_LATEST: Final = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Rows:
    """Points that were really inserted, sorted by person and time."""

    person: Ints
    t_ms: Ints
    valence: Floats
    arousal: Floats
    offset: Ints

    def take(self, order: Ints | NDArray[np.bool_]) -> Rows:
        """These rows, in this order."""
        return Rows(*(getattr(self, field.name)[order] for field in fields(Rows)))


@dataclass(frozen=True, slots=True)
class PersonSums:
    """One entry a person."""

    person: Ints
    n: Ints
    sum_valence: Ints
    sum_arousal: Ints
    min_ms: Ints
    max_ms: Ints
    first_offset: Ints
    last_offset: Ints


@dataclass(frozen=True, slots=True)
class Buckets:
    """One entry a person and bucket; of equal extremes the earliest point's time is kept."""

    person: Ints
    level: Ints
    bucket_ms: Ints
    n: Ints
    sum_valence: Ints
    sum_arousal: Ints
    min_valence: Floats
    min_valence_ms: Ints
    max_valence: Floats
    max_valence_ms: Ints
    min_arousal: Floats
    min_arousal_ms: Ints
    max_arousal: Floats
    max_arousal_ms: Ints


def fixed(values: Floats) -> Ints:
    """Fixed point, 1e-9; exact to add in any order."""
    return np.rint(values * FIXED_POINT).astype(np.int64)


def person_sums(rows: Rows) -> PersonSums:
    """Sum up sorted rows by person; at least one row."""
    starts = _starts(rows.person)
    return PersonSums(
        person=rows.person[starts],
        n=_lengths(starts, len(rows.person)),
        sum_valence=np.add.reduceat(fixed(rows.valence), starts),
        sum_arousal=np.add.reduceat(fixed(rows.arousal), starts),
        min_ms=rows.t_ms[starts],
        max_ms=np.maximum.reduceat(rows.t_ms, starts),
        first_offset=np.minimum.reduceat(rows.offset, starts),
        last_offset=np.maximum.reduceat(rows.offset, starts),
    )


def pyramid(rows: Rows) -> Buckets:
    """Buckets of every level, ordered by person, level, time; at least one row."""
    single = Buckets(
        rows.person, np.zeros_like(rows.person), rows.t_ms, np.ones_like(rows.person), fixed(rows.valence),
        fixed(rows.arousal), rows.valence, rows.t_ms, rows.valence, rows.t_ms, rows.arousal, rows.t_ms, rows.arousal,
        rows.t_ms,
    )  # fmt: skip
    levels: list[Buckets] = []
    finer = single
    for level in range(LEVELS):
        finer = _merge(finer, level, BUCKET_MS * FAN_OUT**level)
        levels.append(finer)
    joined = [np.concatenate([getattr(part, field.name) for part in levels]) for field in fields(Buckets)]
    order = np.lexsort((joined[2], joined[1], joined[0]))
    return Buckets(*(column[order] for column in joined))


def heat(session: Ints, valence: Floats, arousal: Floats, sessions: int) -> NDArray[np.int64]:
    """Counts per session and cell, shape [sessions, 400]; cell = arousal row * 20 + valence column, clamped."""
    cell = _cell(arousal) * SIDE + _cell(valence)
    return np.bincount(session * CELLS + cell, minlength=sessions * CELLS).reshape(sessions, CELLS)


def _cell(values: Floats) -> Ints:
    return np.clip(np.floor((values + 1.0) * (SIDE / 2)), 0, SIDE - 1).astype(np.int64)


def _merge(finer: Buckets, level: int, width_ms: int) -> Buckets:
    bucket = finer.bucket_ms // width_ms * width_ms
    starts = _starts(finer.person, bucket)
    lengths = _lengths(starts, len(bucket))

    def total(values: Ints) -> Ints:
        return np.add.reduceat(values, starts)

    def extreme(values: Floats, times: Ints, of: Any) -> tuple[Floats, Ints]:
        best = of.reduceat(values, starts)
        earliest = np.minimum.reduceat(np.where(values == np.repeat(best, lengths), times, _LATEST), starts)
        return best, earliest

    return Buckets(
        finer.person[starts],
        np.full(len(starts), level),
        bucket[starts],
        total(finer.n),
        total(finer.sum_valence),
        total(finer.sum_arousal),
        *extreme(finer.min_valence, finer.min_valence_ms, np.minimum),
        *extreme(finer.max_valence, finer.max_valence_ms, np.maximum),
        *extreme(finer.min_arousal, finer.min_arousal_ms, np.minimum),
        *extreme(finer.max_arousal, finer.max_arousal_ms, np.maximum),
    )


def _starts(*keys: Ints) -> Ints:
    changes = np.zeros(len(keys[0]) - 1, np.bool_)
    for key in keys:
        changes |= key[1:] != key[:-1]
    return np.concatenate(([0], np.flatnonzero(changes) + 1))


def _lengths(starts: Ints, total: int) -> Ints:
    return np.diff(np.append(starts, total))
