"""What is written beside a chunk's sound when it is sent: whose it is, when it was, how it is counted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path
from typing import Any

from edge_agents.recorder import ogg
from edge_agents.recorder.boots import Boots
from edge_agents.recorder.chunk_names import moment_in, stamp_of
from edge_agents.recorder.clock import iso
from edge_agents.recorder.reports import Drop, Silence


class NotAChunk(Exception):
    """A file that cannot be sent at all. `broken`: there is no sound in it."""

    def __init__(self, why: str, *, broken: bool = False) -> None:
        super().__init__(why)
        self.broken = broken


@dataclass(frozen=True, slots=True)
class Identifiers:
    """Point, register and device, UUIDs in text."""

    point_id: str
    register_id: str
    device_id: str

    def fields(self) -> dict[str, str]:
        """In the order of the wire."""
        return {"point_id": self.point_id, "register_id": self.register_id, "device_id": self.device_id}


@dataclass(frozen=True, slots=True)
class Letters:
    """Writes the fields of chunks and reports; times carry the zone's offset."""

    who: Identifiers
    boots: Boots
    zone: tzinfo | None = None
    sample_rate: int = 48_000
    chunk_seconds: float = 60.0

    def fields(self, path: Path, *, by_content: bool = False) -> dict[str, str]:
        """The text fields of a chunk in their order. `by_content`: without its number, which another chunk has.

        Raises NotAChunk, OSError.
        """
        facts = ogg.facts_of(path)
        stamp = stamp_of(facts.tags) if facts else None
        if facts is None:
            if path.stat().st_size == 0:
                raise NotAChunk("the file is empty", broken=True)
            raise NotAChunk("the file is no OGG/Opus sound", broken=True)
        if stamp is not None:
            dated = self.boots.dated(stamp)
            fields = self._times(dated.start_us, facts.duration_us, stamp.sample_rate)
            if not by_content:
                fields |= {"boot_id": stamp.boot_id, "sequence": str(stamp.sequence)}
            return fields | self._clock(current=dated.current)
        # Another agent's file: its name says when it began, on the wall clock of that time.
        start_us = moment_in(path.name, self.zone)
        if start_us is None:
            raise NotAChunk("neither its name nor its tags say when it was recorded")
        return self._times(start_us, facts.duration_us, self.sample_rate)

    def silence(self, row: Silence) -> dict[str, Any]:
        """The body of a report of silence."""
        dated = self.boots.dated(row.stamp())
        times = {"start_ts": iso(dated.start_us, self.zone), "end_ts": iso(dated.start_us + row.duration_us, self.zone)}
        identity = {"boot_id": row.boot_id, "sequence": row.sequence}
        return {**self.who.fields(), **times, **identity, **self._clock(current=dated.current)}

    def drop(self, row: Drop) -> dict[str, Any]:
        """The body of a report of deleted recordings."""
        body: dict[str, Any] = {
            **self.who.fields(),
            "report_id": row.report_id,
            "files": row.files,
            "bytes": row.bytes,
            "reason": row.reason,
        }
        for name, us in (("oldest_ts", row.oldest_us), ("newest_ts", row.newest_us)):
            if us is not None:
                body[name] = iso(us, self.zone)
        return body

    def _times(self, start_us: int, duration_us: int, sample_rate: int) -> dict[str, str]:
        end_us = start_us + max(1, duration_us)
        times = {"start_ts": iso(start_us, self.zone), "end_ts": iso(end_us, self.zone)}
        return {**self.who.fields(), **times, "codec": "opus", "sample_rate": str(sample_rate), "channels": "1"}

    def _clock(self, *, current: bool) -> dict[str, str]:
        # Only with times of the clock as it now is: the server adds the difference to its own.
        return {"clock_ts": iso(self.boots.now_us(), self.zone)} if current else {}
