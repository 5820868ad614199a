"""One processor's partitions: takes records in offset order, delivers what they lead to, keeps state and position.

Knows neither Faust nor a Kafka client: publisher and past come in, which is how its promises are tested.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar

from schemas.errors import InvalidEvent, Overloaded, TransientFailure
from schemas.record import Record
from streams.runtime.decide import Decision, decide
from streams.runtime.delivery import Output, Publishes, deliver
from streams.runtime.past import Past
from streams.runtime.patience import Patience
from streams.runtime.rebuild import rebuild
from streams.topology import Processor

log = logging.getLogger(__name__)
CATCH_UP: Final = 256  # records held at once while catching up
STEPS_S: Final = 0.05  # so long steps are taken before their outputs are delivered: no output waits for slow steps
S = TypeVar("S")
T = TypeVar("T")


class Calls(Protocol):
    """Runs a blocking call elsewhere, so that the event loop goes on (a thread, or nothing in tests)."""

    def __call__(self, call: Callable[[], T], /) -> Awaitable[T]:
        """Await the call's result."""
        ...


@dataclass(frozen=True, slots=True)
class Mark(Generic[S]):
    """A point of a partition: everything before `next_offset` is processed and delivered, `state` is the result."""

    next_offset: int
    state: S


class Lanes(Generic[S]):
    """Processes records of any number of partitions, in the order they are handed over.

    A generation is the group's: with a new one every partition starts again at its committed position, whatever was
    handed over before.
    """

    def __init__(
        self,
        processor: Processor[S],
        past: Past,
        publisher: Publishes,
        blocking: Calls,
        *,
        patience: Patience | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.processor = processor
        self._past, self._publisher, self._blocking, self._clock = past, publisher, blocking, clock
        self.patience = patience or Patience()
        self._marks: dict[int, Mark[S]] = {}
        self._generation = -1
        self.processed = 0
        self.read_back = 0  # records read to rebuild states: no processing, but no standstill either
        self.stepping: str | None = None

    def marks(self, generation: int) -> dict[int, Mark[S]]:
        """How far each partition is, as far as this generation has touched it."""
        return dict(self._marks) if generation == self._generation else {}

    async def take(self, records: Sequence[Record], generation: int) -> None:
        """Process records; returns when all that they lead to is in the log. Those seen before are passed over.

        Records that were left out before one of these (Faust may do so on a rebalance) are read from the log and
        processed first. Raises `PositionLost` when the log does not hold them any more.
        """
        if generation != self._generation:
            self._marks, self._generation = {}, generation
        ready: list[Record] = []
        expected: dict[int, int] = {}
        for record in records:
            where = record.partition
            if where not in expected:
                expected[where] = (self._marks.get(where) or await self._begin(where)).next_offset
            if record.offset < expected[where]:
                continue
            if record.offset > expected[where]:
                await self._process(ready)
                await self._catch_up(record)
                ready = []
            ready.append(record)
            expected[where] = record.offset + 1
        await self._process(ready)

    async def _begin(self, partition: int) -> Mark[S]:
        def resume() -> Mark[S]:
            offset = self._past.resume_offset(partition)
            return Mark(offset, rebuild(self.processor, self._past, partition, offset, self._has_read))

        mark = await self._patiently(resume, f"Resuming {self.processor.topic_in}/{partition}")
        self._marks[partition] = mark
        return mark

    def _has_read(self) -> None:
        self.read_back += 1

    async def _catch_up(self, record: Record) -> None:
        """Process what lies before `record`. Offsets without a record (transaction markers) are passed over."""
        while (start := self._marks[record.partition].next_offset) < record.offset:
            await self._catch_up_some(record, start, min(start + CATCH_UP, record.offset))

    async def _catch_up_some(self, record: Record, start: int, stop: int) -> None:
        missed = await self._patiently(
            lambda: list(self._past.records(record.partition, start, stop)),
            f"Reading what comes before {record.coordinates}",
        )
        if missed:
            log.warning("%d records before %s were not handed over", len(missed), record.coordinates)
        await self._process(missed)
        self._marks[record.partition] = Mark(stop, self._marks[record.partition].state)

    async def _process(self, records: Sequence[Record]) -> None:
        left = list(records)
        while left:
            decided = await self._decide(left)
            outputs = [Output(one.coordinates, message) for one, made in decided for message in made.messages]
            await deliver(outputs, self._publisher, self.patience, self.processor.name)
            for record, decision in decided:
                self._marks[record.partition] = Mark(record.offset + 1, decision.state)
            self.processed += len(decided)
            del left[: len(decided)]

    async def _decide(self, records: Sequence[Record]) -> list[tuple[Record, Decision[S]]]:
        """Take the step on one or more of the records, in their order."""
        decided = await self._patiently(lambda: self._steps(records), f"{self.processor.name}: step failed for now")
        for record, decision in decided:
            if decision.failure is not None:
                self._tell(record, decision.failure)
        return decided

    def _steps(self, records: Sequence[Record]) -> list[tuple[Record, Decision[S]]]:
        decided: list[tuple[Record, Decision[S]]] = []
        states = {partition: mark.state for partition, mark in self._marks.items()}
        until = self._clock() + STEPS_S
        try:
            for record in records:
                if decided and self._clock() >= until:
                    break
                self.stepping = record.coordinates
                decision = decide(self.processor, states[record.partition], record)
                alone = decision.speaks_of_a_partition
                if decided and alone:
                    break  # the next round takes the step again and has nothing else
                states[record.partition] = decision.state
                decided.append((record, decision))
                if alone:
                    break
        except (TransientFailure, Overloaded):
            if not decided:
                raise
        finally:
            self.stepping = None
        return decided

    async def _patiently(self, call: Callable[[], T], what: str) -> T:
        async def attempt() -> T:
            return await self._blocking(call)

        return await self.patience.until_done(attempt, what)

    def _tell(self, record: Record, failure: Exception) -> None:
        bug: Any = None if isinstance(failure, InvalidEvent) else failure
        log.error("%s: %s becomes a dead letter: %r", self.processor.name, record.coordinates, failure, exc_info=bug)
