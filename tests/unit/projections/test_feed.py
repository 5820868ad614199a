"""The feed hands out everything up to its stops, in order, and says what went wrong; answers go to who asked."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from projections.answers import message, notice, stored_reply
from projections.feed import Batch, EndOfFeed, Feed, Limits, make_batch
from projections.read_model import Effects, Event, Reply
from schemas import serde
from schemas.errors import InvalidEvent, TransientFailure
from schemas.record import Record
from streams.log_reader import TopicPartition
from tests.drivers.emotion_points import post
from tests.drivers.memory_projection import Consumer

ME = Consumer("me")
POST = serde.encode("EmotionPointsRecorded", post())
A, B = TopicPartition("t", 0), TopicPartition("t", 1)


class Names:
    """A projector that keeps what it is given."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.failure = failure

    def prepare(self, events: Sequence[Event]) -> list[int]:
        if self.failure and events:
            raise self.failure
        return [event.record.offset for event in events]

    def prepare_undecoded(self, records: Sequence[Record]) -> None:
        return None

    def write(self, transaction: object, prepared: Any) -> Effects:
        return Effects()

    def forget(self, *, distrust: bool = False) -> None:
        return None


class Log:
    """A reader of lists; `gap` is a transaction marker at the end that carries no record."""

    def __init__(self, ends: Mapping[TopicPartition, int], *, gap: int = 0, failure: Exception | None = None) -> None:
        self.positions: dict[TopicPartition, int] = {}
        self.assigned: list[dict[TopicPartition, int]] = []
        self._ends, self._gap, self._failure = ends, gap, failure

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        self.positions = dict(positions)
        self.assigned.append(dict(positions))

    def poll_batch(self, max_records: int, max_bytes: int, timeout_s: float) -> list[Record]:
        if self._failure:
            raise self._failure
        found: list[Record] = []
        for where, at in self.positions.items():
            upto = min(self._ends[where], at + max_records)
            found += [Record(*where, offset, 0, None, POST) for offset in range(at, upto)]
            self.positions[where] = upto + (self._gap if upto == self._ends[where] else 0)
        return found


def drain(feed: Feed) -> list[Batch]:
    batches: list[Batch] = []
    with feed:
        while True:
            try:
                batch = feed.get(5)
            except EndOfFeed:
                return batches
            assert batch is not None
            batches.append(batch)


def test_up_to_the_stops_in_order_and_no_further() -> None:
    log = Log({A: 100, B: 50})
    batches = drain(Feed(log, ME, Names(), Limits(records=7), {A: 3, B: 0}, {A: 20, B: 11}))
    offsets = [[r.offset for batch in batches for r in batch.records if r.partition == p] for p in (0, 1)]
    assert offsets == [list(range(3, 20)), list(range(11))]
    ends: dict[TopicPartition, int] = {}
    for batch in batches:
        ends.update(batch.ends)
    assert ends == {A: 20, B: 11}
    assert log.assigned[-1] == {}


def test_nothing_to_read_ends_at_once() -> None:
    assert drain(Feed(Log({A: 5}), ME, Names(), Limits(), {A: 5}, {A: 5})) == []


def test_a_marker_at_the_end_moves_the_position_without_a_record() -> None:
    batches = drain(Feed(Log({A: 4}, gap=1), ME, Names(), Limits(), {A: 0}, {A: 5}))
    assert [r.offset for batch in batches for r in batch.records] == [0, 1, 2, 3]
    assert batches[-1].ends == {A: 5}


def test_an_outage_reaches_the_owner() -> None:
    feed = Feed(Log({A: 4}, failure=TransientFailure("away")), ME, Names(), Limits(), {A: 0}, None)
    with feed, pytest.raises(TransientFailure, match="away"):
        feed.get(5)


def test_a_feed_that_nobody_reads_can_be_closed() -> None:
    with Feed(Log({A: 10**6}), ME, Names(), Limits(records=1), {A: 0}, None) as feed:
        assert feed.get(5) is not None


