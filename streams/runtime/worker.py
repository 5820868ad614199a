"""A process of processors: each behind its wrapper, until SIGTERM or until one fails.

Exit codes: 0 stopped on request, 1 failed with a sentence in the log, 70 stalled (the watchdog). The supervisor starts
it again; positions, states and ids make that harmless.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Protocol, TypeVar

from producers.publisher import Publisher
from streams.log_reader import LogReader
from streams.runtime.committer import Committer, Group
from streams.runtime.delivery import Publishes
from streams.runtime.faust_member import FaustMember, MemberSettings
from streams.runtime.lane import Surroundings
from streams.runtime.lanes import Lanes
from streams.runtime.past import GroupPositions, KafkaPast
from streams.runtime.patience import Patience
from streams.runtime.quiet import quieten
from streams.runtime.timer import Membership, Timer
from streams.runtime.watchdog import Lag, Watchdog, WatchdogThread
from streams.steps import Heavy
from streams.topology import Processor

log = logging.getLogger(__name__)
T = TypeVar("T")
STALLED: Final = 70
FAILED: Final = 1
_NONE: Final[Mapping[str, Heavy]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """Times of a worker, in seconds."""

    member: MemberSettings = field(default_factory=MemberSettings)
    commit_every_s: float = 0.5
    snapshot_s: float = 30.0
    stall_s: float = 60.0
    watch_every_s: float = 5.0
    idle_every_s: float = 2.0
    exit_within_s: float = 20.0


class Publishing(Publishes, Protocol):
    """A publisher that can be closed."""

    def close(self) -> None:
        """Let go."""
        ...


def _nothing() -> None:
    """Tell nobody."""


class _Countdown:
    """Calls when the last of so many has arrived."""

    def __init__(self, count: int, call: Callable[[], None]) -> None:
        self._count, self._call = count, call

    def __call__(self) -> None:
        self._count -= 1
        if self._count == 0:
            self._call()


def run(
    bootstrap: str,
    *,
    instance: str = "processors",
    processors: Sequence[Processor[Any]],
    capabilities: Mapping[str, Heavy] = _NONE,
    settings: WorkerSettings = WorkerSettings(),
    publisher: Callable[[], Publishing] | None = None,
    on_ready: Callable[[], None] = _nothing,
) -> int:
    """Run the process in the main thread until SIGTERM or SIGINT; the exit code.

    `capabilities` are the heavy parts that the processors name; several may share one. Where they have `start()`, it
    is called at the beginning, `await close()` at the end. `on_ready` is called once every processor has joined its
    group; `publisher` is for tests.

    Raises:
        ValueError: a processor names a capability that is not given.
    """
    quieten()
    if missing := {one.capability for one in processors if one.capability} - capabilities.keys():
        raise ValueError(f"These heavy parts are asked for and not given: {', '.join(sorted(missing))}.")
    process = _Process(bootstrap, instance, settings, _Countdown(len(processors), on_ready))
    code = asyncio.run(process.until_signal(processors, capabilities, publisher))
    # A thread that hangs in a library (or in a step) must not keep a stopped process.
    guard = threading.Timer(settings.exit_within_s, os._exit, (code,))
    guard.daemon = True
    guard.start()
    return code


@dataclass(frozen=True, slots=True)
class _Process:
    """What all processors of the process share."""

    bootstrap: str
    instance: str
    settings: WorkerSettings
    on_ready: Callable[[], None]

    async def until_signal(
        self,
        processors: Sequence[Processor[Any]],
        capabilities: Mapping[str, Heavy],
        publisher: Callable[[], Publishing] | None,
    ) -> int:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for one in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(one, stop.set)
        made = publisher() if publisher else Publisher(self.bootstrap, client_id=f"{self.instance}-processors")
        try:
            for heavy in capabilities.values():
                if start := getattr(heavy, "start", None):
                    start()
            runs = [_Run(self, one, made, capabilities.get(one.capability or "")) for one in processors]
            return max(await asyncio.gather(*(one.until(stop) for one in runs)))
        finally:
            await _close(capabilities.values(), self.settings.exit_within_s)
            made.close()


async def _close(capabilities: Iterable[Heavy], within_s: float) -> None:
    closing = [asyncio.ensure_future(close()) for one in capabilities if (close := getattr(one, "close", None))]
    if closing:
        done, late = await asyncio.wait(closing, timeout=within_s)
        for one in late:
            one.cancel()
        for failure in filter(None, (one.exception() for one in done)):
            log.error("a heavy part did not close: %r", failure)


class _Run:
    """One processor in its wrapper."""

    def __init__(self, process: _Process, processor: Processor[Any], publisher: Publishes, heavy: Heavy | None) -> None:
        self._bootstrap, self._settings, self._instance = process.bootstrap, process.settings, process.instance
        self._processor, self._publisher, self._on_ready = processor, publisher, process.on_ready
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=processor.name)
        self._past = KafkaPast(self._bootstrap, processor.name, processor.topic_in)
        self._patience = Patience()
        self._lanes = Lanes(Surroundings(processor, self._past, publisher, self._blocking, heavy))

    def _blocking(self, call: Callable[[], T], /) -> Awaitable[T]:
        return asyncio.get_running_loop().run_in_executor(self._executor, call)

    async def until(self, stop: asyncio.Event) -> int:
        """Work until `stop` is set (0) or something gives up (1; then the others are stopped too)."""
        stopping = asyncio.create_task(stop.wait())
        working = asyncio.create_task(self._work())
        try:
            await asyncio.wait((stopping, working), return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                return 0
            failure = working.exception()
            log.critical("%s has stopped: %s", self._processor.name, failure, exc_info=failure)
            return FAILED
        finally:
            stop.set()
            working.cancel()
            await asyncio.wait((working,), timeout=self._settings.exit_within_s)
            self._executor.shutdown(wait=False, cancel_futures=True)

    async def _work(self) -> None:
        await self._establish()
        member = FaustMember(
            self._bootstrap,
            self._processor,
            self._lanes.take,
            instance=self._instance,
            settings=self._settings.member,
        )
        committer = Committer(
            self._lanes,
            Group(member.generation, member.commit),
            self._publisher,
            self._blocking,
            snapshot_s=self._settings.snapshot_s,
        )
        watchdog = self._watchdog(member)
        companions = [asyncio.create_task(committer.run(self._settings.commit_every_s))]
        try:
            await member.start()
            watchdog.start()
            if self._processor.idle:
                companions.append(asyncio.create_task(self._timer(member).run(self._settings.idle_every_s)))
            self._on_ready()
            log.info("%s reads %s", self._processor.name, self._processor.topic_in)
            await _first_of(member.ended(), self._lanes.ended(), *companions)
        finally:
            watchdog.stop()
            for one in companions:
                one.cancel()
            await self._lanes.close()
            await committer.commit()
            await member.stop()

    def _timer(self, member: FaustMember) -> Timer[Any]:
        membership = Membership(member.generation, member.partitions)
        return Timer(self._lanes, self._past, membership, self._publisher, self._blocking)

    async def _establish(self) -> None:
        async def attempt() -> None:
            await self._blocking(self._past.establish)

        await self._patience.until_done(attempt, f"Positions of {self._processor.name}")

    def _watchdog(self, member: FaustMember) -> WatchdogThread:
        topic = self._processor.topic_in
        reader = LogReader(self._bootstrap, f"{self._processor.name}-watchdog", timeout_s=5)
        group = GroupPositions(self._bootstrap, self._processor.name, timeout_s=5)

        def lag() -> Lag:
            ends = reader.end_offsets(topic)
            return Lag(ends, group.committed(topic, list(ends)), member.partitions())

        return WatchdogThread(
            Watchdog(self._lanes, self._settings.stall_s), lag, _exit_stalled, self._settings.watch_every_s
        )


async def _first_of(*awaited: Awaitable[None]) -> None:
    """Await what ends first, which can only fail; the others are cancelled."""
    tasks = [asyncio.ensure_future(one) for one in awaited]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for one in done:
            one.result()
    finally:
        for one in tasks:
            one.cancel()


def _exit_stalled(sentence: str) -> None:
    log.critical("%s; exiting to be started again", sentence)
    logging.shutdown()
    os._exit(STALLED)
