"""One chunk on its way to the disk: encoded, written, synced now and then, finished under its final name."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from edge_agents.recorder import ogg
from edge_agents.recorder.capture import Samples
from edge_agents.recorder.chunk_names import HELD, PART, Stamp
from edge_agents.recorder.encoder import OpusEncoder
from edge_agents.recorder.errors import DiskFull
from edge_agents.recorder.salvage import finish_in_place
from edge_agents.recorder.spool import NO_ROOM, Spool

log = logging.getLogger(__name__)
_SYNC_S = 5.0
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Format:
    """How chunks are made."""

    sample_rate: int = 48_000
    kbps: int = 24
    seconds: float = 60.0

    @property
    def samples(self) -> int:
        """Samples of a full chunk."""
        return max(1, round(self.sample_rate * self.seconds))


class ChunkFile:
    """`NAME.part` while it grows. Raises DiskFull where nothing can be freed; what was written is kept then."""

    def __init__(self, spool: Spool, name: str, stamp: Stamp, made: Format) -> None:
        self.stamp = stamp
        self.count = 0
        self._spool = spool
        self._format = made
        self._encoder = OpusEncoder(made.sample_rate, made.kbps, stamp.tags())
        self._unsynced_s = 0.0
        self._file = self._made_room(lambda: spool.disk.create(spool.outbox / f"{name}{PART}"))

    @property
    def path(self) -> Path:
        """Where it lies."""
        return self._file.path

    @property
    def duration_us(self) -> int:
        """Length of the sound."""
        return round(self.count * 1e6 / self._format.sample_rate)

    def write(self, samples: Samples) -> None:
        """Add samples."""
        self._put(self._encoder.encode(samples))
        self.count += samples.size
        self._unsynced_s += samples.size / self._format.sample_rate
        if self._unsynced_s >= _SYNC_S:
            self._made_room(self._file.sync)
            self._unsynced_s = 0.0

    def finish(self) -> Path:
        """Whole and on the disk, still under its passing name."""
        self._put(self._encoder.finish())
        self._made_room(self._file.sync)
        self._file.close()
        return self.path

    def hold(self) -> Path:
        """After `finish`: under the name of a chunk whose sending is not decided."""
        held = self.path.with_name(self.path.name.removesuffix(PART) + HELD)
        self._spool.disk.rename(self.path, held)
        return held

    def rescue(self) -> int:
        """After DiskFull: what was written becomes a chunk, or goes if there is nothing in it; the samples saved."""
        try:
            self._file.close()
            facts = ogg.facts_of(self.path) if finish_in_place(self.path) else None
            if facts is None:
                self._spool.disk.remove(self.path)
                return 0
            self._spool.publish(self.path)
        except OSError as error:
            log.error("chunk_not_rescued", extra={"file": self.path.name, "error": str(error)})  # noqa: TRY400
            return 0
        return facts.samples * self._format.sample_rate // ogg.GRANULES_PER_S

    def _put(self, data: bytes) -> None:
        while data:
            written = self._made_room(lambda rest=data: self._file.write(rest))
            data = data[written:]

    def _made_room(self, act: Callable[[], Result]) -> Result:
        # Each round deletes something, so this ends.
        while True:
            try:
                return act()
            except OSError as error:
                if error.errno not in NO_ROOM:
                    raise DiskFull(f"the spool cannot be written: {error}") from None
                if not self._spool.on_full(1 << 20):
                    raise DiskFull(
                        "the spool's disk is full, and nothing of the recorder's is left to delete"
                    ) from None
