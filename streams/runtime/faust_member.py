"""A processor's membership of its consumer group and the reading of its topic: all that Faust does here.

Why so little (faust-streaming 0.15.3, read in its source): its acknowledgements pass over events that a rebalance
skipped (`Stream.next` acks what it skips; `Consumer._new_offset` then takes offsets of the generation before for
processed), and a failed commit counts as done. So topics are declared with `acks=False`, which switches that machinery
off, and positions are committed through the member's own aiokafka consumer, whose generation fences a zombie.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import faust
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata
from aiokafka.structs import TopicPartition as _KafkaPartition
from faust.exceptions import ConsumerNotStarted
from mode.utils.queues import ThrowableQueue

from schemas.errors import SensoriumError, TransientFailure
from schemas.record import Record
from streams.topology import Processor

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MemberSettings:
    """How a member behaves towards its group, in seconds. Tests want sessions of 6 s, the least a broker allows."""

    session_s: float = 10.0
    commit_deadline_s: float = 5.0
    stop_deadline_s: float = 10.0


class FaustGaveUp(SensoriumError):
    """Faust crashed or stopped by itself; the process has to be started again."""


class _Buffer(ThrowableQueue[Any]):
    """A bounded buffer that just blocks when it is full.

    Faust would take the partition out of the fetching before that, and with no partition left it sleeps for a second:
    with small buffers that is all it does.
    """

    def in_pressure_high_state(self, callback: Callable[..., Any]) -> bool:
        """Deny it."""
        return False


class _App(faust.App):
    def FlowControlQueue(  # noqa: N802 - Faust's name
        self, maxsize: int | None = None, *, clear_on_resume: bool = False
    ) -> ThrowableQueue[Any]:
        return _Buffer(
            maxsize=maxsize or self.conf.stream_buffer_maxsize,
            flow_control=self.flow_control,
            clear_on_resume=clear_on_resume,
        )


class FaustMember:
    """Hands every record of the processor's assigned partitions to `take`, in offset order, as many as have come.

    Polling and heartbeats live in a thread of Faust's, so that a slow `take` costs no membership.
    """

    def __init__(
        self,
        bootstrap: str,
        processor: Processor[Any],
        take: Callable[[list[Record], int], Awaitable[None]],
        *,
        instance: str,
        settings: MemberSettings,
    ) -> None:
        self._settings, self._topic, self._take = settings, processor.topic_in, take
        self._folder = tempfile.mkdtemp(prefix="sensorium-faust-")
        self._app = _App(**_app_settings(bootstrap, processor, instance, settings, self._folder))
        topic = self._app.topic(processor.topic_in, key_serializer="raw", value_serializer="raw", acks=False)
        self._app.agent(topic, name=processor.name, concurrency=1)(self._consume)
        self._come: asyncio.Queue[tuple[Record, int]] = asyncio.Queue(processor.limits.buffered_events)
        self._handing = asyncio.create_task(self._hand_over())

    async def start(self) -> None:
        """Join the group."""
        await self._app.start()

    async def stop(self) -> None:
        """Leave the group; ends within its deadline also without a broker."""
        self._handing.cancel()
        try:
            await asyncio.wait_for(self._app.stop(), self._settings.stop_deadline_s)
        except TimeoutError:
            log.warning("%s did not leave its group in time", self._app.conf.id)
        shutil.rmtree(self._folder, ignore_errors=True)

    async def ended(self) -> None:
        """Return never; raise what ended the membership: a failure of `take`, or whatever made Faust give up."""
        # Looked at, not awaited: Faust sets its events from several threads.
        while not (self._app.should_stop or self._handing.done()):
            await asyncio.wait((self._handing,), timeout=0.5)
        if self._handing.done():
            self._handing.result()
        raise FaustGaveUp(f"Faust has stopped reading {self._topic}: {self._app.crash_reason!r}")

    def generation(self) -> int:
        """The group's generation, as of the last assignment."""
        return self._app.consumer_generation_id

    def partitions(self) -> set[int]:
        """The partitions it has now, none while the group rebalances. From the start on, from any thread."""
        try:
            assigned = self._app.consumer.assignment()
        except ConsumerNotStarted:
            return set()
        return set() if self._app.rebalancing else {one.partition for one in assigned if one.topic == self._topic}

    async def commit(self, offsets: Mapping[int, int]) -> None:
        """Commit next offsets by partition. Raises `TransientFailure`: rebalanced meanwhile, or Kafka is away."""
        consumer: Any = self._app.consumer
        thread = consumer._thread
        member = thread._ensure_consumer()
        wanted = {_KafkaPartition(self._topic, one): OffsetAndMetadata(offset, "") for one, offset in offsets.items()}
        under_way = asyncio.run_coroutine_threadsafe(member.commit(wanted), thread.thread_loop)
        try:
            await asyncio.wait_for(asyncio.wrap_future(under_way), self._settings.commit_deadline_s)
        except (KafkaError, TimeoutError) as failure:
            raise TransientFailure(f"{type(failure).__name__} {failure}") from failure

    async def _consume(self, stream: Any) -> None:
        async for event in stream.noack().events():
            message = event.message
            await self._come.put((_record(message), message.generation_id))

    async def _hand_over(self) -> None:
        head = await self._come.get()
        while True:
            records, generation, following = [head[0]], head[1], None
            while following is None and not self._come.empty():
                following = self._come.get_nowait()
                if following[1] == generation:
                    records.append(following[0])
                    following = None
            await self._take(records, generation)
            head = following or await self._come.get()


def _record(message: Any) -> Record:
    return Record(
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        timestamp_ms=round(message.timestamp * 1000),
        key=message.key,
        value=message.value,
        headers=tuple((name, value or b"") for name, value in message.headers or ()),
    )


def _app_settings(
    bootstrap: str, processor: Processor[Any], instance: str, settings: MemberSettings, folder: str
) -> dict[str, Any]:
    return {
        "id": processor.name,
        "env": {},  # Faust lets environment variables (STORE, WEB_PORT ...) win over arguments
        "broker": ";".join(f"kafka://{one.strip()}" for one in bootstrap.split(",")),
        "broker_client_id": f"{instance}-{processor.name}",
        "broker_session_timeout": settings.session_s,
        "broker_heartbeat_interval": settings.session_s / 4,
        "broker_request_timeout": max(30.0, 2 * settings.session_s),
        # A full buffer stops the fetching, and aiokafka would leave the group for that: the watchdog judges progress.
        "broker_max_poll_interval": 7 * 24 * 3600.0,
        "broker_max_poll_records": processor.limits.buffered_events,
        "stream_buffer_maxsize": processor.limits.buffered_events,
        "stream_wait_empty": False,
        "stream_recovery_delay": 0.0,
        "consumer_auto_offset_reset": "none",
        "processing_guarantee": "at_least_once",
        "store": "memory://",
        "table_standby_replicas": 0,  # without tables: the plain round-robin assignor
        "datadir": folder,
        "web_enabled": False,
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        "logging_config": None,
    }
