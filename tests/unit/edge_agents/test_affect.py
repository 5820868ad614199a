from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agents.emotion_sensor.affect import COORDINATES, EXPRESSIONS, affect, strongest


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_a_pure_expression_lies_at_its_coordinates(name: str) -> None:
    assert affect({name: 1.0}) == COORDINATES[name]


def test_shares_are_mixed() -> None:
    assert affect({"happy": 0.5, "sad": 0.5}) == pytest.approx((0.09, 0.12))


@given(st.lists(st.floats(0.001, 1), min_size=7, max_size=7))
def test_affect_stays_within_its_plane(weights: list[float]) -> None:
    shares = {name: weight / sum(weights) for name, weight in zip(EXPRESSIONS, weights, strict=True)}
    valence, arousal = affect(shares)
    assert -0.64 <= valence <= 0.81
    assert -0.27 <= arousal <= 0.67


def test_a_tie_goes_to_the_earlier_expression() -> None:
    assert strongest({"sad": 0.5, "angry": 0.5}) == "angry"
