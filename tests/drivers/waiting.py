"""Waiting for a condition instead of sleeping."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

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


async def until(condition: Callable[[], Any], timeout: float = 20.0, interval: float = 0.01) -> Any:
    """Let the loop run until a condition (a plain or an async function) is true, and give its result.

    TimeoutError after `timeout` s. An `interval` of 0 looks again at every turn of the loop.
    """
    async with asyncio.timeout(timeout):
        while True:
            result = condition()
            if inspect.isawaitable(result):
                result = await result
            if result:
                return result
            await asyncio.sleep(interval)
