"""The read model of persons: one row per (device, session, session_person_id). Reads `persons`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from projections.queries.database import Connection

FIXED_POINT = 1e9
"""Sums of valence and arousal are kept as integers: x 1e9."""

_ROW = """
    SELECT person_id, device_id, session_id, session_person_id, n_points, min_ms, max_ms,
           CASE WHEN n_points > 0 THEN sum_valence::float8 / 1e9 / n_points ELSE 0 END AS avg_valence,
           CASE WHEN n_points > 0 THEN sum_arousal::float8 / 1e9 / n_points ELSE 0 END AS avg_arousal
    FROM persons
"""
_WITHIN = """
    AND (%(from_ms)s::bigint IS NULL OR max_ms >= %(from_ms)s) AND (%(to_ms)s::bigint IS NULL OR min_ms < %(to_ms)s)
"""
_OF_SESSION = (
    _ROW
    + " WHERE device_id = %(device_id)s AND session_id = %(session_id)s"
    + " AND (%(after)s::bigint IS NULL OR session_person_id > %(after)s)"
    + _WITHIN
    + " ORDER BY session_person_id LIMIT %(limit)s"
)
_EVERYWHERE = (
    _ROW
    + " WHERE (%(after)s::bigint IS NULL OR person_id < %(after)s)"
    + _WITHIN
    + " ORDER BY person_id DESC LIMIT %(limit)s"
)


@dataclass(frozen=True, slots=True)
class PersonsAsked:
    """Whose persons: of one session or (both None) of all devices, seen within [from_ms, to_ms), after the last id."""

    device_id: str | None = None
    session_id: str | None = None
    from_ms: int | None = None
    to_ms: int | None = None
    after: int | None = None
    limit: int | None = None


async def page(connection: Connection, asked: PersonsAsked) -> list[dict[str, Any]]:
    """Of a session: by session_person_id ascending; over all devices: by person_id descending."""
    everywhere = asked.device_id is None and asked.session_id is None
    parameters = {
        "device_id": asked.device_id,
        "session_id": asked.session_id,
        "from_ms": asked.from_ms,
        "to_ms": asked.to_ms,
        "after": asked.after,
        "limit": asked.limit,
    }
    async with connection.cursor(binary=True) as cursor:
        await cursor.execute(_EVERYWHERE if everywhere else _OF_SESSION, parameters)
        return await cursor.fetchall()


async def by_id(connection: Connection, person_id: int) -> dict[str, Any] | None:
    """One person, or None."""
    async with connection.cursor(binary=True) as cursor:
        await cursor.execute(_ROW + " WHERE person_id = %s::bigint", (person_id,))
        return await cursor.fetchone()


async def by_key(
    connection: Connection, device_id: str, session_id: str, session_person_id: int
) -> dict[str, Any] | None:
    """One person by its natural key, or None."""
    where = " WHERE device_id = %s AND session_id = %s AND session_person_id = %s::bigint"
    async with connection.cursor(binary=True) as cursor:
        await cursor.execute(_ROW + where, (device_id, session_id, session_person_id))
        return await cursor.fetchone()
