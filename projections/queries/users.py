"""People who may sign in. Reads `sales_users`; the password's hash is read for signing in and goes nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

if TYPE_CHECKING:
    from projections.queries.database import Connection

_USERS: Final = """
    SELECT user_id::text AS user_id, username, full_name, is_admin, is_active, created_at, last_login_at
    FROM sales_users
    WHERE %(user_id)s::uuid IS NULL OR user_id = %(user_id)s
    ORDER BY created_at, user_id
"""
_BY_NAME: Final = """
    SELECT user_id::text AS user_id, username, full_name, is_admin, is_active, created_at, last_login_at, password_hash
    FROM sales_users WHERE username = %s
"""


async def listing(connection: Connection) -> list[dict[str, Any]]:
    """All users, the oldest first."""
    return await (await connection.execute(_USERS, {"user_id": None})).fetchall()


async def one(connection: Connection, user_id: UUID) -> dict[str, Any] | None:
    """One user, or None."""
    return await (await connection.execute(_USERS, {"user_id": user_id})).fetchone()


async def by_name(connection: Connection, username: str) -> dict[str, Any] | None:
    """One user with `password_hash`, or None; the name has to match exactly."""
    return await (await connection.execute(_BY_NAME, (username,))).fetchone()
