"""The wrapper's promises, against a log and a publisher in memory."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from schemas.errors import InvalidEvent, Overloaded, TransientFailure
from schemas.identity import derived_id
from schemas.record import Record
from streams.log_reader import PositionLost
from streams.runtime.lane import Surroundings
from streams.runtime.lanes import Lanes
from streams.runtime.patience import Patience
from tests.drivers.streaming import (
    Counted,
    MemoryPast,
    MemoryPublisher,
    at_once,
    count,
    counting,
    points,
    settle,
    traced,
)

OUT = "emotion.moments"


class World:
    """Lanes over a log in memory. `pauses` are the seconds that were waited, without waiting them."""

    def __init__(self, step: Any = count, first: int = 0, **line: Any) -> None:
        self.past, self.publisher = MemoryPast(first), MemoryPublisher()
        self.pauses: list[float] = []
        self.now = 0.0
        self.patience = Patience(sleep=self._pause)
        around = Surroundings(counting(step, **line), self.past, self.publisher, at_once)
        around.patience, around.clock = lambda: self.patience, lambda: self.now
        self.lanes: Lanes[Any] = Lanes(around)

    async def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)

    def posted(self, *sessions: str) -> list[Record]:
        return [self.past.append(points(one)) for one in sessions]

    async def take(self, *records: Record, generation: int = 1) -> None:
        await self.lanes.take(records, generation)
        await settle(self.lanes, generation)

    @property
    def emitted(self) -> list[str]:
        return [f"{one['session_id']}{one['start_ms']}" for one in self.publisher.events(OUT)]

    def next_offset(self, generation: int = 1) -> int | None:
        mark = self.lanes.marks(generation).get(0)
        return mark and mark.next_offset


async def test_events_become_outputs_and_the_position_moves() -> None:
    world = World()
    await world.take(*world.posted("a", "b"))
    assert world.emitted == ["a0", "b1"]
    assert world.next_offset() == 2


async def test_outputs_carry_derived_ids_log_time_and_the_trace() -> None:
    world = World()
    traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    await world.take(world.past.append(points("a"), traced(traceparent)))
    headers = dict(world.publisher.sent[0].headers)
    assert headers["ce_id"].decode() == derived_id("counting", "emotion.points", 0, 0, 0)
    assert headers["traceparent"].decode() == traceparent
    assert headers["ce_time"] == b"1970-01-01T00:00:00+00:00"
    assert headers["ce_source"] == b"/processors/counting"
    assert world.publisher.sent[0].key == b"d"


async def test_the_position_waits_for_the_delivery() -> None:
    world = World()
    world.publisher.gate.clear()
    taking = asyncio.create_task(world.take(*world.posted("a")))
    await world.publisher.reached.wait()
    assert world.next_offset() == 0
    world.publisher.gate.set()
    await taking
    assert world.next_offset() == 1


@pytest.mark.parametrize("refusal", [InvalidEvent("too large"), TransientFailure("away"), Overloaded("full")])
async def test_a_refused_output_stops_the_lane_until_it_is_taken(refusal: Exception) -> None:
    world = World()
    world.publisher.refusals[OUT] = [refusal] * 5
    await world.take(*world.posted("a"))
    await world.take(*world.posted("b"))
    assert len(world.pauses) == 5
    assert world.pauses[4] > world.pauses[0]
    assert world.emitted == ["a0", "b1"]
    assert world.publisher.events("dead.letters") == []


async def test_only_the_outputs_that_failed_are_sent_again() -> None:
    def twice(state: Counted, event: Any) -> Any:
        after, emitted = count(state, event)
        return after, [*emitted, *emitted]

    world = World(twice)
    world.publisher.refusals[OUT] = [TransientFailure("away")]
    await world.take(*world.posted("a"))
    assert sorted(world.publisher.ids(OUT)) == sorted(
        {derived_id("counting", "emotion.points", 0, 0, n) for n in (0, 1)}
    )


async def test_no_position_moves_while_one_output_of_those_taken_together_is_refused() -> None:
    world = World()
    world.publisher.refusals[OUT] = [InvalidEvent("too large")]
    positions: list[int | None] = []

    async def look(_: float) -> None:
        positions.append(world.next_offset())

    world.patience.sleep = look
    await world.take(*world.posted("a", "b", "c"))
    assert positions == [0]
    assert world.next_offset() == 3
    assert sorted(world.emitted) == ["a0", "b1", "c2"]


async def test_outputs_do_not_wait_for_slow_steps_behind_them() -> None:
    outputs_before_step: list[int] = []

    def slow(state: Counted, event: Any) -> Any:
        outputs_before_step.append(len(world.publisher.sent))
        world.now += 0.03
        return count(state, event)

    world = World(slow)
    await world.take(*world.posted("a", "b", "c", "d"))
    assert outputs_before_step == [0, 0, 2, 2]
    assert world.emitted == ["a0", "b1", "c2", "d3"]


async def test_a_step_that_fails_for_now_holds_back_nothing_before_it() -> None:
    world: World
    failures = [TransientFailure("away")] * 2

    def moody(state: Counted, event: Any) -> Any:
        if event.record["session_id"] == "b" and failures:
            failures.pop()
            raise TransientFailure(f"{len(world.publisher.sent)} sent")
        return count(state, event)

    world = World(moody)
    await world.take(*world.posted("a", "b", "c"))
    assert len(world.pauses) == 1, "the first failure ended the round, the second was waited out"
    assert world.emitted == ["a0", "b1", "c2"]


def truncating(state: Counted, event: Any) -> Any:
    """Like `count`, but a session `all` speaks of the whole partition 2."""
    after, (emitted,) = count(state, event)
    return after, [replace(emitted, key=None, partition=2) if event.record["session_id"] == "all" else emitted]


async def test_an_output_may_choose_its_partition() -> None:
    world = World(truncating)
    await world.take(*world.posted("a", "all"))
    assert [(one.key, one.partition) for one in world.publisher.sent] == [(b"d", -1), (None, 2)]


async def test_what_speaks_of_a_partition_stands_between_what_came_before_and_after_it() -> None:
    world = World(truncating)
    world.publisher.refusals[OUT] = [TransientFailure("away")]
    await world.take(*world.posted("a", "b", "all", "c", "d"))
    assert sorted(world.emitted[:2]) == ["a0", "b1"]
    assert world.emitted[2] == "all2"
    assert world.emitted[3:] == ["c3", "d4"]
    world.publisher.refusals[OUT] = [TransientFailure("away")]
    await world.take(*world.posted("all", "e"))
    assert world.emitted[5:] == ["all5", "e6"]


async def test_it_says_what_it_waits_for(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    world.publisher.refusals[OUT] = [InvalidEvent("Message size too large")]
    seen: list[str | None] = []

    async def look(_: float) -> None:
        seen.append(world.patience.waiting)

    world.patience.sleep = look
    await world.take(*world.posted("a"))
    assert seen[0] is not None
    assert "stopped at emotion.points/0@0" in seen[0]
    assert "Message size too large" in caplog.text
    assert world.patience.waiting is None


async def test_poison_bytes_become_a_dead_letter_and_the_stream_goes_on() -> None:
    world = World()
    poison = world.past.append(b"\x07poison", (("x", b"y"),))
    await world.take(poison, *world.posted("a"))
    (letter,) = world.publisher.events("dead.letters")
    assert (letter["value"], letter["key"], letter["offset"]) == (b"\x07poison", b"d", 0)
    assert letter["headers"] == [{"name": "x", "value": b"y"}]
    assert (letter["consumer"], letter["error"]) == ("counting", "InvalidEvent")
    assert world.emitted == ["a0"]


async def test_a_record_without_a_value_is_a_dead_letter() -> None:
    world = World()
    await world.take(world.past.append(None))
    assert world.publisher.events("dead.letters")[0]["value"] is None
    assert world.next_offset() == 1


async def test_a_bug_costs_its_event_only_and_is_told_with_coordinates(caplog: pytest.LogCaptureFixture) -> None:
    def buggy(state: Counted, event: Any) -> Any:
        if event.record["session_id"] == "bad":
            raise KeyError("forgotten")
        return count(state, event)

    world = World(buggy)
    await world.take(*world.posted("a", "bad", "b"))
    assert world.emitted == ["a0", "b1"]
    (letter,) = world.publisher.events("dead.letters")
    assert letter["error"] == "KeyError"
    assert "buggy" in letter["traceback"]
    assert "emotion.points/0@1" in caplog.text


async def test_an_output_that_fits_no_schema_is_a_bug_like_any_other() -> None:
    def sloppy(state: Counted, event: Any) -> Any:
        after, (emitted,) = count(state, event)
        del emitted.record["kind"]
        return after, [emitted]

    world = World(sloppy)
    await world.take(*world.posted("a"))
    assert len(world.publisher.events("dead.letters")) == 1
    assert world.next_offset() == 1


async def test_a_dead_letter_has_to_be_delivered_too() -> None:
    world = World()
    world.publisher.refusals["dead.letters"] = [TransientFailure("away")] * 3
    await world.take(world.past.append(b"poison"))
    assert len(world.pauses) == 3
    assert len(world.publisher.events("dead.letters")) == 1


async def test_a_transient_failure_of_a_step_is_tried_again_and_never_a_dead_letter() -> None:
    failures = [TransientFailure("away"), Overloaded("full"), TransientFailure("away")]

    def moody(state: Counted, event: Any) -> Any:
        if failures:
            raise failures.pop()
        return count(state, event)

    world = World(moody)
    await world.take(*world.posted("a", "b"))
    assert world.emitted == ["a0", "b1"]
    assert world.publisher.events("dead.letters") == []


async def test_what_was_redriven_to_somebody_else_is_passed_over() -> None:
    world = World()
    await world.take(
        world.past.append(points("a"), (("redrive-to", b"emotion_logs"),)),
        world.past.append(points("b"), (("redrive-to", b"counting"),)),
    )
    assert world.emitted == ["b0"]
    assert world.next_offset() == 2


async def test_records_that_were_left_out_are_read_from_the_log() -> None:
    world = World()
    records = world.posted("a", "b", "c", "d")
    await world.take(records[0], records[3])
    assert world.emitted == ["a0", "b1", "c2", "d3"]


async def test_offsets_without_a_record_are_passed_over() -> None:
    world = World()
    await world.take(*world.posted("a"), world.past.append(points("b"), skip=600))
    assert world.emitted == ["a0", "b1"]
    assert world.next_offset() == 602


async def test_what_is_handed_over_again_is_not_processed_again() -> None:
    world = World()
    records = world.posted("a", "b")
    await world.take(*records, *records)
    assert world.emitted == ["a0", "b1"]


async def test_a_new_generation_starts_at_the_committed_position_with_the_state_of_then() -> None:
    world = World()
    records = world.posted("a", "b", "c")
    await world.take(*records)
    world.past.committed = 1
    await world.take(*records[1:], generation=2)
    assert world.emitted == ["a0", "b1", "c2", "b1", "c2"]
    assert world.publisher.ids(OUT)[1:3] == world.publisher.ids(OUT)[3:]
    assert world.next_offset(generation=1) is None
    assert world.next_offset(generation=2) == 3


async def test_the_committed_position_counts_even_when_faust_starts_later() -> None:
    world = World()
    records = world.posted("a", "b", "c")
    await world.take(records[2])
    assert world.emitted == ["a0", "b1", "c2"]


async def test_partitions_do_not_share_state() -> None:
    world = World()
    (first,) = world.posted("a")
    other = Record(first.topic, 1, 0, 0, b"e", points("b"))
    await world.take(first, other)
    assert world.emitted == ["a0", "b0"]


async def test_the_state_comes_from_the_newest_snapshot_not_beyond_the_position() -> None:
    world = World()
    records = world.posted("a", "b", "c", "d")
    dump = world.lanes.processor.state.dump
    world.past.kept = [(1, dump(Counted(("x",)))), (2, dump(Counted(("x", "y")))), (4, dump(Counted(("too late",))))]
    world.past.committed = 3
    await world.take(records[3])
    assert world.past.reads == [(2, 3)]
    assert world.lanes.marks(1)[0].state == Counted(("x", "y", "c", "d"))
    assert world.emitted == ["d3"]


async def test_without_a_usable_snapshot_the_log_is_folded_from_its_beginning() -> None:
    world = World()
    records = world.posted("a", "b", "c")
    world.past.kept = [(2, b"\x92\x02\x80"), (1, b"garbage")]
    world.past.committed = 2
    await world.take(records[2])
    assert world.emitted == ["c2"]


async def test_whoever_looks_on_sees_that_a_state_is_being_rebuilt() -> None:
    world = World()
    records = world.posted("a", "b", "c")
    world.past.kept = [(1, b"unreadable")]
    world.past.committed = 2
    await world.take(records[2])
    assert world.lanes.sight.read_back == 3, "one snapshot and two events"


async def test_folding_emits_nothing_and_fails_like_the_first_time() -> None:
    world = World()
    world.posted("a")
    world.past.append(b"poison")
    (last,) = world.posted("b")
    world.past.committed = 2
    await world.take(last)
    assert world.emitted == ["b1"]
    assert world.publisher.events("dead.letters") == []


async def test_a_position_that_is_gone_is_an_error_with_numbers() -> None:
    world = World(first=10)
    (record,) = world.posted("a")
    world.past.committed = 4
    world.past.kept = [(4, world.lanes.processor.state.dump(Counted()))]
    with pytest.raises(PositionLost, match=r"offset 4 .* holds offsets 10 to 11"):
        await world.take(record)
