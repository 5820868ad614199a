"""What a chunk says of itself: its file's name for people, its Ogg tags for the agent. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo

_NAME = re.compile(r"chunk_(\d{8}_\d{6})(?:_.*)?\.ogg")
_RUN = re.compile(r"chunk_\d{8}_\d{6}_(\d{1,9})_(\d{1,18})\.ogg.*")
PART = ".part"
HELD = ".quiet"


@dataclass(frozen=True, slots=True)
class Stamp:
    """Identity and time of a chunk. `boot_id` is one start of the agent, `kernel_boot` one start of the machine.

    `steady_us` is the first sample's moment on that boot's steady clock, `wall_us` what the wall clock made of it then.
    """

    boot_id: str
    sequence: int
    kernel_boot: str
    steady_us: int
    wall_us: int
    sample_rate: int

    def tags(self) -> dict[str, str]:
        """The stamp as comments of the Ogg file: written first, so they survive whatever happens to the rest."""
        return {f"RECORDER_{name.upper()}": str(getattr(self, name)) for name in Stamp.__slots__}


def stamp_of(tags: Mapping[str, str]) -> Stamp | None:
    """The stamp in a file's comments; None where another program wrote the file."""
    values = {name: tags.get(f"RECORDER_{name.upper()}", "") for name in Stamp.__slots__}
    numbers = ("sequence", "steady_us", "wall_us", "sample_rate")
    if not values["boot_id"] or not all(re.fullmatch(r"-?\d{1,18}", values[name]) for name in numbers):
        return None
    return Stamp(
        boot_id=values["boot_id"],
        kernel_boot=values["kernel_boot"],
        sequence=int(values["sequence"]),
        steady_us=int(values["steady_us"]),
        wall_us=int(values["wall_us"]),
        sample_rate=int(values["sample_rate"]),
    )


def name_of(opened: datetime, run: int, sequence: int) -> str:
    """`chunk_YYYYMMDD_HHMMSS_RUN_SEQUENCE.ogg`: a clock that goes back cannot make the same name twice."""
    return f"chunk_{opened:%Y%m%d_%H%M%S}_{run:04d}_{sequence:06d}.ogg"


def run_in(name: str) -> int:
    """The number of the agent's start in a name; 0 where there is none."""
    found = _RUN.match(name)
    return int(found[1]) if found else 0


def order_of(name: str) -> tuple[int, int, str]:
    """Sorts names by when they were recorded, whatever the wall clock said; other programs' names come first."""
    found = _RUN.match(name)
    return (int(found[1]), int(found[2]), name) if found else (0, 0, name)


def moment_in(name: str, zone: tzinfo | None) -> int | None:
    """UTC epoch microseconds of a name's stamp, read in `zone`; None if it has no possible one."""
    found = _NAME.fullmatch(name)
    if not found:
        return None
    try:
        moment = datetime.strptime(found[1], "%Y%m%d_%H%M%S").replace(tzinfo=zone)
        return round(moment.timestamp()) * 1_000_000
    except (ValueError, OverflowError, OSError):
        return None
