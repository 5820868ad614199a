"""Curves of valence and arousal with their extremes kept, out of the pyramid. Reads `buckets`, few `points` by key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, LiteralString

from projections.queries.points import Window
from projections.queries.pyramid import Plan, finest, plan, start_of, width_ms

if TYPE_CHECKING:
    from projections.queries.database import Connection

_COUNT: Final = """
    SELECT coalesce(sum(n), 0)::bigint AS n FROM buckets
    WHERE person_id = ANY(%(ids)s) AND level = %(level)s AND bucket_ms >= %(first)s AND bucket_ms <= %(last)s
"""


def _extremes(
    low: LiteralString, low_ms: LiteralString, high: LiteralString, high_ms: LiteralString, signal: LiteralString
) -> LiteralString:
    """Arrays compare element by element: the lowest value, and among equal ones the earliest time."""
    text = (
        "(min(ARRAY[{0}, {1}]))[1] AS min_{4}, (min(ARRAY[{0}, {1}]))[2]::bigint AS min_{4}_ms,"
        " (max(ARRAY[{2}, -{3}]))[1] AS max_{4}, -(max(ARRAY[{2}, -{3}]))[2]::bigint AS max_{4}_ms"
    )
    return text.format(low, low_ms, high, high_ms, signal)


_KEPT: Final = ", ".join(
    (
        _extremes("min_valence", "min_valence_ms", "max_valence", "max_valence_ms", "valence"),
        _extremes("min_arousal", "min_arousal_ms", "max_arousal", "max_arousal_ms", "arousal"),
    )
)
_FOUND: Final = ", ".join(
    (
        _extremes("valence", "t_ms", "valence", "t_ms", "valence"),
        _extremes("arousal", "t_ms", "arousal", "t_ms", "arousal"),
    )
)
_FROM_PYRAMID: Final = """
    SELECT bucket_ms - ((bucket_ms %% %(width)s::bigint) + %(width)s) %% %(width)s AS t_ms, sum(n)::bigint AS n,
           (sum(sum_valence) / 1e9)::float8 / sum(n) AS valence, (sum(sum_arousal) / 1e9)::float8 / sum(n) AS arousal,
           {extremes}
    FROM buckets
    WHERE person_id = ANY(%(ids)s) AND level = %(level)s AND bucket_ms >= %(first)s AND bucket_ms <= %(last)s
    GROUP BY 1 ORDER BY 1
"""
_FROM_POINTS: Final = """
    SELECT t_ms - ((t_ms %% %(width)s::bigint) + %(width)s) %% %(width)s AS t_ms, count(*) AS n,
           avg(valence) AS valence, avg(arousal) AS arousal,
           {extremes}
    FROM emotion_points
    WHERE person_id = ANY(%(ids)s) AND t_ms >= %(first)s AND t_ms <= %(last)s
    GROUP BY 1 ORDER BY 1
"""


async def choose(connection: Connection, people: Sequence[Mapping[str, Any]], window: Window, max_points: int) -> Plan:
    """How to answer for these persons; one cheap count where the window cuts a person's time in two."""
    if not people:
        return Plan(raw=True)
    clipped = [window.of(person) for person in people]
    lived = sum(max(0, one.last_ms - one.from_ms) for one in clipped)
    span = max(one.last_ms for one in clipped) - min(one.from_ms for one in clipped) + 1
    n_points = sum(int(person["n_points"]) for person in people)
    if n_points > max_points and any(
        (one.from_ms, one.last_ms) != (p["min_ms"], p["max_ms"]) for one, p in zip(clipped, people, strict=True)
    ):
        n_points = await _count(connection, people, clipped, lived)
    return plan(n_points, span, lived, max_points)


async def _count(
    connection: Connection, people: Sequence[Mapping[str, Any]], clipped: Sequence[Window], lived: int
) -> int:
    level = finest(lived, 200)
    parameters = _range(people, clipped, width_ms(level)) | {"level": level}
    async with connection.cursor(binary=True) as cursor:
        await cursor.execute(_COUNT, parameters)
        row = await cursor.fetchone()
    return int(row["n"]) if row else 0


def _range(people: Sequence[Mapping[str, Any]], clipped: Sequence[Window], width: int) -> dict[str, Any]:
    return {
        "ids": [person["person_id"] for person in people],
        "first": start_of(min(one.from_ms for one in clipped), width),
        "last": max(one.last_ms for one in clipped),
    }


async def buckets(
    connection: Connection, people: Sequence[Mapping[str, Any]], window: Window, chosen: Plan
) -> list[dict[str, Any]]:
    """One row a bucket: t_ms (its start), n, mean valence and arousal, and the four extremes with their times.

    From the pyramid a bucket is whole even where the window begins or ends inside it.
    """
    clipped = [window.of(person) for person in people]
    parameters = _range(people, clipped, 1 if chosen.level is None else width_ms(chosen.level))
    sql = _FROM_POINTS.format(extremes=_FOUND) if chosen.level is None else _FROM_PYRAMID.format(extremes=_KEPT)
    async with connection.cursor(binary=True) as cursor:
        await cursor.execute(sql, parameters | {"width": chosen.width, "level": chosen.level})
        return await cursor.fetchall()
