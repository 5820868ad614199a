"""The thread that sends: the oldest chunk first, but none blocks the others; then what else the server must be told."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from edge_agents.recorder.backoff import Backoff
from edge_agents.recorder.boots import Boots
from edge_agents.recorder.delivery import Connection, Later, Refused, Stored, Taken, Verdict
from edge_agents.recorder.letters import Letters, NotAChunk
from edge_agents.recorder.messenger import Messenger
from edge_agents.recorder.resumable import Resumable
from edge_agents.recorder.spool import Spool

log = logging.getLogger(__name__)
IDLE_S = 3.0
_CUTS = 2
_SLICE_S = 30.0


@dataclass(slots=True)
class Totals:
    """Since the start of the agent; the health page shows them."""

    uploaded: int = 0
    errors: int = 0
    last_upload_s: float | None = None
    rejected: int = 0


@dataclass(slots=True)
class Uploader:
    """`wait(seconds)` waits, true when the agent ends; `idle` ends early for a new chunk. `alive` counts its rounds."""

    spool: Spool
    boots: Boots
    letters: Letters
    connection: Connection
    resumable: Resumable
    messenger: Messenger
    backoff: Backoff
    stop: threading.Event
    wait: Callable[[float], bool]
    idle: Callable[[float], None]
    resumable_from: int = 1 << 20
    totals: Totals = field(default_factory=Totals)
    alive: int = 0
    _passed_over: Counter[str] = field(default_factory=Counter[str])
    _cuts: Counter[str] = field(default_factory=Counter[str])
    _by_content: set[str] = field(default_factory=set[str])
    _sent: set[str] = field(default_factory=set[str])

    def run(self) -> None:
        """Until `stop`."""
        while not self.stop.is_set():
            self.alive += 1
            try:
                delay = self.step()
            except Exception:
                # The outermost loop of this thread: the chunks are on the disk, it goes on with them.
                log.exception("upload_failed")
                delay = self.backoff.wait()
            if delay is None:
                self.idle(IDLE_S)
            elif self._wait(delay):
                return

    def _wait(self, delay: float) -> bool:
        # In slices: a long wait is no standstill.
        while delay > 0:
            self.alive += 1
            if self.wait(min(delay, _SLICE_S)):
                return True
            delay -= _SLICE_S
        return False

    def step(self) -> float | None:
        """Send one chunk, or tell one thing; seconds to wait afterwards, None: until there is something to send."""
        path = self._next()
        if path is None:
            told = self.messenger.tell_one()
            if told is None:
                return None
            return self._after_telling(told)
        return self._send(path)

    def _next(self) -> Path | None:
        pending = self.spool.pending()
        for path in pending:
            if path.name in self._sent:
                self._move(path)
        waiting = [path for path in pending if path.name not in self._sent]
        names = {path.name for path in waiting}
        for counter in (self._passed_over, self._cuts):
            for name in counter.keys() - names:
                del counter[name]
        return min(waiting, key=lambda path: self._passed_over[path.name], default=None)

    def _send(self, path: Path) -> float:
        self.spool.in_flight = path
        try:
            by_content = path.name in self._by_content
            fields = self.letters.fields(path, by_content=by_content)
            verdict = self._deliver(path, fields)
        except NotAChunk as why:
            if not why.broken:
                log.warning("bad_chunk_name", extra={"file": path.name})
            return self._set_aside(path, str(why), broken=why.broken)
        except FileNotFoundError:
            return 0.0
        except OSError as error:
            log.error("upload_read_error", extra={"file": path.name, "error": str(error)})  # noqa: TRY400
            self._passed_over[path.name] += 1
            return self.backoff.wait()
        finally:
            self.spool.in_flight = None
        return self._after(path, verdict)

    def _deliver(self, path: Path, fields: dict[str, str]) -> Verdict:
        big = path.stat().st_size >= self.resumable_from or self._cuts[path.name] >= _CUTS
        if big and self.resumable.offered():
            return self.resumable.send_chunk(fields, path, self.boots.anchor_us())
        return self.connection.send_chunk(fields, path)

    def _after(self, path: Path, verdict: Verdict) -> float:
        match verdict:
            case Stored(status, answer):
                self._stored(path, status, str(answer.get("chunk_id", "")))
                return 0.0
            case Refused(status, answer):
                log.error("upload_http_error", extra={"file": path.name, "status": status, "body": answer})
                self.totals.errors += 1
                return self._set_aside(path, f"{status} {answer}")
            case Taken(answer):
                log.warning("upload_http_error", extra={"file": path.name, "status": 409, "body": answer})
                self.totals.errors += 1
                if path.name in self._by_content:
                    return self._set_aside(path, f"409 {answer}")
                self._by_content.add(path.name)
                return 0.0
            case Later():
                return self._failed(path, verdict)

    def _stored(self, path: Path, status: int, chunk_id: str) -> None:
        log.info("upload_ok", extra={"file": path.name, "chunk_id": chunk_id, "status": status})
        if self.connection.server_us is not None:
            self.boots.heard_server(self.connection.server_us)
        self.totals.uploaded += 1
        self.totals.last_upload_s = self.boots.now_us() / 1e6
        self.backoff.reset()
        self.messenger.heard_speech()
        self.resumable.forget(path.name)
        self._move(path)

    def _move(self, path: Path) -> None:
        # Should the move fail, the chunk is not sent again as long as this process lives (and harmlessly by the next).
        self._sent.add(path.name)
        try:
            self.spool.mark_sent(path)
            self._sent.discard(path.name)
        except FileNotFoundError:
            self._sent.discard(path.name)
        except OSError as error:
            log.error("move_uploaded_error", extra={"file": path.name, "error": str(error)})  # noqa: TRY400

    def _failed(self, path: Path, why: Later) -> float:
        self.totals.errors += 1
        if why.status:
            log.warning("upload_http_error", extra={"file": path.name, "status": why.status, "body": why.reason})
        else:
            log.warning("upload_network_error", extra={"file": path.name, "error": why.reason})
        if why.this_chunk:
            self._passed_over[path.name] += 1
        if why.cut or why.too_large:
            self._cuts[path.name] += _CUTS if why.too_large else 1
        return self._delay(why)

    def _set_aside(self, path: Path, reason: str, *, broken: bool = False) -> float:
        self.totals.rejected += 1
        log.error("chunk_rejected", extra={"file": path.name, "reason": reason})
        self.resumable.forget(path.name)
        self._passed_over[path.name] += 1
        return 0.0 if self.spool.set_aside(path, reason, broken=broken) else self.backoff.wait()

    def _after_telling(self, verdict: Verdict) -> float:
        match verdict:
            case Stored():
                self.backoff.reset()
                return 0.0
            case Later():
                self.totals.errors += 1
                return self._delay(verdict)
            case _:
                return 0.0

    def _delay(self, why: Later) -> float:
        delay = max(self.backoff.wait(), why.retry_after_s or 0.0)
        log.info("upload_backoff", extra={"delay_s": round(delay, 2)})
        return delay
