"""Sound for its own time: files of the audio folder that are older than the site keeps voices are deleted.

What was said stays in the log as long as its keys do; after that time it can only be read, not heard.
"""

from __future__ import annotations

import asyncio
import contextlib
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
_ASIDE: Final = "audio/expired"


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
    """Delete what is older than so many days; how many files that were. Raises OSError."""
    before_s = now_s - days * DAY_S
    left = [path for path in (folder / _ASIDE).rglob("*") if path.is_file()]  # by a run that was killed
    count = sum(_settle(folder, path, before_s) for path in left)
    for path in expired(folder, before_s):
        aside = folder / _ASIDE / path.relative_to(folder / "audio")
        aside.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):  # somebody else was quicker
            path.replace(aside)
            count += _settle(folder, aside, before_s)
    return count


def _settle(folder: Path, aside: Path, before_s: float) -> bool:
    """Delete a file put aside, where nobody can touch it any more; put back what was touched just before."""
    try:
        if aside.stat().st_mtime < before_s:
            aside.unlink()
            return True
        aside.replace(folder / "audio" / aside.relative_to(folder / _ASIDE))
    except FileNotFoundError:
        pass
    return False


async def keep_tidy(folder: Path, days: float, clock: Callable[[], float] = time.time) -> None:
    """Look every hour, until cancelled."""
    while True:
        try:
            if count := await asyncio.to_thread(delete_expired, folder, days, clock()):
                log.info("%d recordings older than %g days were deleted", count, days)
        except OSError as error:
            log.warning("old recordings could not be deleted: %s", error)
        await asyncio.sleep(LOOK_S)
