"""What was spent today, kept in a file, so that a restart does not open a new purse. One process writes it."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path


def _utc_day() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d")


class Ledger:
    """A day's spending in a file of that day, `[task_id, micros]` a call. Files of other days stay as a record."""

    def __init__(self, folder: Path, *, day: Callable[[], str] = _utc_day) -> None:
        self._folder, self._day = folder, day
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._open_day, self._spent = "", 0

    def today(self) -> int:
        """Millionths of a dollar spent since midnight UTC."""
        with self._lock:
            self._turn()
            return self._spent

    def add(self, task_id: str, micros: int) -> None:
        """Write a call down before its answer is used. Raises OSError: it counts today, but a restart forgets it."""
        with self._lock:
            self._turn()
            self._spent += micros
            # The blank line ends what a power cut may have torn.
            line = "\n" + json.dumps([task_id, micros]) + "\n"
            descriptor = os.open(self._file(), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                os.write(descriptor, line.encode())
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def _turn(self) -> None:
        """Begin with what the day's file says when a new day (or process) begins."""
        day = self._day()
        if day != self._open_day:
            self._open_day = day
            self._spent = sum(_amounts(self._file()))

    def _file(self) -> Path:
        return self._folder / f"{self._open_day}.jsonl"


def _amounts(file: Path) -> list[int]:
    """A line that a power cut has torn counts as nothing."""
    amounts: list[int] = []
    if file.is_file():
        for line in file.read_text("utf-8").splitlines():
            try:
                amounts.append(int(json.loads(line)[1]))
            except (ValueError, IndexError, TypeError):
                continue
    return amounts
