"""The pure parts of the queries: the pyramid's plan and the bound of a mix."""

from __future__ import annotations

import pytest

from projections.queries.mix import crossing, last_needed
from projections.queries.points import Window
from projections.queries.pyramid import LEVELS, finest, plan, start_of, width_ms

HOUR = 3_600_000


@pytest.mark.parametrize("n_points", [0, 1, 999, 1000])
def test_few_points_are_shown_as_they_are(n_points: int) -> None:
    assert plan(n_points, HOUR, HOUR, 1000).raw


@pytest.mark.parametrize("span", [1, 1000, HOUR, 24 * HOUR, 3000 * 24 * HOUR, 2**62])
@pytest.mark.parametrize("max_points", [10, 600, 20_000])
@pytest.mark.parametrize("n_points", [20_001, 10**6, 10**9])
def test_there_are_never_more_buckets_than_asked(span: int, max_points: int, n_points: int) -> None:
    chosen = plan(n_points, span, span, max_points)
    assert not chosen.raw
    for offset in (0, 1, chosen.width - 1):  # wherever the range lies against the buckets
        touched = (offset + span - 1) // chosen.width - offset // chosen.width + 1
        assert 2 * touched <= max_points
    if chosen.level is not None:
        assert chosen.width % width_ms(chosen.level) == 0


def test_the_finest_affordable_level_is_taken() -> None:
    assert [finest(days * 24 * HOUR, 1000) for days in (0, 1, 20, 300, 10**6)] == [0, 2, 3, 4, LEVELS - 1]


def test_buckets_are_aligned_before_1970_too() -> None:
    assert [start_of(t, 4000) for t in (0, 3999, 4000, -1, -4000)] == [0, 0, 4000, -4000, -4000]


def person(n_points: int, min_ms: int, max_ms: int) -> dict[str, int]:
    return {"n_points": n_points, "min_ms": min_ms, "max_ms": max_ms}


def test_who_came_and_left_bounds_the_time_that_is_read() -> None:
    people = [person(10, 0, 100), person(10, 50, 200), person(1000, 90, 10**6)]
    assert last_needed(people, Window(limit=10)) == 100
    assert last_needed(people, Window(limit=11)) == 200
    assert last_needed(people, Window(limit=21)) == 10**6
    assert last_needed(people, Window(limit=5000, last_ms=777)) == 777


def test_who_was_there_before_the_window_is_not_counted() -> None:
    people = [person(10, 0, 100), person(10, 50, 200)]
    assert last_needed(people, Window(from_ms=20, limit=10)) == 200


def test_the_crossing_bucket_is_the_one_that_reaches_the_limit() -> None:
    rows = [{"bucket_ms": 0, "n": 4}, {"bucket_ms": 4, "n": 4}, {"bucket_ms": 8, "n": 4}]
    assert crossing(rows, 0, 4) == (rows[0], 0)
    assert crossing(rows, 0, 5) == (rows[1], 4)
    assert crossing(rows, 3, 12) == (rows[2], 11)
    assert crossing(rows, 0, 13) == (None, 12)
