"""What lies behind a worker: committed positions, snapshots and the log itself. Blocking; for one thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, Protocol

from confluent_kafka import Consumer, KafkaException
from confluent_kafka import TopicPartition as _KafkaPartition

from producers.publisher import Message
from schemas import cloudevents, serde
from schemas.errors import InvalidEvent, TransientFailure
from schemas.identity import derived_id
from schemas.record import Record
from streams.log_reader import LogReader, PositionLost, TopicPartition

SNAPSHOTS = "streams.snapshots"
KEPT: Final = 3  # states can be large; when the newest few are unreadable, so are the older ones
_NO_OFFSET = -1001  # librdkafka's OFFSET_INVALID: nothing committed


class Past(Protocol):
    """What a worker asks about its input topic before it goes on. All raise `TransientFailure` and `PositionLost`."""

    def resume_offset(self, partition: int) -> int:
        """Offset up to which the group has processed the partition."""
        ...

    def snapshots(self, partition: int, at_most: int, progress: Callable[[], None]) -> list[tuple[int, bytes]]:
        """The newest snapshots (next offset, state) not beyond `at_most`, newest first; `progress` per record read."""
        ...

    def first_offset(self, partition: int) -> int:
        """The first offset that the log still holds."""
        ...

    def records(self, partition: int, start: int, stop: int) -> Iterator[Record]:
        """Records of the log with start <= offset < stop."""
        ...

    def end_offsets(self) -> Mapping[int, int]:
        """Per partition the offset after the log's last record."""
        ...


class GroupPositions:
    """Positions of a consumer group, seen from outside it."""

    def __init__(self, bootstrap: str, group: str, timeout_s: float = 10.0) -> None:
        self._timeout_s = timeout_s
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": group,
                "enable.auto.commit": False,
                "error_cb": _ignore,
                "log_level": 2,
            }
        )

    def committed(self, topic: str, partitions: list[int]) -> dict[int, int]:
        """Committed offset per partition; without an entry where nothing was committed yet."""
        asked = [_KafkaPartition(topic, partition) for partition in partitions]
        try:
            answers = self._consumer.committed(asked, timeout=self._timeout_s)
        except KafkaException as failure:
            raise TransientFailure(f"Kafka does not say the positions of {topic}: {failure.args[0]}") from failure
        return {one.partition: one.offset for one in answers if one.offset != _NO_OFFSET}

    def begin(self, topic: str, offsets: Mapping[int, int]) -> None:
        """Commit first positions; Kafka refuses while the group has members, which is a `TransientFailure`."""
        wanted = [_KafkaPartition(topic, partition, offset) for partition, offset in offsets.items()]
        try:
            self._consumer.commit(offsets=wanted, asynchronous=False)
        except KafkaException as failure:
            raise TransientFailure(f"First positions on {topic} are not set: {failure.args[0]}") from failure

    def close(self) -> None:
        """Give the connections back."""
        self._consumer.close()


def _ignore(_: object) -> None:
    """Outages show where something is asked for."""


