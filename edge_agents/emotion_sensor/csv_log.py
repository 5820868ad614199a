"""The local CSV: every point of a session with its seven shares, in files that rotate and do not fill the disk."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from edge_agents.emotion_sensor.affect import EXPRESSIONS
from edge_agents.emotion_sensor.points import Point, record

COLUMNS = (
    "device_id,session_id,session_person_id,track_id,absolute_time,valence,arousal,bbox_x1,bbox_y1,bbox_x2,bbox_y2,"
    + ",".join(EXPRESSIONS)
)


@dataclass(frozen=True, slots=True)
class CsvLimits:
    """When to begin a new file and when to remove old ones. Sizes in bytes, age in seconds."""

    file: int = 10_000_000
    together: int = 200_000_000
    age_s: float = 30 * 86400.0


class CsvLog:
    """Writes `<session_id>.csv`, then `<session_id>.002.csv` and so on. Raises OSError when the disk is full."""

    def __init__(self, directory: Path, device_id: str, limits: CsvLimits) -> None:
        self._directory = directory
        self._device_id = device_id
        self._limits = limits
        self._session_id = ""
        self._part = 0
        self._file: TextIO | None = None

    def write(self, session_id: str, rows: Sequence[tuple[Point, Mapping[str, float]]]) -> None:
        """Append one line a point; after a return the lines are with the operating system."""
        if self._file is None or session_id != self._session_id or self._file.tell() >= self._limits.file:
            self._next_file(session_id)
        file = self._file
        if file is None:
            return
        file.write("".join(self._line(point, shares) for point, shares in rows))
        file.flush()

    def close(self) -> None:
        """Close the current file."""
        if self._file is not None:
            file, self._file = self._file, None
            with suppress(OSError):  # on a full disk the last lines cannot be written; the file is closed all the same
                file.close()

    def _line(self, point: Point, shares: Mapping[str, float]) -> str:
        numbers = ",".join(f"{shares.get(name, 0.0):.4f}" for name in EXPRESSIONS)
        fields = ",".join(str(value) for value in record(point).values())
        return f"{_quoted(self._device_id)},{self._session_id},{fields},{numbers}\n"

    def _next_file(self, session_id: str) -> None:
        self.close()
        self._part = self._part + 1 if session_id == self._session_id else 1
        self._session_id = session_id
        self._directory.mkdir(parents=True, exist_ok=True)
        self._remove_old()
        name = session_id if self._part == 1 else f"{session_id}.{self._part:03d}"
        self._file = (self._directory / f"{name}.csv").open("a", encoding="utf-8")
        if self._file.tell() == 0:
            self._file.write(COLUMNS + "\n")

    def _remove_old(self) -> None:
        files = sorted((path.stat().st_mtime, path.stat().st_size, path) for path in self._directory.glob("*.csv"))
        room = self._limits.together - self._limits.file
        kept = 0
        for changed, size, path in reversed(files):
            kept += size
            if kept > room or time.time() - changed > self._limits.age_s:
                path.unlink(missing_ok=True)


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if any(sign in text for sign in ',"\n\r') else text
