"""When to look: moments at a steady rate, in real time or as fast as the machine goes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

Ticks = Iterator[float]


def real_time(fps: float, stop: threading.Event, clock: Callable[[], float] = time.monotonic) -> Ticks:
    """Seconds since the start, `fps` times a second, until `stop`. Missed moments are left out, not made up."""
    start, index = clock(), 0
    while not stop.is_set():
        late = clock() - start - index / fps
        if late < 0:
            stop.wait(-late)
            continue
        index += int(late * fps)
        yield index / fps
        index += 1


def as_fast_as_possible(fps: float, stop: threading.Event) -> Ticks:
    """The same moments without waiting and without leaving any out."""
    index = 0
    while not stop.is_set():
        yield index / fps
        index += 1
