"""Tickets: issued, used once, cancelled; a place of a train is taken once where that is asked."""

from __future__ import annotations

import pytest

from tests.drivers.deciding import AT_US
from tests.drivers.passengers import (
    ANNA,
    AT,
    BORIS,
    BY,
    T1,
    T2,
    added,
    asking,
    cancelled,
    given_passengers,
    issued,
    passenger,
    ticket,
)  # fmt: skip

A, B = added(passenger(ANNA, name="Анна")), added(passenger(BORIS, name="Борис"))
USE = {"ticket_id": T1, "robot_id": "r"} | BY
USED = ("TicketUsed", USE | AT)


def test_a_ticket_is_issued():
    wanted = ticket()
    case = given_passengers(A).when("IssueTicket", asking(wanted))
    case.then(issued(wanted), result={"ticket_id": T1, "created_us": AT_US})


def test_a_ticket_is_for_somebody():
    given_passengers(B).when("IssueTicket", asking(ticket())).refused("user_not_found", "User not found")


def test_an_id_stands_for_one_ticket():
    again = asking(ticket(place_number=1))
    given_passengers(A, issued(ticket())).when("IssueTicket", again).refused("ticket_exists", "Ticket already exists")


def test_a_place_is_taken_once_where_that_is_asked():
    theirs = ticket(T2, BORIS)
    before = (A, B, issued(ticket()))
    given_passengers(*before).when("IssueTicket", asking(theirs, once=True)).refused(
        "ticket_exists", "Ticket already exists"
    )
    given_passengers(*before).when("IssueTicket", asking(theirs)).then(issued(theirs))


@pytest.mark.parametrize("field", ["train_number", "wagon_number", "place_number", "date_us"])
def test_another_train_wagon_place_or_date_is_another_place(field: str):
    other = ticket(T2, BORIS, **{field: ticket()[field] + 1})
    given_passengers(A, B, issued(ticket())).when("IssueTicket", asking(other, once=True)).then(issued(other))


@pytest.mark.parametrize("field", ["station_id", "destination_id"])
def test_the_station_makes_no_other_place(field: str):
    other = asking(ticket(T2, BORIS, **{field: "TVER"}), once=True)
    given_passengers(A, B, issued(ticket())).when("IssueTicket", other).refused(
        "ticket_exists", "Ticket already exists"
    )


def test_a_place_is_free_when_its_last_ticket_is_cancelled():
    theirs = ticket(T2, BORIS)
    before = (A, B, issued(ticket()), issued(ticket("x")))
    case = given_passengers(*before, cancelled())
    case.when("IssueTicket", asking(theirs, once=True)).refused("ticket_exists", "Ticket already exists")
    given_passengers(*before, cancelled(), cancelled("x")).when("IssueTicket", asking(theirs, once=True)).then(
        issued(theirs)
    )


def test_a_ticket_is_used_once():
    case = given_passengers(A, issued(ticket()))
    case.when("UseTicket", USE).then(USED, result={"is_first": True})
    case.when("UseTicket", USE).then(result={"is_first": False})


def test_no_ticket_is_used_that_is_not_there():
    given_passengers(A).when("UseTicket", USE).refused("ticket_not_found", "Ticket not found")
    case = given_passengers(A, issued(ticket()), cancelled())
    case.when("UseTicket", USE).refused("ticket_not_found", "Ticket not found")


def test_a_ticket_is_cancelled_used_or_not():
    asked = {"ticket_id": T1} | BY
    given_passengers(A, issued(ticket())).when("CancelTicket", asked).then(cancelled())
    given_passengers(A, issued(ticket()), USED).when("CancelTicket", asked).then(cancelled())


def test_what_is_not_there_is_cancelled_already():
    given_passengers(A).when("CancelTicket", {"ticket_id": T1} | BY).then()
