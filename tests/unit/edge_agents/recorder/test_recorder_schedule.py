from __future__ import annotations

from datetime import UTC, datetime, time

import pytest

from edge_agents.recorder.schedule import Schedule, hh_mm


def covers(start: str, end: str, moment: str) -> bool:
    hours, minutes, *seconds = map(int, moment.split(":"))
    now = datetime(2026, 1, 1, hours, minutes, *seconds, tzinfo=UTC)
    return Schedule(time.fromisoformat(start), time.fromisoformat(end)).covers(now)


@pytest.mark.parametrize(
    ("start", "end", "moment", "expected"),
    [
        ("08:00", "22:00", "07:59:59", False),
        ("08:00", "22:00", "08:00", True),
        ("08:00", "22:00", "21:59:59", True),
        ("08:00", "22:00", "22:00", False),
        ("22:00", "02:00", "23:00", True),
        ("22:00", "02:00", "00:00", True),
        ("22:00", "02:00", "01:59:59", True),
        ("22:00", "02:00", "02:00", False),
        ("22:00", "02:00", "21:59:59", False),
        ("00:00", "23:59", "23:59", False),
        ("00:00", "00:00", "00:00", False),
        ("09:00", "09:00", "09:00", False),
    ],
)
def test_the_start_belongs_to_it_and_the_end_does_not(start, end, moment, expected):
    assert covers(start, end, moment) is expected


@pytest.mark.parametrize("text", ["24:00", "8", "08:60", "08:00:00", "-1:00", ""])
def test_what_is_no_time_of_day(text):
    assert hh_mm(text) is None


def test_a_single_digit_hour_will_do():
    assert hh_mm("8:05") == time(8, 5)
