"""Views of the past: which exist, and which schema holds one. Reads `sensorium.models`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg import errors

from projections.queries.errors import UnknownAsOf

if TYPE_CHECKING:
    from projections.queries.database import Connection

_LIST = """
    SELECT as_of_name AS name, model, until_ms FROM sensorium.models
    WHERE state = 'as_of' AND as_of_name IS NOT NULL ORDER BY as_of_name, model
"""


async def listing(connection: Connection) -> list[dict[str, object]]:
    """Every view of the past: name, model, until_ms (log time, epoch ms); empty before the first migration."""
    try:
        return list(await (await connection.execute(_LIST)).fetchall())
    except (errors.UndefinedTable, errors.InvalidSchemaName):
        return []


async def schema_of(connection: Connection, model: str, name: str) -> str:
    """The PostgreSQL schema that holds the view `name` of a read model.

    Raises:
        UnknownAsOf: there is none; says which there are.
    """
    sql = "SELECT schema_name, as_of_name FROM sensorium.models WHERE state = 'as_of' AND model = %s"
    try:
        rows = await (await connection.execute(sql, (model,))).fetchall()
    except (errors.UndefinedTable, errors.InvalidSchemaName):
        rows = []
    for row in rows:
        if row["as_of_name"] == name:
            return str(row["schema_name"])
    raise UnknownAsOf(name, model, [str(row["as_of_name"]) for row in rows])
