"""Notices a processor that stopped without saying so: there is lag, nobody waits for anything, and nothing moves."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from schemas.errors import TransientFailure
from streams.runtime.lanes import Lanes

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Lag:
    """What the log holds and what the group has processed of it, by partition; `own`: the member's partitions."""

    ends: Mapping[int, int]
    committed: Mapping[int, int]
    own: Collection[int] = ()

    def events(self, besides: Collection[int] = ()) -> int:
        """Offsets not processed yet, over the member's partitions (all, when it has none) but some."""
        return sum(
            max(0, end - self.committed.get(partition, 0))
            for partition, end in self.ends.items()
            if partition not in besides and (partition in self.own or not self.own)
        )


class Watchdog:
    """Judges one processor. Pure but for the clock that comes in.

    A stall is lag during `stall_s` without one event processed or one position committed, by any member. A partition
    that waits patiently (for Kafka, for a refused output, for a service) does not count. A step has its own time, and
    so has a heavy part that tells nothing of its progress; one that does must go on telling. Who still reads the log
    to rebuild a state is not stalled.
    """

    def __init__(self, lanes: Lanes[Any], stall_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._lanes, self._stall_s, self._clock = lanes, stall_s, clock
        self._seen: object = None
        self._since = clock()

    def judge(self, lag: Lag | None) -> str | None:
        """Take a look; a sentence when the processor has to be restarted. `lag` is None when Kafka does not answer."""
        now = self._clock()
        lanes, sight = self._lanes, self._lanes.sight
        seen = (replace(sight), lanes.progress, lag and tuple(sorted(lag.committed.items())))
        events = lag.events(lanes.waiting) if lag else 0
        if not events or seen != self._seen:
            self._seen, self._since = seen, now
            return None
        limit_s = self._limit_s()
        if now - self._since < limit_s:
            return None
        name = lanes.processor.name
        if sight.stepping:
            return f"{name}: the step at {sight.stepping} takes longer than {limit_s:g} s"
        if sight.preparing:
            return f"{name}: the heavy part has not moved for {limit_s:g} s, with {sight.preparing} events in its hands"
        return f"{name}: nothing was processed for {limit_s:g} s although {events} events wait"

    def _limit_s(self) -> float:
        lanes, limits = self._lanes, self._lanes.processor.limits
        if lanes.sight.stepping:
            return limits.step_s
        if lanes.sight.preparing and lanes.progress is None:
            return max(self._stall_s, limits.prepare_s)
        return self._stall_s


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
