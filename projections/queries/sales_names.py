"""Names that people gave to points of sale and cash registers. Reads `points`, `registers`."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from psycopg import errors

if TYPE_CHECKING:
    from projections.queries.database import Connection

Names = dict[UUID, str]
"""By point or register id; who has no name is not there."""


async def names(connection: Connection) -> Names:
    """All of them: there are as many as shops. None while that read model does not exist."""
    sql = "SELECT point_id AS id, name FROM points UNION ALL SELECT register_id, name FROM registers"
    try:
        rows = await (await connection.execute(sql)).fetchall()
    except (errors.UndefinedTable, errors.UndefinedColumn):
        return {}
    return {row["id"]: str(row["name"]) for row in rows}
