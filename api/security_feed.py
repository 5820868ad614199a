"""The live feed of alerts: read once a process, held in memory, taken by each reader at its own pace from its own id.

An event's id is the offset in `security.threats` of the newest thing that happened to its alert, so a reader who comes
again with the last id it saw is given every alert that anything happened to since, however long it was away.
"""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_right
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, Protocol

from api.live import frame
from api.security_shapes import alert_told
from projections.queries import security
from projections.queries.errors import Unavailable
from schemas.errors import Overloaded

log = logging.getLogger(__name__)

CLIENTS: Final = 512
REMEMBERED: Final = 2_000
PAGE: Final = 200
LOOK_S: Final = 5.0
"""It is looked for news this often without having heard of any."""
HEARTBEAT_S: Final = 15.0
EVENT: Final = "alert"


class Reads(Protocol):
    """What is needed of `projections.queries.database.Database`."""

    async def read(self, read: Any, *, model: str = "", as_of: str | None = None) -> Any: ...  # noqa: D102


class Tapped(Protocol):
    """What is needed of `api.live.Hub`."""

    def tap(self, model: str, heard: Any) -> None: ...  # noqa: D102


class Feed:
    """For one event loop; begins to read with its first reader."""

    def __init__(self, database: Reads, hub: Tapped | None = None, *, clients: int = CLIENTS) -> None:
        """`hub` says when there is news; without one it is looked for every `LOOK_S`."""
        self._database, self._most = database, clients
        self._clients = 0
        self._frames: list[tuple[int, bytes]] = []
        """Offsets, ascending, and what is sent; complete beyond `_from`."""
        self._from = -1
        self._news = asyncio.Event()
        self._heard = asyncio.Event()
        self._pump: asyncio.Task[None] | None = None
        if hub is not None:
            hub.tap("security", self._heard.set)

    async def close(self) -> None:
        """Stop reading."""
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.gather(self._pump, return_exceptions=True)
            self._pump = None

    @property
    def readers(self) -> int:
        """How many there are just now."""
        return self._clients

    def enter(self) -> None:
        """Take one more reader in. Raises Overloaded."""
        if self._clients >= self._most:
            raise Overloaded("Too many live readers.")
        self._clients += 1

    def leave(self) -> None:
        """Let a reader go."""
        self._clients -= 1

    async def frames(self, after: int | None) -> AsyncIterator[bytes]:
        """Server-sent events beyond an offset (None: from now on), for ever; `reset` where the offset is none of ours.

        Comments keep the connection open. Raises Unavailable before the first item when nothing can be read.
        """
        newest = await self._database.read(security.newest)
        self._start(newest)
        at = newest if after is None or after > max(newest, self._newest) else after
        yield b"retry: 2000\n\n" + frame(str(at), "online" if after in (None, at) else "reset", {})
        while True:
            news = self._news
            found = await self._after(at)
            for offset, data in found:
                yield data
                at = offset
            if not found and not await _comes(news):
                yield b": still here\n\n"

    @property
    def _newest(self) -> int:
        return self._frames[-1][0] if self._frames else self._from

    def _start(self, newest: int) -> None:
        if self._pump is None or self._pump.done():
            self._frames, self._from = [], newest
            self._pump = asyncio.create_task(self._run(), name="alerts")

    async def _after(self, after: int) -> Sequence[tuple[int, bytes]]:
        """What comes next: out of memory, or a page of the table for who was away for long."""
        if after >= self._from:
            return self._frames[bisect_right(self._frames, after, key=lambda one: one[0]) :]
        try:
            return await self._read(after)
        except Unavailable as away:
            log.warning("A reader of alerts waits: %s", away)
            await asyncio.sleep(1.0)
            return [(after, b": waiting\n\n")]

    async def _run(self) -> None:
        while True:
            self._heard.clear()
            try:
                while found := await self._read(self._newest):
                    self._keep(found)
            except Unavailable as away:
                log.warning("Alerts pause: %s", away)
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._heard.wait()
            except TimeoutError:
                pass

    def _keep(self, found: Sequence[tuple[int, bytes]]) -> None:
        self._frames += found
        if len(self._frames) > REMEMBERED:
            cut = len(self._frames) - REMEMBERED // 2
            self._from = self._frames[cut - 1][0]
            self._frames = self._frames[cut:]
        self._news.set()
        self._news = asyncio.Event()

    async def _read(self, after: int) -> list[tuple[int, bytes]]:
        rows = await self._database.read(partial(security.news, after=after, limit=PAGE))
        names = await people(self._database, rows) if rows else {}
        return [(row["kafka_offset"], frame(str(row["kafka_offset"]), EVENT, alert_told(row, names))) for row in rows]


async def _comes(news: asyncio.Event) -> bool:
    """Whether there is news before it is time to show a sign of life."""
    try:
        async with asyncio.timeout(HEARTBEAT_S):
            return await news.wait()
    except TimeoutError:
        return False


async def people(database: Reads, rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Names of who the alerts are about; none where they cannot be told: an alert does not wait for a name."""
    ids = sorted({row["user_id"] for row in rows if row["user_id"] is not None})
    if not ids:
        return {}
    try:
        return await database.read(partial(security.names, ids=ids))
    except Unavailable as away:
        log.warning("Names are not told: %s", away)
        return {}
