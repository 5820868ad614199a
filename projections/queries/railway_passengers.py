"""Passengers and their tickets. Reads `users`, `tickets`, `keycloak_users`. Ids are texts, times are UTC.

A passenger is a row `id`, `name`, `username`, `email` (null: none), `password` (its hash; null: none), `created_at`.
A ticket is a row `user_id`, `train_number`, `wagon_number`, `place_number`, `station_id`, `destination_id`, `date`,
`start_date`, `id`, `code` (empty: its key is gone), `used`, `created_at`, `used_at`.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, cast
from uuid import UUID

from projections.queries import paging

if TYPE_CHECKING:
    from projections.queries.database import Connection

Row = dict[str, Any]

_USER_COLUMNS: Final = "id::text AS id, name, username, email, password, created_at"
_TICKET_COLUMNS: Final = (
    "user_id::text AS user_id, train_number, wagon_number, place_number, station_id, destination_id, date, start_date,"
    " id::text AS id, code, used, created_at, used_at"
)
_USER: Final = f"SELECT {_USER_COLUMNS} FROM users"  # noqa: S608 - made of constants
_TICKET: Final = f"SELECT {_TICKET_COLUMNS} FROM tickets"  # noqa: S608
_USERS: Final = paging.Numbered("users", "passenger_pages", "users", _USER_COLUMNS)
_TICKETS: Final = paging.Numbered("tickets", "passenger_pages", "tickets", _TICKET_COLUMNS)
_OF_USER: Final = " WHERE user_id = %(user_id)s"


async def user(connection: Connection, user_id: str) -> Row | None:
    """One passenger, or None."""
    return await _one(connection, f"{_USER} WHERE id = %(user_id)s", user_id=user_id)


async def registered(connection: Connection, username: str = "", email: str = "") -> Row | None:
    """The passenger of that user name, else the one of that e-mail, else None. An empty text is nobody's."""
    for field, wanted in (("username", username), ("email", email)):
        found = await _one(connection, f"{_USER} WHERE {field} = %(wanted)s", wanted=wanted) if wanted else None
        if found:
            return found
    return None


async def everybody(connection: Connection) -> list[Row]:
    """All passengers in the order of creation."""
    return await _all(connection, f"{_USER} ORDER BY number")


async def users(connection: Connection, page: int, size: int) -> tuple[list[Row], int]:
    """Passengers of a page (from 1) in the order of creation, and how many there are."""
    return await paging.page(connection, _USERS, "", page, size)


async def user_of_keycloak(connection: Connection, keycloak_id: str) -> str | None:
    """The id of the passenger that a Keycloak user was linked to, or None."""
    statement = "SELECT user_id::text AS user_id FROM keycloak_users WHERE id = %(keycloak_id)s"
    found = await _one(connection, statement, keycloak_id=keycloak_id)
    return found["user_id"] if found else None


async def ticket(connection: Connection, ticket_id: str) -> Row | None:
    """One ticket, or None."""
    return await _one(connection, f"{_TICKET} WHERE id = %(ticket_id)s", ticket_id=ticket_id)


async def tickets(connection: Connection, page: int, size: int, user_id: str | None = None) -> tuple[list[Row], int]:
    """Tickets of a page (from 1) in the order of issue, and how many there are: all, or one passenger's."""
    if user_id is None:
        return await paging.page(connection, _TICKETS, "", page, size)
    asked = {"user_id": user_id, "size": size, "before": (page - 1) * size}
    counted = await _all(connection, f"SELECT count(*) AS total FROM tickets {_OF_USER}", **asked)  # noqa: S608
    order = " ORDER BY number LIMIT %(size)s OFFSET %(before)s"
    return await _all(connection, _TICKET + _OF_USER + order, **asked), counted[0]["total"]


async def tickets_of(connection: Connection, user_id: str) -> list[Row]:
    """All tickets of a passenger, the next by date first."""
    return await _all(connection, f"{_TICKET} {_OF_USER} ORDER BY date, created_at, id", user_id=user_id)


async def tickets_by_code(connection: Connection, code: str) -> list[Row]:
    """Tickets with this code, and the one whose id stands in its place; an empty code is nobody's."""
    if not code:
        return []
    matches = "(code = %(code)s AND code <> '') OR id = %(ticket_id)s::uuid"
    return await _all(connection, f"{_TICKET} WHERE {matches} ORDER BY number", code=code, ticket_id=_uuid(code))


async def used_ticket(connection: Connection, user_id: str, train_number: int, start_date: datetime) -> Row | None:
    """The ticket with which a passenger has entered this train, the newest of several; None: none."""
    this = _OF_USER + " AND train_number = %(train_number)s AND start_date = %(start_date)s AND used"
    return await _one(
        connection, f"{_TICKET} {this} ORDER BY number DESC LIMIT 1",
        user_id=user_id, train_number=train_number, start_date=start_date,
    )  # fmt: skip


async def latest_ticket(connection: Connection, user_id: str) -> Row | None:
    """A passenger's ticket of the latest date, of several the newest; None: none."""
    order = "ORDER BY date DESC, number DESC LIMIT 1"
    return await _one(connection, f"{_TICKET} {_OF_USER} {order}", user_id=user_id)


def _uuid(code: str) -> UUID | None:
    try:
        return UUID(code) if len(code) == 36 else None
    except ValueError:
        return None


async def _one(connection: Connection, statement: str, **asked: Any) -> Row | None:
    return await (await connection.execute(cast("Any", statement), asked)).fetchone()


async def _all(connection: Connection, statement: str, **asked: Any) -> list[Row]:
    return await (await connection.execute(cast("Any", statement), asked)).fetchall()
