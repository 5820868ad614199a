"""An event loop whose time passes by itself: where all wait, it is at once as late as they wait for."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Selector(selectors.DefaultSelector):
    """Never waits; the time that it should have waited has passed."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        found = super().select(0)
        if not found and timeout is None:
            raise RuntimeError("everybody waits for ever")
        if not found:
            self.now += max(timeout or 0.0, 0.0)
        return found


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now

    def freeze(self, seconds: float) -> None:
        """Time passes, and nobody in this loop notices."""
        self._virtual.now += seconds


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run to the end in such a loop."""
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(main)


def freeze(seconds: float) -> None:
    """Stand still for so long, as a stopped process does."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, _Loop)
    loop.freeze(seconds)
