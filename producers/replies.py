"""Read the `replies` topic from its end on and hand each reply to whoever waits for it. A Kafka adapter."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from schemas.errors import InvalidEvent
from schemas.serde import decode

log = logging.getLogger(__name__)

TOPIC = "replies"
POLL_S = 0.002  # while somebody waits
IDLE_POLL_S = 0.1
SCAN_S = 0.05  # deadlines are looked at this often
RETRY_S = 1.0
LATE_WAIT_S = 0.25
PROBE_S = 5.0
CAPACITY = 65_536
_BATCH = 1000


Hear = Callable[[str, dict[str, Any]], None]
"""(event name, record) of a reply."""


@dataclass(slots=True)
class _Waiting:
    future: asyncio.Future[dict[str, Any] | None]
    deadline: float


class ReplyReader:
    """Replies to this gateway instance, by correlation id.

    A post waits `wait_s` after its acknowledgement. When replies stop coming (the read model or its database is away),
    only one post every `PROBE_S` waits that long, the others `LATE_WAIT_S`, so that devices are not held up.
    """

    def __init__(self, bootstrap: str, instance_id: str, *, wait_s: float = 2.0) -> None:
        self.instance_id = instance_id
        self.wait_s = wait_s
        self.ready = False
        self._key = instance_id.encode()
        self._consumer = Consumer(_consumer_config(bootstrap, instance_id))
        self._waiting: dict[str, _Waiting] = {}
        self._listening: dict[str, Hear] = {}
        self._late = False
        self._next_probe = 0.0
        self._next_scan = 0.0
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()

    async def start(self) -> None:
        """Begin to look for the end of the topic; `ready` says when it is reached. Returns at once."""
        self._task = asyncio.create_task(self._run(), name="replies")

    async def stop(self) -> None:
        """Stop reading; whoever still waits gets None."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for waiting in self._waiting.values():
            _settle(waiting, None)
        self._waiting.clear()
        self._listening.clear()
        await asyncio.to_thread(self._consumer.close)

    def expect(self, correlation_id: str) -> bool:
        """Say before publishing that a reply will be waited for; False when too many already are."""
        if len(self._waiting) >= CAPACITY or not self.ready:
            return False
        future = asyncio.get_running_loop().create_future()
        self._waiting[correlation_id] = _Waiting(future, time.monotonic() + 3600)
        self._wake.set()
        return True

    async def reply(self, correlation_id: str) -> dict[str, Any] | None:
        """The Reply event of a correlation id that was expected, or None when it does not come in time."""
        waiting = self._waiting.get(correlation_id)
        if waiting is None:
            return None
        waiting.deadline = self._patience(time.monotonic())
        try:
            return await waiting.future
        finally:
            self._waiting.pop(correlation_id, None)

    def forget(self, correlation_id: str) -> None:
        """Nobody waits any more: the event was not acknowledged, or enough was heard."""
        self._waiting.pop(correlation_id, None)
        self._listening.pop(correlation_id, None)

    def listen(self, correlation_id: str, hear: Hear) -> bool:
        """Call `hear(event name, record)` for whatever is replied under an id, until `forget`; False: too many do."""
        if len(self._listening) >= CAPACITY or not self.ready:
            return False
        self._listening[correlation_id] = hear
        self._wake.set()
        return True

    def _patience(self, now: float) -> float:
        if not self._late:
            return now + self.wait_s
        if now >= self._next_probe:
            self._next_probe = now + PROBE_S
            return now + self.wait_s
        return now + min(LATE_WAIT_S, self.wait_s)

    async def _run(self) -> None:
        while not self.ready:
            try:
                end = await asyncio.to_thread(self._find_end)
            except KafkaException as error:
                log.warning("the end of %s is not known yet: %s", TOPIC, error)
                await asyncio.sleep(RETRY_S)
            else:
                self._consumer.assign([TopicPartition(TOPIC, 0, end)])
                self.ready = True
        while True:
            self._poll()
            self._give_up_when_due(time.monotonic())
            await self._pause()

    def _find_end(self) -> int:
        _, end = self._consumer.get_watermark_offsets(TopicPartition(TOPIC, 0), timeout=5.0)
        return end

    async def _pause(self) -> None:
        """Sleep a moment; without anybody waiting, longer or until somebody does."""
        if self._waiting or self._listening:
            await asyncio.sleep(POLL_S)
            return
        self._wake.clear()
        try:
            async with asyncio.timeout(IDLE_POLL_S):
                await self._wake.wait()
        except TimeoutError:
            pass

    def _poll(self) -> None:
        """Take what has arrived without waiting for more."""
        try:
            messages = self._consumer.consume(_BATCH, 0)
        except KafkaException:
            log.exception("reading %s failed; replies are late until it works again", TOPIC)
            return
        for message in messages:
            if (error := message.error()) is not None:
                log.warning("reading %s: %s", TOPIC, error)
            elif message.key() == self._key:
                self._dispatch(message)

    def _give_up_when_due(self, now: float) -> None:
        """Let go of those who have waited long enough."""
        if now < self._next_scan:
            return
        self._next_scan = now + SCAN_S
        for waiting in self._waiting.values():
            if now >= waiting.deadline and not waiting.future.done():
                self._fall_behind(now)
                waiting.future.set_result(None)

    def _fall_behind(self, now: float) -> None:
        if not self._late:
            self._late = True
            self._next_probe = now + PROBE_S

    def _dispatch(self, message: Message) -> None:
        correlation_id = dict(message.headers() or []).get("correlation-id")
        if not isinstance(correlation_id, bytes):
            return
        name = correlation_id.decode("utf-8", "replace")
        waiting, hear = self._waiting.get(name), self._listening.get(name)
        if hear is None and (waiting is None or waiting.future.done()):
            return
        try:
            name, reply = decode(message.value())
        except InvalidEvent as error:
            log.warning("an unreadable reply at %s@%s: %s", TOPIC, message.offset(), error)
            return
        if hear is not None:
            hear(name, reply)
        elif waiting is not None and name == "Reply":
            self._late = False
            waiting.future.set_result(reply)


def _settle(waiting: _Waiting, reply: dict[str, Any] | None) -> None:
    if not waiting.future.done():
        waiting.future.set_result(reply)


def _consumer_config(bootstrap: str, instance_id: str) -> dict[str, Any]:
    """No group: the partition is assigned by hand and nothing is committed."""
    return {
        "bootstrap.servers": bootstrap,
        "client.id": f"gateway-replies-{instance_id[:8]}",
        "group.id": "unused",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        # A lost position loses counts in answers, never points: go on with new replies.
        "auto.offset.reset": "latest",
        "reconnect.backoff.max.ms": 1000,
        "fetch.error.backoff.ms": 100,
        "log.connection.close": False,
        "logger": logging.getLogger("sensorium.kafka"),
    }
