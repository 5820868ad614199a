"""The one consuming Kafka adapter: reads the log from explicit positions, no group, no commit (confluent-kafka).

Kafka being away never looks like an end of the log: polls come back empty until it answers, look-ups raise
`TransientFailure`.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Self, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicCollection
from confluent_kafka import TopicPartition as _KafkaPartition
from confluent_kafka.admin import AdminClient

from schemas.errors import SensoriumError, TransientFailure
from schemas.record import Record

log = logging.getLogger(__name__)
T = TypeVar("T")

# Special timestamps of the ListOffsets request (KIP-79): what a look-up by time asks for the ends of a partition.
_LATEST, _EARLIEST = -1, -2


class TopicPartition(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}"


class PositionLost(SensoriumError):
    """The asked offset is not in the log any more (or not yet): retention, a recreated topic, a restored broker."""

    def __init__(self, where: TopicPartition, asked: int, first: int, end: int) -> None:
        super().__init__(
            f"{where.topic}, partition {where.partition}: offset {asked} was asked for, "
            f"but the log holds offsets {first} to {end} (the next to be written)"
        )
        self.where, self.asked, self.first, self.end = where, asked, first, end


class LogReader:
    """Reads records of assigned partitions in offset order, committed transactions only; for one thread.

    `assign` sets the positions and `poll_batch` moves them. `positions` says where reading goes on; at the end of a
    partition it equals `end_offsets`, also where the last offsets are transaction markers that carry no record.
    """

    def __init__(self, bootstrap: str, client_id: str, *, timeout_s: float = 10.0) -> None:
        """`bootstrap` is Kafka's host:port list; `timeout_s` bounds every look-up (not the polls)."""
        self._bootstrap, self._timeout_s = bootstrap, timeout_s
        self._consumer = Consumer(_settings(bootstrap, client_id), logger=log)
        self._admin: AdminClient | None = None
        self._pending: deque[Record | _End] = deque()
        self._failure: SensoriumError | None = None
        self.positions: dict[TopicPartition, int] = {}

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        """Read these partitions from these offsets on; replaces the assignment. An empty mapping stops reading."""
        self._pending.clear()
        self._failure = None
        self.positions = dict(positions)
        wanted = [_KafkaPartition(topic, partition, offset) for (topic, partition), offset in positions.items()]
        self._ask(lambda: self._consumer.assign(wanted))

    def poll_batch(self, max_records: int = 1000, max_bytes: int = 16 << 20, timeout_s: float = 1.0) -> list[Record]:
        """Take what is there now, at most `max_records` and `max_bytes` (one larger record comes alone).

        Waits up to `timeout_s` for the first record and not at all for more. Empty: nothing new, or Kafka is away.
        Raises `PositionLost` (until the next `assign`) and `TransientFailure` (topic gone, no access, broken batch).
        """
        if not self._pending:
            self._fill(max_records, timeout_s)
        return self._take(max_records, max_bytes)

    def at_end(self, ends: Mapping[TopicPartition, int]) -> bool:
        """Whether all these offsets (taken from `end_offsets`) are behind the positions."""
        return all(self.positions.get(where, -1) >= end for where, end in ends.items())

    def partitions(self, topic: str) -> list[int]:
        """Give the topic's partition numbers, ascending. A topic that does not exist raises `TransientFailure`."""
        found = self._ask(lambda: self._consumer.list_topics(topic, timeout=self._timeout_s)).topics[topic]
        if found.error is not None:
            raise TransientFailure(f"Topic {topic} cannot be read: {found.error.str()}")
        return sorted(found.partitions)

    def end_offsets(self, topic: str) -> dict[int, int]:
        """Per partition the offset after the last readable record (open transactions hold it back)."""
        return self._offsets(topic, _LATEST)

    def beginning_offsets(self, topic: str) -> dict[int, int]:
        """Per partition the first offset that the log still holds."""
        return self._offsets(topic, _EARLIEST)

    def offsets_for_time(self, topic: str, timestamp_ms: int) -> dict[int, int]:
        """Per partition the first offset whose log time is at or after `timestamp_ms`, else the end offset."""
        found, ends = self._offsets(topic, timestamp_ms), self.end_offsets(topic)
        return {partition: offset if offset >= 0 else ends[partition] for partition, offset in found.items()}

    def topic_id(self, topic: str) -> str:
        """Kafka's UUID of the topic; another one under the same name means the topic was deleted and made anew."""
        admin = self._admin = self._admin or AdminClient(
            {"bootstrap.servers": self._bootstrap, "log_level": 2}, logger=log
        )
        answers = admin.describe_topics(TopicCollection([topic]), request_timeout=self._timeout_s)
        return str(self._ask(answers[topic].result).topic_id)

    def close(self) -> None:
        """Give the connections back."""
        self._consumer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _fill(self, max_records: int, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while not self._pending:
            self._raise_failure()
            first = self._consumer.poll(max(0.0, deadline - time.monotonic()))
            if first is None:
                return
            rest = self._consumer.consume(max_records - 1, 0) if max_records > 1 else []
            for message in (first, *rest):
                self._accept(message)

    def _raise_failure(self) -> None:
        failure = self._failure
        if failure is None:
            return
        if not isinstance(failure, PositionLost):  # that one stays until somebody decides where to read on
            self._failure = None
        raise failure

    def _accept(self, message: Message) -> None:
        error = message.error()
        if error is None:
            self._pending.append(_record(message))
            return
        where = TopicPartition(message.topic() or "", message.partition() or 0)
        code = error.code()
        if code == KafkaError._PARTITION_EOF:
            self._pending.append(_End(where, message.offset() or 0))
        elif code in _NO_SUCH_OFFSET:
            self._failure = self._position_lost(where)
        elif error.retriable() or code in _OUTAGES:
            log.info("Kafka does not answer for %s (%s), polling on", where, error.str())
        else:
            self._failure = TransientFailure(f"{where} cannot be read: {error.str()}")

    def _take(self, max_records: int, max_bytes: int) -> list[Record]:
        batch: list[Record] = []
        room = max_bytes
        while self._pending and len(batch) < max_records:
            head = self._pending[0]
            if isinstance(head, _End):
                self.positions[head.where] = max(self.positions.get(head.where, 0), head.offset)
            else:
                size = len(head.key or b"") + len(head.value or b"")
                if batch and size > room:
                    break
                room -= size
                batch.append(head)
                self.positions[TopicPartition(head.topic, head.partition)] = head.offset + 1
            self._pending.popleft()
        return batch

    def _position_lost(self, where: TopicPartition) -> SensoriumError:
        asked = self.positions.get(where, -1)
        try:
            held = self._ask(
                lambda: self._consumer.get_watermark_offsets(
                    _KafkaPartition(where.topic, where.partition), timeout=self._timeout_s
                )
            )
        except TransientFailure as unknown:
            return unknown
        return PositionLost(where, asked, *held)

    def _offsets(self, topic: str, timestamp_ms: int) -> dict[int, int]:
        asked = [_KafkaPartition(topic, partition, timestamp_ms) for partition in self.partitions(topic)]
        answers = self._ask(lambda: self._consumer.offsets_for_times(asked, timeout=self._timeout_s))
        for answer in answers:
            if answer.error is not None:
                raise TransientFailure(f"{topic}/{answer.partition} does not say its offsets: {answer.error.str()}")
        return {answer.partition: answer.offset for answer in answers}

    @staticmethod
    def _ask(question: Callable[[], T]) -> T:
        try:
            return question()
        except KafkaException as failure:
            raise TransientFailure(f"Kafka does not answer: {failure.args[0]}") from failure


class _End(NamedTuple):
    where: TopicPartition
    offset: int


_NO_SUCH_OFFSET = frozenset({KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE})
_OUTAGES = frozenset({KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT, KafkaError._RESOLVE})


def _settings(bootstrap: str, client_id: str) -> dict[str, Any]:
    return {
        "bootstrap.servers": bootstrap,
        "client.id": client_id,
        "group.id": client_id,  # asked for by the library; never joined, nothing is committed
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "enable.partition.eof": True,
        "isolation.level": "read_committed",
        "auto.offset.reset": "error",
        "allow.auto.create.topics": False,
        "check.crcs": True,
        # The broker answers at once when there is something; else every look-up waits behind this on its connection.
        "fetch.wait.max.ms": 100,
        "fetch.queue.backoff.ms": 20,  # the default of 1 s stalls a reader that is faster than its queue
        "queued.max.messages.kbytes": 32 << 10,
        "reconnect.backoff.max.ms": 1000,
        "error_cb": lambda error: log.debug("Kafka: %s", error.str()),
        "log_level": 2,  # else each attempt to reconnect is a line, for as long as Kafka is away
    }


def _record(message: Any) -> Record:  # Any: of a message without error, topic, partition and offset are not None
    headers = message.headers() or ()
    return Record(
        topic=message.topic(),
        partition=message.partition(),
        offset=message.offset(),
        timestamp_ms=message.timestamp()[1],
        key=message.key(),
        value=message.value(),
        headers=tuple((name, value or b"") for name, value in headers),
    )
