"""Waiting for a condition instead of sleeping."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
_pause = threading.Event()


def eventually(predicate: Callable[[], T], timeout: float = 10.0, interval: float = 0.02) -> T:
    """Call predicate until its result is true and return that; AssertionError with the last result after timeout s."""
    until = time.monotonic() + timeout
    while True:
        result = predicate()
        if result:
            return result
        if time.monotonic() > until:
            raise AssertionError(f"not within {timeout} s; last result: {result!r}")
        _pause.wait(interval)
