"""What the server must still be told: recordings dropped unsent, and silence. Kept in files until it said 200."""

from __future__ import annotations

import json
import logging
import threading
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from edge_agents.recorder.chunk_names import Stamp
from edge_agents.recorder.disk import Disk

log = logging.getLogger(__name__)
_MOST = 20_000
_JOINS_US = 1_000_000


@dataclass(frozen=True, slots=True)
class Drop:
    """Files deleted before they were sent. `reason` is AGE, SIZE or UNREADABLE; times are starts, UTC epoch us."""

    report_id: str
    reason: str
    files: int
    bytes: int
    oldest_us: int | None
    newest_us: int | None


@dataclass(frozen=True, slots=True)
class Silence:
    """A stretch without speech, by the stamp of its first chunk."""

    boot_id: str
    sequence: int
    kernel_boot: str
    steady_us: int
    wall_us: int
    duration_us: int

    def stamp(self) -> Stamp:
        """Identity and time, as a chunk's."""
        return Stamp(self.boot_id, self.sequence, self.kernel_boot, self.steady_us, self.wall_us, 0)


Row = TypeVar("Row", Drop, Silence)


class _Kept(Generic[Row]):
    """Rows in a file, the oldest first. The one that `first` gave out changes no more. Thread-safe."""

    def __init__(self, path: Path, kind: type[Row], disk: Disk) -> None:
        self._path = path
        self._disk = disk
        self._lock = threading.Lock()
        self._rows: list[Row] = _read(path, kind)
        self._given_out: Row | None = None

    def first(self) -> Row | None:
        """The oldest row."""
        with self._lock:
            self._given_out = self._rows[0] if self._rows else None
            return self._given_out

    def told(self, row: Row) -> None:
        """The server knows this one."""
        with self._lock:
            self._given_out = None
            self._rows = [kept for kept in self._rows if kept != row]
            self._save()

    def rows(self) -> tuple[Row, ...]:
        """All that is kept."""
        with self._lock:
            return tuple(self._rows)

    def _append(self, row: Row) -> bool:
        # A row joins the last one where the rules of its kind allow; whether the file has it.
        with self._lock:
            last = self._rows[-1] if self._rows else None
            joined = _joined(last, row) if last is not None and last is not self._given_out else None
            self._rows[len(self._rows) - (joined is not None) :] = [joined or row]
            del self._rows[:-_MOST]
            return self._save()

    def _save(self) -> bool:
        content = "".join(json.dumps(asdict(row)) + "\n" for row in self._rows)
        try:
            self._disk.save(self._path, content.encode())
        except OSError as error:
            log.warning("report_not_saved", extra={"file": self._path.name, "error": str(error)})
            return False
        return True


def _joined(last: Row, row: Row) -> Row | None:
    if isinstance(last, Drop) and isinstance(row, Drop) and last.reason == row.reason:
        moments = [us for us in (last.oldest_us, last.newest_us, row.oldest_us, row.newest_us) if us is not None]
        return replace(
            last,
            files=last.files + row.files,
            bytes=last.bytes + row.bytes,
            oldest_us=min(moments, default=None),
            newest_us=max(moments, default=None),
        )
    if isinstance(last, Silence) and isinstance(row, Silence) and last.boot_id == row.boot_id:
        gap = row.steady_us - last.steady_us - last.duration_us
        if abs(gap) <= _JOINS_US:
            return replace(last, duration_us=row.steady_us + row.duration_us - last.steady_us)
    return None


class Drops(_Kept[Drop]):
    """Recordings that went before the server had them."""

    def __init__(self, path: Path, disk: Disk) -> None:
        super().__init__(path, Drop, disk)

    def add(self, reason: str, sizes: Sequence[int], starts_us: Sequence[int | None]) -> None:
        """Count dropped files: their sizes in bytes and, where known, their starts."""
        known = [us for us in starts_us if us is not None]
        oldest, newest = min(known, default=None), max(known, default=None)
        self._append(Drop(str(uuid.uuid4()), reason, len(sizes), sum(sizes), oldest, newest))


class Silences(_Kept[Silence]):
    """Recorded, and nobody spoke."""

    def __init__(self, path: Path, disk: Disk) -> None:
        super().__init__(path, Silence, disk)

    def add(self, stamp: Stamp, duration_us: int) -> bool:
        """Keep the times of a silent chunk; whether they are on the disk."""
        return self._append(
            Silence(stamp.boot_id, stamp.sequence, stamp.kernel_boot, stamp.steady_us, stamp.wall_us, duration_us)
        )


def _read(path: Path, kind: type[Row]) -> list[Row]:
    found: list[Row] = []
    try:
        lines = path.read_text("utf-8").splitlines()
    except FileNotFoundError:
        return found
    except (OSError, UnicodeDecodeError) as error:
        log.error("reports_unreadable", extra={"file": path.name, "error": str(error)})  # noqa: TRY400
        return found
    for line in lines:
        try:
            values: Any = json.loads(line)
            found.append(kind(**values))
        except (ValueError, TypeError) as error:
            log.error("report_unreadable", extra={"file": path.name, "error": str(error)})  # noqa: TRY400
    return found
