"""Which recordings go when they are too old, too many, or the disk is full. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edge_agents.recorder.chunk_names import order_of
from edge_agents.recorder.spool import Kept

DAY_US = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes and days. `free`: what should stay free on the disk."""

    days: int
    bytes: int
    free: int = 0


def too_old(files: Sequence[Kept], days: int, age_us: Callable[[Kept], int | None]) -> list[Kept]:
    """Files older than `days`, sent or not. A file whose age nobody knows is not old."""
    ages = ((file, age_us(file)) for file in files)
    return [file for file, age in ages if age is not None and age > days * DAY_US]


def too_many(files: Sequence[Kept], excess: int) -> list[Kept]:
    """The first of what may go until `excess` bytes are freed: sent before refused before unsent, oldest first."""
    chosen: list[Kept] = []
    for file in sorted(files, key=_prospects):
        if excess <= 0:
            break
        chosen.append(file)
        excess -= file.size
    return chosen


def excess(files: Sequence[Kept], limits: Limits, disk_free: int) -> int:
    """Bytes that have to go so that both limits hold; negative when there is room."""
    return max(sum(file.size for file in files) - limits.bytes, limits.free - disk_free)


def _prospects(file: Kept) -> tuple[int, tuple[int, int, str]]:
    rank = 0 if file.sent else 1 if file.path.parent.name == "rejected" else 2
    return rank, order_of(file.path.name)
