"""Commits how far a processor is, and lays down snapshots of what is committed. Knows neither Faust nor Kafka."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from schemas.errors import InvalidEvent, Overloaded, TransientFailure
from streams.runtime.delivery import Publishes
from streams.runtime.lane import Mark
from streams.runtime.lanes import Lanes
from streams.runtime.past import snapshot_message
from streams.runtime.sight import Calls

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Group:
    """The group as its member sees it. `commit` takes next offsets by partition and returns when Kafka has them."""

    generation: Callable[[], int]
    commit: Callable[[Mapping[int, int]], Awaitable[None]]


class Committer:
    """A snapshot is only written of a committed position: whoever takes over never starts before the latest one."""

    def __init__(
        self,
        lanes: Lanes[Any],
        group: Group,
        publisher: Publishes,
        blocking: Calls,
        *,
        snapshot_s: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lanes, self._group, self._publisher, self._blocking = lanes, group, publisher, blocking
        self._snapshot_s, self._clock = snapshot_s, clock
        self._committed: dict[int, int] = {}
        self._generation = -1
        self._snapshots: dict[int, tuple[int, float]] = {}

    async def run(self, interval_s: float) -> None:
        """Commit every `interval_s` seconds until cancelled."""
        while True:
            await asyncio.sleep(interval_s)
            await self.commit()

    async def commit(self) -> None:
        """Commit what is new; a commit that fails is logged and made good by the next one.

        Also the first to see a new generation, with which all work of the one before is given up.
        """
        generation = self._group.generation()
        self._lanes.renew(generation)
        if generation != self._generation:
            self._generation, self._committed = generation, {}
        marks = {
            partition: mark
            for partition, mark in self._lanes.marks(generation).items()
            if mark.next_offset > self._committed.get(partition, -1)
        }
        if not marks:
            return
        offsets = {partition: mark.next_offset for partition, mark in marks.items()}
        try:
            await self._group.commit(offsets)
        except TransientFailure as failure:
            log.warning("%s: positions %s are not committed: %s", self._lanes.processor.name, offsets, failure)
            return
        self._committed |= offsets
        for partition, mark in marks.items():
            if self._snapshot_due(partition, mark.next_offset):
                await self._snapshot(partition, mark)

    def _snapshot_due(self, partition: int, next_offset: int) -> bool:
        offset, at = self._snapshots.setdefault(partition, (next_offset, self._clock()))
        events = next_offset - offset
        by_time = events > 0 and self._clock() - at >= self._snapshot_s
        due = by_time or events >= self._lanes.processor.limits.snapshot_events
        return due and not self._lanes.processor.is_stateless

    async def _snapshot(self, partition: int, mark: Mark[Any]) -> None:
        processor = self._lanes.processor
        data = await self._blocking(lambda: processor.state.dump(mark.state))
        one = snapshot_message(processor.name, processor.topic_in, partition, mark.next_offset, data)
        try:
            await self._publisher.publish(one.topic, one.key, one.value, one.headers)
        except (TransientFailure, Overloaded, InvalidEvent) as failure:
            log.warning(
                "%s: no snapshot of partition %d at %d: %s", processor.name, partition, mark.next_offset, failure
            )
            return
        self._snapshots[partition] = mark.next_offset, self._clock()
