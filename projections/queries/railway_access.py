"""Who may sign in to the railway and who has: engineers, cards, robots, terminals, challenges, sessions.

Reads the views of `railway_access`. An engineer's password hash is read for signing in and goes nowhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

if TYPE_CHECKING:
    from projections.queries.database import Connection

_BY_LOGIN: Final = "SELECT id::text AS id, login, password, privileges FROM engineers WHERE login = %s"
_ENGINEERS: Final = "SELECT id::text AS id, login FROM engineers ORDER BY created_at, id LIMIT %s OFFSET %s"
_ROBOTS: Final = """
    SELECT id::text AS id, robot_model_id, robot_model_name FROM robots ORDER BY created_at, id LIMIT %s OFFSET %s
"""
_OF_CARD: Final = """
    SELECT e.id::text AS id, login, privileges, key FROM auth_cards c JOIN engineers e ON e.id = c.engineer_id
    WHERE key = ANY(%s) ORDER BY c.created_at LIMIT 1
"""
_COMPONENT: Final = """
    SELECT public_key, algorithm FROM robots WHERE id = %(id)s AND %(type)s = 'ROBOT'
    UNION ALL SELECT public_key, algorithm FROM active_stores WHERE id = %(id)s AND %(type)s = 'STORE'
"""
_CHALLENGE: Final = """
    SELECT challenge_id::text AS challenge_id, client_type, component_id::text AS component_id, expires_at
    FROM component_challenges WHERE challenge_id = %s
"""
_SESSIONS: Final = """
    SELECT token_sha256, session_id::text AS session_id, client_type, component_id::text AS component_id, expires_at
    FROM component_sessions WHERE token_sha256 = ANY(%s) AND ended_at IS NULL
"""


async def engineer_by_login(connection: Connection, login: str) -> dict[str, Any] | None:
    """`id`, `login`, `password` (argon2id), `privileges` of an engineer, or None; the login has to match exactly."""
    return await (await connection.execute(_BY_LOGIN, (login,))).fetchone()


async def engineers(connection: Connection, offset: int, size: int) -> tuple[list[dict[str, Any]], int]:
    """A page of engineers (`id`, `login`), the oldest first, and how many there are."""
    rows = await (await connection.execute(_ENGINEERS, (size, offset))).fetchall()
    total = await (await connection.execute("SELECT count(*) AS n FROM engineers")).fetchone()
    return rows, total["n"] if total else 0


async def robots(connection: Connection, offset: int, size: int) -> tuple[list[dict[str, Any]], int]:
    """A page of robots (`id`, `robot_model_id`, `robot_model_name`), the oldest first, and how many there are."""
    rows = await (await connection.execute(_ROBOTS, (size, offset))).fetchall()
    total = await (await connection.execute("SELECT count(*) AS n FROM robots")).fetchone()
    return rows, total["n"] if total else 0


async def engineer_of_card(connection: Connection, marks: Sequence[str]) -> dict[str, Any] | None:
    """Whose card has one of these marks: `id`, `login`, `privileges`, and the mark as `key`; None: nobody's."""
    return await (await connection.execute(_OF_CARD, (list(marks),))).fetchone()


async def component(connection: Connection, client_type: str, component_id: UUID) -> dict[str, Any] | None:
    """`public_key` (PEM) and `algorithm` of a robot (ROBOT) or a store's terminal (STORE), or None."""
    asked = {"id": component_id, "type": client_type}
    return await (await connection.execute(_COMPONENT, asked)).fetchone()


async def challenge(connection: Connection, challenge_id: UUID) -> dict[str, Any] | None:
    """An unspent challenge, or None; it may have expired."""
    return await (await connection.execute(_CHALLENGE, (challenge_id,))).fetchone()


async def sessions(connection: Connection, token_sha256s: Sequence[str]) -> dict[str, dict[str, Any]]:
    """By token, the sessions of these tokens that nobody has ended; they may have expired."""
    rows = await (await connection.execute(_SESSIONS, (list(token_sha256s),))).fetchall()
    return {row["token_sha256"]: row for row in rows}
