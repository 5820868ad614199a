"""A read model without servers: a log of lists, a store that keeps a checkpoint and the offsets written."""

from __future__ import annotations

import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

from producers.publisher import Publisher
from projections.projection import Projection
from projections.read_model import Effects, Event, ReadModel, Reply, Target
from projections.store import Checkpoint, Fenced, Position, Progress, Store
from schemas import examples, serde
from schemas.record import Record
from streams.log_reader import LogReader, TopicPartition

TOPIC = "t"


class Consumer(NamedTuple):
    """What a feed needs to know of its model."""

    name: str
    events: frozenset[str] | None = None


class Offsets:
    """A projector that writes the offsets of its events and replies to all."""

    def __init__(self, target: Target) -> None:
        del target

    def prepare(self, events: Sequence[Event]) -> list[Record]:
        return [event.record for event in events]

    def prepare_undecoded(self, records: Sequence[Record]) -> None:
        return None

    def write(self, transaction: Any, prepared: Sequence[Record]) -> Effects:
        transaction.written += [(record.partition, record.offset) for record in prepared]
        return Effects(replies=[Reply(record) for record in prepared], rows=len(prepared))

    def forget(self, *, distrust: bool = False) -> None:
        return None


def model(*events: str) -> ReadModel:
    """One that reads these events."""
    return ReadModel("me", (TOPIC,), lambda _: "", {}, Offsets, {}, events=frozenset(events))


class MemoryLog:
    """A reader of partitions; anybody may append while it is read."""

    def __init__(self, *partitions: Sequence[Record]) -> None:
        self.partitions = [list(records) for records in partitions]
        self.positions: dict[TopicPartition, int] = {}

    def append(self, partition: int, value: bytes, *headers: tuple[str, bytes]) -> None:
        """One more record."""
        offset = len(self.partitions[partition])
        self.partitions[partition].append(Record(TOPIC, partition, offset, 0, None, value, headers))

    def ends(self) -> dict[TopicPartition, int]:
        return {TopicPartition(TOPIC, n): len(records) for n, records in enumerate(self.partitions)}

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        self.positions = dict(positions)

    def poll_batch(self, max_records: int, max_bytes: int, timeout_s: float) -> list[Record]:
        for where, at in self.positions.items():
            found = self.partitions[where.partition][at : at + max_records]
            if found:
                self.positions[where] = at + len(found)
                return found
        threading.Event().wait(min(timeout_s, 0.005))
        return []

    def topic_id(self, topic: str) -> str:
        return f"id of {topic}"

    def beginning_offsets(self, topic: str) -> dict[int, int]:
        return dict.fromkeys(range(len(self.partitions)), 0)

    def end_offsets(self, topic: str) -> dict[int, int]:
        return {where.partition: end for where, end in self.ends().items()}


@dataclass
class Disk:
    """What is stored: it outlives every projection."""

    checkpoints: dict[Position, Checkpoint]
    state: str = "live"
    written: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    commits: int = 0

    def offsets(self) -> list[int]:
        return [self.checkpoints[where].next_offset for where in sorted(self.checkpoints)]


class MemoryStore:
    """Of one projection; `crash` is raised instead of the next commit."""

    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        self.crash: BaseException | None = None

    def state(self) -> tuple[str, str]:
        return self.disk.state, "following"

    def checkpoints(self, schema: str | None = None) -> dict[Position, Checkpoint]:
        return dict(self.disk.checkpoints)

    @contextmanager
    def batch(self, expected: Mapping[Position, Checkpoint], state: str) -> Generator[_Batch]:
        if dict(expected) != self.disk.checkpoints or state != self.disk.state:
            raise Fenced("somebody else wrote")
        batch = _Batch()
        yield batch
        if self.crash:
            raise self.crash
        self.disk.written += batch.written
        self.disk.commits += 1
        for where, step in batch.progress.items():
            self.disk.checkpoints[where] = Checkpoint(step.next_offset, self.disk.checkpoints[where].topic_id)


class _Batch:
    def __init__(self) -> None:
        self.written: list[tuple[int, int]] = []
        self.progress: Mapping[Position, Progress] = {}

    def advance(self, progress: Mapping[Position, Progress]) -> None:
        self.progress = progress


class Silent:
    """A publisher that keeps what it is given."""

    def __init__(self) -> None:
        self.messages: list[Any] = []

    def publish_all(self, messages: Sequence[Any]) -> None:
        self.messages += messages

    def hand_over(self, messages: Sequence[Any], lost: object) -> None:
        self.messages += messages


def disk(log: MemoryLog) -> Disk:
    """At the log's beginning."""
    return Disk({(where.topic, where.partition): Checkpoint(0, f"id of {where.topic}") for where in log.ends()})


def projection(read_model: ReadModel, log: MemoryLog, disk: Disk) -> tuple[Projection, MemoryStore, Silent]:
    """One that goes on where the disk says, with a reader of its own."""
    store, publisher, reader = MemoryStore(disk), Silent(), MemoryLog()
    reader.partitions = log.partitions
    made = Projection(
        read_model,
        Target("me_v1"),
        store=cast("Store", store),
        reader=cast("LogReader", reader),
        publisher=cast("Publisher", publisher),
    )
    return made, store, publisher


def event(name: str) -> bytes:
    """One whole event of that name."""
    return serde.encode(name, examples.load(name))


def broken(name: str) -> bytes:
    """Bytes that name an event and hold nothing of it: who decodes them finds them unreadable."""
    return event(name)[:5]
