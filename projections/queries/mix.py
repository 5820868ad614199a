"""The oldest points over all persons of a session, without reading more than needed. Reads `emotion_points` by key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from projections.queries.points import Window
from projections.queries.pyramid import finest, start_of, width_ms

if TYPE_CHECKING:
    from projections.queries.database import Connection

_PERSONS: Final = """
    SELECT person_id, session_person_id, n_points, min_ms, max_ms FROM persons
    WHERE device_id = %s AND session_id = %s AND max_ms >= %s AND min_ms <= %s ORDER BY person_id
"""
_MIX: Final = """
    SELECT r.t_ms, r.valence, r.arousal, p.session_person_id, r.track_id, p.person_id,
           r.bbox_x1, r.bbox_y1, r.bbox_x2, r.bbox_y2, r.absolute_time, r.kafka_partition, r.kafka_offset
    FROM unnest(%(ids)s::int[], %(session_ids)s::bigint[]) AS p(person_id, session_person_id)
    CROSS JOIN LATERAL (
        SELECT * FROM emotion_points
        WHERE emotion_points.person_id = p.person_id AND t_ms >= %(from_ms)s AND t_ms <= %(last_ms)s
          AND (t_ms > %(from_ms)s OR (p.person_id, track_id) > (%(after_person)s, %(after_track)s))
        ORDER BY t_ms, track_id LIMIT %(limit)s
    ) AS r
    ORDER BY r.t_ms, p.person_id, r.track_id LIMIT %(limit)s
"""
_COUNTS: Final = """
    SELECT bucket_ms, sum(n)::bigint AS n FROM buckets
    WHERE person_id = ANY(%s) AND level = %s AND bucket_ms >= %s AND bucket_ms <= %s GROUP BY 1 ORDER BY 1
"""


async def persons(connection: Connection, device_id: str, session_id: str, window: Window) -> list[dict[str, Any]]:
    """The persons of a session who were there within the window."""
    opened = window.starting()
    async with connection.cursor(binary=True) as cursor:
        await cursor.execute(_PERSONS, (device_id, session_id, opened.from_ms, opened.last_ms))
        return await cursor.fetchall()


def last_needed(people: Sequence[Mapping[str, Any]], window: Window) -> int:
    """A time by which `limit` points have surely been: those of everybody who came after the start and has left."""
    seen = 0
    for person in sorted(people, key=lambda one: one["max_ms"]):
        seen += person["n_points"] if person["min_ms"] > window.from_ms else 0
        if seen >= window.limit:
            return min(window.last_ms, person["max_ms"])
    return window.last_ms


async def oldest(connection: Connection, people: Sequence[Mapping[str, Any]], window: Window) -> list[dict[str, Any]]:
    """The oldest `limit` points of all these persons, ordered by (t_ms, person_id, track_id)."""
    opened = window.starting()
    opened = replace(opened, last_ms=last_needed(people, opened))
    there = [one for one in people if one["min_ms"] <= opened.last_ms]
    if sum(min(one["n_points"], opened.limit) for one in there) > 4 * opened.limit:
        opened = replace(opened, last_ms=await _tightened(connection, there, opened))
    return await _merge(connection, [one for one in there if one["min_ms"] <= opened.last_ms], opened)


async def _merge(connection: Connection, people: Sequence[Mapping[str, Any]], window: Window) -> list[dict[str, Any]]:
    if not people:
        return []
    _, after_person, after_track = window.after or (0, -1, 0)
    if window.after is not None and window.after[0] != window.from_ms:
        after_person = -1
    parameters = {
        "ids": [one["person_id"] for one in people],
        "session_ids": [one["session_person_id"] for one in people],
        "from_ms": max(window.from_ms, min(one["min_ms"] for one in people) - 1),
        "last_ms": min(window.last_ms, max(one["max_ms"] for one in people)),
        "after_person": after_person,
        "after_track": after_track,
        "limit": window.limit,
    }
    async with connection.cursor(binary=True) as cursor:
        await cursor.execute(_MIX, parameters)
        return await cursor.fetchall()


async def _tightened(connection: Connection, people: Sequence[Mapping[str, Any]], window: Window) -> int:
    """Walk down the pyramid to the bucket in which the last wanted point lies, until little more is read than asked."""
    ids = [one["person_id"] for one in people]
    begin = max(window.from_ms + 1, min(one["min_ms"] for one in people))
    last = min(window.last_ms, max(one["max_ms"] for one in people))
    first, seen = begin, 0
    lived = sum(min(one["max_ms"], last) - max(one["min_ms"], begin) for one in people)
    for level in range(finest(lived, 500), -1, -1):
        width = width_ms(level)
        # A bucket that began before the window holds an unknown number of points of it: not counted.
        parameters = (ids, level, -(-first // width) * width, start_of(last, width))
        async with connection.cursor(binary=True) as cursor:
            await cursor.execute(_COUNTS, parameters)
            rows = await cursor.fetchall()
        found, seen = crossing(rows, seen, window.limit)
        if found is not None:
            first, last = found["bucket_ms"], min(last, found["bucket_ms"] + width - 1)
            if found["n"] <= window.limit:
                break
        elif first != begin:
            break
        else:
            seen = 0
    return last


def crossing(rows: Sequence[Mapping[str, Any]], seen: int, limit: int) -> tuple[Mapping[str, Any] | None, int]:
    """The bucket (bucket_ms, n) with which `limit` is reached, and what had been seen before it."""
    for row in rows:
        if seen + row["n"] >= limit:
            return row, seen
        seen += row["n"]
    return None, seen
