from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agents.emotion_sensor.backoff import Backoff, retry_after_s

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


@given(st.integers(0, 2**32))
def test_pauses_grow_from_one_second_to_sixty_and_are_never_certain(seed: int) -> None:
    backoff = Backoff(chance=random.Random(seed))
    pauses = [backoff.after_failure() for _ in range(40)]
    for n, pause in enumerate(pauses):
        assert min(60, 2.0**n) / 2 <= pause <= min(60, 2.0**n)
    assert len(set(pauses[10:])) > 20


def test_success_begins_again() -> None:
    backoff = Backoff(chance=random.Random(1))
    for _ in range(9):
        backoff.after_failure()
    backoff.after_success()
    assert backoff.after_failure() <= 1


def test_the_server_may_ask_for_more_but_not_for_less() -> None:
    backoff = Backoff(chance=random.Random(1))
    assert backoff.after_failure(120) == 120
    assert backoff.after_failure(0) >= 1


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("0", 0),
        ("17", 17),
        ("999999999", 3600),
        ("Thu, 01 Jan 2026 12:01:30 GMT", 90),
        ("Thu, 01 Jan 2026 11:00:00 GMT", 0),
    ],
)
def test_retry_after_is_read_as_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    assert retry_after_s(header, NOW) == seconds
