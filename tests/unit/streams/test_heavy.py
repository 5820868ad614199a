"""Processors with a heavy part: prepared ahead, in order, as often as it takes, and never again for the past."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from schemas import examples
from schemas.errors import InvalidEvent, Overloaded, TransientFailure
from schemas.identity import derived_id
from schemas.record import Record
from streams.runtime.lane import Surroundings
from streams.runtime.lanes import Lanes
from streams.runtime.patience import Patience
from streams.steps import Emitted, Event, NoState, PreparationFailed, WorkFailed
from streams.topology import STATELESS, Limits, Processor, StateCodec
from tests.drivers.streaming import Counted, MemoryPast, MemoryPublisher, at_once, points, settle
from tests.drivers.waiting import until

OUT = "emotion.moments"


def moment(session: str, number: int = 0) -> Emitted:
    record = examples.load("EmotionMomentDetected") | {"session_id": session, "start_ms": number}
    return Emitted("EmotionMomentDetected", b"d", record)


def tell(state: NoState, event: Event) -> tuple[NoState, Sequence[Emitted]]:
    """Say what was prepared, by the moment's session."""
    prepared = event.prepared
    if isinstance(prepared, PreparationFailed):
        return state, [moment(f"failed:{prepared.error}", prepared.attempts)]
    return state, [moment(prepared["done"] if prepared else f"nothing:{event.record['session_id']}")]


def ask(event: Event) -> Mapping[str, Any] | None:
    session = event.record["session_id"]
    return None if session.startswith("light") else {"session": session}


