"""Batches with nothing in them cost no transaction: their ends are stored with the next real one, or soon."""

from __future__ import annotations

import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from projections.feed import Batch, EndOfFeed, Feed, Held, Limits, concerns
from projections.read_model import Target
from projections.registry import READ_MODELS
from projections.store import Checkpoint, Fenced
from schemas.record import Record
from schemas.topics import TOPICS
from tests.drivers.memory_projection import (
    TOPIC,
    Consumer,
    Disk,
    MemoryLog,
    Offsets,
    TopicPartition,
    broken,
    disk,
    event,
    model,
    projection,
)
from tests.drivers.waiting import eventually

A, B = TopicPartition(TOPIC, 0), TopicPartition(TOPIC, 1)
MINE, OTHERS = event("ItemAdded"), event("PlaceAdded")
ITEMS = model("ItemAdded")
ASKED = (("correlation-id", b"c"), ("reply-to", b"gateway"))
NEVER = threading.Event()
AT_LENGTH = Limits(poll_s=0.02, hold_s=3600)
SOON = Limits(poll_s=0.02, hold_s=0.05)


def log_of(*partitions: Sequence[bytes]) -> MemoryLog:
    log = MemoryLog(*([] for _ in partitions))
    for number, values in enumerate(partitions):
        for value in values:
            log.append(number, value)
    return log


@contextmanager
def following(log: MemoryLog, stored: Disk, limits: Limits) -> Generator[None]:
    made, _, _ = projection(ITEMS, log, stored)
    stop = threading.Event()
    thread = threading.Thread(target=made.follow, args=(stop, limits))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def record(value: bytes | None, *headers: tuple[str, bytes]) -> Record:
    return Record(TOPIC, 0, 0, 0, None, value, headers)


def test_what_holds_nothing_is_stored_with_the_next_that_does() -> None:
    log = log_of([OTHERS] * 5, [OTHERS] * 3)
    stored = disk(log)
    with following(log, stored, AT_LENGTH):
        log.append(1, OTHERS)
        log.append(0, MINE)
        eventually(lambda: stored.written, 5)
    assert (stored.written, stored.commits) == ([(0, 5)], 1)
    assert stored.offsets()[0] == 6


def test_what_holds_nothing_is_stored_in_time_by_itself() -> None:
    log = log_of([OTHERS] * 5, [OTHERS] * 3)
    stored = disk(log)
    with following(log, stored, SOON):
        eventually(lambda: stored.offsets() == [5, 3], 5)
    assert (stored.commits, stored.written) == (1, [])


def test_a_steady_stream_of_nothing_is_stored_in_time() -> None:
    """Each batch on its own comes sooner than the time is up."""
    log = log_of([])
    stored = disk(log)

    def more() -> bool:
        log.append(0, OTHERS)
        return stored.offsets()[0] > 0

    with following(log, stored, SOON):
        eventually(more, 5, 0.005)


def test_a_crash_while_ends_are_held_only_reads_again() -> None:
    log = log_of([MINE, OTHERS, OTHERS])
    stored = disk(log)
    with following(log, stored, replace(AT_LENGTH, records=1)):
        eventually(lambda: stored.written, 5)
    assert stored.offsets() == [1], "what came after it was held, and is gone with its holder"
    log.append(0, MINE)
    with following(log, stored, AT_LENGTH):
        eventually(lambda: len(stored.written) == 2, 5)
    assert stored.written == [(0, 0), (0, 3)]
    assert stored.offsets() == [4]


def test_a_crash_in_the_commit_that_carries_held_ends_loses_and_repeats_nothing() -> None:
    log = log_of([OTHERS, MINE, OTHERS])
    stored = disk(log)
    made, store, publisher = projection(ITEMS, log, stored)
    store.crash = SystemExit()
    with pytest.raises(SystemExit):
        made.advance_to(log.ends(), NEVER)
    assert (stored.offsets(), stored.written, publisher.messages) == ([0], [], [])
    assert projection(ITEMS, log, stored)[0].advance_to(log.ends(), NEVER)
    assert (stored.offsets(), stored.written) == ([3], [(0, 1)])


def test_another_writer_in_between_is_noticed_before_anything_is_written() -> None:
    log = log_of([OTHERS, OTHERS])
    stored = disk(log)
    zombie, _, _ = projection(ITEMS, log, stored)
    assert projection(ITEMS, log, stored)[0].advance_to(log.ends(), NEVER)
    log.append(0, MINE)
    with pytest.raises(Fenced):
        zombie.advance_to(log.ends(), NEVER)
    assert stored.written == []


def test_a_zombie_that_reads_nothing_of_its_own_is_fenced_in_time() -> None:
    """Its held ends are checked like rows: it does not follow for ever what it does not write."""
    log = log_of([OTHERS])
    stored = disk(log)
    zombie, _, _ = projection(ITEMS, log, stored)
    stored.checkpoints[A] = Checkpoint(1, "id of t")
    stopped = threading.Event()
    watchdog = threading.Timer(10, stopped.set)
    watchdog.start()
    with pytest.raises(Fenced):
        zombie.follow(stopped, SOON)
    watchdog.cancel()


def test_a_version_whose_state_changed_stores_no_held_ends() -> None:
    log = log_of([OTHERS])
    stored = disk(log)
    made, _, _ = projection(ITEMS, log, stored)
    stored.state = "retired"
    with pytest.raises(Fenced):
        made.advance_to(log.ends(), NEVER)
    assert (stored.offsets(), stored.commits) == ([0], 0)


