"""Follows what is decided about cameras, as long as it is this process's turn. A Kafka adapter.

The topic has one partition, and one member of the group has it: that one looks, the others stand by.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Any, Final

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition
from immutables import Map

from schemas import serde
from schemas.errors import InvalidEvent
from streams.cameras.roster import CONFIGURED, REMOVED, Roster, evolve
from streams.listening import member

log = logging.getLogger(__name__)
TOPIC: Final = "security.threats"
GROUP: Final = "cameras"
_POLL_S: Final = 0.25
_BATCH: Final = 1000

Changed = Callable[[Roster], None]
"""Told in the event loop: which cameras there are now; none when it is somebody else's turn."""


class Following:
    """A thread that calls `changed` in the running event loop, until `close`."""

    def __init__(
        self, bootstrap: str, instance: str, changed: Changed, *, topic: str = TOPIC, group: str = GROUP
    ) -> None:
        self._changed, self._loop = changed, asyncio.get_running_loop()
        self._roster: Roster = Map()
        self._is_known = False
        self._consumer = Consumer(_settings(bootstrap, instance, group), logger=log)
        self._consumer.subscribe([topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="cameras", daemon=True)
        self._thread.start()

    async def close(self) -> None:
        """Leave the group: the next one's turn begins."""
        self._closing.set()
        await asyncio.to_thread(self._thread.join, 5.0)

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._poll()
            except KafkaException as failure:
                log.warning("What is decided about cameras cannot be read: %s", failure)
                self._closing.wait(_POLL_S)
        self._consumer.close()

    def _poll(self) -> None:
        """Take what has come. Before the past is known to its end, nobody is told."""
        before, was_known = self._roster, self._is_known
        for message in self._consumer.consume(_BATCH, _POLL_S):
            error = message.error()
            if error is None:
                self._roster = _taken(self._roster, message.value())
            elif error.code() == KafkaError._PARTITION_EOF:
                self._is_known = True
        if self._is_known and (not was_known or self._roster is not before):
            self._tell()

    def _assigned(self, consumer: Consumer, partitions: list[Any]) -> None:
        """Everything from the beginning: nothing is committed to the group."""
        consumer.assign([TopicPartition(one.topic, one.partition, OFFSET_BEGINNING) for one in partitions])
        log.info("Cameras: %s", "it is our turn" if partitions else "somebody else looks at them")

    def _revoked(self, consumer: Consumer, _partitions: list[Any]) -> None:
        consumer.unassign()
        self._roster, self._is_known = Map(), False
        self._tell()

    def _tell(self) -> None:
        if not self._closing.is_set():
            self._loop.call_soon_threadsafe(self._changed, self._roster)


def _taken(roster: Roster, value: bytes | None) -> Roster:
    try:
        if serde.schema_of(value).name not in (CONFIGURED, REMOVED):
            return roster
        return evolve(roster, *serde.decode(value))
    except InvalidEvent as stranger:
        log.warning("An event about cameras is passed over: %s", stranger)
        return roster


def _settings(bootstrap: str, instance: str, group: str) -> dict[str, Any]:
    options = {"enable_partition_eof": True, "auto_offset_reset": "earliest"}
    return member(bootstrap, f"cameras-{instance}", group, **options)
