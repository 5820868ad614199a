"""Notices a processor that stopped without saying so: there is lag, nobody waits for anything, and nothing moves."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from schemas.errors import TransientFailure
from streams.runtime.lanes import Lanes

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Lag:
    """What the log holds and what the group has processed of it, by partition."""

    ends: Mapping[int, int]
    committed: Mapping[int, int]

    @property
    def events(self) -> int:
        """Offsets not processed yet, over all partitions."""
        return sum(max(0, end - self.committed.get(partition, 0)) for partition, end in self.ends.items())


class Watchdog:
    """Judges one processor. Pure but for the clock that comes in.

    A stall is lag during `stall_s` without one event processed or one position committed, by any member. Who waits
    patiently (for Kafka, for a refused output) is not stalled, nor is a step within its own time, nor who still reads
    the log to rebuild a state.
    """

    def __init__(self, lanes: Lanes[Any], stall_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._lanes, self._stall_s, self._clock = lanes, stall_s, clock
        self._seen: object = None
        self._since = clock()

    def judge(self, lag: Lag | None) -> str | None:
        """Take a look; a sentence when the processor has to be restarted. `lag` is None when Kafka does not answer."""
        now = self._clock()
        lanes = self._lanes
        seen = (lanes.processed, lanes.read_back, lanes.stepping, lag and tuple(sorted(lag.committed.items())))
        if lag is None or not lag.events or lanes.patience.waiting or seen != self._seen:
            self._seen, self._since = seen, now
            return None
        name, stepping = lanes.processor.name, lanes.stepping
        limit_s = lanes.processor.limits.step_s if stepping else self._stall_s
        if now - self._since < limit_s:
            return None
        if stepping:
            return f"{name}: the step at {stepping} takes longer than {limit_s:g} s"
        return f"{name}: nothing was processed for {limit_s:g} s although {lag.events} events wait"


class WatchdogThread:
    """Lets a watchdog look every `every_s` seconds, in a thread: the event loop may be what hangs."""

    def __init__(
        self, watchdog: Watchdog, lag: Callable[[], Lag], on_stall: Callable[[str], None], every_s: float
    ) -> None:
        self._watchdog, self._lag, self._on_stall, self._every_s = watchdog, lag, on_stall, every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            try:
                lag = self._lag()
            except TransientFailure:
                lag = None
            sentence = self._watchdog.judge(lag)
            if sentence is not None and not self._stop.is_set():
                self._on_stall(sentence)
                return