def test_a_replay_has_stored_everything_up_to_its_stops() -> None:
    log = log_of([OTHERS, MINE, OTHERS, MINE, OTHERS], [OTHERS] * 4)
    stored = disk(log)
    told: list[Any] = []
    made, _, _ = projection(ITEMS, log, stored)
    stops = {A: 3, B: 2}
    assert made.advance_to(stops, NEVER, limits=replace(AT_LENGTH, records=1), on_batch=lambda *news: told.append(news))
    assert (stored.offsets(), stored.written) == ([3, 2], [(0, 1)])
    assert made.positions == stops
    assert told[-1] == (0, stops), "what is shown of its progress arrives at the end"
    assert made.advance_to({A: 5, B: 4}, NEVER, limits=AT_LENGTH)
    assert (stored.offsets(), stored.written) == ([5, 4], [(0, 1), (0, 3)])


def test_a_replay_that_is_broken_off_goes_on_behind_what_it_held() -> None:
    log = log_of([OTHERS] * 3)
    stored = disk(log)
    stop = threading.Event()
    stop.set()
    made, _, _ = projection(ITEMS, log, stored)
    assert not made.advance_to(log.ends(), stop)
    assert stored.offsets() == [0]
    assert made.advance_to(log.ends(), NEVER)
    assert stored.offsets() == [3]


def test_others_events_are_not_decoded_and_make_no_letters() -> None:
    log = log_of([broken("PlaceAdded"), MINE, broken("ItemAdded"), b"no event"])
    stored = disk(log)
    made, _, publisher = projection(ITEMS, log, stored)
    assert made.advance_to(log.ends(), NEVER)
    letters = [message for message in publisher.messages if message.topic == "dead.letters"]
    assert len(letters) == 2, "its own that is broken, and what nobody can tell"
    assert stored.written == [(0, 1)]


def test_an_empty_batch_that_is_due_stays_one_for_later_ends() -> None:
    held = Held(3600)
    held.hold(Batch([], {A: 1, B: 1}, [], []))
    held.hold(Batch([], {A: 2}, [], []))
    assert held.take() is None
    assert held.joined(Batch([], {A: 3}, [], [])).ends == {A: 3, B: 1}
    assert 0 < held.patience(0.25) <= 0.25
    taken = held.take(due=False)
    assert taken is not None
    assert taken.ends == {A: 2, B: 1}
    assert held.take(due=False) is None
    assert held.patience(0.25) == 0.25


class Markers(MemoryLog):
    """Nothing but the ends of transactions: the position moves, and no record comes."""

    def poll_batch(self, max_records: int, max_bytes: int, timeout_s: float) -> list[Record]:
        self.positions = dict.fromkeys(self.positions, 7)
        return super().poll_batch(max_records, max_bytes, timeout_s)


def test_a_marker_without_records_is_held() -> None:
    feed = Feed(Markers([]), ITEMS, Offsets(Target("me_v1")), Limits(poll_s=0.01, hold_s=3600), {A: 0}, {A: 8})
    with feed:
        assert feed.get(0.1) is None
    feed = Feed(Markers([]), ITEMS, Offsets(Target("me_v1")), SOON, {A: 0}, {A: 8})
    with feed:
        batch = feed.get(5)
    assert batch is not None
    assert batch.ends == {A: 7}


def test_held_ends_come_before_the_end_of_the_feed() -> None:
    log = log_of([OTHERS])
    with Feed(log, ITEMS, Offsets(Target("me_v1")), AT_LENGTH, {A: 0}, {A: 1}) as feed:
        batch = feed.get(5)
        assert batch is not None
        assert not batch
        assert batch.ends == {A: 1}
        with pytest.raises(EndOfFeed):
            feed.get(5)


@pytest.mark.parametrize(
    ("headers", "matters"),
    [
        ((), False),
        (ASKED[:1], False),
        (ASKED, True),
        ((*ASKED, ("await-model", b"me")), True),
        ((*ASKED, ("await-model", b"another")), False),
    ],
)
def test_a_settled_command_matters_to_the_model_that_is_waited_for(headers: Any, matters: bool) -> None:
    settled = record(event("CommandSettled"), *headers)
    assert concerns(ITEMS, settled) is matters
    assert concerns(Consumer("me"), settled), "a model that names no events has reasons of its own"


@pytest.mark.parametrize("value", [None, b"", b"x", b"\1" * 9, b"\0\xff\xff\xff\xff"])
def test_what_names_no_event_is_looked_at_closer(value: bytes | None) -> None:
    assert concerns(ITEMS, record(value))


def test_what_is_redriven_to_another_does_not_matter() -> None:
    assert not concerns(ITEMS, record(MINE, ("redrive-to", b"another")))
    assert concerns(ITEMS, record(MINE, ("redrive-to", b"me")))


@pytest.mark.parametrize("name", sorted(READ_MODELS))
def test_nothing_prepared_is_false(name: str) -> None:
    made = READ_MODELS[name].projector(Target(f"{name}_v1"))
    if name != "railway_accounts":  # every record of its topic is a row
        assert not made.prepare([])


def test_every_event_of_the_railway_matters_to_a_read_model() -> None:
    """One that is left out of its model's names would be passed over in silence."""
    models = [one for one in READ_MODELS.values() if one.topics == ("railway.events",)]
    named = frozenset[str]().union(*(one.events or () for one in models))
    parts = {"PassengerDetails", "EngineerDetails", "TicketCode"}  # sealed inside of others
    assert named == set(TOPICS["railway.events"].events) - parts - {"CommandSettled"}
