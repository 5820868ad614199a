"""When a processor counts as stalled."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from schemas.errors import TransientFailure
from streams.runtime.lane import Surroundings
from streams.runtime.lanes import Lanes
from streams.runtime.watchdog import Lag, Watchdog, WatchdogThread
from streams.topology import Limits
from tests.drivers.streaming import MemoryPast, MemoryPublisher, at_once, counting

T = TypeVar("T")
BEHIND = Lag({0: 5, 1: 1}, {0: 2})
DONE = Lag({0: 5}, {0: 5})


class Telling:
    """A heavy part with progress."""

    progress = 0

    async def __call__(self, request: Mapping[str, Any], /) -> Mapping[str, Any]:
        return request


class World:
    """A watchdog of lanes that do nothing: a stall after 60 s, steps of at most 200 s, heavy work of at most 300 s."""

    def __init__(self, heavy: Any = None) -> None:
        self.now, self.heavy, self.away = 0.0, heavy, False
        processor = counting(limits=Limits(step_s=200, prepare_s=300))
        around = Surroundings(processor, MemoryPast(), MemoryPublisher(), self._blocking, heavy)
        self.lanes: Lanes[Any] = Lanes(around)
        self.watchdog = Watchdog(self.lanes, 60, clock=lambda: self.now)

    def _blocking(self, call: Callable[[], T], /) -> Awaitable[T]:
        if self.away:
            raise TransientFailure("away")
        return at_once(call)

    def look(self, at: float, lag: Lag | None = BEHIND) -> str | None:
        self.now = at
        return self.watchdog.judge(lag)


async def test_lag_without_progress_is_a_stall() -> None:
    world = World()
    assert world.look(1) is None
    assert world.look(60) is None
    assert world.look(61) == "counting: nothing was processed for 60 s although 4 events wait"


async def test_without_lag_there_is_nothing_to_do() -> None:
    world = World()
    assert [world.look(at, DONE) for at in (1, 100, 1000)] == [None] * 3


async def test_progress_of_any_kind_is_no_stall() -> None:
    world = World()
    world.look(1)
    world.lanes.sight.processed += 1
    assert world.look(100) is None
    assert world.look(159, Lag({0: 5}, {0: 3})) is None, "another member commits"
    assert world.look(218, Lag({0: 5}, {0: 3})) is None
    assert world.look(219, Lag({0: 5}, {0: 3})) is not None


async def test_a_state_that_is_still_being_rebuilt_is_no_stall() -> None:
    world = World()
    world.look(1)
    for at in (50, 100, 150):
        world.lanes.sight.read_back += 1
        assert world.look(at) is None
    assert world.look(210) is not None, "but it must go on"


async def test_an_outage_is_no_stall() -> None:
    world = World()
    world.look(1)
    assert world.look(500, None) is None
    assert world.look(501) is None


async def test_a_partition_that_waits_patiently_is_no_stall_but_the_others_may_be() -> None:
    world = World()
    world.away = True
    world.lanes.open(0)
    while not world.lanes.waiting:  # noqa: ASYNC110 - it is the lane's own business when
        await asyncio.sleep(0)
    alone = Lag({0: 5}, {0: 2})
    world.look(1, alone)
    assert world.look(500, alone) is None
    assert world.look(501) is None
    assert world.look(561) == "counting: nothing was processed for 60 s although 1 events wait"
    await world.lanes.close()


async def test_only_the_members_own_partitions_count() -> None:
    world = World()
    world.look(1, Lag({0: 5, 1: 1}, {0: 2}, {1}))
    assert world.look(62, Lag({0: 5, 1: 1}, {0: 2, 1: 1}, {1})) is None, "another member's work may take its time"
    assert world.look(200, Lag({0: 5, 1: 1}, {0: 2, 1: 1}, {1})) is None
    assert world.look(259, Lag({0: 5, 1: 1}, {0: 2, 1: 1}, {0})) is None
    assert world.look(260, Lag({0: 5, 1: 1}, {0: 2, 1: 1}, {0})) is not None


async def test_heavy_work_that_tells_nothing_has_its_own_time() -> None:
    world = World()
    world.lanes.sight.preparing = 2
    world.look(1)
    assert world.look(300) is None
    assert world.look(301) == "counting: the heavy part has not moved for 300 s, with 2 events in its hands"


async def test_heavy_work_that_tells_its_progress_has_to_go_on_telling() -> None:
    world = World(heavy=Telling())
    world.lanes.sight.preparing = 1
    world.look(1)
    for at in range(50, 1000, 50):
        world.heavy.progress += 1
        assert world.look(at) is None
    assert world.look(1009) is None
    assert world.look(1010) == "counting: the heavy part has not moved for 60 s, with 1 events in its hands"


async def test_a_step_has_its_own_time() -> None:
    world = World()
    world.lanes.sight.stepping = "emotion.points/0@7"
    world.look(1)
    assert world.look(150) is None
    assert world.look(201) == "counting: the step at emotion.points/0@7 takes longer than 200 s"


async def test_the_thread_tells_a_stall_once_and_survives_an_outage() -> None:
    world = World()
    looks: list[int] = []
    told, done = list[str](), threading.Event()

    def lag() -> Lag:
        looks.append(1)
        if len(looks) == 1:
            raise TransientFailure("away")
        world.now += 50
        return BEHIND

    def tell(sentence: str) -> None:
        told.append(sentence)
        done.set()

    WatchdogThread(world.watchdog, lag, tell, 0.001).start()
    assert done.wait(5)
    assert len(told) == 1
