"""One processor's partitions: takes records in offset order, delivers what they lead to, keeps state and position.

Knows neither Faust nor a Kafka client: publisher and past come in, which is how its promises are tested.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from producers.publisher import Message
from schemas.errors import InvalidEvent, Overloaded, TransientFailure
from schemas.record import Record
from streams.runtime.decide import Decision, decide
from streams.runtime.past import Past
from streams.runtime.patience import Patience
from streams.runtime.rebuild import rebuild
from streams.topology import Processor

log = logging.getLogger(__name__)
CATCH_UP = 256  # records held at once while catching up
S = TypeVar("S")
T = TypeVar("T")


class Publishes(Protocol):
    """What is needed of `producers.publisher.Publisher`: returns when all in-sync replicas have the message."""

    async def publish(
        self, topic: str, key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]]
    ) -> tuple[int, int]:
        """Append one message."""
        ...


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
    """Processes records of any number of partitions, one record at a time.

    A generation is the group's: with a new one every partition starts again at its committed position, whatever was
    handed over before.
    """

    def __init__(
        self,
        processor: Processor[S],
        past: Past,
        publisher: Publishes,
        blocking: Calls,
        patience: Patience | None = None,
    ) -> None:
        self.processor = processor
        self._past, self._publisher, self._blocking = past, publisher, blocking
        self.patience = patience or Patience()
        self._marks: dict[int, Mark[S]] = {}
        self._generation = -1
        self.processed = 0
        self.stepping: str | None = None

    def marks(self, generation: int) -> dict[int, Mark[S]]:
        """How far each partition is, as far as this generation has touched it."""
        return dict(self._marks) if generation == self._generation else {}

    async def take(self, record: Record, generation: int) -> None:
        """Process a record; returns when all that it leads to is in the log. Records seen before are passed over.

        Records that were left out before this one (Faust may do so on a rebalance) are read from the log and processed
        first. Raises `PositionLost` when the log does not hold them any more.
        """
        if generation != self._generation:
            self._marks, self._generation = {}, generation
        mark = self._marks.get(record.partition) or await self._begin(record.partition)
        while mark.next_offset < record.offset:
            mark = await self._catch_up(mark, record)
        if record.offset == mark.next_offset:
            await self._process(mark, record)

    async def _begin(self, partition: int) -> Mark[S]:
        def resume() -> Mark[S]:
            offset = self._past.resume_offset(partition)
            return Mark(offset, rebuild(self.processor, self._past, partition, offset))

        mark = await self._patiently(resume, f"Resuming {self.processor.topic_in}/{partition}")
        self._marks[partition] = mark
        return mark

    async def _catch_up(self, mark: Mark[S], record: Record) -> Mark[S]:
        """Process the next records before `record`. Offsets without one (transaction markers) are passed over."""
        stop = min(mark.next_offset + CATCH_UP, record.offset)

        def read() -> list[Record]:
            return list(self._past.records(record.partition, mark.next_offset, stop))

        missed = await self._patiently(read, f"Reading what comes before {record.coordinates}")
        for one in missed:
            log.warning("%s was not handed over, it comes from the log", one.coordinates)
            mark = await self._process(mark, one)
        return Mark(stop, mark.state)

    async def _process(self, mark: Mark[S], record: Record) -> Mark[S]:
        self.stepping = record.coordinates
        try:
            decision = await self._patiently(
                lambda: decide(self.processor, mark.state, record), f"{self.processor.name} at {record.coordinates}"
            )
        finally:
            self.stepping = None
        self._tell(decision, record)
        await self._deliver(decision.messages, record)
        done = Mark(record.offset + 1, decision.state)
        self._marks[record.partition] = done
        self.processed += 1
        return done

    async def _patiently(self, call: Callable[[], T], what: str) -> T:
        async def attempt() -> T:
            return await self._blocking(call)

        return await self.patience.until_done(attempt, what)

    def _tell(self, decision: Decision[S], record: Record) -> None:
        if decision.failure is not None:
            bug = None if isinstance(decision.failure, InvalidEvent) else decision.failure
            log.error(
                "%s: %s becomes a dead letter: %r",
                self.processor.name, record.coordinates, decision.failure, exc_info=bug,
            )  # fmt: skip

    async def _deliver(self, messages: Sequence[Message], record: Record) -> None:
        left = list(messages)

        async def attempt() -> None:
            nonlocal left
            reports = await asyncio.gather(*(self._publish(one) for one in left))
            failed = [(one, report) for one, report in zip(left, reports, strict=True) if report is not None]
            left = [one for one, _ in failed]
            if failed:
                message, failure = failed[0]
                raise TransientFailure(f"{len(failed)} outputs are not in {message.topic}: {failure}") from failure

        if left:
            await self.patience.until_done(attempt, f"{self.processor.name} stops at {record.coordinates}")

    async def _publish(self, message: Message) -> Exception | None:
        """Whatever the broker says against an output, the answer is to stop and to try again: it is never dropped."""
        try:
            await self._publisher.publish(message.topic, message.key, message.value, message.headers)
        except (TransientFailure, Overloaded, InvalidEvent) as refused:
            return refused
        return None
