"""The folders a chunk goes through: outbox (waits for the server), uploaded (sent), rejected (refused or broken)."""

from __future__ import annotations

import errno
import json
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from edge_agents.recorder.chunk_names import HELD, PART, order_of, run_in
from edge_agents.recorder.disk import Disk

log = logging.getLogger(__name__)
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True, slots=True)
class Kept:
    """A file of the spool. `sent`: the server has it."""

    path: Path
    size: int
    modified_us: int
    sent: bool


class Spool:
    """Paths and moves; what may go when room is needed is decided elsewhere and set as `on_full`.

    `fresh` is set when a chunk was published; `in_flight` is the one being sent.
    """

    def __init__(self, root: Path, outbox: Path, disk: Disk | None = None) -> None:
        """Makes the folders. Raises OSError."""
        self.root = root
        self.disk = disk or Disk()
        self.outbox = outbox
        self.uploaded = root / "uploaded"
        self.rejected = root / "rejected"
        self.state = root / "state"
        for folder in (root, self.outbox, self.uploaded, self.rejected, self.state):
            self.disk.make(folder)
        self.fresh = threading.Event()
        self.in_flight: Path | None = None
        self.on_full: Callable[[int], bool] = lambda _: False

    def pending(self) -> list[Path]:
        """Whole chunks that wait, oldest first."""
        found = [path for path in _files(self.outbox) if path.suffix == ".ogg" and path.name.startswith("chunk_")]
        return sorted(found, key=lambda path: order_of(path.name))

    def unfinished(self) -> list[Path]:
        """What a killed process left behind: being written, or held back as silent."""
        return sorted(path for path in _files(self.outbox) if path.name.endswith((PART, HELD)))

    def kept(self) -> list[Kept]:
        """Every whole chunk of the spool."""
        found: list[Kept] = []
        for folder, sent in ((self.uploaded, True), (self.rejected, False), (self.outbox, False)):
            for path in _files(folder):
                if path.suffix in (".ogg", ".broken"):
                    try:
                        facts = path.stat()
                    except FileNotFoundError:
                        continue
                    found.append(Kept(path, facts.st_size, facts.st_mtime_ns // 1000, sent))
        return found

    def wait_for_more(self, seconds: float) -> None:
        """Until something was published, at most `seconds`."""
        self.fresh.wait(seconds)
        self.fresh.clear()

    def publish(self, part: Path) -> Path:
        """Give a whole file its name, so that the uploader sees it. Raises OSError."""
        whole = part.with_name(part.name.removesuffix(PART).removesuffix(HELD))
        self.disk.rename(part, whole)
        self.fresh.set()
        return whole

    def mark_sent(self, path: Path) -> None:
        """The server has it. Raises OSError."""
        self.disk.rename(path, self.uploaded / path.name)

    def set_aside(self, path: Path, reason: str, *, broken: bool = False) -> bool:
        """The server will never take it, or it cannot be read: keep it apart, the reason in a file beside it.

        False if it could not be moved.
        """
        name = path.name.removesuffix(PART).removesuffix(HELD) + (".broken" if broken else "")
        try:
            self.disk.rename(path, self.rejected / name)
        except OSError as error:
            log.error("set_aside_error", extra={"file": path.name, "error": str(error)})  # noqa: TRY400
            return False
        self._saved(self.rejected / f"{name}.reason", reason[:2000].encode())
        return True

    def next_run(self) -> int:
        """The number of this start of the agent, one more than any before it."""
        path = self.state / "runs.json"
        try:
            last = int(json.loads(path.read_bytes())["last"])
        except (OSError, ValueError, TypeError, KeyError):
            last = 0
        number = max(last, max((run_in(kept.path.name) for kept in self.kept()), default=0)) + 1
        self._saved(path, json.dumps({"last": number}).encode())
        return number

    def _saved(self, path: Path, content: bytes) -> None:
        try:
            self.disk.save(path, content)
        except OSError as error:
            if error.errno not in NO_ROOM or not self.on_full(4096):
                log.warning("state_not_saved", extra={"file": path.name, "error": str(error)})


def _files(folder: Path) -> Iterator[Path]:
    try:
        yield from list(folder.iterdir())
    except FileNotFoundError:
        return
