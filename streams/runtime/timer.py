"""Lets time pass in the log: asks a processor what is due although nothing comes, and appends that to its input.

So everybody who reads the topic, now or in a replay, sees at the same place that time has passed. What is appended has
an id made of its contents: should two workers do it at once, the log holds one event twice, which a step has to take
as once.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Generic, TypeVar

from producers.publisher import Message
from schemas import serde
from schemas.errors import InvalidEvent, Overloaded, TransientFailure
from schemas.identity import NAMESPACE
from streams.runtime.decide import message_of
from streams.runtime.delivery import Publishes
from streams.runtime.lane import Mark
from streams.runtime.lanes import Lanes
from streams.runtime.past import Past
from streams.runtime.sight import Calls
from streams.steps import Emitted
from streams.topology import Processor

log = logging.getLogger(__name__)
AGAIN_S: Final = 60.0  # an event that was appended and had no effect (the broker's clock is behind) waits so long
S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Membership:
    """The group as its member sees it: the generation, and which partitions are the member's own."""

    generation: Callable[[], int]
    partitions: Callable[[], Collection[int]]


class Timer(Generic[S]):
    """Asks `Processor.idle` for each own partition that is processed to its end, with the state at that point.

    What it appended has to be processed before the partition is at its end again, so nothing is asked for twice.
    """

    def __init__(
        self,
        lanes: Lanes[S],
        past: Past,
        membership: Membership,
        publisher: Publishes,
        blocking: Calls,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._lanes, self._past, self._membership = lanes, past, membership
        self._publisher, self._blocking, self._clock = publisher, blocking, clock
        self._said: dict[bytes, float] = {}

    async def run(self, every_s: float) -> None:
        """Ask every so many seconds until cancelled."""
        while True:
            await asyncio.sleep(every_s)
            try:
                await self.ask()
            except (TransientFailure, Overloaded, InvalidEvent) as failure:
                log.warning("%s: time does not pass in the log now: %s", self._lanes.processor.name, failure)

    async def ask(self) -> None:
        """Ask once for every partition. Raises what the log raises; the next time makes it good."""
        generation = self._membership.generation()
        self._lanes.renew(generation)
        own = list(self._membership.partitions())
        for partition in own:
            self._lanes.open(partition)  # one in which nothing has come yet has a past all the same
        ends = await self._blocking(self._past.end_offsets)
        for partition, mark in self._lanes.marks(generation).items():
            if partition in own and mark.next_offset >= ends[partition] and self._lanes.settled(partition):
                await self._pass(partition, mark, generation)

    async def _pass(self, partition: int, mark: Mark[S], generation: int) -> None:
        processor, now_ms = self._lanes.processor, int(self._clock() * 1000)
        messages = await self._blocking(lambda: _due(processor, mark.state, partition, now_ms))
        due = [one for one in messages if self._is_new(one)]
        if due and self._membership.generation() == generation and self._lanes.marks(generation).get(partition) is mark:
            log.info("%s: time passes in %s/%d: %d events", processor.name, processor.topic_in, partition, len(due))
            sent = (self._publisher.publish(one.topic, one.key, one.value, one.headers, one.partition) for one in due)
            await asyncio.gather(*sent)
            self._said |= {one.value or b"": self._clock() for one in due}

    def _is_new(self, message: Message) -> bool:
        now = self._clock()
        self._said = {value: at for value, at in self._said.items() if now - at < AGAIN_S}
        return message.value not in self._said


def _due(processor: Processor[Any], state: Any, partition: int, now_ms: int) -> list[Message]:
    try:
        emitted: Sequence[Emitted] = processor.idle(state, now_ms) if processor.idle else ()
        return [_message(processor, replace(one, partition=partition), now_ms) for one in emitted]
    except Exception:
        # A bug in what is asked every two seconds: events go on being processed meanwhile.
        log.exception("%s: what is due in %s/%d cannot be told", processor.name, processor.topic_in, partition)
        return []


def _message(processor: Processor[Any], emitted: Emitted, now_ms: int) -> Message:
    content = serde.encode(emitted.name, emitted.record).hex()
    made_id = str(uuid.uuid5(NAMESPACE, f"{processor.name}/idle/{processor.topic_in}/{emitted.partition}/{content}"))
    return message_of(processor, emitted, processor.topic_in, id=made_id, time_ms=now_ms)
