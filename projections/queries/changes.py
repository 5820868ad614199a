"""What the projectors announce after each commit: PostgreSQL's NOTIFY on one connection of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import psycopg

from projections.queries.errors import Unavailable

CHANNEL: Final = "sensorium_live"
CHECK_S: Final = 20.0


async def listen(dsn: str) -> AsyncIterator[str]:
    """Payloads as they come; the first item is "" once the connection listens. Ends only by an error.

    Raises:
        Unavailable: the connection could not be made, or broke; what was announced meanwhile is lost.
    """
    try:
        async with await psycopg.AsyncConnection.connect(
            dsn, autocommit=True, connect_timeout=3, application_name="sensorium-live"
        ) as connection:
            await connection.execute(f"LISTEN {CHANNEL}")
            yield ""
            while True:
                async for notice in connection.notifies(timeout=CHECK_S):
                    yield notice.payload
                await connection.execute("SELECT 1")
    except psycopg.OperationalError as away:
        raise Unavailable("PostgreSQL does not answer.") from away