def test_poison_becomes_a_letter_and_what_is_meant_for_others_is_passed_over() -> None:
    records = [
        Record("t", 0, 0, 0, None, POST),
        Record("t", 0, 1, 0, None, b"poison"),
        Record("t", 0, 2, 0, None, POST, (("redrive-to", b"other"),)),
        Record("t", 0, 3, 0, None, POST, (("redrive-to", b"me"),)),
        Record("t", 0, 4, 0, None, b"poison", (("redrive-to", b"other"),)),
    ]
    batch = make_batch(ME, Names(), records, {A: 5})
    assert batch.prepared == [0, 3]
    assert [record.offset for record, _ in batch.letters] == [1]
    assert batch.failure is None


@pytest.mark.parametrize(
    "failure", [InvalidEvent("x"), ValueError("x"), OverflowError("x"), KeyError("x"), MemoryError()]
)
def test_what_cannot_be_laid_out_is_for_the_owner_to_split(failure: Exception) -> None:
    batch = make_batch(ME, Names(failure), [Record("t", 0, 0, 0, None, POST)], {A: 1})
    assert (batch.failure, batch.prepared) == (failure, None)


def test_a_programming_error_is_nobodys_dead_letter() -> None:
    with pytest.raises(AttributeError):
        make_batch(ME, Names(AttributeError("bug")), [Record("t", 0, 0, 0, None, POST)], {A: 1})


def test_a_reply_goes_to_who_asked() -> None:
    asked = (("correlation-id", b"c-1"), ("reply-to", b"gateway-7"), ("traceparent", b"00-ab-cd-01"))
    stored = stored_reply("emotion_logs", Reply(Record("t", 1, 5, 0, None, None, asked), inserted=3, person_id=9))
    assert stored is not None
    sent = message(stored)
    assert (sent.topic, sent.key) == ("replies", b"gateway-7")
    assert dict(sent.headers)["correlation-id"] == b"c-1"
    assert dict(sent.headers)["traceparent"] == b"00-ab-cd-01"
    assert serde.decode(sent.value) == (
        "Reply",
        {
            "author": "emotion_logs", "topic": "t", "partition": 1, "offset": 5,
            "inserted": 3, "updated": None, "person_id": 9,
        },
    )  # fmt: skip
    assert stored_reply("emotion_logs", Reply(Record("t", 1, 5, 0, None, None, asked[:1]))) is None


def test_notices_name_sessions_until_they_are_too_many() -> None:
    assert notice("m", Effects()) is None
    assert json.loads(notice("m", Effects(sessions={("d", "s")})) or "") == {"model": "m", "sessions": [["d", "s"]]}
    assert json.loads(notice("m", Effects(devices={"d"})) or "") == {"model": "m", "devices": ["d"]}
    many = Effects(sessions={(f"device {i}", "ж" * 50) for i in range(200)})
    assert json.loads(notice("m", many) or "") == {"model": "m", "many": True}
    cut = Effects(sessions={("d", "s")}, truncated={("t", 0): 4})
    assert json.loads(notice("m", cut) or "") == {"model": "m", "many": True}


@pytest.mark.parametrize(("model", "replies"), [(b"emotion_logs", True), (b"another", False)])
def test_only_the_read_model_that_is_waited_for_replies(model: bytes, replies: bool) -> None:
    asked = (("correlation-id", b"c-1"), ("reply-to", b"gateway-7"), ("await-model", model))
    assert (stored_reply("emotion_logs", Reply(Record("t", 1, 5, 0, None, None, asked))) is not None) is replies


@pytest.mark.parametrize("name", ["correlation-id", "reply-to"])
def test_nobody_gets_a_reply_that_would_be_too_large(name: str) -> None:
    asked = {"correlation-id": b"c-1", "reply-to": b"gateway-7"}
    for size, replies in ((256, True), (257, False)):
        headers = tuple((asked | {name: b"x" * size}).items())
        stored = stored_reply("emotion_logs", Reply(Record("t", 1, 5, 0, None, None, headers)))
        assert (stored is not None) == replies


def test_a_long_traceparent_does_not_make_a_reply_large() -> None:
    asked = (("correlation-id", b"c"), ("reply-to", b"g"), ("traceparent", b"x" * 2_000_000))
    stored = stored_reply("emotion_logs", Reply(Record("t", 1, 5, 0, None, None, asked)))
    assert stored is not None
    assert sum(len(value) for _, value in stored.headers) < 1000
