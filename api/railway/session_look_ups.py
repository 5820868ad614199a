"""Looks sessions up for requests that come at once: one read for all who ask while another is under way."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any

from projections.queries import railway_access
from projections.queries.database import Database

Session = Mapping[str, Any]


class LookUps:
    """For one event loop. Whoever asks is answered from a read that began later, so nothing is older than the request.

    Alone, a request is read for at once. Under load some ten share a read, which is most of what a look-up costs.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._wanted: dict[str, asyncio.Future[Session | None]] = {}
        self._reading: asyncio.Task[None] | None = None

    async def find(self, token_sha256: str) -> Session | None:
        """The session of a token that nobody has ended, or None; it may have expired. Raises Unavailable."""
        future = self._wanted.get(token_sha256)
        if future is None:
            future = self._wanted[token_sha256] = asyncio.get_running_loop().create_future()
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())
        return await asyncio.shield(future)

    async def _read(self) -> None:
        try:
            while self._wanted:
                await self._answer()
        finally:
            self._reading = None

    async def _answer(self) -> None:
        asked, self._wanted = self._wanted, {}
        try:
            found = await self._database.read(partial(railway_access.sessions, token_sha256s=list(asked)))
        except Exception as away:  # noqa: BLE001 - whatever it is, it belongs to those who asked
            # Those who came since have waited, too: they are not to wait once more for what does not answer.
            asked, self._wanted = {**asked, **self._wanted}, {}
            for future in asked.values():
                future.set_exception(away)
            return
        for token_sha256, future in asked.items():
            future.set_result(found.get(token_sha256))
