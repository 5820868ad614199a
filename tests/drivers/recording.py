"""A recorder's parts for tests: clocks to set, disks to fill, sounds to hear, chunks to look into."""

from __future__ import annotations

import errno
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np

from edge_agents.recorder.boots import Boots
from edge_agents.recorder.capture import Block, Samples
from edge_agents.recorder.chunk_file import Format
from edge_agents.recorder.clock import Clock
from edge_agents.recorder.cutter import Cutter, Gate, Run
from edge_agents.recorder.disk import Disk, OpenFile
from edge_agents.recorder.encoder import OpusEncoder
from edge_agents.recorder.spool import Spool

NOON_US = 1_767_265_200_000_000  # 2026-01-01T11:00:00Z, noon in Belgrade.
SECOND = 1_000_000
DAY = 86_400 * SECOND


@dataclass
class SetClock:
    """A clock in the test's hand."""

    wall: int = NOON_US
    steady: int = 1000 * SECOND
    boot: str = "boot-1"

    def pass_s(self, seconds: float) -> None:
        """Time goes on."""
        self.wall += round(seconds * SECOND)
        self.steady += round(seconds * SECOND)

    def jump_s(self, seconds: float) -> None:
        """Somebody sets the wall clock."""
        self.wall += round(seconds * SECOND)

    def clock(self) -> Clock:
        """As the recorder's parts want it."""
        return Clock(lambda: self.wall, lambda: self.steady, self.boot)


class _SmallFile(OpenFile):
    def __init__(self, path: Path, disk: SmallDisk) -> None:
        super().__init__(path)
        self._disk = disk

    def write(self, data: bytes) -> int:
        room = self._disk.free(self.path)
        if room <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data[:room])


@dataclass
class SmallDisk(Disk):
    """A disk with so many bytes below `root`; other programs may have taken some."""

    root: Path
    size: int
    others: int = 0

    def create(self, path: Path) -> OpenFile:
        return _SmallFile(path, self)

    def free(self, folder: Path) -> int:
        used = sum(file.stat().st_size for file in self.root.rglob("*") if file.is_file())
        return max(0, self.size - self.others - used)


@dataclass
class Studio:
    """A spool with what writes into it."""

    folder: Path
    time: SetClock = field(default_factory=SetClock)
    seconds: float = 2.0
    rate: int = 16_000
    disk: Disk = field(default_factory=Disk)
    gate: Gate | None = None
    run: int = 1

    def __post_init__(self) -> None:
        self.spool = Spool(self.folder, self.folder / "outbox", self.disk)
        self.clock = self.time.clock()
        self.boots = Boots(self.spool.state / "boots.json", self.clock, self.disk)
        made = Format(self.rate, 24, self.seconds)
        self.cutter = Cutter(self.spool, self.boots, Run(self.run, self.clock), made, self.gate)

    def hear(self, samples: Samples, block_s: float = 0.1) -> None:
        """Sound comes in, as time goes by."""
        size = round(self.rate * block_s)
        for at in range(0, samples.size, size):
            block = samples[at : at + size]
            heard = self.time.steady
            self.time.pass_s(block.size / self.rate)
            self.cutter.take(Block(block, heard))

    def chunks(self) -> list[Path]:
        """What waits for the server."""
        return self.spool.pending()


def tone(seconds: float, rate: int = 16_000, hertz: float = 300.0) -> Samples:
    """A sound that is no speech."""
    moments = np.arange(round(seconds * rate)) / rate
    return (np.sin(2 * np.pi * hertz * moments) * 8000).astype(np.int16)


def ogg_chunk(seconds: float = 1.0, rate: int = 16_000, tags: dict[str, str] | None = None) -> bytes:
    """A small OGG/Opus file."""
    encoder = OpusEncoder(rate, 24, tags or {})
    return encoder.encode(tone(seconds, rate)) + encoder.finish()


def decoded_samples(content: bytes | Path) -> int:
    """Samples at 48 kHz that a decoder makes of a file."""
    return sum(frame.samples for frame in _frames(content))


def decoded_sound(content: bytes | Path) -> Samples:
    """What a decoder makes of a file, 48 kHz."""
    parts = [frame.to_ndarray().reshape(-1) for frame in _frames(content)]
    sound = np.concatenate(parts)
    return (sound * 32767).astype(np.int16) if sound.dtype.kind == "f" else sound


def _frames(content: bytes | Path) -> Iterator[Any]:
    source = io.BytesIO(content) if isinstance(content, bytes) else str(content)
    with av.open(source) as container:
        yield from container.decode(audio=0)
