"""Key frames under their content's address, for a time: JPEG files as cameras sent them. Touches one folder only."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Final

from producers.audio_store import AudioStore, Kind

log = logging.getLogger(__name__)

JPEG: Final = Kind("pictures", ".jpg")
LARGEST: Final = 2 << 20
"""Bytes of a picture."""
LOOK_S: Final = 3600.0
DAY_S: Final = 86_400.0
_MAGIC: Final = b"\xff\xd8\xff"


class Pictures:
    """One folder of pictures, for one event loop; `days` after it was last sent a picture is deleted."""

    def __init__(self, folder: Path, *, days: float = 30.0, clock: Callable[[], float] = time.time) -> None:
        self._store = AudioStore(folder, kind=JPEG)
        self._days, self._clock = days, clock
        self._opening = asyncio.Lock()
        self._tidying: asyncio.Task[None] | None = None

    async def keep(self, jpeg: bytes) -> str:
        """Keep a picture; its address, a hexadecimal SHA-256. Raises `StoreFull`, `StoreFailed`."""
        await self._opened()
        draft = self._store.draft(LARGEST)
        try:
            draft.add(jpeg)
            return (await draft.keep()).sha256
        finally:
            await draft.discard()

    async def find(self, address: str) -> bytes | None:
        """The picture of that address (64 hexadecimal digits); None: it is not here, or no more."""
        path = self._store.folder / JPEG.path(address)
        try:
            return await asyncio.to_thread(path.read_bytes)
        except FileNotFoundError:
            return None

    def delete_expired(self) -> int:
        """Delete what is too old; how many files that were. Blocks; raises OSError."""
        before_s, count = self._clock() - self._days * DAY_S, 0
        for path in (self._store.folder / JPEG.kept).rglob("*.jpg"):
            try:
                if path.stat().st_mtime < before_s:
                    path.unlink()
                    count += 1
            except FileNotFoundError:  # somebody else was quicker
                continue
        return count

    async def close(self) -> None:
        """Give the process's own folder back."""
        if self._tidying is not None:
            self._tidying.cancel()
            await asyncio.gather(self._tidying, return_exceptions=True)
            await self._store.close()

    async def _opened(self) -> None:
        async with self._opening:
            if self._tidying is None:
                await self._store.open()
                self._tidying = asyncio.create_task(self._tidy(), name="pictures")

    async def _tidy(self) -> None:
        while True:
            try:
                if count := await asyncio.to_thread(self.delete_expired):
                    log.info("%d pictures older than %g days were deleted", count, self._days)
            except OSError as error:
                log.warning("old pictures could not be deleted: %s", error)
            await asyncio.sleep(LOOK_S)


def is_jpeg(data: bytes) -> bool:
    """Whether it begins as a JPEG file does."""
    return data.startswith(_MAGIC)


def address_of(data: bytes) -> str:
    """The address that a picture has."""
    return sha256(data).hexdigest()
