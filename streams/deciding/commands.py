"""A decider's membership of its consumer group and the reading of commands. A Kafka adapter.

Where a partition goes on is said by its ledger: nothing is committed to the group.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from schemas.errors import TransientFailure
from schemas.record import Record
from streams.deciding.transactions import Fenced

log = logging.getLogger(__name__)

BATCH: Final = 500
"""Commands of one transaction, at most."""
_OUTAGES: Final = frozenset(
    {KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT, KafkaError._RESOLVE}
)


@dataclass(frozen=True, slots=True)
class Membership:
    """How a process belongs to the groups: one that comes back under its name goes on at once.

    One that is silent for `session_s` seconds loses its partitions.
    """

    instance: str
    session_s: float = 10.0


class CommandReader:
    """For one thread. `assigned` is None until the group has said which partitions are ours (maybe none)."""

    def __init__(self, bootstrap: str, group: str, topic: str, membership: Membership) -> None:
        self._topic = topic
        self._consumer = Consumer(_settings(bootstrap, group, membership), logger=log)
        self.assigned: frozenset[int] | None = None
        self.generation = 0
        """Changes with every assignment: whatever was known of a partition before may be stale."""
        self._consumer.subscribe([topic], on_assign=self._assign, on_revoke=self._revoke, on_lost=self._revoke)

    def go_on(self, positions: Mapping[int, int]) -> None:
        """Read the assigned partitions from these offsets on."""
        self._consumer.assign([TopicPartition(self._topic, one, offset) for one, offset in positions.items()])

    def poll(self, timeout_s: float) -> dict[int, list[Record]]:
        """Take what has come, by partition; waits up to `timeout_s` for the first command and not at all for more.

        Raises:
            TransientFailure: the topic cannot be read. Fenced: another process goes by our instance's name.
        """
        first = self._consumer.poll(timeout_s)
        if first is None:
            return {}
        batch: dict[int, list[Record]] = {}
        for message in (first, *self._consumer.consume(BATCH - 1, 0)):
            if (error := message.error()) is None:
                record = _record(message)
                batch.setdefault(record.partition, []).append(record)
            elif error.fatal() or error.code() == KafkaError._FATAL:
                raise Fenced(f"{self._topic} is not ours any more: {error.str()}")
            elif error.code() not in _OUTAGES and not error.retriable():
                raise TransientFailure(f"{self._topic} cannot be read: {error.str()}")
        return batch

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()

    def _assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Nothing is read before `go_on`: first the past has to be known."""
        consumer.assign([])
        self.assigned = frozenset(one.partition for one in partitions)
        self.generation += 1
        log.info("%s: partitions %s are ours", self._topic, sorted(self.assigned))

    def _revoke(self, consumer: Consumer, _partitions: list[TopicPartition]) -> None:
        consumer.unassign()
        self.assigned = None
        self.generation += 1


def _settings(bootstrap: str, group: str, membership: Membership) -> dict[str, Any]:
    return {
        "bootstrap.servers": bootstrap,
        "client.id": group,
        "group.id": group,
        "group.instance.id": membership.instance,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "isolation.level": "read_committed",
        "auto.offset.reset": "error",
        "allow.auto.create.topics": False,
        "session.timeout.ms": int(membership.session_s * 1000),
        "heartbeat.interval.ms": int(membership.session_s * 250),
        "partition.assignment.strategy": "range",
        "reconnect.backoff.max.ms": 1000,
        "fetch.queue.backoff.ms": 20,
        "error_cb": lambda error: log.debug("Kafka: %s", error.str()),
        "log_level": 2,
    }


def _record(message: Message) -> Record:
    taken: Any = message  # of a message without error, topic, partition and offset are not None
    return Record(
        topic=taken.topic(),
        partition=taken.partition(),
        offset=taken.offset(),
        timestamp_ms=taken.timestamp()[1],
        key=taken.key(),
        value=taken.value(),
        headers=tuple((name, value or b"") for name, value in taken.headers() or ()),
    )
