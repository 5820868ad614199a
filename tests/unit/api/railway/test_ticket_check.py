"""Contract 003 §5.5: every rule of the door, in order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.railway.ticket_check import Door, judge, looked_up

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
HERE = Door(7, NOON, 3, "MSK")


def ticket(name: str = "t", **changed: Any) -> dict[str, Any]:
    """A ticket that fits HERE."""
    row = {"id": name, "train_number": 7, "wagon_number": 3, "station_id": "MSK", "date": NOON, "used": False}
    return row | {"created_at": NOON} | changed


FITS = ticket("fits")
OTHER_WAGON = ticket("wagon", wagon_number=4)
LATER = ticket("later", date=NOON + DAY)
LATER_WAGON = ticket("later wagon", date=NOON + DAY, wagon_number=9)
OTHER_TRAIN = ticket("train", train_number=8)
OTHER_STATION = ticket("station", station_id="SPB")
PAST = ticket("past", date=NOON - DAY)
PAST_TRAIN = ticket("past train", date=NOON - DAY, train_number=8)

RULES = [
    ([FITS], "valid", FITS),
    ([FITS | {"used": True}], "valid", FITS | {"used": True}),
    ([FITS | {"date": NOON.astimezone()}], "valid", FITS),
    ([OTHER_WAGON, FITS, LATER, OTHER_TRAIN], "valid", FITS),
    ([OTHER_WAGON], "other_wagon", OTHER_WAGON),
    ([LATER, OTHER_TRAIN, OTHER_WAGON], "other_wagon", OTHER_WAGON),
    ([LATER], "other_date", LATER),
    ([LATER_WAGON], "other_date", LATER_WAGON),
    ([OTHER_TRAIN, LATER], "other_date", LATER),
    ([ticket("much later", date=NOON + 9 * DAY), LATER], "other_date", LATER),
    ([OTHER_TRAIN], "other_train", OTHER_TRAIN),
    ([OTHER_STATION], "other_train", OTHER_STATION),
    ([ticket(date=NOON + DAY, station_id="SPB")], "other_train", ticket(date=NOON + DAY, station_id="SPB")),
    ([PAST], "none", None),
    ([PAST_TRAIN, PAST], "none", None),
    ([], "none", None),
]


@pytest.mark.parametrize(("tickets", "verdict", "which"), RULES)
def test_the_first_rule_that_a_ticket_meets_decides(tickets: list[Any], verdict: str, which: Any) -> None:
    found = judge(tickets, HERE)
    assert (found.verdict, found.ticket) == (verdict, which)


def test_a_second_earlier_is_another_date() -> None:
    assert judge([ticket(date=NOON + timedelta(microseconds=1))], HERE).verdict == "other_date"
    assert judge([ticket(date=NOON - timedelta(microseconds=1))], HERE).verdict == "none"


def test_what_is_not_asked_about_does_not_matter() -> None:
    assert judge([OTHER_WAGON], Door(7, NOON, None, "MSK")).verdict == "valid"
    assert judge([OTHER_STATION], Door(7, NOON, 3)).verdict == "valid"
    assert judge([OTHER_WAGON | {"station_id": "SPB"}], Door(7, NOON)).verdict == "valid"


@given(st.permutations([ticket("a", created_at=NOON - DAY), ticket("b"), ticket("c"), LATER, OTHER_TRAIN, PAST]))
def test_the_order_of_tickets_does_not_matter(tickets: list[dict[str, Any]]) -> None:
    found = judge(tickets, HERE).ticket
    assert found is not None
    assert found["id"] == "a"


CHECKS = [
    ([FITS], "valid", FITS),
    ([FITS | {"used": True}], "used", FITS | {"used": True}),
    ([FITS | {"used": True}, OTHER_WAGON, LATER], "used", FITS | {"used": True}),
    ([FITS | {"used": True}, ticket("second")], "valid", ticket("second")),
    ([OTHER_WAGON], "other_wagon", OTHER_WAGON),
    ([OTHER_WAGON | {"used": True}], "other_wagon", OTHER_WAGON | {"used": True}),
    ([LATER], "other_date", LATER),
    ([PAST, PAST_TRAIN], "other_date", PAST),
    ([PAST_TRAIN], "other_train", PAST_TRAIN),
    ([OTHER_TRAIN, PAST], "other_train", OTHER_TRAIN),
    ([], "none", None),
]


@pytest.mark.parametrize(("tickets", "verdict", "which"), CHECKS)
def test_a_conductor_is_told_more(tickets: list[Any], verdict: str, which: Any) -> None:
    found = looked_up(tickets, HERE)
    assert (found.verdict, found.ticket) == (verdict, which)
