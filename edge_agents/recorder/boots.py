"""What time it was: wall-clock times of recordings from the steady clock, told anew whenever the wall clock was set.

A small computer without a clock of its own starts somewhere in the past and jumps when the network comes. A chunk's
moment on the steady clock does not jump, so its date is worked out when it is needed, not when it is recorded.
"""

from __future__ import annotations

import json
import logging
import threading
from dataclasses import asdict, dataclass, replace
from datetime import tzinfo
from pathlib import Path

from edge_agents.recorder.chunk_names import Stamp
from edge_agents.recorder.clock import Clock, iso
from edge_agents.recorder.disk import Disk

log = logging.getLogger(__name__)
_JUMP_US = 200_000
_MOMENT_US = 20_000
_KEPT = 100
# Below this the server's clock and ours are the same: its header has whole seconds and takes time to arrive.
_AGREES_US = 5_000_000


@dataclass(frozen=True, slots=True)
class Boot:
    """One start of the machine: wall minus steady clock as last seen, and server minus wall (None: never heard)."""

    anchor_us: int
    server_offset_us: int | None = None


@dataclass(frozen=True, slots=True)
class Dated:
    """When a recording began. `current`: by the clock as it is now, so that the server may correct it by its own."""

    start_us: int
    current: bool


class Boots:
    """The boots this spool has seen, kept in a file. Thread-safe."""

    def __init__(self, path: Path, clock: Clock, disk: Disk, zone: tzinfo | None = None) -> None:
        self._path = path
        self._clock = clock
        self._disk = disk
        self._zone = zone
        self._lock = threading.RLock()
        self._boots = _read(path)
        self._mine = replace(self._boots.pop(clock.boot, Boot(0)), anchor_us=self._seen_us())
        self._save()

    def now_us(self) -> int:
        """The wall clock."""
        return self._clock.wall_us()

    def anchor_us(self) -> int:
        """Wall minus steady clock of this boot, steady but for real jumps."""
        with self._lock:
            seen = self._seen_us()
            difference = seen - self._mine.anchor_us
            if abs(difference) > _JUMP_US:
                now = iso(self._clock.wall_us(), self._zone)
                log.warning("clock_jumped", extra={"seconds": round(difference / 1e6, 3), "now": now})
                # What the server's clock was compared with is gone.
                self._mine = Boot(seen)
                self._save()
            return self._mine.anchor_us

    def wall_us(self, steady_us: int) -> int:
        """The wall-clock time of a moment of this boot."""
        return steady_us + self.anchor_us()

    def dated(self, stamp: Stamp) -> Dated:
        """When the recording with this stamp began, as well as it is known now."""
        if stamp.kernel_boot == self._clock.boot:
            return Dated(self.wall_us(stamp.steady_us), current=True)
        with self._lock:
            boot = self._boots.get(stamp.kernel_boot)
        if boot is None:
            return Dated(stamp.wall_us, current=False)
        offset = boot.server_offset_us or 0
        return Dated(stamp.steady_us + boot.anchor_us + offset, current=False)

    def age_us(self, stamp: Stamp) -> int | None:
        """How old a recording is; None where no clock can tell: a boot in which nobody told the right time."""
        if stamp.kernel_boot == self._clock.boot:
            return self._clock.steady_us() - stamp.steady_us
        now = self.server_now_us()
        with self._lock:
            boot = self._boots.get(stamp.kernel_boot)
        if now is None or boot is None or boot.server_offset_us is None:
            return None
        return now - (stamp.steady_us + boot.anchor_us + boot.server_offset_us)

    def server_now_us(self) -> int | None:
        """The server's time, if it was heard since the clock was last set."""
        self.anchor_us()
        with self._lock:
            offset = self._mine.server_offset_us
        return None if offset is None else self._clock.wall_us() + offset

    def heard_server(self, server_us: int) -> None:
        """The server said what time it is."""
        self.anchor_us()
        offset = server_us - self._clock.wall_us()
        offset = 0 if abs(offset) <= _AGREES_US else offset
        with self._lock:
            before = self._mine.server_offset_us
            if before is not None and abs(offset - before) <= _AGREES_US:
                return
            self._mine = replace(self._mine, server_offset_us=offset)
            self._save()
        if offset:
            log.warning("clock_differs_from_server", extra={"seconds": round(offset / 1e6)})

    def _seen_us(self) -> int:
        # Both clocks at one moment: a reader that was put to sleep between them looks again.
        before, wall = self._clock.steady_us(), self._clock.wall_us()
        for _ in range(10):
            if self._clock.steady_us() - before < _MOMENT_US:
                break
            before, wall = self._clock.steady_us(), self._clock.wall_us()
        return wall - before

    def _save(self) -> None:
        rows = [*self._boots.items(), (self._clock.boot, self._mine)][-_KEPT:]
        content = json.dumps({boot: asdict(row) for boot, row in rows}).encode()
        try:
            self._disk.save(self._path, content)
        except OSError as error:
            # The chunks carry the wall clock too: only a later correction would be lost.
            log.warning("clock_note_not_saved", extra={"error": str(error)})


def _read(path: Path) -> dict[str, Boot]:
    try:
        rows = json.loads(path.read_bytes())
        return {str(boot): Boot(int(row["anchor_us"]), _offset(row["server_offset_us"])) for boot, row in rows.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        log.warning("clock_notes_unreadable", extra={"file": str(path), "error": str(error)})
        return {}


def _offset(value: object) -> int | None:
    return value if isinstance(value, int) else None
