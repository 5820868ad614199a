"""The read model of moments: strong and sudden changes of a person's affect. Reads `emotion_moments`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

if TYPE_CHECKING:
    from projections.queries.database import Connection

_PAGE: Final = """
    SELECT moment_id::text AS moment_id, device_id, session_id, session_person_id, signal, kind, direction,
           start_ms, end_ms, value, baseline, peak, peak_ms, topic, kafka_partition, kafka_offset
    FROM emotion_moments
    WHERE device_id = %(device_id)s AND session_id = %(session_id)s
      AND (%(person)s::bigint IS NULL OR session_person_id = %(person)s)
      AND (%(from_ms)s::bigint IS NULL OR start_ms >= %(from_ms)s OR end_ms >= %(from_ms)s)
      AND (%(to_ms)s::bigint IS NULL OR start_ms < %(to_ms)s)
      AND (%(after_ms)s::bigint IS NULL OR (start_ms >= %(after_ms)s
           AND (start_ms > %(after_ms)s OR moment_id > %(after_id)s::uuid)))
    ORDER BY start_ms, moment_id LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class MomentsAsked:
    """Whose moments, touching [from_ms, to_ms), after the last row (start_ms, moment_id) of the page before."""

    device_id: str
    session_id: str
    session_person_id: int | None = None
    from_ms: int | None = None
    to_ms: int | None = None
    after: tuple[int, UUID] | None = None
    limit: int = 1000


async def page(connection: Connection, asked: MomentsAsked) -> list[dict[str, Any]]:
    """Moments in order of their start; `end_ms` is null while one lasts."""
    after_ms, after_id = asked.after or (None, None)
    parameters = {
        "device_id": asked.device_id,
        "session_id": asked.session_id,
        "person": asked.session_person_id,
        "from_ms": asked.from_ms,
        "to_ms": asked.to_ms,
        "after_ms": after_ms,
        "after_id": after_id,
        "limit": asked.limit,
    }
    async with connection.cursor(binary=True) as cursor:
        await cursor.execute(_PAGE, parameters)
        return await cursor.fetchall()
