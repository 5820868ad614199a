"""Sound for its own time: files of the audio folder that are older than the site keeps voices are deleted.

What was said stays in the log as long as its keys do; after that time it can only be read, not heard.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

LOOK_S: Final = 3600.0
DAY_S: Final = 86_400.0
# Chunks, and dialogues put together from them for whoever listened.
_FOLDERS: Final = ("audio/sha256", "audio/dialogues")


def expired(folder: Path, before_s: float) -> Iterator[Path]:
    """Files of sound last written before that time (epoch seconds). A chunk sent again is written again."""
    for part in _FOLDERS:
        for path in (folder / part).rglob("*"):
            try:
                if path.is_file() and path.stat().st_mtime < before_s:
                    yield path
            except OSError:  # somebody else was quicker
                continue


def delete_expired(folder: Path, days: float, now_s: float) -> int:
    """Delete what is older than so many days; how many files that were."""
    count = 0
    for path in expired(folder, now_s - days * DAY_S):
        path.unlink(missing_ok=True)
        count += 1
    return count


async def keep_tidy(folder: Path, days: float, clock: Callable[[], float] = time.time) -> None:
    """Look every hour, until cancelled."""
    while True:
        try:
            if count := await asyncio.to_thread(delete_expired, folder, days, clock()):
                log.info("%d recordings older than %g days were deleted", count, days)
        except OSError as error:
            log.warning("old recordings could not be deleted: %s", error)
        await asyncio.sleep(LOOK_S)
