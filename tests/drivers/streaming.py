"""In-memory doubles of what surrounds a processor: a log with snapshots and positions, a publisher with moods."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, TypeVar

import msgspec

from producers.publisher import Message
from schemas import cloudevents, examples, serde
from schemas.record import Record
from streams.log_reader import PositionLost, TopicPartition
from streams.runtime.lanes import Lanes
from streams.steps import Emitted, Event
from streams.topology import Limits, Processor, StateCodec

T = TypeVar("T")
TOPIC = "emotion.points"


class Counted(msgspec.Struct, frozen=True):
    """Sessions seen, in order: shows at once whether an event was left out, repeated or misordered."""

    sessions: tuple[str, ...] = ()


def count(state: Counted, event: Event) -> tuple[Counted, Sequence[Emitted]]:
    """Emit one moment per event, whose number is that of the events before it."""
    session = event.record["session_id"]
    moment = examples.load("EmotionMomentDetected") | {"session_id": session, "start_ms": len(state.sessions)}
    after = Counted((*state.sessions, session))
    return after, [Emitted("EmotionMomentDetected", event.record["device_id"].encode(), moment)]


def counting(step: Any = count, **changed: Any) -> Processor[Any]:
    """A processor that counts events; `changed` replaces fields of its line in the table."""
    line: dict[str, Any] = {"name": "counting", "topic_in": TOPIC, "topic_out": "emotion.moments", "limits": Limits()}
    return Processor(step=step, state=StateCodec(Counted, 1), **(line | changed))


def points(session: str, device: str = "d") -> bytes:
    """A valid post of three points in a session of this name."""
    record = examples.load("EmotionPointsRecorded") | {"session_id": session, "device_id": device}
    return serde.encode("EmotionPointsRecorded", record)


class MemoryPast:
    """One partition's log in memory, with the group's position and the snapshots."""

    def __init__(self, first: int = 0) -> None:
        self.log: list[Record] = []
        self.first, self.committed = first, first
        self.kept: list[tuple[int, bytes]] = []
        self.reads: list[tuple[int, int]] = []

    def append(self, value: bytes | None, headers: tuple[tuple[str, bytes], ...] = (), *, skip: int = 0) -> Record:
        """Append a record; `skip` leaves offsets without one before it, as transaction markers do."""
        offset = (self.log[-1].offset + 1 if self.log else self.first) + skip
        record = Record(TOPIC, 0, offset, 1_000 * offset, b"d", value, headers)
        self.log.append(record)
        return record

    def resume_offset(self, partition: int) -> int:
        return self.committed

    def snapshots(self, partition: int, at_most: int, progress: Callable[[], None]) -> list[tuple[int, bytes]]:
        for _ in self.kept:
            progress()
        return sorted((one for one in self.kept if one[0] <= at_most), reverse=True)

    def first_offset(self, partition: int) -> int:
        return self.first

    def records(self, partition: int, start: int, stop: int) -> Iterator[Record]:
        self.reads.append((start, stop))
        if start < self.first:
            raise PositionLost(TopicPartition(TOPIC, partition), start, self.first, self.log[-1].offset + 1)
        return iter([one for one in self.log if start <= one.offset < stop])

    def end_offsets(self) -> dict[int, int]:
        return {0: self.log[-1].offset + 1 if self.log else self.first}


class MemoryPublisher:
    """Keeps what is published. `refusals` are raised first, one per attempt; `gate` holds deliveries back."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.refusals: dict[str, list[Exception]] = defaultdict(list)
        self.attempts = 0
        self.reached, self.gate = asyncio.Event(), asyncio.Event()
        self.gate.set()

    async def publish(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: list[tuple[str, bytes]],
        partition: int | None = None,
    ) -> tuple[int, int]:
        self.attempts += 1
        self.reached.set()
        if self.refusals[topic]:
            raise self.refusals[topic].pop(0)
        await self.gate.wait()
        self.sent.append(Message(topic, key, value, headers, -1 if partition is None else partition))
        return 0, len(self.sent) - 1

    def events(self, topic: str) -> list[dict[str, Any]]:
        """Decoded records of a topic, in order."""
        return [serde.decode(one.value)[1] for one in self.sent if one.topic == topic]

    def ids(self, topic: str) -> list[str]:
        """CloudEvents ids of a topic, in order."""
        return [dict(one.headers)["ce_id"].decode() for one in self.sent if one.topic == topic]


async def settle(lanes: Lanes[Any], generation: int = 1) -> None:
    """Wait until all that lanes were handed is processed; raise what ended one of them."""
    while not all(map(lanes.settled, lanes.partitions)):
        await lanes.take([], generation)
        await asyncio.sleep(0)


def at_once(call: Callable[[], T], /) -> Awaitable[T]:
    """A blocking call in place, for tests."""

    async def done() -> T:
        return call()

    return done()


def traced(traceparent: str) -> tuple[tuple[str, bytes], ...]:
    """Headers of an input event with this trace."""
    return tuple(cloudevents.headers("EmotionPointsRecorded", id="i", source="s", traceparent=traceparent))
