"""Points of one person in order of time, by keyed index range. Reads `emotion_points`; never a scan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from projections.queries.database import Connection

EARLIEST: Final = -(2**63)
LATEST: Final = 2**63 - 1

_RECORDS: Final = "t_ms, valence, arousal, track_id, bbox_x1, bbox_y1, bbox_x2, bbox_y2"
_EVIDENCE: Final = _RECORDS + ", absolute_time, kafka_partition, kafka_offset"
_OF_PERSON: Final = """
    SELECT {columns} FROM emotion_points
    WHERE person_id = %(person_id)s AND t_ms >= %(from_ms)s AND t_ms <= %(last_ms)s
      AND (t_ms > %(from_ms)s OR track_id > %(after_track)s)
    ORDER BY t_ms, track_id LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class Window:
    """Which points: t_ms in [from_ms, last_ms], both included, and after the last row (t_ms, person_id, track_id)."""

    from_ms: int = EARLIEST
    last_ms: int = LATEST
    after: tuple[int, int, int] | None = None
    limit: int = 1000

    def starting(self) -> Window:
        """The same window, opened where the page before ended."""
        return self if self.after is None else replace(self, from_ms=max(self.from_ms, self.after[0]))

    def of(self, person: Mapping[str, Any]) -> Window:
        """Clipped to a person's own first and last time, so that only the months it lived in are touched."""
        opened = self.starting()
        return replace(
            opened, from_ms=max(opened.from_ms, person["min_ms"]), last_ms=min(opened.last_ms, person["max_ms"])
        )


async def of_person(
    connection: Connection, person: Mapping[str, Any], window: Window, *, evidence: bool = False
) -> list[dict[str, Any]]:
    """The oldest `limit` points of one person within the window; `evidence` adds where in the log each came from."""
    clipped = window.of(person)
    after = clipped.after
    parameters = {
        "person_id": person["person_id"],
        "from_ms": clipped.from_ms,
        "last_ms": clipped.last_ms,
        "after_track": after[2] if after is not None and after[0] == clipped.from_ms else EARLIEST,
        "limit": clipped.limit,
    }
    async with connection.cursor(binary=True) as cursor:
        await cursor.execute(_OF_PERSON.format(columns=_EVIDENCE if evidence else _RECORDS), parameters)
        return await cursor.fetchall()
