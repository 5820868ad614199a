"""Days and hours where clocks change, figures over them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from api.sales_days import Days, DaysQuery, hours_of, midnight
from api.sales_overview import compared, overview

BELGRADE = "Europe/Belgrade"
SPRING, AUTUMN = date(2026, 3, 29), date(2026, 10, 25)
NOW = datetime(2026, 6, 30, 22, 30, tzinfo=UTC)


@pytest.mark.parametrize(("day", "count"), [(SPRING, 23), (AUTUMN, 25), (date(2026, 6, 1), 24)])
def test_a_day_has_as_many_hours_as_the_clock_makes(day: date, count: int) -> None:
    assert len(hours_of(day, BELGRADE)) == count
    days = Days(day, day, BELGRADE)
    assert (days.end - days.start).total_seconds() == 3600 * count


def test_the_hour_that_is_left_out_and_the_one_that_comes_twice() -> None:
    assert [hour.hour for hour in hours_of(SPRING, BELGRADE)][:4] == [0, 1, 3, 4]
    twice = [(hour.hour, hour.utc_offset) for hour in hours_of(AUTUMN, BELGRADE)][:5]
    assert twice == [(0, 7200), (1, 7200), (2, 7200), (2, 3600), (3, 3600)]


def test_midnight_that_a_clock_jumps_over() -> None:
    # In Beirut, 2022-03-27 began at 01:00.
    assert midnight(date(2022, 3, 27), "Asia/Beirut") == datetime(2022, 3, 26, 22, tzinfo=UTC)
    assert len(hours_of(date(2022, 3, 27), "Asia/Beirut")) == 23


@given(st.dates(), st.sampled_from(["UTC", BELGRADE, "Asia/Kolkata", "America/New_York", "Pacific/Apia"]))
def test_days_follow_each_other_without_gap_or_overlap(day: date, zone: str) -> None:
    days = Days(day, day, zone)
    assert days.start <= days.end
    hours = hours_of(min(day, date(9998, 12, 30)), zone)
    assert len({(hour.hour, hour.utc_offset) for hour in hours}) == len(hours)


def test_without_days_it_is_the_zones_today() -> None:
    assert DaysQuery().days(BELGRADE, NOW).first == date(2026, 7, 1)
    assert DaysQuery(zone="UTC").days(BELGRADE, NOW).first == date(2026, 6, 30)
    asked = DaysQuery.model_validate({"from": "2026-01-01"}).days(BELGRADE, NOW)
    assert (asked.first, asked.last) == (date(2026, 1, 1), date(2026, 1, 1))


@pytest.mark.parametrize(
    "bad", [{"zone": "Mars/Base"}, {"zone": "../etc/passwd"}, {"from": "2026-01-02", "to": "2026-01-01"},
            {"from": "2020-01-01", "to": "2026-01-01"}, {"from": "soon"}]
)  # fmt: skip
def test_what_are_no_days(bad: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        DaysQuery.model_validate(bad)


def hour_row(day: date, hour: int, utc_offset: int, **counts: int) -> dict[str, Any]:
    names = (
        "dialogues", "transcribed", "not_transcribed", "analyzed", "skipped", "errors", "flagged", "yes", "no",
        "uncertain", "accepted", "rejected", "unclear", "quality_0", "quality_1", "quality_2", "quality_3",
    )  # fmt: skip
    return dict.fromkeys(names, 0) | {"day": day, "hour": hour, "utc_offset": utc_offset} | counts


def test_the_hour_that_comes_twice_is_counted_twice() -> None:
    rows = [hour_row(AUTUMN, 2, 7200, dialogues=1), hour_row(AUTUMN, 2, 3600, dialogues=5)]
    made = overview(Days(AUTUMN, AUTUMN, BELGRADE), rows, [])
    assert [(hour["local"], hour["dialogues"]) for hour in made["hours"]][2:4] == [
        ("2026-10-25T02:00:00+02:00", 1),
        ("2026-10-25T02:00:00+01:00", 5),
    ]
    assert (made["dialogues"], made["days"][0]["hours"], len(made["hours"])) == (6, 25.0, 25)
    several = overview(Days(SPRING, AUTUMN, BELGRADE), rows, [])
    assert len(several["hours"]) == 24
    assert several["hours"][2]["dialogues"] == 6
    assert [day["hours"] for day in several["days"]].count(24.0) == len(several["days"]) - 2


def pair(**changes: Any) -> dict[str, Any]:
    side = {"attempted": "yes", "quality_score": 2, "categories": ["a", "b"], "closing_question": True,
            "customer_reaction": "accepted", "summary": "", "confidence": None, "cost_micros": 5,
            "elapsed_s": 0.5}  # fmt: skip
    return {f"{one}_{name}": value for one in "ab" for name, value in side.items()} | {"dialogue_id": "x"} | changes


def test_versions_agree_and_differ() -> None:
    found = compared([pair(b_categories=["b", "a"]), pair(b_quality_score=3, b_attempted="no", b_cost_micros=None)], 1)
    assert found["dialogues"] == 2
    assert found["agreement"]["attempted"] == {"same": 1, "rate": 0.5}
    assert found["agreement"]["categories"] == {"same": 2, "rate": 1.0}
    assert (found["quality_difference"], found["disagreements"], len(found["shown"])) == (0.5, 1, 1)
    assert (found["a"]["cost_micros"], found["b"]["cost_micros"]) == (10, 5)
    nothing = compared([], 5)
    assert (nothing["dialogues"], nothing["quality_difference"]) == (0, None)
