"""Positions and snapshots: what is committed, and when a state is laid down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas.errors import TransientFailure
from streams.runtime.committer import Committer, Group
from streams.runtime.lane import Surroundings
from streams.runtime.lanes import Lanes
from streams.topology import Limits
from tests.drivers.streaming import MemoryPast, MemoryPublisher, at_once, counting, points, settle


class World:
    """A committer over lanes in memory; its clock is `now`."""

    def __init__(self) -> None:
        self.past, self.publisher = MemoryPast(), MemoryPublisher()
        processor = counting(limits=Limits(snapshot_events=3))
        self.lanes: Lanes[Any] = Lanes(Surroundings(processor, self.past, self.publisher, at_once))
        self.generation, self.now = 1, 0.0
        self.commits: list[dict[int, int]] = []
        self.failures: list[TransientFailure] = []
        group = Group(lambda: self.generation, self._commit)
        self.committer = Committer(self.lanes, group, self.publisher, at_once, snapshot_s=30, clock=lambda: self.now)

    async def _commit(self, offsets: Mapping[int, int]) -> None:
        if self.failures:
            raise self.failures.pop()
        self.commits.append(dict(offsets))

    async def process(self, events: int) -> None:
        for _ in range(events):
            await self.lanes.take([self.past.append(points("a"))], 1)
            await settle(self.lanes)

    @property
    def snapshots(self) -> list[int]:
        return [one["next_offset"] for one in self.publisher.events("streams.snapshots")]


async def test_what_is_processed_is_committed_once() -> None:
    world = World()
    await world.committer.commit()
    await world.process(2)
    await world.committer.commit()
    await world.committer.commit()
    assert world.commits == [{0: 2}]


async def test_a_failed_commit_is_made_good() -> None:
    world = World()
    await world.process(1)
    world.failures = [TransientFailure("rebalanced")]
    await world.committer.commit()
    await world.committer.commit()
    assert world.commits == [{0: 1}]


async def test_nothing_is_committed_of_a_generation_that_is_over() -> None:
    world = World()
    await world.process(1)
    world.generation = 2
    await world.committer.commit()
    assert world.commits == []


async def test_a_snapshot_is_laid_down_after_so_many_events_and_only_of_what_is_committed() -> None:
    world = World()
    await world.process(1)
    await world.committer.commit()
    assert world.snapshots == []
    await world.process(3)
    world.failures = [TransientFailure("away")]
    await world.committer.commit()
    assert world.snapshots == [], "not committed, so whoever takes over starts before it"
    await world.committer.commit()
    assert world.snapshots == [4]
    assert world.publisher.sent[-1].key == b"counting/0"


async def test_a_snapshot_is_laid_down_after_some_time() -> None:
    world = World()
    await world.process(1)
    await world.committer.commit()
    await world.process(1)
    world.now = 31.0
    await world.committer.commit()
    assert world.snapshots == [2]


async def test_a_snapshot_that_cannot_be_written_costs_nothing_but_time() -> None:
    world = World()
    await world.process(1)
    await world.committer.commit()
    await world.process(3)
    world.publisher.refusals["streams.snapshots"] = [TransientFailure("away")]
    await world.committer.commit()
    await world.process(1)
    await world.committer.commit()
    assert world.commits[-1] == {0: 5}
    assert world.snapshots == [5]


async def test_a_snapshot_holds_the_state_before_its_offset() -> None:
    world = World()
    await world.process(1)
    await world.committer.commit()
    await world.process(3)
    await world.committer.commit()
    (snapshot,) = world.publisher.events("streams.snapshots")
    state = world.lanes.processor.state.load(snapshot["state"])
    assert state is not None
    assert len(state.sessions) == snapshot["next_offset"] == 4