class KafkaPast:
    """The past of one processor in Kafka."""

    def __init__(self, bootstrap: str, processor: str, topic: str) -> None:
        self._processor, self._topic = processor, topic
        self._group = GroupPositions(bootstrap, processor)
        self._reader = LogReader(bootstrap, f"{processor}-past")

    def establish(self) -> None:
        """Give a new group its positions: the earliest, since truth is kept for ever. Check those of an old one.

        Raises:
            PositionLost: a committed position is not in the log any more. TransientFailure: ask again later.
        """
        firsts, ends = self._reader.beginning_offsets(self._topic), self._reader.end_offsets(self._topic)
        committed = self._group.committed(self._topic, list(firsts))
        for partition, offset in committed.items():
            if not firsts[partition] <= offset <= ends[partition]:
                where = TopicPartition(self._topic, partition)
                raise PositionLost(where, offset, firsts[partition], ends[partition])
        if missing := firsts.keys() - committed.keys():
            self._group.begin(self._topic, {partition: firsts[partition] for partition in missing})

    def resume_offset(self, partition: int) -> int:
        """Offset up to which the group has processed the partition."""
        committed = self._group.committed(self._topic, [partition])
        if partition not in committed:
            raise TransientFailure(f"{self._topic}/{partition} has no committed position (yet)")
        return committed[partition]

    def snapshots(self, partition: int, at_most: int, progress: Callable[[], None]) -> list[tuple[int, bytes]]:
        """The newest `KEPT` snapshots not beyond `at_most`, the newest first. Reads the whole (compacted) topic."""
        where = TopicPartition(SNAPSHOTS, 0)
        first, end = self._reader.beginning_offsets(SNAPSHOTS)[0], self._reader.end_offsets(SNAPSHOTS)[0]
        wanted = (self._processor, self._topic, partition)
        return newest_snapshots(_told(self._read(where, first, end), progress), wanted, at_most)

    def records(self, partition: int, start: int, stop: int) -> Iterator[Record]:
        """Records of the log with start <= offset < stop."""
        return self._read(TopicPartition(self._topic, partition), start, stop)

    def first_offset(self, partition: int) -> int:
        """The first offset that the log still holds."""
        return self._reader.beginning_offsets(self._topic)[partition]

    def end_offsets(self) -> Mapping[int, int]:
        """Per partition the offset after the log's last record."""
        return self._reader.end_offsets(self._topic)

    def close(self) -> None:
        """Give the connections back."""
        self._reader.close()
        self._group.close()

    def _read(self, where: TopicPartition, start: int, stop: int) -> Iterator[Record]:
        self._reader.assign({where: start})
        try:
            while self._reader.positions[where] < stop:
                for record in self._reader.poll_batch():
                    if record.offset < stop:
                        yield record
        finally:
            self._reader.assign({})  # what is asked next would wait behind a fetch


def _told(records: Iterable[Record], progress: Callable[[], None]) -> Iterator[Record]:
    for record in records:
        progress()
        yield record


def newest_snapshots(records: Iterable[Record], wanted: tuple[str, str, int], at_most: int) -> list[tuple[int, bytes]]:
    """Of `wanted` (processor, topic, partition), not beyond `at_most`: the newest `KEPT`, the newest first.

    Never holds more than these, however many records there are.
    """
    processor, _, partition = wanted
    found: dict[int, bytes] = {}
    for record in records:
        snapshot = _snapshot(record) if record.key == _key(processor, partition) else None
        if snapshot is None or snapshot["next_offset"] > at_most:
            continue
        if (snapshot["processor"], snapshot["topic"], snapshot["partition"]) == wanted:
            found[snapshot["next_offset"]] = snapshot["state"]
            if len(found) > KEPT:
                del found[min(found)]
    return sorted(found.items(), reverse=True)


def _key(processor: str, partition: int) -> bytes:
    return f"{processor}/{partition}".encode()


def _snapshot(record: Record) -> dict[str, Any] | None:
    if record.value is None:
        return None
    try:
        return serde.decode(record.value)[1]
    except InvalidEvent:
        return None  # a snapshot is only a shortcut: an unreadable one is as good as none


def snapshot_message(
    processor: str, topic: str, partition: int, next_offset: int, state: bytes, within: str = ""
) -> Message:
    """The message that lays down the state before the event at `next_offset`; `within` ends the key of a part of it."""
    event = {
        "processor": processor,
        "topic": topic,
        "partition": partition,
        "next_offset": next_offset,
        "state": state,
    }
    made_id = derived_id(f"{processor}/snapshot{within}", topic, partition, next_offset, 0)
    headers = cloudevents.headers("ProcessorSnapshot", id=made_id, source=f"/processors/{processor}")
    value = serde.encode("ProcessorSnapshot", event)
    return Message(SNAPSHOTS, _key(processor, partition) + within.encode(), value, headers)
