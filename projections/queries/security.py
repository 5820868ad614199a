"""What is watched, and what was noticed. Reads `cameras`, `camera_mutes`, `watch_list`, `alerts`, `alert_sightings`,
and of the railway's tables `users` and `tickets`. JSON comes as text.
"""  # noqa: D205 - a list of tables

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from projections.queries.database import Connection

Row = dict[str, Any]

_CAMERAS: Final = """
SELECT c.camera_id, c.name, c.location, c.device_id, c.source, c.deviance, c.deviance_on, c.deviance_off, c.faces,
       c.schedule::text AS schedule, c.configured_at, c.by
FROM cameras c
"""
_MUTES: Final = "SELECT camera_id, kind, until, muted_at, by FROM camera_mutes WHERE until IS NULL OR until > now()"
_ALERTS: Final = """
SELECT a.alert_id, a.kind, a.camera_id, c.name AS camera, c.location, a.user_id, a.start_at, a.end_at, a.score,
       a.model, a.evidence::text AS evidence, a.muted, a.level, a.sightings, a.status, a.note, a.settled_at,
       a.settled_by, a.raised_at, a.updated_at, a.raised_offset, a.kafka_offset
FROM alerts a LEFT JOIN cameras c ON c.camera_id = a.camera_id
"""
_WATCHED: Final = "SELECT user_id, level, reason, instruction, watched_at, by FROM watch_list"
_PEOPLE: Final = "SELECT id::text AS user_id, name FROM users WHERE id::text = ANY(%(ids)s)"


async def cameras(connection: Connection) -> list[Row]:
    """All cameras by their names; `mutes` is what is not heard of each just now."""
    rows = await _all(connection, f"{_CAMERAS} ORDER BY c.name, c.camera_id")
    return _with_mutes(rows, await _all(connection, _MUTES))


async def camera(connection: Connection, camera_id: str) -> Row | None:
    """One camera, or None."""
    rows = await _all(connection, f"{_CAMERAS} WHERE c.camera_id = %(camera_id)s", camera_id=camera_id)
    found = _with_mutes(rows, await _all(connection, f"{_MUTES} AND camera_id = %(camera_id)s", camera_id=camera_id))
    return found[0] if found else None


async def watch_list(connection: Connection) -> list[Row]:
    """Who is watched for, the newest first."""
    return await _all(connection, f"{_WATCHED} ORDER BY watched_at DESC, user_id")


async def watched(connection: Connection, user_id: str) -> Row | None:
    """What the watch list says of a person, or None."""
    rows = await _all(connection, f"{_WATCHED} WHERE user_id = %(user_id)s", user_id=user_id)
    return rows[0] if rows else None


async def alerts(connection: Connection, wanted: Row, before: int | None, limit: int) -> list[Row]:
    """Alerts, the newest first, from below the `raised_offset` `before` on.

    `wanted`: `kind`, `status`, `camera_id`, `user_id`, `muted`, `since`, `until` (of when they were raised).
    """
    known = {name: value for name, value in wanted.items() if value is not None}
    conditions = [_FILTERS[name] for name in known] + (["a.raised_offset < %(before)s"] if before is not None else [])
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    statement = f"{_ALERTS} {where} ORDER BY a.raised_offset DESC LIMIT %(limit)s"
    return await _all(connection, statement, **known, before=before, limit=limit)


async def alert(connection: Connection, alert_id: str) -> Row | None:
    """One alert with its history as `events`, or None."""
    rows = await _all(connection, f"{_ALERTS} WHERE a.alert_id = %(alert_id)s", alert_id=alert_id)
    if not rows:
        return None
    columns = "at, event, details::text AS details, by, kafka_offset"
    told = f"SELECT {columns} FROM alert_sightings WHERE alert_id = %(alert_id)s"  # noqa: S608
    newest = f"SELECT * FROM ({told} ORDER BY kafka_offset DESC LIMIT 500) AS t ORDER BY kafka_offset"  # noqa: S608
    return rows[0] | {"events": await _all(connection, newest, alert_id=alert_id)}


async def news(connection: Connection, after: int, limit: int) -> list[Row]:
    """Alerts that something happened to beyond this offset, in its order, each as it stands now."""
    where = "WHERE a.kafka_offset > %(after)s ORDER BY a.kafka_offset LIMIT %(limit)s"
    return await _all(connection, f"{_ALERTS} {where}", after=after, limit=limit)


async def newest(connection: Connection) -> int:
    """The offset of the newest event of any alert; -1 before the first."""
    rows = await _all(connection, "SELECT coalesce(max(kafka_offset), -1) AS newest FROM alerts")
    return int(rows[0]["newest"])


async def names(connection: Connection, ids: Sequence[str]) -> dict[str, str]:
    """The names of passengers by their ids, of those that there are."""
    rows = await _all(connection, _PEOPLE, ids=list(ids)) if ids else []
    return {row["user_id"]: row["name"] for row in rows}


_FILTERS: Final = {
    "kind": "a.kind = %(kind)s",
    "status": "a.status = %(status)s",
    "camera_id": "a.camera_id = %(camera_id)s",
    "user_id": "a.user_id = %(user_id)s",
    "muted": "a.muted = %(muted)s",
    "since": "a.raised_at >= %(since)s",
    "until": "a.raised_at < %(until)s",
}


def _with_mutes(rows: list[Row], muted: list[Row]) -> list[Row]:
    return [row | {"mutes": [one for one in muted if one["camera_id"] == row["camera_id"]]} for row in rows]


async def _all(connection: Connection, statement: str, **asked: Any) -> list[Row]:
    return await (await connection.execute(cast("Any", statement), asked)).fetchall()
