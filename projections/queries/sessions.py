"""The read model of sessions: one row per (device, session), newest activity first. Reads `sessions`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from projections.queries.database import Connection

COLUMNS = ("device_id", "session_id", "n_points", "n_persons", "min_ms", "max_ms")

_PAGE = """
    SELECT device_id, session_id, n_points, n_persons, min_ms, max_ms FROM sessions
    WHERE (%(device_id)s::text IS NULL OR device_id = %(device_id)s)
      AND (%(from_ms)s::bigint IS NULL OR max_ms >= %(from_ms)s)
      AND (%(to_ms)s::bigint IS NULL OR min_ms < %(to_ms)s)
      AND (%(after_ms)s::bigint IS NULL OR (max_ms <= %(after_ms)s
           AND (max_ms < %(after_ms)s OR (device_id, session_id) > (%(after_device)s, %(after_session)s))))
    ORDER BY max_ms DESC, device_id, session_id LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class SessionsAsked:
    """Which sessions: of one device or all, active within [from_ms, to_ms), after the last row of the page before."""

    device_id: str | None = None
    from_ms: int | None = None
    to_ms: int | None = None
    after: tuple[int, str, str] | None = None
    limit: int | None = None


async def page(connection: Connection, asked: SessionsAsked) -> list[dict[str, Any]]:
    """Sessions in order of max_ms descending, then device and session; all of them where no limit is given."""
    after_ms, after_device, after_session = asked.after or (None, "", "")
    parameters = {
        "device_id": asked.device_id,
        "from_ms": asked.from_ms,
        "to_ms": asked.to_ms,
        "after_ms": after_ms,
        "after_device": after_device,
        "after_session": after_session,
        "limit": asked.limit,
    }
    async with connection.cursor(binary=True) as cursor:
        await cursor.execute(_PAGE, parameters)
        return await cursor.fetchall()
