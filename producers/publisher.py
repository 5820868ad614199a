"""The one Kafka producer adapter: acks=all, idempotent, murmur2, every send ends within its own deadline."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from threading import get_ident
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from confluent_kafka import KafkaError, KafkaException, Producer

from schemas.errors import InvalidEvent, Overloaded, TransientFailure

if TYPE_CHECKING:
    from confluent_kafka._types import HeadersType

log = logging.getLogger(__name__)

POLL_S = 0.001  # delivery reports are fetched this often while something is on its way
SCAN_S = 0.1  # deadlines are looked at this often
STALLED_S = 0.5  # what a send waits at most while Kafka is away
STUCK_S = 10.0  # a delivery this long past its deadline without a report means a stuck producer
_Delivery = asyncio.Future[tuple[int, int]]
_REFUSED = {KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_MSG, KafkaError.INVALID_RECORD}


class Message(NamedTuple):
    """What is to be appended: key and value as bytes; `partition` -1 lets murmur2 of the key choose."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]
    partition: int = -1


class Publisher:
    """A producer for one process: `publish` for an event loop, `publish_all` for threads.

    `deadline_s` bounds every send; what the broker has not taken by then is reported as `TransientFailure`. Such a
    message may still have arrived: repeat it with the same identity. Once a send has run out of time, the next ones
    wait `STALLED_S` at most until something is acknowledged again. A producer that is fatally broken or silent is
    replaced by a new one.
    """

    def __init__(
        self,
        bootstrap: str,
        *,
        client_id: str,
        deadline_s: float = 5.0,
        linger_ms: float = 1,
        max_message_bytes: int = 8 << 20,
    ) -> None:
        self.deadline_s = deadline_s
        self._config = producer_config(bootstrap, client_id, deadline_s, linger_ms, max_message_bytes)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_thread = 0
        self._deadlines: dict[_Delivery, float] = {}
        """Of every asynchronous send that has no report yet."""
        self._timer: asyncio.TimerHandle | None = None
        self._next_scan = 0.0
        self._stalled = False
        self._lock = threading.Lock()
        self._broken = False
        self.generation = 0
        self._producer = self._create()

    async def publish(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: list[tuple[str, bytes]],
        partition: int | None = None,
        deadline_s: float | None = None,
    ) -> tuple[int, int]:
        """Append one message and return its (partition, offset) once all in-sync replicas have it.

        Raises:
            TransientFailure: not acknowledged within the deadline. Overloaded: the local queue is full.
            InvalidEvent: such a message is refused for good, for example by its size.
        """
        return await self.send(Message(topic, key, value, headers, -1 if partition is None else partition), deadline_s)

    def send(self, message: Message, deadline_s: float | None = None) -> asyncio.Future[tuple[int, int]]:
        """Hand a message to the producer from a running event loop; the future ends as `publish` does."""
        loop = self._loop or self._bind_loop()
        patience = self.deadline_s if deadline_s is None else deadline_s
        deadline = time.monotonic() + (min(patience, STALLED_S) if self._stalled else patience)
        future: _Delivery = loop.create_future()
        self._produce(message, partial(self._delivered, future))
        self._deadlines[future] = deadline
        # Under load the next send fetches the reports of the last ones sooner than the timer does.
        self._producer.poll(0)
        if self._timer is None:
            self._timer = loop.call_later(POLL_S, self._tick)
        return future

    def publish_all(self, messages: Sequence[Message], deadline_s: float | None = None) -> None:
        """Append all messages and return when every one is acknowledged; blocks, so never from an event loop.

        Raises:
            TransientFailure: one is not acknowledged within the deadline. InvalidEvent: one is refused for good.
        """
        deadline = time.monotonic() + (self.deadline_s if deadline_s is None else deadline_s)
        reports: list[KafkaError | None] = []

        def report(error: KafkaError | None, _message: Any) -> None:
            reports.append(error)

        for message in messages:
            self._produce_patiently(message, report, deadline)
        while len(reports) < len(messages):
            if time.monotonic() > deadline:
                raise TransientFailure(f"Kafka acknowledged {len(reports)} of {len(messages)} messages in time")
            self._producer.poll(0.05)
        for error in reports:
            if error is not None:
                raise self._failure(error)

    def hand_over(self, messages: Sequence[Message], lost: Callable[[Exception], None]) -> None:
        """Append without waiting for it. `lost` is called for each message that was not appended, from any thread.

        Raises:
            Overloaded: the local queue is full; what comes before that message is on its way.
        """

        def report(error: KafkaError | None, _message: Any) -> None:
            if error is not None:
                lost(self._failure(error))

        for message in messages:
            self._produce(message, report)
        self._producer.poll(0)  # reports of earlier ones

    def in_flight(self) -> int:
        """Messages and requests that librdkafka still holds."""
        return len(self._producer)

    def topic_exists(self, topic: str, timeout_s: float) -> bool:
        """Ask the broker about a topic (blocks up to `timeout_s`); False when it is away or lacks the topic."""
        try:
            found = self._producer.list_topics(topic, timeout_s).topics[topic]
        except KafkaException:
            return False
        return found.error is None

    def close(self, timeout_s: float = 5.0) -> None:
        """Wait for what is under way, then let go; unfinished sends fail."""
        self._producer.flush(timeout_s)
        if self._loop is None or self._loop.is_closed() or get_ident() == self._loop_thread:
            self._abandon()
        else:
            self._loop.call_soon_threadsafe(self._abandon)

    def _create(self) -> Producer:
        return Producer(self._config | {"error_cb": self._on_error}, logger=logging.getLogger("sensorium.kafka"))

    def _bind_loop(self) -> asyncio.AbstractEventLoop:
        self._loop = asyncio.get_running_loop()
        self._loop_thread = get_ident()
        return self._loop

    def _produce(self, message: Message, report: Callable[[KafkaError | None, Any], None]) -> None:
        if self._broken:
            self._replace("a fatal error")
        topic, key, value, headers, partition = message
        try:
            self._producer.produce(topic, value, key, partition, report, headers=cast("HeadersType", headers))
        except BufferError as error:
            raise Overloaded("the producer's queue is full") from error
        except KafkaException as error:
            raise self._failure(error.args[0]) from error

    def _produce_patiently(
        self, message: Message, report: Callable[[KafkaError | None, Any], None], deadline: float
    ) -> None:
        while True:
            try:
                return self._produce(message, report)
            except Overloaded as full:
                if time.monotonic() > deadline:
                    raise TransientFailure("the producer's queue stayed full") from full
                self._producer.poll(0.05)

    def _delivered(self, delivery: _Delivery, error: KafkaError | None, message: Any) -> None:
        """Take a delivery report; called by librdkafka inside whichever thread polls."""
        if error is None:
            outcome = (message.partition(), message.offset())
            self._stalled = False
        else:
            outcome = self._failure(error)
            self._stalled |= error.code() == KafkaError._MSG_TIMED_OUT
        if get_ident() == self._loop_thread:
            self._settle(delivery, outcome)
        elif self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._settle, delivery, outcome)

    def _settle(self, delivery: _Delivery, outcome: tuple[int, int] | Exception) -> None:
        self._deadlines.pop(delivery, None)
        if delivery.done():
            return
        if isinstance(outcome, tuple):
            delivery.set_result(outcome)
        else:
            delivery.set_exception(outcome)

    def _tick(self) -> None:
        """Fetch all waiting reports at once, on the loop's own thread: no lock and no thread switch per message."""
        assert self._loop is not None  # noqa: S101 - a tick is only ever scheduled by `send`
        try:
            self._producer.poll(0)
            now = time.monotonic()
            if now >= self._next_scan:
                self._next_scan = now + SCAN_S
                self._expire(now)
        finally:  # whatever a callback raised, the others' deadlines hold
            self._timer = self._loop.call_later(POLL_S, self._tick) if self._deadlines else None

    def _expire(self, now: float) -> None:
        for delivery, deadline in self._deadlines.items():
            if now >= deadline and not delivery.done():
                self._stalled = True
                delivery.set_exception(TransientFailure("Kafka did not acknowledge in time"))
        if any(now >= deadline + STUCK_S for deadline in self._deadlines.values()):
            self._replace("no delivery reports")

    def _failure(self, error: KafkaError) -> Exception:
        if error.fatal():
            self._broken = True
        if error.code() in _REFUSED:
            return InvalidEvent(f"Kafka refuses the message: {error.str()}")
        return TransientFailure(f"Kafka did not take the message: {error.str()}")

    def _on_error(self, error: KafkaError) -> None:
        log.warning("kafka producer: %s", error.str())
        if error.fatal():
            self._broken = True

    def _replace(self, cause: str) -> None:
        """Put a new producer in the place of a broken one; what the old one held fails now."""
        with self._lock:
            log.error("kafka producer replaced after %s", cause)
            old, self._producer = self._producer, self._create()
            self._broken = self._stalled = False  # the new one has to connect first
            self.generation += 1
        old.purge(blocking=False)
        old.poll(0)
        self._fail_pending(f"the producer was replaced after {cause}")
        threading.Thread(target=old.flush, args=(1.0,), name="old-producer", daemon=True).start()

    def _abandon(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._fail_pending("the producer was closed")

    def _fail_pending(self, cause: str) -> None:
        for delivery in list(self._deadlines):
            self._settle(delivery, TransientFailure(cause))


def producer_config(
    bootstrap: str, client_id: str, deadline_s: float, linger_ms: float, max_message_bytes: int
) -> dict[str, Any]:
    """Settings of librdkafka, sizes in bytes and times in ms, as its CONFIGURATION.md names them."""
    return {
        "bootstrap.servers": bootstrap,
        "client.id": client_id,
        "acks": "all",
        "enable.idempotence": True,
        # The default (consistent_random) differs from every other client's.
        "partitioner": "murmur2_random",
        # librdkafka looks at message timeouts once a second: stay inside our own deadline.
        "message.timeout.ms": max(1000, int(deadline_s * 800)),
        # 64 connections with a post each, measured: 1 ms carries the most; below, small requests keep the broker busy,
        # above, posts wait longer than they need.
        "linger.ms": linger_ms,
        "compression.type": "lz4",
        "message.max.bytes": max_message_bytes,
        "queue.buffering.max.messages": 100_000,
        "queue.buffering.max.kbytes": 65_536,
        "reconnect.backoff.max.ms": 1000,
        "socket.timeout.ms": 10_000,
        "socket.nagle.disable": True,
        "allow.auto.create.topics": False,
        "log.connection.close": False,
    }
