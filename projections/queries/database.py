"""The API's way to PostgreSQL: a small read-only pool with deadlines, views of the past, a retry after a switch."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import psycopg
from psycopg import AsyncConnection, errors
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout, TooManyRequests

from projections.queries.as_of import schema_of
from projections.queries.errors import Unavailable

T = TypeVar("T")
Connection = AsyncConnection[DictRow]
Read = Callable[[Connection], Awaitable[T]]

POOL_SIZE: Final = 6
WAITING: Final = 200
_OPTIONS: Final = "-c default_transaction_read_only=on -c statement_timeout=3500 -c jit=off -c timezone=UTC"

_AWAY: Final = (psycopg.OperationalError, PoolTimeout, TooManyRequests, PoolClosed)
_NOT_YET: Final = (errors.UndefinedTable, errors.UndefinedColumn, errors.InvalidSchemaName)

log = logging.getLogger(__name__)


class Database:
    """At most `size` read-only connections; a read waits `patience_s` for one and has `deadline_s` in all."""

    def __init__(self, dsn: str, *, size: int = POOL_SIZE, patience_s: float = 1.5, deadline_s: float = 4.0) -> None:
        self._deadline_s = deadline_s
        self._size = size
        self._abandoned: set[asyncio.Task[Any]] = set()
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            dsn,
            min_size=1,
            max_size=size,
            timeout=patience_s,
            max_waiting=WAITING,
            max_idle=300,
            reconnect_timeout=30,
            open=False,
            name="queries",
            # No prepared statements: a replaced view breaks them, and plans with the values in hand prune partitions.
            kwargs={
                "autocommit": True,
                "prepare_threshold": None,
                "row_factory": dict_row,
                "connect_timeout": 3,
                "options": _OPTIONS,
                "application_name": "sensorium-api",
            },
            connection_class=AsyncConnection[DictRow],
        )

    async def open(self) -> None:
        """Start the pool's workers; does not wait for PostgreSQL, so the process starts without it."""
        await self._pool.open(wait=False)

    async def close(self) -> None:
        """Give all connections back."""
        for task in list(self._abandoned):
            task.cancel()
        await self._pool.close(timeout=2)

    async def read(self, read: Read[T], *, model: str = "", as_of: str | None = None) -> T:
        """Run a read function, in the view of the past `as_of` of `model` when one is named.

        Raises:
            Unavailable: PostgreSQL did not answer in time. UnknownAsOf: no such view of the past.
        """
        task = asyncio.ensure_future(self._attempt(read, model, as_of))
        try:
            done, _ = await asyncio.wait({task}, timeout=self._deadline_s)
        except asyncio.CancelledError:
            self._abandon(task)
            raise
        if not done:
            self._abandon(task)
            raise Unavailable("PostgreSQL did not answer in time.")
        return task.result()

    def _abandon(self, task: asyncio.Task[Any]) -> None:
        """Cancel without waiting: cancelling asks PostgreSQL, which is what may be hanging."""
        task.cancel()
        self._abandoned.add(task)
        task.add_done_callback(self._abandoned.discard)
        task.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def _attempt(self, read: Read[T], model: str, as_of: str | None) -> T:
        try:
            # One restart of PostgreSQL leaves every pooled connection dead: try as many times as there can be.
            for _ in range(self._size):
                try:
                    return await self._once(read, model, as_of)
                except _Stale as stale:
                    log.info("A read is tried again on another connection: %s", stale)
            return await self._once(read, model, as_of)
        except (_Stale, *_AWAY) as away:
            raise Unavailable("PostgreSQL does not answer.") from away
        except _NOT_YET as missing:
            log.warning("A read model is missing: %s", missing)
            raise Unavailable("A read model is not there yet, or no longer whole.") from missing

    async def _once(self, read: Read[T], model: str, as_of: str | None) -> T:
        async with self._pool.connection() as connection:
            try:
                return await _within(connection, read, model, as_of)
            except psycopg.Error as error:
                if not _is_stale(connection, error):
                    raise
                await connection.close()
                raise _Stale(str(error)) from error


class _Stale(Exception):
    """The connection was closed by PostgreSQL, or holds a plan of a view that has been replaced since."""


def _is_stale(connection: Connection, error: psycopg.Error) -> bool:
    return connection.closed or isinstance(error, errors.FeatureNotSupported | errors.InvalidSqlStatementName)


async def _within(connection: Connection, read: Read[T], model: str, as_of: str | None) -> T:
    if as_of is None:
        return await read(connection)
    schema = await schema_of(connection, model, as_of)
    async with connection.transaction():
        await connection.execute("SELECT set_config('search_path', quote_ident(%s), true)", (schema,))
        return await read(connection)
