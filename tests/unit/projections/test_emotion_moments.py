"""Moments and the truncations that undo them, without a database."""

from __future__ import annotations

from typing import Any

from projections.projectors.emotion_moments import EmotionMoments
from projections.read_model import Event, Target
from schemas import examples
from schemas.record import Record


def event(name: str, partition: int, offset: int) -> Event:
    return Event(Record("emotion.moments", partition, offset, 0, None, None), name, examples.load(name))


def prepared(*events: Event) -> Any:
    return EmotionMoments(Target("s")).prepare(events)


def test_a_truncation_undoes_what_comes_before_it_in_its_partition_only() -> None:
    batch = prepared(
        event("EmotionMomentDetected", 1, 4),
        event("EmotionMomentDetected", 2, 4),
        event("EmotionMomentsTruncated", 1, 5),
        event("EmotionMomentDetected", 1, 6),
    )
    assert [moment[-2:] for moment in batch.moments] == [(2, 4), (1, 6)]
    assert batch.truncated == {("emotion.moments", 1): 5}


def test_of_several_truncations_the_newest_counts() -> None:
    batch = prepared(
        event("EmotionMomentsTruncated", 0, 1),
        event("EmotionMomentDetected", 0, 2),
        event("EmotionMomentsTruncated", 0, 3),
    )
    assert batch.moments == []
    assert batch.truncated == {("emotion.moments", 0): 3}
