"""Snapshots of deciders in parts: what is whole is found, what is half written costs nothing, what is stale goes."""

from __future__ import annotations

import random

import pytest

from producers.publisher import Message
from schemas.record import Record
from streams.deciding import snapshots
from streams.deciding.snapshots import SHARE, Pace, Shelf
from streams.runtime.past import newest_snapshots, snapshot_message

OWNER = ("deciders.railway", "railway.events", 2)
PART_BYTES = 1_000
LARGE = random.Random(1).randbytes(3 * PART_BYTES)
LARGER = random.Random(2).randbytes(5 * PART_BYTES)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "PART_BYTES", PART_BYTES)


def record(message: Message) -> Record:
    return Record(message.topic, 0, 0, 0, message.key, message.value)


def shelf(*messages: Message) -> Shelf:
    made = Shelf(*OWNER)
    for message in messages:
        made.take(record(message))
    return made


def compacted(messages: list[Message]) -> list[Message]:
    newest = {message.key: message for message in messages}
    return [message for message in newest.values() if message.value is not None]


def found(messages: list[Message], at_most: int = 100) -> list[tuple[int, bytes]]:
    return list(shelf(*messages).whole(at_most))


def test_a_large_ledger_comes_back_from_its_parts() -> None:
    messages = shelf().messages(7, LARGE)
    assert len(messages) == 4
    assert all(len(message.value or b"") <= PART_BYTES + 200 for message in messages)
    assert len({message.key for message in messages}) == len(messages)
    random.Random(3).shuffle(messages)
    assert found(messages) == [(7, LARGE)]


def test_a_small_one_is_one_message_and_compressed() -> None:
    (message,) = shelf().messages(7, b"a" * 20_000)
    assert len(message.value or b"") < 500
    assert found([message]) == [(7, b"a" * 20_000)]


@pytest.mark.parametrize("missing", range(4))
def test_a_set_that_is_not_whole_counts_for_nothing_and_the_one_before_counts(missing: int) -> None:
    world = shelf()
    first = world.messages(7, LARGE)
    log = [*first, *world.laid(first)]
    second = world.messages(9, LARGER[: len(LARGE)])
    del second[missing]
    assert found(log + second) == [(7, LARGE)]
    assert found(compacted(log + second)) == [(7, LARGE)]


def test_whatever_is_written_one_whole_snapshot_survives_compaction() -> None:
    world, log = shelf(), list[Message]()
    for turn, ledger in enumerate([LARGE, b"small", LARGER, b"", LARGE, LARGER]):
        written = world.messages(turn, ledger)
        for message in (*written, *world.laid(written)):
            log.append(message)
            if turn:
                assert found(compacted(log))
        assert found(compacted(log))[0] == (turn, ledger)
    assert len(compacted(log)) == len(world.messages(9, LARGE)) + len(world.messages(9, LARGER))


def test_after_a_start_the_next_one_is_written_beside_the_newest_whole_one() -> None:
    world = shelf()
    first = world.messages(7, LARGE)
    second = world.messages(9, LARGE)[:2] if not world.laid(first) else []
    again = shelf(*first, *second)
    assert list(again.whole(100)) == [(7, LARGE)]
    assert {message.key for message in second} < {message.key for message in again.messages(11, LARGE)}


def test_one_message_of_older_versions_is_read_and_then_taken_away() -> None:
    old = snapshot_message(*OWNER, 5, b"plain")
    world = shelf(old)
    assert list(world.whole(100)) == [(5, b"plain")]
    messages = world.messages(7, LARGE)
    gone = world.laid(messages)
    assert [(message.key, message.value) for message in gone] == [(old.key, None)]
    assert found([old, *messages, *gone]) == [(7, LARGE), (5, b"plain")]
    assert found(compacted([old, *messages, *gone])) == [(7, LARGE)]


def test_what_lies_beyond_the_log_is_none_of_this_log() -> None:
    assert found(shelf().messages(7, LARGE), at_most=6) == []


def test_those_of_others_and_unreadable_ones_are_passed_over() -> None:
    mine = shelf().messages(7, b"x")
    others = [
        *Shelf("deciders.railway", "railway.events", 20).messages(8, b"y"),
        *Shelf("deciders.railways", "railway.events", 2).messages(8, b"y"),
        *Shelf("deciders.railway", "elsewhere", 2).messages(8, b"y"),
        snapshot_message(*OWNER, 9, b"no part", within="/a/0"),
        snapshot_message(*OWNER, 9, b"\x00", within="/nowhere/0"),
        Message("streams.snapshots", b"deciders.railway/2/b/0", b"garbage", []),
        Message("streams.snapshots", None, b"garbage", []),
    ]
    assert found([*mine, *others]) == [(7, b"x")]


def test_a_processor_finds_its_own_beside_parts() -> None:
    parts = [record(one) for one in shelf().messages(7, LARGE)]
    plain = record(snapshot_message(*OWNER, 5, b"plain"))
    assert newest_snapshots([*parts, plain, *parts], OWNER, 100) == [(5, b"plain")]


def test_a_set_that_does_not_decompress_is_passed_over() -> None:
    world = shelf()
    first = world.messages(7, LARGE)
    world.laid(first)
    (second,) = world.messages(9, b"x")
    broken = second._replace(value=(second.value or b"")[:-3] + b"\0\0\0")
    assert found([*first, broken]) == [(7, LARGE)]


def test_the_distance_grows_with_what_a_snapshot_costs() -> None:
    pace = Pace(1_000, at_event=0, cost_s=0.0)
    assert not pace.due(999)
    assert pace.due(1_000)
    pace.begun(1_000)
    pace.cost_s = 2.0
    pace.busy_s = 2.0 / SHARE - 1
    assert not pace.due(50_000)
    pace.busy_s += 1
    assert pace.due(50_000)
    assert not pace.due(1_500)
