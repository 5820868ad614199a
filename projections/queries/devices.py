"""Recorders with their names and what happened to them. Reads `devices`, `points`, `registers`, `device_history`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

if TYPE_CHECKING:
    from projections.queries.database import Connection

_DEVICES: Final = """
    SELECT device_id::text AS device_id, d.point_id::text AS point_id, d.register_id::text AS register_id, is_enabled,
           created_at, last_seen_at, p.name AS point_name, r.name AS register_name
    FROM devices d LEFT JOIN points p USING (point_id) LEFT JOIN registers r USING (register_id)
    WHERE %(device_id)s::uuid IS NULL OR device_id = %(device_id)s
    ORDER BY created_at DESC, device_id
"""
_DROPPED: Final = """
    SELECT COALESCE(sum(files), 0)::bigint AS files, COALESCE(sum(bytes), 0)::bigint AS bytes,
           max(received_at) AS last_at
    FROM recording_drops WHERE device_id = %s
"""
_HISTORY: Final = """
    SELECT at, event, details, topic, kafka_partition, kafka_offset FROM device_history
    WHERE device_id = %(device_id)s
      AND (%(topic)s::text IS NULL OR (at, topic, kafka_partition, kafka_offset)
           < ('epoch'::timestamptz + %(at_us)s * interval '1 microsecond', %(topic)s, %(partition)s, %(offset)s))
    ORDER BY at DESC, topic DESC, kafka_partition DESC, kafka_offset DESC LIMIT %(limit)s
"""
Place = tuple[int, str, int, int]
"""Where a page ended: time (epoch microseconds), topic, partition, offset."""


async def listing(connection: Connection) -> list[dict[str, Any]]:
    """All devices, the newest first; names null where none were given."""
    return await (await connection.execute(_DEVICES, {"device_id": None})).fetchall()


async def one(connection: Connection, device_id: UUID) -> dict[str, Any] | None:
    """One device as in the list, or None."""
    return await (await connection.execute(_DEVICES, {"device_id": device_id})).fetchone()


async def dropped(connection: Connection, device_id: UUID) -> dict[str, Any]:
    """What a device deleted unsent: `files`, `bytes`, `last_at` (null: never)."""
    row = await (await connection.execute(_DROPPED, (device_id,))).fetchone()
    return row or {}


async def history(
    connection: Connection, device_id: UUID, after: Place | None = None, limit: int = 100
) -> list[dict[str, Any]]:
    """What happened to a device, the newest first, after the last row of the page before."""
    at_us, topic, partition, offset = after or (None, None, None, None)
    asked = {
        "device_id": device_id,
        "at_us": at_us,
        "topic": topic,
        "partition": partition,
        "offset": offset,
        "limit": limit,
    }
    return await (await connection.execute(_HISTORY, asked)).fetchall()