class Smithy:
    """A heavy part that works until it is let go, and fails as it is told."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.cancelled: list[str] = []
        self.failures: dict[str, list[Exception]] = defaultdict(list)
        self.gates: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self.held = False

    async def __call__(self, request: Mapping[str, Any], /) -> Mapping[str, Any]:
        session = request["session"]
        self.begun.append(session)
        try:
            if self.held:
                await self.gates[session].wait()
        except asyncio.CancelledError:
            self.cancelled.append(session)
            raise
        if self.failures[session]:
            raise self.failures[session].pop(0)
        self.ended.append(session)
        return {"done": session}


class World:
    """Lanes with a smithy over a log in memory; pauses pass at once."""

    def __init__(self, step: Any = tell, *, parallel: int = 2, **line: Any) -> None:
        self.past, self.publisher, self.smithy = MemoryPast(), MemoryPublisher(), Smithy()
        limits = Limits(parallel=parallel, buffered_events=4)
        whole: dict[str, Any] = {
            "request": ask,
            "capability": "smithy",
            "limits": limits,
            "state": STATELESS,
            "step": step,
        } | line
        processor: Processor[Any] = Processor("heavy", "emotion.points", OUT, **whole)
        around = Surroundings(processor, self.past, self.publisher, at_once, self.smithy)
        self.pauses: list[float] = []
        around.patience = lambda: Patience(sleep=self._pause)
        self.lanes: Lanes[Any] = Lanes(around)

    async def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await asyncio.sleep(0)

    def posted(self, *sessions: str) -> list[Record]:
        return [self.past.append(points(one)) for one in sessions]

    async def take(self, *sessions: str) -> None:
        await self.lanes.take(self.posted(*sessions), 1)

    async def done(self) -> World:
        await settle(self.lanes)
        return self

    @property
    def said(self) -> list[str]:
        return [one["session_id"] for one in self.publisher.events(OUT)]

    @property
    def letters(self) -> list[dict[str, Any]]:
        return self.publisher.events("dead.letters")

    def next_offset(self) -> int:
        return self.lanes.marks(1)[0].next_offset


async def test_the_step_sees_what_was_prepared_and_nothing_where_nothing_was_asked() -> None:
    world = World()
    await world.take("a", "light", "b")
    await world.done()
    assert world.said == ["a", "nothing:light", "b"]
    assert world.smithy.begun == ["a", "b"]


async def test_several_are_prepared_at_once_and_the_steps_keep_the_order() -> None:
    world = World()
    world.smithy.held = True
    await world.take("a", "b", "c", "d")
    await until(lambda: len(world.smithy.begun) == 2, interval=0)
    world.smithy.gates["b"].set()
    await until(lambda: world.smithy.ended == ["b"], interval=0)
    assert (world.said, world.next_offset()) == ([], 0), "b waits for a, and so does c"
    assert world.smithy.begun == ["a", "b"]
    world.smithy.gates["a"].set()
    await until(lambda: len(world.smithy.begun) == 4, interval=0)
    assert world.said == ["a", "b"]
    assert world.lanes.sight.preparing == 2
    for one in "dc":
        world.smithy.gates[one].set()
    await world.done()
    assert world.said == ["a", "b", "c", "d"]
    assert world.lanes.sight.preparing == 0


async def test_a_partition_does_not_wait_for_another() -> None:
    world = World()
    world.smithy.held = True
    (first,) = world.posted("a")
    other = Record(first.topic, 1, 0, 0, b"e", points("b"))
    await world.lanes.take([first, other], 1)
    world.smithy.gates["b"].set()
    await until(lambda: world.said == ["b"], interval=0)
    world.smithy.gates["a"].set()
    await world.done()
    assert world.said == ["b", "a"]


async def test_what_finds_no_room_is_left_to_the_log_and_comes_in_its_turn() -> None:
    world = World()
    world.smithy.held = True
    sessions = [f"s{n}" for n in range(40)]
    await world.take(*sessions[:20])
    await world.take(*sessions[20:])
    assert len(world.smithy.begun) == 2
    world.smithy.held = False
    for one in sessions:
        world.smithy.gates[one].set()
    await world.done()
    assert world.said == sessions
    assert world.smithy.begun == sessions
    assert world.past.reads, "it was read again, and not held in memory"
    assert max(stop - start for start, stop in world.past.reads) <= 4


async def test_records_that_wait_are_bounded_in_bytes() -> None:
    size = len(points("s0")) + 1
    world = World(limits=Limits(parallel=1, buffered_events=100, buffered_bytes=3 * size))
    world.smithy.held = True
    sessions = [f"s{n}" for n in range(9)]
    await world.take(*sessions)
    world.smithy.held = False
    world.smithy.gates["s0"].set()
    await world.done()
    assert world.said == sessions
    assert world.past.reads


async def test_work_that_fails_is_tried_again_and_then_the_step_is_told() -> None:
    world = World()
    world.smithy.failures["a"] = [WorkFailed("crash"), WorkFailed("crash")]
    world.smithy.failures["b"] = [WorkFailed("crash")] * 3
    await world.take("a", "b")
    await world.done()
    assert world.said == ["a", "failed:crash"]
    assert world.publisher.events(OUT)[1]["start_ms"] == 3
    assert world.letters == []
    assert sorted(world.pauses) == [0.5, 0.5, 1.0, 1.0]


@pytest.mark.parametrize("outage", [TransientFailure("away"), Overloaded("full")])
async def test_an_outage_pauses_and_never_dead_letters(outage: Exception) -> None:
    world = World()
    world.smithy.failures["a"] = [outage] * 20
    await world.take("a")
    await until(lambda: world.lanes.waiting, interval=0)
    await world.done()
    assert world.said == ["a"]
    assert len(world.pauses) == 20
    assert max(world.pauses) >= 8


async def test_hopeless_input_is_told_to_the_step_and_kept_as_a_dead_letter() -> None:
    world = World()
    world.smithy.failures["a"] = [InvalidEvent("not audio")]
    await world.take("a", "b")
    await world.done()
    assert world.said == ["failed:not audio", "b"]
    (letter,) = world.letters
    assert (letter["error"], letter["cause"], letter["offset"]) == ("InvalidEvent", "not audio", 0)
    assert world.smithy.begun == ["a", "b"], "no second attempt"


async def test_a_step_may_refuse_an_event_and_say_something_all_the_same() -> None:
    def refuse(state: NoState, event: Event) -> tuple[NoState, Sequence[Emitted]]:
        assert isinstance(event.prepared, PreparationFailed)
        raise InvalidEvent("no good", outputs=[moment("refused")])

    world = World(refuse)
    world.smithy.failures["a"] = [InvalidEvent("not audio")]
    await world.take("a")
    await world.done()
    assert world.said == ["refused"]
    assert [one["cause"] for one in world.letters] == ["no good"]
    assert world.publisher.ids(OUT) == [derived_id("heavy", "emotion.points", 0, 0, 0)]


async def test_a_bug_of_a_heavy_part_or_of_a_request_costs_its_event() -> None:
    def buggy(event: Event) -> Mapping[str, Any] | None:
        if event.record["session_id"] == "b":
            raise KeyError("of the request")
        return ask(event)

    world = World(request=buggy)
    world.smithy.failures["a"] = [KeyError("of the work")]
    await world.take("a", "b", "c")
    await world.lanes.take([world.past.append(b"poison")], 1)
    await world.done()
    assert world.said == ["c"]
    assert [one["cause"] for one in world.letters] == ["'of the work'", "'of the request'", world.letters[2]["cause"]]
    assert world.letters[2]["error"] == "InvalidEvent"


async def test_it_is_announced_when_work_begins_once_per_event_before_the_outputs() -> None:
    world = World(announce=lambda _, request: [moment(f"begins:{request['session']}")])
    world.smithy.failures["a"] = [WorkFailed("crash"), TransientFailure("away")]
    await world.take("a", "light")
    await world.done()
    assert world.said == ["begins:a", "a", "nothing:light"]
    assert world.publisher.ids(OUT)[0] == derived_id("heavy/announced", "emotion.points", 0, 0, 0)


async def test_an_announcement_that_is_refused_holds_nothing_up() -> None:
    world = World(announce=lambda _, request: [moment("begins")])
    world.publisher.refusals[OUT] = [InvalidEvent("too large")]
    await world.take("a")
    await world.done()
    assert world.said == ["a"]


async def test_with_a_new_generation_what_is_under_way_is_given_up_at_once() -> None:
    world = World()
    world.smithy.held = True
    records = world.posted("a", "b")
    await world.lanes.take(records, 1)
    await until(lambda: len(world.smithy.begun) == 2, interval=0)
    world.lanes.renew(2)
    await until(lambda: len(world.smithy.cancelled) == 2, interval=0)
    await world.lanes.take(records, 1)
    assert world.lanes.partitions == [], "what comes late of a generation that is over is not begun"
    world.smithy.held = False
    await world.lanes.take(records, 2)
    await settle(world.lanes, 2)
    assert world.said == ["a", "b"]


async def test_closing_gives_up_what_is_under_way() -> None:
    world = World()
    world.smithy.held = True
    await world.take("a")
    await until(lambda: world.smithy.begun, interval=0)
    await world.lanes.close()
    assert world.smithy.cancelled == ["a"]
    assert world.next_offset() == 0


async def test_the_past_is_not_worked_on_again() -> None:
    world = World()
    world.posted("a", "b")
    world.past.committed = 2
    await world.take("c")
    await world.done()
    assert world.smithy.begun == ["c"]
    assert world.past.reads == []


async def test_what_was_redriven_to_somebody_else_is_not_worked_on() -> None:
    world = World()
    await world.lanes.take([world.past.append(points("a"), (("redrive-to", b"another"),))], 1)
    await world.done()
    assert (world.smithy.begun, world.said, world.next_offset()) == ([], [], 1)


def test_a_heavy_part_and_a_state_exclude_each_other() -> None:
    line = World().lanes.processor
    with pytest.raises(ValueError, match="cannot have a state"):
        replace(line, state=StateCodec(Counted, 1))
    with pytest.raises(ValueError, match="belong together"):
        replace(line, capability=None)
    with pytest.raises(ValueError, match="belong"):
        replace(line, request=None, capability=None, announce=lambda *_: [])
