"""Aggregates by numpy are those of a plain loop over the points."""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from projections.emotion_months import bounds, months_of
from projections.emotion_tables import FUTURE_START_MS, PAST_END_MS, month_partition
from projections.emotion_totals import Rows, fixed, heat, person_sums, pyramid

POINT = st.tuples(
    st.integers(1, 3),
    st.integers(-100_000, 3_000_000),
    st.floats(-1.5, 1.5).map(lambda value: round(value, 3) + 0.0),
    st.floats(-1.5, 1.5).map(lambda value: round(value, 2) + 0.0),
    st.integers(0, 50),
)
POINTS = st.lists(POINT, min_size=1, max_size=60).map(sorted)
Point = tuple[int, int, float, float, int]


def rows_of(points: list[Point]) -> Rows:
    person, t_ms, valence, arousal, offset = zip(*points, strict=True)
    return Rows(np.array(person), np.array(t_ms), np.array(valence), np.array(arousal), np.array(offset))


@given(POINTS)
def test_person_sums(points: list[Point]) -> None:
    sums = person_sums(rows_of(points))
    for i, person in enumerate(sums.person.tolist()):
        mine = [point for point in points if point[0] == person]
        assert sums.n[i] == len(mine)
        assert sums.sum_valence[i] == sum(round(point[2] * 1e9) for point in mine)
        assert sums.sum_arousal[i] == sum(round(point[3] * 1e9) for point in mine)
        assert (sums.min_ms[i], sums.max_ms[i]) == (min(p[1] for p in mine), max(p[1] for p in mine))
        assert (sums.first_offset[i], sums.last_offset[i]) == (min(p[4] for p in mine), max(p[4] for p in mine))
    assert sums.person.tolist() == sorted({point[0] for point in points})


@given(POINTS)
def test_every_level_of_the_pyramid(points: list[Point]) -> None:
    found = pyramid(rows_of(points))
    expected: dict[tuple[int, int, int], list[Point]] = defaultdict(list)
    for point in points:
        for level in range(5):
            width = 4000 * 8**level
            expected[point[0], level, point[1] // width * width].append(point)
    keys = list(zip(found.person.tolist(), found.level.tolist(), found.bucket_ms.tolist(), strict=True))
    assert keys == sorted(expected)
    for i, key in enumerate(keys):
        mine = expected[key]
        assert found.n[i] == len(mine)
        assert found.sum_valence[i] == sum(round(point[2] * 1e9) for point in mine)
        for column, signal in ((2, "valence"), (3, "arousal")):
            low = min((point[column], point[1]) for point in mine)
            high = min((-point[column], point[1]) for point in mine)
            assert (getattr(found, f"min_{signal}")[i], getattr(found, f"min_{signal}_ms")[i]) == low
            assert (-getattr(found, f"max_{signal}")[i], getattr(found, f"max_{signal}_ms")[i]) == high


@given(POINTS)
def test_heat(points: list[Point]) -> None:
    rows = rows_of(points)
    counts = heat(rows.person - 1, rows.valence, rows.arousal, 3)
    expected = np.zeros((3, 400), int)
    for person, _, valence, arousal, _ in points:
        column = min(19, max(0, math.floor((valence + 1) * 10)))
        row = min(19, max(0, math.floor((arousal + 1) * 10)))
        expected[person - 1, row * 20 + column] += 1
    assert counts.tolist() == expected.tolist()


def test_fixed_point_adds_exactly_in_any_order() -> None:
    values = np.array([0.1, 0.2, 0.3, -1e4, 1e4, 1e-9])
    assert fixed(values).sum() == fixed(values[::-1]).sum() == 600_000_001


def test_months_of_sane_and_absurd_times() -> None:
    december = 1_764_547_200_000
    assert months_of(np.array([december, december + 1])) == {671}
    assert months_of(np.array([december - 1, december])) == {670, 671}
    assert months_of(np.array([PAST_END_MS - 1, FUTURE_START_MS, -(2**60)])) == set()
    assert len(months_of(np.arange(PAST_END_MS, FUTURE_START_MS, 86_400_000))) == 312
    assert bounds(671) == (december, 1_767_225_600_000)
    assert "points_y2025m12" in month_partition("s", 2025, 12, bounds(671))
