"""The thread that records: opens the microphone while the schedule wants it, and again whenever it is lost."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from edge_agents.recorder.backoff import Backoff
from edge_agents.recorder.capture import Block, Feed
from edge_agents.recorder.cutter import Cutter
from edge_agents.recorder.errors import CaptureLost, MicrophoneMissing
from edge_agents.recorder.microphones import signature
from edge_agents.recorder.sources import Sources

log = logging.getLogger(__name__)
RETRY_MIN_S, RETRY_MAX_S = 2.0, 60.0
_LOOK_S = 0.5
_STALL_S = 5.0
_PLUG_S = 1.0


@dataclass(slots=True)
class Recorder:
    """`wanted` is set while the schedule wants recording, `stop` when the agent ends. `alive` counts its rounds."""

    sources: Sources
    cutter: Cutter
    stop: threading.Event
    wanted: threading.Event = field(default_factory=threading.Event)
    finished: threading.Event = field(default_factory=threading.Event)
    plugged: Callable[[], str] = signature
    backoff: Backoff = field(default_factory=lambda: Backoff(RETRY_MIN_S, RETRY_MAX_S, jitter=0.0))
    alive: int = 0

    def run(self) -> None:
        """Until `stop`, or until a file that is the microphone is over (then `finished` is set)."""
        while not self.stop.is_set() and not self.finished.is_set():
            self.alive += 1
            if not self.wanted.is_set():
                self.stop.wait(_LOOK_S)
                continue
            try:
                self._record(*self.sources.open())
            except EOFError:
                self.finished.set()
            except (MicrophoneMissing, CaptureLost) as missing:
                self._wait(str(missing))
            except Exception as error:
                # The outermost loop of this thread: recording begins anew, whatever an encoder or a driver threw.
                log.exception("recording_failed")
                self._wait(f"{type(error).__name__}: {error}")

    def _record(self, feed: Feed, first: Block | None) -> None:
        """One capture. Raises CaptureLost or, at the end of a file or pipe, EOFError."""
        try:
            self._take_all(feed, first)
        finally:
            feed.close()
            self._take_rest(feed)
            self.cutter.end()

    def _take_all(self, feed: Feed, block: Block | None) -> None:
        stalled_s = 0.0
        while self.wanted.is_set() and not self.stop.is_set():
            self.alive += 1
            if block is not None:
                self.cutter.take(block)
                self.backoff.reset()
                stalled_s = 0.0
            elif feed.microphone.live and stalled_s >= _STALL_S:
                raise CaptureLost(f"{feed.microphone.name} has given no sound for {_STALL_S:g} s")
            block = feed.next(_LOOK_S)
            stalled_s += _LOOK_S if block is None else 0.0

    def _take_rest(self, feed: Feed) -> None:
        # What was heard before the end is recorded, too.
        try:
            while (block := feed.next(0)) is not None:
                self.cutter.take(block)
        except (CaptureLost, EOFError):
            return

    def _wait(self, why: str) -> None:
        """Wait before the next try, shorter if a card is plugged in or out."""
        delay = self.backoff.wait()
        log.warning("mic_not_available", extra={"delay": delay, "error": why})
        before, waited = self.plugged(), 0.0
        while waited < delay and self.wanted.is_set() and not self.stop.wait(min(_PLUG_S, delay - waited)):
            self.alive += 1
            waited += _PLUG_S
            if self.plugged() != before:
                log.info("sound_cards_changed")
                self.backoff.reset()
                return
