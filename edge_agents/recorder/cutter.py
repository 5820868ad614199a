"""Cuts what is heard into chunks, without a gap at the borders, and decides which are sent."""

from __future__ import annotations

import itertools
import logging
import uuid
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path

from edge_agents.recorder.boots import Boots
from edge_agents.recorder.capture import Block, Samples
from edge_agents.recorder.chunk_file import ChunkFile, Format
from edge_agents.recorder.chunk_names import Stamp, name_of
from edge_agents.recorder.clock import Clock, local
from edge_agents.recorder.errors import DiskFull
from edge_agents.recorder.reports import Silences
from edge_agents.recorder.speech_gate import SpeechEar, judge
from edge_agents.recorder.spool import Spool
from edge_agents.recorder.timeline import Timeline

log = logging.getLogger(__name__)
_COMPLAIN_US = 60_000_000


@dataclass(frozen=True, slots=True)
class Gate:
    """Sends chunks with speech only. `padding_s`: how near to speech a silent chunk is sent too."""

    silences: Silences
    aggressiveness: int = 2
    padding_s: float = 2.0


@dataclass(slots=True)
class Run:
    """One start of the agent: its number and zone for names, its id and counter for the server."""

    number: int
    clock: Clock
    zone: tzinfo | None = None
    boot_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    sequences: itertools.count[int] = field(default_factory=itertools.count)


@dataclass(slots=True)
class _Held:
    """A silent chunk whose sending depends on what follows."""

    path: Path
    stamp: Stamp
    duration_us: int


class Cutter:
    """Takes the blocks of one capture after the other. `lost_samples`: heard while the disk was full."""

    def __init__(self, spool: Spool, boots: Boots, run: Run, made: Format, gate: Gate | None = None) -> None:
        self._spool = spool
        self._boots = boots
        self._run = run
        self._format = made
        self._gate = gate
        self.lost_samples = 0
        self._complained_us: int | None = None
        self._begin()

    def _begin(self) -> None:
        self._timeline = Timeline(self._format.sample_rate)
        self._count = 0
        self._chunk: ChunkFile | None = None
        self._ear = SpeechEar(self._format.sample_rate, self._gate.aggressiveness) if self._gate else None
        self._held: _Held | None = None
        self._spoke_late = False

    def take(self, block: Block) -> None:
        """Write a block; begins and ends chunks as it goes. Never raises for the disk's sake."""
        self._timeline.observe(self._count, block.heard_us)
        samples = block.samples
        try:
            while samples.size:
                samples = samples[self._write(samples) :]
                self._finish_full()
        except DiskFull as full:
            self._lose(samples.size, full)

    def end(self) -> None:
        """The capture is over: finish the chunk, however short."""
        if self._chunk is not None and self._chunk.count:
            try:
                self._finish(self._chunk)
            except DiskFull as full:
                self._lose(0, full)
        self._settle(send=False)
        self._begin()

    def _write(self, samples: Samples) -> int:
        if self._chunk is None:
            self._chunk = self._open()
        part = samples[: self._format.samples - self._chunk.count]
        self._chunk.write(part)
        self._count += part.size
        if self._ear is not None and self._gate is not None and self._ear.hear(part):
            self._settle(send=self._chunk.count <= self._gate.padding_s * self._format.sample_rate)
        return part.size

    def _finish_full(self) -> None:
        if self._chunk is not None and self._chunk.count >= self._format.samples:
            self._finish(self._chunk)
            self._chunk = None

    def _open(self) -> ChunkFile:
        lost_before = self._timeline.lost_us
        steady_us = self._timeline.start_us(self._count)
        if self._timeline.lost_us > lost_before:
            log.warning("capture_gap", extra={"seconds": round((self._timeline.lost_us - lost_before) / 1e6, 3)})
        wall_us = self._boots.wall_us(steady_us)
        sequence = next(self._run.sequences)
        stamp = Stamp(self._run.boot_id, sequence, self._run.clock.boot, steady_us, wall_us, self._format.sample_rate)
        return ChunkFile(
            self._spool, name_of(local(wall_us, self._run.zone), self._run.number, sequence), stamp, self._format
        )

    def _finish(self, chunk: ChunkFile) -> None:
        path = chunk.finish()
        if self._ear is None or self._gate is None:
            self._publish(path)
            return
        speech = self._ear.end_chunk()
        verdict = judge(speech, padding_s=self._gate.padding_s, spoke_late_before=self._spoke_late)
        self._spoke_late = speech is not None and speech[1] <= self._gate.padding_s
        self._settle(send=verdict.send_held)
        if verdict.send:
            self._publish(path)
            return
        try:
            self._held = _Held(chunk.hold(), chunk.stamp, chunk.duration_us)
        except OSError:
            self._publish(path)

    def _settle(self, *, send: bool) -> None:
        held, self._held = self._held, None
        if held is None or self._gate is None:
            return
        if send or not self._gate.silences.add(held.stamp, held.duration_us):
            self._publish(held.path)
        else:
            self._spool.disk.remove(held.path)
            self._spool.fresh.set()
            log.info("chunk_silent", extra={"file": held.path.name, "seconds": round(held.duration_us / 1e6, 1)})

    def _publish(self, path: Path) -> None:
        try:
            whole = self._spool.publish(path)
        except OSError as error:
            # It lies there whole; the next start takes it up.
            log.error("chunk_not_published", extra={"file": path.name, "error": str(error)})  # noqa: TRY400
            return
        log.debug("chunk_finished", extra={"file": whole.name})

    def _lose(self, unwritten: int, full: DiskFull) -> None:
        self.lost_samples += unwritten
        self._count += unwritten
        if self._chunk is not None:
            self.lost_samples += self._chunk.count - self._chunk.rescue()
            self._chunk = None
        now = self._run.clock.steady_us()
        if self._complained_us is None or now - self._complained_us >= _COMPLAIN_US:
            self._complained_us = now
            seconds = round(self.lost_samples / self._format.sample_rate, 1)
            log.error("recording_lost", extra={"error": str(full), "seconds_lost": seconds})
