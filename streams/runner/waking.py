"""Hears in the topic `scenarios` that there is work. A Kafka adapter: a member of the group `runners_group`.

It only wakes: who works on what is decided elsewhere, nothing is committed, and what is missed is asked for later.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any, Final

from confluent_kafka import Consumer, KafkaException

from schemas import serde
from schemas.errors import InvalidEvent
from schemas.scenarios import ScenarioStatus
from streams.listening import member
from streams.runner.loop import News
from streams.scenario_state import PAUSED

log = logging.getLogger(__name__)
GROUP: Final = "runners_group"
TOPIC: Final = "scenarios"
_POLL_S: Final = 0.25


class Ear:
    """A thread that sets `news`, which belongs to the running event loop, until `close`."""

    def __init__(self, bootstrap: str, runner_id: str, news: News, *, topic: str = TOPIC, group: str = GROUP) -> None:
        self._news, self._loop = news, asyncio.get_running_loop()
        self._consumer = Consumer(_settings(bootstrap, runner_id, group), logger=log)
        self._consumer.subscribe([topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._hear, name="news", daemon=True)
        self._thread.start()

    async def close(self) -> None:
        """Leave the group."""
        self._closing.set()
        await asyncio.to_thread(self._thread.join, 5.0)

    def _hear(self) -> None:
        while not self._closing.is_set():
            try:
                message = self._consumer.poll(_POLL_S)
            except KafkaException as failure:
                log.warning("news of scenarios: %s", failure)
                self._closing.wait(_POLL_S)
                continue
            if message is not None and message.error() is None and is_work(message.value()):
                self._tell(True)
        self._consumer.close()

    def _assigned(self, _consumer: Consumer, partitions: list[Any]) -> None:
        self._tell(bool(partitions))

    def _revoked(self, _consumer: Consumer, _partitions: list[Any]) -> None:
        self._tell(False)

    def _tell(self, is_heard: bool) -> None:
        if not self._closing.is_set():
            self._loop.call_soon_threadsafe(self._take, is_heard)

    def _take(self, is_heard: bool) -> None:
        """Whoever begins or ceases to hear looks once for what it may have missed."""
        self._news.is_heard = is_heard
        self._news.event.set()


def is_work(value: bytes | None) -> bool:
    """Whether an event says that a scenario waits for a runner."""
    try:
        name, body = serde.decode(value)
    except InvalidEvent:
        return False
    if name == "ScenarioCreated":
        return body["status"] == ScenarioStatus.INIT_STARTUP
    return (
        name == "ScenarioStatusChanged"
        and body["new_status"] == ScenarioStatus.INIT_STARTUP
        and body["reason"] != PAUSED
    )


def _settings(bootstrap: str, runner_id: str, group: str) -> dict[str, Any]:
    # The assignor of the group's first members, so that theirs and ours can be in it together.
    options = {"partition_assignment_strategy": "roundrobin", "auto_offset_reset": "latest"}
    return member(bootstrap, f"runner-{runner_id}", group, **options)
