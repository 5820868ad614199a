"""Month partitions of the points, made when the first point of a month comes; at most 312 of them."""

from __future__ import annotations

import numpy as np

from projections.emotion_tables import FUTURE_START_MS, PAST_END_MS, month_partition, month_table
from projections.emotion_totals import Ints
from projections.store import Transaction


class Months:
    """Which months have a partition in one version's schema."""

    def __init__(self, schema: str) -> None:
        self._schema = schema
        self._made: set[int] | None = None

    def forget(self) -> None:
        """Look again."""
        self._made = None

    def ensure(self, transaction: Transaction, t_ms: Ints) -> str:
        """Make the partitions that these times (UTC epoch ms) want; absurd dates have theirs already.

        Returns the table to copy them into: their month's own when they share one (15 % less work), else the parent.
        """
        made = self._look(transaction) if self._made is None else self._made
        wanted = months_of(t_ms)
        for month in sorted(wanted - made):
            transaction.run(month_partition(self._schema, *_calendar(month), bounds(month)))
            made.add(month)
        self._made = made
        absurd = len(wanted) != 1 or t_ms.min() < PAST_END_MS or t_ms.max() >= FUTURE_START_MS
        return "emotion_points" if absurd else month_table(*_calendar(wanted.pop()))

    def _look(self, transaction: Transaction) -> set[int]:
        names = transaction.rows(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
            " WHERE i.inhparent = 'emotion_points'::regclass AND c.relname ~ '^points_y[0-9]{4}m[0-9]{2}$'"
        )
        return {(int(name[8:12]) - 1970) * 12 + int(name[13:15]) - 1 for (name,) in names}


def months_of(t_ms: Ints) -> set[int]:
    """Months since 1970-01 (UTC) of all times that are not absurd."""
    sane = t_ms[(t_ms >= PAST_END_MS) & (t_ms < FUTURE_START_MS)]
    if len(sane) == 0:
        return set()
    ends = _month(np.array([sane.min(), sane.max()]))
    return {int(ends[0])} if ends[0] == ends[1] else set(np.unique(_month(sane)).tolist())


def bounds(month: int) -> tuple[int, int]:
    """First ms of a month (since 1970-01) and of the next."""
    edges = np.array([month, month + 1]).astype("datetime64[M]").astype("datetime64[ms]").astype(np.int64)
    return int(edges[0]), int(edges[1])


def _calendar(month: int) -> tuple[int, int]:
    return 1970 + month // 12, month % 12 + 1


def _month(t_ms: Ints) -> Ints:
    return t_ms.astype("datetime64[ms]").astype("datetime64[M]").astype(np.int64)
