"""Keeps the spool within its limits, at the start, every five minutes and whenever a write finds the disk full."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path

from edge_agents.recorder import ogg
from edge_agents.recorder.boots import Boots
from edge_agents.recorder.chunk_names import Stamp, moment_in, stamp_of
from edge_agents.recorder.reports import Drops
from edge_agents.recorder.rotation import Limits, excess, too_many, too_old
from edge_agents.recorder.spool import Kept, Spool

log = logging.getLogger(__name__)
EVERY_S = 300.0
_ROOM = 1 << 20


@dataclass(slots=True)
class Janitor:
    """Deletes recordings; counts what was not sent. Thread-safe."""

    spool: Spool
    boots: Boots
    drops: Drops
    limits: Limits
    zone: tzinfo | None = None
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _stamps: dict[str, Stamp | None] = field(default_factory=dict[str, Stamp | None])

    def clean(self) -> None:
        """Delete what is too old, then the oldest beyond the limits."""
        with self._lock:
            files = self._files()
            names = {file.path.name for file in files}
            self._stamps = {name: stamp for name, stamp in self._stamps.items() if name in names}
            old = too_old(files, self.limits.days, self._age_us)
            by_age = self._delete(old, "AGE")
            left = [file for file in files if file not in by_age]
            much = too_many(left, excess(left, self.limits, self.spool.disk.free(self.spool.root)))
            by_size = self._delete(much, "SIZE")
        if by_age or by_size:
            log.info("spool_cleanup", extra={"deleted_by_age": len(by_age), "deleted_by_size": len(by_size)})

    def make_room(self, needed: int) -> bool:
        """The disk is full: delete until `needed` bytes more can be written. False if nothing of ours is left."""
        with self._lock:
            gone = self._delete(too_many(self._files(), max(needed, _ROOM)), "SIZE")
        unsent = sum(not file.sent for file in gone)
        log.error("disk_full", extra={"deleted_sent": len(gone) - unsent, "deleted_unsent": unsent})
        return bool(gone)

    def unreadable(self, paths: Sequence[Path]) -> None:
        """Count what a crash left without any sound."""
        if paths:
            self.drops.add("UNREADABLE", [0 for _ in paths], [moment_in(path.stem, self.zone) for path in paths])

    def _files(self) -> list[Kept]:
        return [file for file in self.spool.kept() if file.path != self.spool.in_flight]

    def _delete(self, files: Sequence[Kept], reason: str) -> list[Kept]:
        # Times are read before the files are gone; counted after, when even a full disk has room for the note.
        starts = {file.path: self._start_us(file) for file in files if not file.sent}
        gone: list[Kept] = []
        for file in files:
            try:
                self.spool.disk.remove(file.path)
                self.spool.disk.remove(file.path.with_name(f"{file.path.name}.reason"))
                gone.append(file)
            except OSError as error:
                log.error("spool_cleanup_error", extra={"file": file.path.name, "error": str(error)})  # noqa: TRY400
        unsent = [file for file in gone if not file.sent]
        if unsent:
            self.drops.add(reason, [file.size for file in unsent], [starts[file.path] for file in unsent])
            log.warning("recordings_dropped_unsent", extra={"files": len(unsent), "reason": reason})
        return gone

    def _age_us(self, file: Kept) -> int | None:
        stamp = self._stamp(file)
        age = self.boots.age_us(stamp) if stamp else None
        if age is None and (file.sent or stamp is None):
            now = self.boots.server_now_us() or self.boots.now_us()
            return now - file.modified_us
        return age

    def _start_us(self, file: Kept) -> int | None:
        stamp = self._stamp(file)
        return self.boots.dated(stamp).start_us if stamp else moment_in(file.path.name, self.zone)

    def _stamp(self, file: Kept) -> Stamp | None:
        name = file.path.name
        if name not in self._stamps:
            try:
                self._stamps[name] = stamp_of(ogg.tags_of(file.path))
            except OSError:
                return None
        return self._stamps[name]
