"""Which snapshots are looked at: few, and the right ones."""

from __future__ import annotations

from schemas.record import Record
from streams.runtime.past import KEPT, newest_snapshots, snapshot_message
from tests.drivers.streaming import TOPIC

WANTED = ("counting", TOPIC, 0)


def kept(next_offset: int, processor: str = "counting", topic: str = TOPIC, partition: int = 0) -> Record:
    one = snapshot_message(processor, topic, partition, next_offset, b"%d" % next_offset)
    return Record(one.topic, 0, next_offset, 0, one.key, one.value)


def test_only_the_newest_are_kept_newest_first() -> None:
    found = newest_snapshots([kept(offset) for offset in (1, 2, 9, 3, 4, 5)], WANTED, at_most=5)
    assert found == [(5, b"5"), (4, b"4"), (3, b"3")]
    assert len(found) == KEPT


def test_those_of_others_are_none_of_ours() -> None:
    others = [kept(1, processor="other"), kept(2, topic="elsewhere"), kept(3, partition=1)]
    assert newest_snapshots([kept(7), *others], WANTED, at_most=9) == [(7, b"7")]


def test_one_that_cannot_be_read_is_as_good_as_none() -> None:
    key = kept(1).key
    broken = [Record("streams.snapshots", 0, 1, 0, key, value) for value in (None, b"", b"\x00\x00\x00\x00\x63x")]
    assert newest_snapshots([*broken, kept(7)], WANTED, at_most=9) == [(7, b"7")]
