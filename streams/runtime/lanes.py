"""One processor's partitions, a lane for each: hands records to them and holds them together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection, Sequence
from typing import Final, Generic, TypeVar

from schemas.record import Record
from streams.runtime.lane import Lane, Mark, Surroundings
from streams.runtime.sight import Sight
from streams.topology import Processor

ROOM_S: Final = 0.25  # so long the others wait for a lane that is full; then it reads the log by itself
S = TypeVar("S")


class Lanes(Generic[S]):
    """Processes records of any number of partitions, those of each in their order, none waiting for another.

    A generation is the group's: with a new one every partition starts again at its committed position, whatever was
    handed over before and whatever is being prepared.
    """

    def __init__(self, around: Surroundings[S]) -> None:
        self._around = around
        self._lanes: dict[int, Lane[S]] = {}
        self._running: dict[asyncio.Task[None], int] = {}
        self._generation = -1
        self._over: deque[int] = deque(maxlen=100)
        self._failure: BaseException | None = None
        self._failed = asyncio.Event()

    @property
    def processor(self) -> Processor[S]:
        """Whose partitions they are."""
        return self._around.processor

    @property
    def sight(self) -> Sight:
        """Its signs of life."""
        return self._around.sight

    @property
    def processed(self) -> int:
        """Events processed in this process's life."""
        return self._around.sight.processed

    @property
    def progress(self) -> object:
        """What its heavy part tells of its progress; None when it tells nothing."""
        return getattr(self._around.heavy, "progress", None)

    @property
    def partitions(self) -> Collection[int]:
        """Those that have a lane in this generation."""
        return list(self._lanes)

    @property
    def waiting(self) -> Collection[int]:
        """Partitions that wait patiently for something: Kafka, a refused output, a service."""
        return [partition for partition, lane in list(self._lanes.items()) if lane.waiting]

    def marks(self, generation: int) -> dict[int, Mark[S]]:
        """How far each partition is, as far as this generation has touched it."""
        if generation != self._generation:
            return {}
        return {partition: lane.mark for partition, lane in self._lanes.items() if lane.mark}

    def settled(self, partition: int) -> bool:
        """Whether a partition has processed all that it was handed."""
        return partition in self._lanes and self._lanes[partition].is_settled

    async def take(self, records: Sequence[Record], generation: int) -> None:
        """Hand over records in the order of their partitions. Returns when they are kept, or left to the log.

        Records that were left out before one of these (Faust may do so on a rebalance) are read from the log and
        processed first. Raises `PositionLost` when the log does not hold what a lane needs.
        """
        self.renew(generation)
        for record in records:
            if generation != self._generation or self._failure:
                break
            lane = self.open(record.partition)
            if not lane.offer(record):
                await lane.room(ROOM_S)
                if not lane.offer(record):
                    lane.skip(record)
        if self._failure:
            raise self._failure

    def renew(self, generation: int) -> None:
        """Begin a generation, unless it is this one or is over: what the one before was working on is given up."""
        if generation == self._generation or generation in self._over:
            return
        self._over.append(self._generation)
        self._generation = generation
        self._give_up()

    def open(self, partition: int) -> Lane[S]:
        """The lane of a partition in this generation; it begins with it."""
        lane = self._lanes.get(partition)
        if lane is None:
            lane = self._lanes[partition] = Lane(self._around, partition)
            running = asyncio.create_task(lane.run(), name=f"{self.processor.name}/{partition}")
            self._running[running] = partition
            running.add_done_callback(self._ended)
        return lane

    async def ended(self) -> None:
        """Return never; raise what ended a lane."""
        await self._failed.wait()
        assert self._failure  # noqa: S101 - the event tells of it
        raise self._failure

    async def close(self) -> None:
        """Give up what is under way; positions stay as they are."""
        running = list(self._running)
        for one in running:
            one.cancel()
        if running:
            await asyncio.wait(running)

    def _give_up(self) -> None:
        for one in self._running:
            one.cancel()
        self._lanes = {}

    def _ended(self, running: asyncio.Task[None]) -> None:
        del self._running[running]
        if not running.cancelled() and (failure := running.exception()):
            self._failure = self._failure or failure
            self._failed.set()
