"""Time passes in the log: once, at the end of a partition, by its owner, and the same for whoever reads it again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from schemas import serde
from schemas.errors import TransientFailure
from schemas.record import Record
from streams.runtime.lane import Surroundings
from streams.runtime.lanes import Lanes
from streams.runtime.patience import Patience
from streams.runtime.timer import AGAIN_S, Membership, Timer
from streams.steps import Emitted, Event
from tests.drivers.streaming import Counted, MemoryPast, MemoryPublisher, at_once, counting, points, settle


def fold(state: Counted, event: Event) -> tuple[Counted, Sequence[Emitted]]:
    said = event.record["session_id"] if event.name == "EmotionPointsRecorded" else "idle"
    return Counted((*state.sessions, said)), ()


def idle(state: Counted, now_ms: int) -> Sequence[Emitted]:
    """Due as long as the last thing that happened was no silence."""
    if not state.sessions or state.sessions[-1] == "idle" or now_ms < 5_000:
        return []
    return [Emitted("EmotionDeviceIdle", b"d", {"device_id": "d", "idle_since_ms": len(state.sessions)})]


class World:
    """A timer over lanes in memory; what it appends comes back when `echo` is called."""

    def __init__(self, due: Any = idle) -> None:
        self.past, self.publisher = MemoryPast(), MemoryPublisher()
        around = Surroundings(counting(fold, idle=due), self.past, self.publisher, at_once)
        around.patience = Patience
        self.lanes: Lanes[Any] = Lanes(around)
        self.generation, self.partitions, self.now = 1, {0}, 10.0
        membership = Membership(lambda: self.generation, lambda: self.partitions)
        self.timer = Timer(self.lanes, self.past, membership, self.publisher, at_once, clock=lambda: self.now)

    async def post(self, *sessions: str) -> None:
        await self.lanes.take([self.past.append(points(one)) for one in sessions], self.generation)
        await settle(self.lanes, self.generation)

    async def ask(self) -> int:
        """How many events it has appended after being asked."""
        await self.timer.ask()
        await settle(self.lanes, self.generation)
        await self.timer.ask()
        return len(self.appended)

    async def echo(self) -> None:
        await self.lanes.take([self.past.append(self.publisher.sent[-1].value)], self.generation)
        await settle(self.lanes, self.generation)

    @property
    def appended(self) -> list[dict[str, Any]]:
        return self.publisher.events("emotion.points")


async def test_what_is_due_is_appended_to_the_input_of_that_partition() -> None:
    world = World()
    await world.post("a", "b")
    assert await world.ask() == 1
    (message,) = world.publisher.sent
    assert (message.topic, message.key, message.partition) == ("emotion.points", b"d", 0)
    assert serde.decode(message.value) == ("EmotionDeviceIdle", {"device_id": "d", "idle_since_ms": 2})


async def test_it_is_not_asked_again_before_what_it_appended_is_processed() -> None:
    world = World()
    await world.post("a")
    await world.timer.ask()
    record = world.past.append(world.publisher.sent[-1].value)
    world.now += 10 * AGAIN_S
    assert await world.ask() == 1, "it lies in the log, not yet processed"
    await world.lanes.take([record], 1)
    await settle(world.lanes)
    assert await world.ask() == 1, "processed, and nothing is due"
    await world.post("b")
    assert await world.ask() == 2


async def test_an_event_without_effect_is_not_repeated_all_the_time() -> None:
    def always(state: Counted, now_ms: int) -> Sequence[Emitted]:
        return [Emitted("EmotionDeviceIdle", b"d", {"device_id": "d", "idle_since_ms": 1})]

    world = World(always)
    await world.post("a")
    assert await world.ask() == 1
    await world.echo()
    assert await world.ask() == 1
    world.now += AGAIN_S
    assert await world.ask() == 2


async def test_two_workers_append_the_same_event_under_the_same_id() -> None:
    ids: list[str] = []
    for now in (10.0, 11.0):
        world = World()
        world.now = now
        await world.post("a")
        await world.ask()
        ids += world.publisher.ids("emotion.points")
    assert len(ids) == 2
    assert len(set(ids)) == 1


async def test_a_partition_in_which_nothing_came_since_the_start_has_a_past() -> None:
    world = World()
    world.past.append(points("a"))
    world.past.committed = 1
    assert await world.ask() == 1


async def test_nobody_speaks_before_the_partition_is_processed_to_its_end() -> None:
    world = World()
    await world.post("a")
    world.past.append(points("b"))
    assert await world.ask() == 0


async def test_only_the_owner_speaks() -> None:
    world = World()
    world.past.append(points("a"))
    world.past.committed = 1
    world.partitions = set()
    assert await world.ask() == 0


async def test_who_loses_the_partition_while_asking_says_nothing() -> None:
    world = World()

    def losing(state: Counted, now_ms: int) -> Sequence[Emitted]:
        world.generation += 1
        return idle(state, now_ms)

    world.lanes = (losing_world := World(losing)).lanes
    losing_world.partitions = {0}
    await losing_world.post("a")
    membership = Membership(lambda: world.generation, lambda: {0})
    timer = Timer(
        losing_world.lanes, losing_world.past, membership, losing_world.publisher, at_once, clock=lambda: 10.0
    )
    await timer.ask()
    assert losing_world.appended == []


async def test_a_bug_in_what_is_due_is_told_and_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def buggy(state: Counted, now_ms: int) -> Sequence[Emitted]:
        raise KeyError("forgotten")

    world = World(buggy)
    await world.post("a")
    assert await world.ask() == 0
    assert "emotion.points/0" in caplog.text
    await world.post("b")
    assert world.lanes.marks(1)[0].next_offset == 2


async def test_what_is_not_taken_is_said_the_next_time() -> None:
    world = World()
    await world.post("a")
    world.publisher.refusals["emotion.points"] = [TransientFailure("away")]
    with pytest.raises(TransientFailure):
        await world.timer.ask()
    assert await world.ask() == 1


async def test_a_replay_sees_the_same_silence() -> None:
    world = World()
    await world.post("a")
    await world.ask()
    await world.echo()
    await world.post("b")
    again = World()
    again.past.log = list[Record](world.past.log)
    again.past.committed = len(world.past.log)
    await again.timer.ask()
    await settle(again.lanes)
    assert again.lanes.marks(1)[0] == world.lanes.marks(1)[0]
    assert world.lanes.marks(1)[0].state == Counted(("a", "idle", "b"))
