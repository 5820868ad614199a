"""The read model of emotion totals: seconds of each emotion by person of a device. Reads `person_emotions`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from projections.queries.database import Connection

EMOTIONS: Final = ("happy", "sad", "angry", "neutral")
"""In the order that decides a tie (seed 001)."""

_PEOPLE: Final = """
    SELECT person_id, time_happy, time_sad, time_angry, time_neutral, last_seen
    FROM person_emotions WHERE device_id = %s ORDER BY id
"""
_TOTALS: Final = """
    SELECT (happy / 1e6)::float8 AS happy, (sad / 1e6)::float8 AS sad, (angry / 1e6)::float8 AS angry,
           (neutral / 1e6)::float8 AS neutral
    FROM device_totals WHERE device_id = %s
"""
_DEVICES: Final = "SELECT device_id FROM device_totals ORDER BY device_id LIMIT 1000"


async def people(connection: Connection, device_id: str) -> list[dict[str, Any]]:
    """Everybody the device ever reported, in order of first appearance; last_seen is an aware datetime in UTC."""
    return list(await (await connection.execute(_PEOPLE, (device_id,))).fetchall())


async def totals(connection: Connection, device_id: str) -> dict[str, float]:
    """Sums over all people of the device in seconds; zeros for an unknown device."""
    row = await (await connection.execute(_TOTALS, (device_id,))).fetchone()
    return {emotion: float(row[emotion]) if row else 0.0 for emotion in EMOTIONS}


async def devices(connection: Connection) -> list[str]:
    """The devices that have reported totals, at most a thousand."""
    return [str(row["device_id"]) for row in await (await connection.execute(_DEVICES)).fetchall()]
