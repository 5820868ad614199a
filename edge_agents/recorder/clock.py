"""Two clocks: the wall's, which may jump, and a steady one that only counts since the machine's start."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def _wall_us() -> int:
    return time.time_ns() // 1000


def _steady_us() -> int:
    return time.clock_gettime_ns(_STEADY) // 1000


def kernel_boot() -> str:
    """The id of this machine's start; where the system has none, a new one for every start of the agent."""
    try:
        return BOOT_ID.read_text("ascii").strip() or uuid.uuid4().hex
    except OSError:
        return uuid.uuid4().hex


@dataclass(frozen=True, slots=True)
class Clock:
    """`wall_us`: UTC epoch microseconds. `steady_us`: microseconds since some moment of this boot; counts in sleep."""

    wall_us: Callable[[], int] = _wall_us
    steady_us: Callable[[], int] = _steady_us
    boot: str = field(default_factory=kernel_boot)


def local(us: int, zone: tzinfo | None) -> datetime:
    """UTC epoch microseconds as a time of `zone`, None meaning the system's."""
    return datetime.fromtimestamp(us // 1_000_000, UTC).replace(microsecond=us % 1_000_000).astimezone(zone)


def iso(us: int, zone: tzinfo | None) -> str:
    """UTC epoch microseconds in ISO 8601 with the zone's offset."""
    return local(us, zone).isoformat()
