"""The affect plane of a session: 20 x 20 counts over valence and arousal. Reads `heatmaps`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from projections.queries.database import Connection

SIDE: Final = 20


async def of_session(connection: Connection, device_id: str, session_id: str) -> list[list[int]]:
    """20 rows of arousal (-1 first) with 20 counts of valence (-1 first) each; zeros for an unknown session."""
    sql = "SELECT cells FROM heatmaps WHERE device_id = %s AND session_id = %s"
    row = await (await connection.execute(sql, (device_id, session_id))).fetchone()
    cells = row["cells"] if row else [0] * (SIDE * SIDE)
    return [cells[start : start + SIDE] for start in range(0, SIDE * SIDE, SIDE)]
