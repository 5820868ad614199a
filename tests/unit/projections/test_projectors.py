"""The rules of the small read models, and what the large one knows of a batch before it asks the database."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.emotion_persons import NEVER, Known
from projections.emotion_rows import columns_of, gather
from projections.projectors import emotion_logs, emotion_moments, person_emotions
from projections.projectors.person_emotions import Report, Times, added, fold, supersedes
from projections.read_model import Event
from schemas import examples, serde
from schemas.envelope import KeyRing, seal
from schemas.errors import InvalidEvent
from schemas.record import Record
from tests.drivers.emotion_points import post

RING = KeyRing({"k1": bytes(32)}, "k1")


def times(reported_us: int, offset: int, happy: float = 1.0) -> Times:
    return Times(happy, 0.0, 0.0, 0.0, reported_us, reported_us, "t", 0, offset)


def test_the_newer_report_stays_and_of_equal_ones_the_later_in_the_log() -> None:
    assert supersedes(times(2, 0), times(1, 9))
    assert not supersedes(times(1, 9), times(2, 0))
    assert supersedes(times(1, 1), times(1, 0))
    assert not supersedes(times(1, 0), times(1, 1))
    assert supersedes(times(1, 1), times(1, 1))  # a person twice in a post: the later entry


def report(*entries: tuple[str, Times]) -> Report:
    event = Event(Record("t", 0, 0, 0, None, None), "EmotionTotalsReported", {})
    return Report(event, "d", list(entries))


def test_any_order_of_arrival_in_batches_ends_the_same() -> None:
    reports = [report(("1", times(30, 0, 3.0))), report(("1", times(10, 1, 1.0))), report(("1", times(20, 2, 2.0)))]
    for order in permutations(reports):
        for cut in range(4):
            known = fold({}, order[:cut])
            known |= fold(known, order[cut:])
            assert known["d", "1"].happy == 3.0


def test_totals_follow_the_change() -> None:
    known = {("d", "1"): times(1, 0, 5.0)}
    changed = {("d", "1"): times(2, 1, 3.5), ("d", "2"): times(2, 1, 0.1)}
    assert added(known, changed) == {"d": [-1_400_000, 0, 0, 0]}


def totals_event(person: dict[str, Any], at_us: int, appended_ms: int) -> Event:
    envelope = seal(RING, "d", "PeopleTotals", {"people": [person]})
    body = {"device_id": "d", "reported_at_us": at_us, "people": envelope}
    return Event(Record("t", 1, 2, appended_ms, None, None), "EmotionTotalsReported", body)


def test_a_clock_ahead_counts_as_the_time_of_appending_but_is_shown_as_sent() -> None:
    person = {"person_id": "1", "happy": 1.0, "sad": 0.0, "angry": 0.0, "neutral": 0.0}
    opened = person_emotions.open_report(totals_event(person, 9_000_000, 5), RING).people
    assert opened is not None
    assert (opened[0][1].reported_us, opened[0][1].last_seen_us) == (5000, 9_000_000)


@pytest.mark.parametrize("bad", [1e12, float("nan"), float("-inf")])
def test_absurd_times_are_invalid(bad: float) -> None:
    person = {"person_id": "1", "happy": bad, "sad": 0.0, "angry": 0.0, "neutral": 0.0}
    with pytest.raises(InvalidEvent, match="number of seconds"):
        person_emotions.open_report(totals_event(person, 1, 1), RING)


def moment(phase: str, offset: int, **changes: Any) -> Event:
    body = examples.load("EmotionMomentDetected") | {"phase": phase, "end_ms": 9 if phase == "CLOSED" else None}
    return Event(Record("emotion.moments", 0, offset, 0, None, None), "EmotionMomentDetected", body | changes)


def test_closed_replaces_opened_and_is_never_undone() -> None:
    opened, closed, late = (
        emotion_moments.row(moment(phase, i)) for i, phase in enumerate(("OPENED", "CLOSED", "OPENED"))
    )
    assert emotion_moments.fold([opened, closed]) == [closed]
    assert emotion_moments.fold([opened, closed, late]) == [closed]
    assert emotion_moments.fold([closed, late]) == [closed]
    assert emotion_moments.fold([opened, late]) == [late]


def test_moments_that_make_no_sense_are_invalid() -> None:
    for bad in (
        moment("OPENED", 0, moment_id="seven"),
        moment("CLOSED", 0, end_ms=None),
        moment("OPENED", 0, end_ms=3),
    ):
        with pytest.raises(InvalidEvent):
            emotion_moments.row(bad)


KEY = ("raspberry_pi_001", "20260302_120000", 1)


@given(st.lists(st.lists(st.integers(0, 12), min_size=1, max_size=6), min_size=1, max_size=4), st.integers(-1, 12))
def test_what_is_called_new_can_be_nowhere_else(batch: list[list[int]], newest_ms: int) -> None:
    """`newest_ms` -1: a person never seen. Everything up to it may be stored already."""
    bodies = [post(t_ms=list(t), track_id=[t[0] % 2] * len(t)) for t in batch]
    records = [Record("t", 0, i, 0, None, None) for i in range(len(bodies))]
    points = gather(records, columns_of(bodies))
    known = Known(4, NEVER if newest_ms < 0 else newest_ms)
    keys = [KEY] * len(points.run_start)
    verdict = emotion_logs._judge(points, keys, {KEY: known}, distrust=False)
    times_ms, tracks = points.columns.t_ms.tolist(), points.columns.track_id.tolist()
    seen: set[tuple[int, int]] = set()
    for i, point in enumerate(zip(times_ms, tracks, strict=True)):
        assert verdict.new[i] == (point not in seen and point[0] > newest_ms)
        assert verdict.doubtful[i] == (point not in seen and point[0] <= newest_ms)
        seen.add(point)
    ordered = np.array(times_ms)[verdict.order]
    assert sorted(verdict.order.tolist()) == list(range(len(points)))
    assert (np.diff(ordered) >= 0).all()
    assert known.newest_ms == max(newest_ms, *times_ms)
    distrusted = emotion_logs._judge(points, keys, {KEY: Known(4, NEVER)}, distrust=True)
    assert not distrusted.new.any()


def test_a_truncation_takes_what_came_before_it_in_its_partition_only() -> None:
    def event(name: str, partition: int, offset: int, body: dict[str, Any]) -> Event:
        return Event(Record("emotion.points", partition, offset, 0, None, None), name, body)

    cut = examples.load("EmotionLogsTruncated")
    events = [
        event("EmotionPointsRecorded", 0, 1, post("a")),
        event("EmotionPointsRecorded", 1, 1, post("b")),
        event("EmotionLogsTruncated", 0, 2, cut),
        event("EmotionPointsRecorded", 0, 3, post("c")),
        event("EmotionLogsTruncated", 0, 4, cut),
        event("EmotionPointsRecorded", 0, 5, post("d")),
    ]
    from projections.read_model import Target

    prepared = emotion_logs.EmotionLogs(Target("s")).prepare(events)
    assert prepared.truncated == {("emotion.points", 0): 4}
    assert prepared.points.columns.device_id == ["b", "d"]
    assert [record.offset for record in prepared.settled] == [1, 2, 3, 4]


def test_a_silence_among_points_is_passed_over() -> None:
    def event(name: str, offset: int, body: dict[str, Any]) -> Event:
        return Event(Record("emotion.points", 0, offset, 0, None, None), name, body)

    from projections.read_model import Target

    events = [
        event("EmotionPointsRecorded", 1, post("a")),
        event("EmotionDeviceIdle", 2, examples.load("EmotionDeviceIdle")),
        event("EmotionPointsRecorded", 3, post("b")),
    ]
    projector = emotion_logs.EmotionLogs(Target("s"))
    prepared = projector.prepare(events)
    assert (prepared.points.columns.device_id, prepared.settled, prepared.truncated) == (["a", "b"], [], {})
    values = [serde.encode(one.name, one.body) for one in events]
    records = [Record("emotion.points", 0, n, 0, None, value) for n, value in enumerate(values)]
    assert projector.prepare_undecoded(records) is None, "such a batch is decoded event by event"
    assert projector.prepare_undecoded(records[:1]) is not None
