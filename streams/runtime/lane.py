"""One partition of a processor: takes its records in offset order, delivers what they lead to, keeps the position.

A lane depends on no other: what stops one (a refused output, a heavy part that is away) leaves the others going. Knows
neither Faust nor a Kafka client: publisher and past come in, which is how its promises are tested.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, Final, Generic, TypeVar

from schemas.errors import InvalidEvent, Overloaded, TransientFailure
from schemas.record import Record
from streams.runtime.decide import Decision, Preparation, decide
from streams.runtime.delivery import Output, Publishes, deliver
from streams.runtime.past import Past
from streams.runtime.patience import Patience
from streams.runtime.preparation import Workshop, prepare
from streams.runtime.rebuild import rebuild
from streams.runtime.sight import Calls, Sight
from streams.runtime.together import Together
from streams.steps import Heavy
from streams.topology import Processor

log = logging.getLogger(__name__)
STEPS_S: Final = 0.05  # so long steps are taken before their outputs are delivered: no output waits for slow steps
S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Mark(Generic[S]):
    """A point of a partition: everything before `next_offset` is processed and delivered, `state` is the result."""

    next_offset: int
    state: S


@dataclass(slots=True)
class Surroundings(Generic[S]):
    """What the lanes of a processor share."""

    processor: Processor[S]
    past: Past
    publisher: Publishes
    blocking: Calls
    heavy: Heavy | None = None
    patience: Callable[[], Patience] = Patience
    clock: Callable[[], float] = time.monotonic
    sight: Sight = field(default_factory=Sight)
    steps: Calls = field(init=False)

    def __post_init__(self) -> None:
        self.steps = Together(self.blocking)


@dataclass(frozen=True, slots=True)
class _Skipped:
    """What was handed over up to `stop` (exclusive) was not kept for want of room; the log has it."""

    stop: int


@dataclass(slots=True)
class _Piece:
    """A record on its way (None: offsets without one); with it, everything before `stop` is processed."""

    record: Record | None
    stop: int
    patience: Patience
    preparing: asyncio.Task[Preparation] | None = None

    @property
    def is_ready(self) -> bool:
        return self.preparing is None or self.preparing.done()


class Lane(Generic[S]):
    """Processes a partition from its committed position on, for one generation of the group."""

    def __init__(self, around: Surroundings[S], partition: int) -> None:
        self._around, self._processor, self._partition = around, around.processor, partition
        self._where = f"{around.processor.topic_in}/{partition}"
        self._shop = None
        if around.heavy:
            self._shop = Workshop(around.processor, around.heavy, around.publisher, around.blocking, around.sight)
        self._come: deque[Record | _Skipped] = deque()
        self._bytes = 0
        self._end = -1
        self._taken = -1
        self._reserve: deque[_Piece] = deque()
        self._window: deque[_Piece] = deque()
        self._patience = around.patience()
        self._news, self._room = asyncio.Event(), asyncio.Event()
        self.mark: Mark[S] | None = None

    @property
    def waiting(self) -> str | None:
        """What it waits for patiently, if it does; it is no stall then."""
        head = self._window[0].patience.waiting if self._window else None
        return self._patience.waiting or head

    @property
    def is_settled(self) -> bool:
        """Whether all that it was handed is processed."""
        return self.mark is not None and not (self._window or self._reserve or self._come)

    def offer(self, record: Record) -> bool:
        """Hand over a record; False: there is no room. Those seen before are passed over."""
        if record.offset < self._end:
            return True
        limits, size = self._processor.limits, _size(record)
        full = len(self._come) >= limits.buffered_events or self._bytes + size > limits.buffered_bytes
        if full and self._come:
            if not isinstance(self._come[-1], _Skipped):
                return False
            self.skip(record)
            return True
        self._come.append(record)
        self._bytes += size
        self._end = record.offset + 1
        self._news.set()
        return True

    def skip(self, record: Record) -> None:
        """Leave a record to the log: it is read from there when its turn comes."""
        if self._come and isinstance(self._come[-1], _Skipped):
            self._come.pop()
        self._end = record.offset + 1
        self._come.append(_Skipped(self._end))
        self._news.set()

    async def room(self, within_s: float) -> None:
        """Wait for room, but not for long."""
        self._room.clear()
        try:
            await asyncio.wait_for(self._room.wait(), within_s)
        except TimeoutError:
            return

    async def run(self) -> None:
        """Process until cancelled. Raises `PositionLost`: the log does not hold what comes next any more."""
        try:
            self.mark = await self._begin()
            self._taken = self.mark.next_offset
            while True:
                ready = await self._ready()
                await self._process(ready)
                for _ in ready:
                    self._window.popleft()
        finally:
            for piece in self._window:
                if piece.preparing:
                    piece.preparing.cancel()

    async def _begin(self) -> Mark[S]:
        around = self._around

        def resume() -> Mark[S]:
            offset = around.past.resume_offset(self._partition)
            return Mark(offset, rebuild(self._processor, around.past, self._partition, offset, self._has_read))

        return await self._patiently(resume, f"Resuming {self._where}")

    def _has_read(self) -> None:
        self._around.sight.read_back += 1

    async def _ready(self) -> list[_Piece]:
        """The next pieces that are prepared, at least one, in order."""
        while True:
            self._news.clear()
            await self._fill()
            ready = list(takewhile(lambda piece: piece.is_ready, self._window))
            if ready:
                return ready
            await self._news.wait()

    async def _fill(self) -> None:
        """Let as many records into the window as may be worked on at once."""
        limits = self._processor.limits
        most = limits.parallel if self._shop else limits.buffered_events
        while len(self._window) < most and (piece := self._next() or await self._next_of_the_log()):
            if self._shop and piece.record:
                piece.preparing = asyncio.create_task(prepare(self._shop, piece.record, piece.patience))
                piece.preparing.add_done_callback(lambda _: self._news.set())
            self._window.append(piece)

    def _next(self) -> _Piece | None:
        """The record whose turn it is, if it is here."""
        if self._reserve:
            return self._reserve.popleft()
        while self._come:
            head = self._come[0]
            if self._taken < (head.stop if isinstance(head, _Skipped) else head.offset):
                return None
            self._come.popleft()
            self._room.set()
            if isinstance(head, Record):
                self._bytes -= _size(head)
                if head.offset == self._taken:
                    self._taken += 1
                    return _Piece(head, self._taken, self._around.patience())
        return None

    async def _next_of_the_log(self) -> _Piece | None:
        """The same when it was not handed over or not kept. Offsets without a record (markers) are passed over."""
        if not self._come:
            return None
        head, start = self._come[0], self._taken
        last = head.stop if isinstance(head, _Skipped) else head.offset
        stop = min(last, start + self._processor.limits.buffered_events)
        missed = await self._patiently(lambda: self._read(start, stop), f"Reading {self._where} from {start}")
        log.info("%d records of %s were read from %d on", len(missed), self._where, start)
        if missed and self._full(missed):
            stop = missed[-1].offset + 1
        self._taken = stop
        ends = [*(one.offset for one in missed[1:]), stop]
        self._reserve.extend(
            _Piece(record, end, self._around.patience()) for record, end in zip(missed or [None], ends, strict=True)
        )
        return self._reserve.popleft()

    def _read(self, start: int, stop: int) -> list[Record]:
        missed: list[Record] = []
        for record in self._around.past.records(self._partition, start, stop):
            missed.append(record)
            if self._full(missed):
                break
        return missed

    def _full(self, records: Sequence[Record]) -> bool:
        return sum(map(_size, records)) >= self._processor.limits.buffered_bytes

    async def _process(self, pieces: Sequence[_Piece]) -> None:
        left, around = list(pieces), self._around
        while left:
            decided = await self._decide(left)
            outputs = [
                Output(piece.record.coordinates, message)
                for piece, made in zip(left, decided, strict=False)
                if piece.record
                for message in made.messages
            ]
            await deliver(outputs, around.publisher, self._patience, self._processor.name)
            self.mark = Mark(left[len(decided) - 1].stop, decided[-1].state)
            around.sight.processed += sum(piece.record is not None for piece in left[: len(decided)])
            del left[: len(decided)]

    async def _decide(self, pieces: Sequence[_Piece]) -> list[Decision[S]]:
        """Take the step on one or more of the records, in their order."""
        prepared = [(one.record, one.preparing.result() if one.preparing else None) for one in pieces]
        what = f"{self._processor.name}: step failed for now"

        async def attempt() -> list[Decision[S]]:
            return await self._around.steps(lambda: self._steps(prepared))

        decided = await self._patience.until_done(attempt, what)
        for piece, decision in zip(pieces, decided, strict=False):
            if decision.failure is not None and piece.record:
                self._tell(piece.record, decision.failure)
        return decided

    def _steps(self, pieces: Sequence[tuple[Record | None, Preparation]]) -> list[Decision[S]]:
        assert self.mark is not None  # noqa: S101 - nothing is processed before there is one
        decided: list[Decision[S]] = []
        state, sight = self.mark.state, self._around.sight
        until = self._around.clock() + STEPS_S
        try:
            for record, prepared in pieces:
                if decided and self._around.clock() >= until:
                    break
                decision: Decision[S] = Decision(state)
                if record is not None:
                    sight.stepping = record.coordinates
                    decision = decide(self._processor, state, record, prepared)
                alone = decision.speaks_of_a_partition
                if decided and alone:
                    break  # the next round takes the step again and has nothing else
                state = decision.state
                decided.append(decision)
                if alone:
                    break
        except (TransientFailure, Overloaded):
            if not decided:
                raise
        finally:
            sight.stepping = None
        return decided

    async def _patiently(self, call: Callable[[], T], what: str) -> T:
        async def attempt() -> T:
            return await self._around.blocking(call)

        return await self._patience.until_done(attempt, what)

    def _tell(self, record: Record, failure: Exception) -> None:
        bug: Any = None if isinstance(failure, InvalidEvent) else failure
        log.error("%s: %s becomes a dead letter: %r", self._processor.name, record.coordinates, failure, exc_info=bug)


def _size(record: Record) -> int:
    return len(record.key or b"") + len(record.value or b"")
