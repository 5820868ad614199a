"""Runs a heavy part in child processes and outlives whatever they do. One pool is one capability."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from schemas.errors import TransientFailure
from streams.workers.child import Order
from streams.workers.child_process import Child, Plan

log = logging.getLogger(__name__)
FIRST_PAUSE_S: Final = 0.2
LONGEST_PAUSE_S: Final = 30.0
_NO_OPTIONS: Final[Mapping[str, Any]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class ChildLimits:
    """What a child may take.

    - `memory_bytes` of address space (RLIMIT_AS), libraries and model included.
    - `seconds` of wall clock for one request; a request may name its own in `limit_s`, up to `longest_s`.
    - `load_s` of wall clock for loading.
    - `threads` for numeric libraries (OMP_NUM_THREADS and its like).
    - `nice`: how much it stands back for others, 0 to 19.
    - `message_bytes`: the largest request or answer.
    """

    memory_bytes: int = 1 << 30
    seconds: float = 60.0
    longest_s: float = 3600.0
    load_s: float = 300.0
    threads: int = 1
    nice: int = 0
    message_bytes: int = 64 << 20


class ChildPool:
    """A `streams.steps.Heavy` that works in `size` child processes of `target` (`module:function`).

    The function gets `options` and returns the callable that does the work; see `streams.workers`. A child that
    crashes, hangs or takes too much memory fails its request (`WorkFailed`) and is replaced, the sooner the longer
    they had worked well. A request that is cancelled costs its child. `progress` moves while children are within their
    time. Belongs to one event loop.
    """

    def __init__(
        self,
        target: str,
        options: Mapping[str, Any] = _NO_OPTIONS,
        limits: ChildLimits = ChildLimits(),
        *,
        size: int = 1,
        name: str | None = None,
        warm: bool = False,
    ) -> None:
        """`name` in the log is the target's module by default; `warm`: load before the first request comes."""
        self.name = name or target.partition(":")[0].rpartition(".")[2]
        self.progress = 0
        self._limits, self._warm = limits, warm
        order = Order(target, dict(options), limits.memory_bytes, limits.message_bytes, limits.nice)
        plan = Plan(self.name, order, limits.threads, limits.load_s)
        self._places = [_Place(plan, self._beat) for _ in range(size)]
        self._free: asyncio.LifoQueue[_Place] = asyncio.LifoQueue()
        for place in self._places:
            self._free.put_nowait(place)

    async def __call__(self, request: Mapping[str, Any], /) -> Mapping[str, Any]:
        """Do one request in a free child. Raises as `streams.steps.Heavy` says."""
        limit_s = min(float(request.get("limit_s", self._limits.seconds)), self._limits.longest_s)
        place = await self._free.get()
        try:
            return await place.ask(request, limit_s)
        finally:
            self._free.put_nowait(place)

    def start(self) -> None:
        """Let warm children load, in the running event loop."""
        if self._warm:
            for place in self._places:
                place.start()

    async def close(self) -> None:
        """End all children; nothing can be asked afterwards."""
        await asyncio.gather(*(place.close() for place in self._places))

    def _beat(self) -> None:
        self.progress += 1


class _Place:
    """Room for one child, which is made when it is needed and made again when it was lost."""

    def __init__(self, plan: Plan, beat: Callable[[], None]) -> None:
        self._plan, self._beat = plan, beat
        self._child: Child | None = None
        self._starting: asyncio.Task[Child] | None = None
        self._leaving: set[asyncio.Task[None]] = set()
        self._pause_s, self._not_before = 0.0, 0.0
        self._closed = False

    def start(self) -> asyncio.Task[Child]:
        """Start a child unless one is starting. It outlives whoever asks for it: loading is not lost."""
        if self._closed:
            raise TransientFailure(f"{self._plan.name} is closed")
        if self._starting is None:
            self._starting = asyncio.create_task(self._make())
            self._starting.add_done_callback(_looked_at)
        return self._starting

    async def ask(self, request: Mapping[str, Any], limit_s: float) -> Mapping[str, Any]:
        child = self._child
        if child is None or not child.alive:
            child = await asyncio.shield(self.start())
        try:
            answer = await child.ask(request, limit_s)
            self._pause_s = 0.0
            return answer
        finally:
            if not child.alive:
                leaving = asyncio.create_task(child.gone())
                self._leaving.add(leaving)
                leaving.add_done_callback(self._leaving.discard)
                self._lost()

    async def close(self) -> None:
        self._closed = True
        if self._starting:
            self._starting.cancel()
            await asyncio.wait((self._starting,))
        if self._child:
            await self._child.gone()
        if self._leaving:
            await asyncio.wait(self._leaving)

    async def _make(self) -> Child:
        try:
            while (wait_s := self._not_before - time.monotonic()) > 0:
                self._beat()
                await asyncio.sleep(min(1.0, wait_s))
            self._child = await Child.start(self._plan, self._beat)
        except TransientFailure:
            self._lost()
            raise
        finally:
            self._starting = None
        return self._child

    def _lost(self) -> None:
        self._child = None
        self._pause_s = min(max(2 * self._pause_s, FIRST_PAUSE_S), LONGEST_PAUSE_S)
        self._not_before = time.monotonic() + self._pause_s
        log.warning("%s: a child was lost; the next one starts in %.1f s", self._plan.name, self._pause_s)


def _looked_at(task: asyncio.Task[Child]) -> None:
    """A warm child that does not start is told in the log; who asks for it next starts it again."""
    if not task.cancelled() and (failure := task.exception()):
        log.error("%s", failure)
