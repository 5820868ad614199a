"""When a processor counts as stalled."""

from __future__ import annotations

import threading
from typing import Any

from schemas.errors import TransientFailure
from streams.runtime.lanes import Lanes
from streams.runtime.watchdog import Lag, Watchdog, WatchdogThread
from streams.topology import Limits
from tests.drivers.streaming import MemoryPast, MemoryPublisher, at_once, counting

BEHIND = Lag({0: 5, 1: 1}, {0: 2})
DONE = Lag({0: 5}, {0: 5})


class World:
    """A watchdog of lanes that do nothing, with a stall after 60 s and steps of at most 200 s."""

    def __init__(self) -> None:
        self.now = 0.0
        processor = counting(limits=Limits(step_s=200))
        self.lanes: Lanes[Any] = Lanes(processor, MemoryPast(), MemoryPublisher(), at_once)
        self.watchdog = Watchdog(self.lanes, 60, clock=lambda: self.now)

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
    world.lanes.processed += 1
    assert world.look(100) is None
    assert world.look(159, Lag({0: 5}, {0: 3})) is None, "another member commits"
    assert world.look(218, Lag({0: 5}, {0: 3})) is None
    assert world.look(219, Lag({0: 5}, {0: 3})) is not None


async def test_a_state_that_is_still_being_rebuilt_is_no_stall() -> None:
    world = World()
    world.look(1)
    for at in (50, 100, 150):
        world.lanes.read_back += 1
        assert world.look(at) is None
    assert world.look(210) is not None, "but it must go on"


async def test_an_outage_is_no_stall() -> None:
    world = World()
    world.look(1)
    assert world.look(500, None) is None
    assert world.look(501) is None


async def test_patience_is_no_stall() -> None:
    world = World()
    world.look(1)
    world.lanes.patience.waiting = "a refused output"
    assert world.look(500) is None
    world.lanes.patience.waiting = None
    assert world.look(501) is None
    assert world.look(560) is not None


async def test_a_step_has_its_own_time() -> None:
    world = World()
    world.lanes.stepping = "emotion.points/0@7"
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
