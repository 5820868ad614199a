"""Which file has a recorder's number: one symbolic link a chunk, so that a number never stands for two recordings.

The link is named by the chunk and points to its content's hash; making it is atomic for all processes of the folder.
It is not flushed: after a power cut the newest may be gone, and then only the second recording's refusal is.
"""

from __future__ import annotations

import shutil
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

FOLDER: Final = "audio/numbers"
_MONTH: Final = timedelta(days=28)  # short enough to meet every month on the way back


class Reservations:
    """Links below one folder, a folder a month; kept for this month and the two before. Blocks."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / FOLDER

    def tidy(self, now: datetime) -> None:
        """Forget what is older than any recorder keeps. Raises OSError only where nothing can be made."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        kept = _months(now)
        for month in self._folder.iterdir():
            if month.name < kept[-1]:
                shutil.rmtree(month, ignore_errors=True)

    def take(self, chunk_id: str, sha256: str, now: datetime) -> str:
        """Reserve the chunk's number for a file; the SHA-256 (hexadecimal) of the file that has it. Raises OSError."""
        this_month, *earlier = (self._folder / month / chunk_id[:2] / chunk_id for month in _months(now))
        for link in earlier:
            if (holder := _holder(link)) is not None:
                return holder
        try:
            this_month.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            this_month.symlink_to(_short(sha256))
        except FileExistsError:
            return _holder(this_month) or sha256
        return sha256


def _months(now: datetime) -> list[str]:
    """The months that count as folders, newest first."""
    first = now.astimezone(UTC).replace(day=1)
    return [f"{month:%Y-%m}" for month in (first, first - _MONTH, first - 2 * _MONTH)]


def _short(sha256: str) -> str:
    """43 characters: file systems keep targets below 60 in the link itself."""
    return urlsafe_b64encode(bytes.fromhex(sha256)).decode().rstrip("=")


def _holder(link: Path) -> str | None:
    try:
        return urlsafe_b64decode(f"{link.readlink()}=").hex()
    except FileNotFoundError:
        return None
