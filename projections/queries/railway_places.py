"""Hotels and attractions. Reads `hotels`, `attractions`; rows have `id`, `name`, `description`, `logo_url` and more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, cast

if TYPE_CHECKING:
    from projections.queries.database import Connection

Kind = Literal["HOTEL", "ATTRACTION"]
Row = dict[str, Any]
_TABLES: Final[dict[Kind, str]] = {"HOTEL": "hotels", "ATTRACTION": "attractions"}
_PLACE: Final = "SELECT id::text AS id, name, description, logo_url, destination_id, created_at FROM"


async def places(
    connection: Connection, kind: Kind, destination_id: str, page: int, size: int
) -> tuple[list[Row], int]:
    """A destination's places of a page (from 1) in the order of creation, and how many there are."""
    asked = {"destination_id": destination_id, "size": size, "before": (page - 1) * size}
    there = f"{_TABLES[kind]} WHERE destination_id = %(destination_id)s"
    (counted,) = await _all(connection, f"SELECT count(*) AS total FROM {there}", asked)  # noqa: S608 - own names
    order = "ORDER BY created_at, id LIMIT %(size)s OFFSET %(before)s"
    return await _all(connection, f"{_PLACE} {there} {order}", asked), counted["total"]


async def place(connection: Connection, kind: Kind, place_id: str) -> Row | None:
    """One hotel or attraction, or None."""
    rows = await _all(connection, f"{_PLACE} {_TABLES[kind]} WHERE id = %(place_id)s", {"place_id": place_id})
    return rows[0] if rows else None


async def _all(connection: Connection, statement: str, asked: dict[str, Any]) -> list[Row]:
    return await (await connection.execute(cast("Any", statement), asked)).fetchall()
