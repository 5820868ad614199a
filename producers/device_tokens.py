"""Whom each device token stands for: the compacted topic `devices.tokens`, held in memory. A Kafka adapter.

A thread reads the topic from its beginning and follows it, so that a new, changed or disabled token counts at once.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from schemas.errors import InvalidEvent
from schemas.serde import decode

log = logging.getLogger(__name__)

TOPIC: Final = "devices.tokens"
POLL_S: Final = 0.05
RETRY_S: Final = 1.0
_BATCH: Final = 1000


@dataclass(frozen=True, slots=True)
class Device:
    """A device as it is registered; `token_sha256` in hexadecimal."""

    device_id: str
    point_id: str
    register_id: str
    token_sha256: str
    enabled: bool


class DeviceDirectory(Protocol):
    """Who may post: what the routes need of `DeviceTokens`."""

    @property
    def ready(self) -> bool:
        """Whether everything registered before the start is known."""
        ...

    def find(self, token: bytes) -> tuple[Device, ...]:
        """The enabled devices of a token, usually one."""
        ...

    async def catch_up(self) -> bool:
        """Read what has been registered by now; False where Kafka does not say in time."""
        ...


class TokenTable:
    """Devices by id and by the hash of their token; the newest record of a device replaces the one before. Pure."""

    def __init__(self) -> None:
        self._devices: dict[str, Device] = {}
        self._by_token: dict[str, tuple[Device, ...]] = {}

    def __len__(self) -> int:
        return len(self._devices)

    def apply(self, key: bytes | None, value: bytes | None) -> None:
        """Take one record; without a value the device is forgotten. Raises `InvalidEvent`."""
        if value is None:
            self._replace((key or b"").decode("utf-8", "replace"), None)
            return
        name, record = decode(value)
        if name != "DeviceTokenSet":
            raise InvalidEvent(f"{TOPIC} has a {name}")
        self._replace(record["device_id"], _device(record))

    def find(self, token: bytes) -> tuple[Device, ...]:
        """The enabled devices that have this token."""
        presented = sha256(token).hexdigest()
        found = self._by_token.get(presented, ())
        return tuple(one for one in found if one.enabled and hmac.compare_digest(one.token_sha256, presented))

    def _replace(self, device_id: str, device: Device | None) -> None:
        before = self._devices.pop(device_id, None)
        if before is not None:
            rest = tuple(one for one in self._by_token[before.token_sha256] if one is not before)
            self._by_token[before.token_sha256] = rest
            if not rest:
                del self._by_token[before.token_sha256]
        if device is not None:
            self._devices[device_id] = device
            self._by_token[device.token_sha256] = (*self._by_token.get(device.token_sha256, ()), device)


@dataclass(slots=True, eq=False)
class _Waiting:
    """Somebody who wants the topic read up to `goal`, its end when they asked (None: not known yet)."""

    answer: Future[bool]
    deadline: float
    goal: int | None = None


class DeviceTokens:
    """Follows the topic from `start` to `stop`; `catch_up` waits at most `patience_s`."""

    def __init__(self, bootstrap: str, *, patience_s: float = 2.0) -> None:
        self.patience_s = patience_s
        self.ready = False
        self.table = TokenTable()
        self._bootstrap = bootstrap
        self._position = 0
        self._waiting: list[_Waiting] = []
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to read; returns at once, `ready` says when the end has been reached."""
        self._thread = threading.Thread(target=self._run, name="device-tokens", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """Let go of the topic; whoever waits is told that it is not known."""
        self._over.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)

    def find(self, token: bytes) -> tuple[Device, ...]:
        """The enabled devices that have this token, as of some milliseconds ago."""
        return self.table.find(token)

    async def catch_up(self) -> bool:
        """Read up to where the topic ends now; False where that is not known in time."""
        return await asyncio.wrap_future(self._ask(self.patience_s))

    def _ask(self, patience_s: float) -> Future[bool]:
        waiting = _Waiting(Future(), time.monotonic() + patience_s)
        with self._lock:
            if self._over.is_set() or self._thread is None:
                waiting.answer.set_result(False)
            else:
                self._waiting.append(waiting)
        return waiting.answer

    def _run(self) -> None:
        consumer = Consumer(_settings(self._bootstrap), logger=logging.getLogger("sensorium.kafka"))
        try:
            consumer.assign([TopicPartition(TOPIC, 0, 0)])
            first: Future[bool] | None = None
            while not self._over.is_set():
                if not self.ready and (first is None or first.done()):
                    self.ready = first is not None and first.result()
                    first = None if self.ready else self._ask(RETRY_S)
                self._set_goals(consumer)
                self._take(consumer.consume(_BATCH, POLL_S))
                self._settle(time.monotonic())
        finally:
            consumer.close()
            self._settle(float("inf"))

    def _set_goals(self, consumer: Consumer) -> None:
        with self._lock:
            new = [waiting for waiting in self._waiting if waiting.goal is None]
        if not new:
            return
        try:
            _, end = consumer.get_watermark_offsets(TopicPartition(TOPIC, 0), timeout=1.0)
        except KafkaException as error:
            log.warning("the end of %s is not known: %s", TOPIC, error)
            return
        for waiting in new:
            waiting.goal = end

    def _take(self, messages: list[Message]) -> None:
        for message in messages:
            error, offset = message.error(), message.offset() or 0
            if error is None:
                self._apply(message)
                self._position = offset + 1
            elif error.code() == KafkaError._PARTITION_EOF:
                self._position = max(self._position, offset)
            else:
                log.warning("reading %s: %s", TOPIC, error)

    def _apply(self, message: Message) -> None:
        try:
            self.table.apply(message.key(), message.value())
        except InvalidEvent as error:
            log.error("an unreadable record at %s@%s: %s", TOPIC, message.offset(), error)  # noqa: TRY400

    def _settle(self, now: float) -> None:
        """Answer who has been waiting for what is read now, and who has waited long enough."""
        done: list[_Waiting] = []
        left: list[_Waiting] = []
        with self._lock:
            for one in self._waiting:
                (done if self._is_reached(one) or now >= one.deadline else left).append(one)
            self._waiting = left
        for waiting in done:
            if waiting.answer.set_running_or_notify_cancel():
                waiting.answer.set_result(self._is_reached(waiting))

    def _is_reached(self, waiting: _Waiting) -> bool:
        return waiting.goal is not None and self._position >= waiting.goal


def _device(record: Mapping[str, Any]) -> Device:
    return Device(
        record["device_id"],
        record["point_id"],
        record["register_id"],
        record["token_sha256"].lower(),
        record["enabled"],
    )


def _settings(bootstrap: str) -> dict[str, Any]:
    """No group: the partition is assigned by hand and nothing is committed."""
    return {
        "bootstrap.servers": bootstrap,
        "client.id": "gateway-device-tokens",
        "group.id": "unused",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "enable.partition.eof": True,
        "isolation.level": "read_committed",
        "auto.offset.reset": "earliest",
        "fetch.wait.max.ms": 100,
        "reconnect.backoff.max.ms": 1000,
        "fetch.error.backoff.ms": 100,
        "log.connection.close": False,
    }
