"""What `sensorium up` shows: steps with their times, a bar for the download, one live line. Plain lines when piped."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import datetime

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)


class Terminal:
    """Writes for a person; every method may be called at any time from the main thread."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False, soft_wrap=True)
        self._live = ""

    @property
    def is_interactive(self) -> bool:
        """Whether somebody watches, so that a line may be drawn over."""
        return self._console.is_terminal

    def say(self, text: str) -> None:
        """One line that stays, with the time of day."""
        self.clear()
        self._console.print(f"{datetime.now().astimezone():%H:%M:%S} {text}", markup=False)

    def print(self, text: str = "", style: str | None = None) -> None:
        """One line that stays."""
        self.clear()
        self._console.print(text, style=style, markup=False)

    @contextmanager
    def step(self, name: str) -> Generator[Callable[[str], None]]:
        """A named step: shown while it lasts, then with its time and whatever was added about its result."""
        begin, results = time.monotonic(), list[str]()
        self.live(f"  ..  {name}")  # no spinner: its thread would run while children are forked
        sign = "--"
        try:
            yield results.append
            sign = "ok"
        finally:
            result = f": {' '.join(results)}" if results else ""
            self.print(f"  {sign}  {name}{result} ({time.monotonic() - begin:.1f} s)")

    @contextmanager
    def download(self, name: str) -> Generator[DownloadBar]:
        """A progress bar with rate and estimate; it appears only when something is wanted."""
        columns = (TextColumn("      {task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        begin = time.monotonic()
        with Progress(
            *columns, TimeRemainingColumn(), console=self._console, transient=True, disable=not self.is_interactive
        ) as progress:
            bar = DownloadBar(progress, name, self)
            yield bar
        if bar.total:
            self._console.print(f"  ok  {name}: {bar.total / 1e6:.0f} MB ({time.monotonic() - begin:.1f} s)")

    def live(self, text: str) -> None:
        """Draw the live line anew (only where somebody watches)."""
        if self.is_interactive and text != self._live:
            width = self._console.width - 1
            self._console.file.write("\r" + text[:width].ljust(min(len(self._live), width)))
            self._console.file.flush()
            self._live = text

    def clear(self) -> None:
        """Take the live line away."""
        if self._live:
            self._console.file.write("\r" + " " * min(len(self._live), self._console.width - 1) + "\r")
            self._live = ""


class DownloadBar:
    """Counts what arrives; may be called from any thread."""

    def __init__(self, progress: Progress, name: str, terminal: Terminal) -> None:
        self.total = 0
        self._progress, self._name, self._terminal = progress, name, terminal
        self._task: TaskID | None = None

    def wanted(self, count: int, size: int) -> None:
        """Begin: so many files, so many bytes altogether."""
        self.total = size
        if not self._terminal.is_interactive:
            self._terminal.print(f"      {self._name}: {count} files, {size / 1e6:.0f} MB ...")
        self._task = self._progress.add_task(f"{self._name}, {count} files", total=size)

    def arrived(self, size: int) -> None:
        """So many bytes more (fewer, when an attempt failed)."""
        if self._task is not None:
            self._progress.advance(self._task, size)
