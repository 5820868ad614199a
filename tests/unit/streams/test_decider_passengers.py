"""Passengers: who may be added under which names, and what goes with them."""

from __future__ import annotations

import pytest

from schemas import serde
from schemas.envelope import KeyRing
from schemas.errors import InvalidEvent
from streams.deciders import passengers
from streams.decisions import Fact, Refused
from tests.drivers.deciding import AT_US, RING
from tests.drivers.passengers import (
    ANNA,
    AT,
    BORIS,
    BY,
    K1,
    K2,
    T1,
    T2,
    added,
    adding,
    cancelled,
    given_passengers,
    issued,
    linked,
    passenger,
    removed,
    ticket,
)  # fmt: skip

A = passenger(ANNA, name="Анна", username="anna", email="anna@example.org", password_hash="h")
EXISTS = "User already exists"


def test_a_passenger_is_added():
    case = given_passengers().when("AddPassenger", adding(A))
    case.then(added(A), result={"user_id": ANNA, "created_us": AT_US})


def test_an_id_stands_for_one_passenger():
    again = adding(passenger(ANNA, name="Борис"))
    given_passengers(added(A)).when("AddPassenger", again).refused("user_exists", EXISTS)


def test_a_name_is_taken_once_where_that_is_asked():
    same = passenger(BORIS, name="Анна")
    given_passengers(added(A)).when("AddPassenger", adding(same, once=True)).refused("user_exists", EXISTS)
    given_passengers(added(A)).when("AddPassenger", adding(same)).then(added(same))


def test_a_name_is_free_when_its_last_bearer_is_gone():
    other, third = passenger(BORIS, name="Анна"), passenger(K1, name="Анна")
    case = given_passengers(added(A), added(other), removed(ANNA))
    case.when("AddPassenger", adding(third, once=True)).refused("user_exists", EXISTS)
    case = given_passengers(added(A), added(other), removed(ANNA), removed(BORIS))
    case.when("AddPassenger", adding(third, once=True)).then(added(third))


@pytest.mark.parametrize(("field", "value"), [("username", "anna"), ("email", "anna@example.org")])
def test_a_username_and_an_email_belong_to_one_passenger(field: str, value: str):
    other = passenger(BORIS, RING, name="Б", **{field: value})
    given_passengers(added(A)).when("AddPassenger", adding(other)).refused(f"{field}_taken", EXISTS)
    given_passengers(added(A), removed()).when("AddPassenger", adding(other)).then(added(other))


def test_a_username_is_no_email():
    other = passenger(BORIS, username="anna@example.org", email="anna")
    given_passengers(added(A)).when("AddPassenger", adding(other)).then(added(other))


def test_nobody_has_an_empty_name():
    empty = passenger(ANNA, name="", username="", email="")
    other = passenger(BORIS, name="", username="", email="")
    given_passengers(added(empty)).when("AddPassenger", adding(other, once=True)).then(added(other))


def test_what_is_not_said_is_nobodys_name():
    none, silent = passenger(ANNA, name="None", username="None", email="None"), passenger(BORIS)
    given_passengers(added(none)).when("AddPassenger", adding(silent, once=True)).then(added(silent))


def test_a_change_takes_and_frees_names():
    moved = passenger(ANNA, email="new@example.org")
    case = given_passengers(added(A))
    case.when("ChangePassenger", moved).then(("PassengerChanged", moved | AT))
    old, new = passenger(BORIS, email="anna@example.org"), passenger(BORIS, email="new@example.org")
    case.when("AddPassenger", adding(new)).refused("email_taken", EXISTS)
    case.when("AddPassenger", adding(old)).then(added(old))
    case.when("ChangePassenger", passenger(ANNA, email="anna@example.org")).refused("email_taken", EXISTS)
    renamed = passenger(ANNA, username="boris")
    case.when("ChangePassenger", renamed).then(("PassengerChanged", renamed | AT))


def test_what_a_change_does_not_say_stays():
    case = given_passengers(added(A), ("PassengerChanged", passenger(ANNA, name="Анна П.") | AT))
    case.when("AddPassenger", adding(passenger(BORIS, username="anna"))).refused("username_taken", EXISTS)
    once_more = passenger(BORIS, name="Анна")
    case.when("AddPassenger", adding(once_more, once=True)).then(added(once_more))


def test_an_emptied_email_is_free():
    emptied = ("PassengerChanged", passenger(ANNA, email="") | AT)
    other = passenger(BORIS, email="anna@example.org")
    given_passengers(added(A), emptied).when("AddPassenger", adding(other)).then(added(other))


def test_ones_own_email_said_again_is_no_other_ones():
    same = passenger(ANNA, email="anna@example.org")
    given_passengers(added(A)).when("ChangePassenger", same).then(("PassengerChanged", same | AT))


def test_a_change_that_says_nothing_changes_nothing():
    given_passengers(added(A)).when("ChangePassenger", passenger(ANNA)).then()


def test_nobody_changes_removes_or_links_who_is_not_there():
    for command, record in (
        ("ChangePassenger", passenger(ANNA, name="x")),
        ("RemovePassenger", {"user_id": ANNA} | BY),
        ("LinkKeycloakUser", {"keycloak_id": K1, "user_id": ANNA} | BY),
    ):
        given_passengers().when(command, record).refused("user_not_found", "User not found")


def test_with_a_passenger_go_tickets_and_links():
    boris = passenger(BORIS, name="Борис")
    before = (added(A), added(boris), issued(ticket(T2)), issued(ticket(T1)), issued(ticket("x", BORIS)), linked(K2))
    case = given_passengers(*before, linked(K1), linked("other", BORIS))
    gone = (cancelled(T1), cancelled(T2), linked(K1, holds=False), linked(K2, holds=False), removed())
    case.when("RemovePassenger", {"user_id": ANNA} | BY).then(*gone)
    assert set(case.state.passengers) == {BORIS}
    assert set(case.state.tickets) == {"x"}
    assert dict(case.state.links) == {"other": BORIS}
    assert dict(case.state.places) == {passengers.place_of(ticket()): 1}


def test_who_is_removed_is_to_be_known_by_no_face_and_not_watched_for():
    name, record = removed()
    asked = {"user_id": ANNA} | BY
    facts = passengers.announce(passengers.State(), name, record)
    assert facts == (
        Fact("RemoveFace", ANNA, asked, topic="faces.commands"),
        Fact("UnwatchPerson", "security", asked, topic="security.commands"),
    )
    for fact in facts:
        serde.encode(fact.name, fact.record)
    assert passengers.announce(passengers.State(), *cancelled()) == ()


def test_a_sign_in_stands_for_one_passenger():
    asked = {"keycloak_id": K1, "user_id": ANNA} | BY
    given_passengers(added(A)).when("LinkKeycloakUser", asked).then(linked())
    again = given_passengers(added(A), linked()).when("LinkKeycloakUser", asked)
    again.refused("keycloak_id_taken", "Keycloak user already exists")
    given_passengers(added(A), linked(), linked(holds=False)).when("LinkKeycloakUser", asked).then(linked())


def test_a_sign_in_is_unlinked_whoever_it_stood_for():
    asked = {"keycloak_id": K1} | BY
    given_passengers(added(A), linked()).when("UnlinkKeycloakUser", asked).then(linked(holds=False))
    given_passengers(added(A)).when("UnlinkKeycloakUser", asked).then()


def test_names_stay_taken_when_a_newer_key_seals():
    newer = KeyRing({**RING.keys, "k2": bytes(32)}, "k2")
    case = given_passengers(added(A), ring=newer)
    for told, code in (({"username": "anna"}, "username_taken"), ({"email": "anna@example.org"}, "email_taken")):
        case.when("AddPassenger", adding(passenger(BORIS, newer, **told))).refused(code, EXISTS)
    named = passenger(BORIS, newer, name="Анна")
    case.when("AddPassenger", adding(named, once=True)).refused("user_exists", EXISTS)


def test_what_a_change_does_not_say_stays_taken_under_its_older_key():
    newer = KeyRing({**RING.keys, "k2": bytes(32)}, "k2")
    case = given_passengers(added(A), ("PassengerChanged", passenger(ANNA, newer, name="А") | AT), ring=newer)
    case.when("AddPassenger", adding(passenger(BORIS, newer, username="anna"))).refused("username_taken", EXISTS)


def test_names_whose_key_is_gone_are_free_and_their_passenger_can_still_be_removed():
    without = KeyRing({"k2": bytes(32)}, "k2")
    again = passenger(BORIS, without, name="Анна", username="anna", email="anna@example.org")
    case = given_passengers(added(A), ring=without)
    case.when("AddPassenger", adding(again, once=True)).then(added(again))
    case.when("RemovePassenger", {"user_id": ANNA} | BY).then(removed())
    emptied = passenger(BORIS, without, email="")
    case.when("ChangePassenger", emptied).then(("PassengerChanged", emptied | AT))


def test_a_mark_lives_as_long_as_the_key_that_sealed_its_name():
    """Also one that was made while a newer key was there already."""
    newer, later = KeyRing({**RING.keys, "k2": bytes(32)}, "k2"), KeyRing({"k2": bytes(32)}, "k2")
    state = given_passengers(added(A), ring=newer).state
    case = given_passengers(ring=later)
    case.state = state
    again = passenger(BORIS, later, username="anna")
    case.when("AddPassenger", adding(again)).then(added(again))


def test_what_cannot_be_read_is_refused():
    without = KeyRing({"k2": bytes(32)}, "k2")
    case = given_passengers(added(A), ring=without)
    for command, record in (("AddPassenger", adding(passenger(BORIS, name="x"))), ("ChangePassenger", A)):
        assert isinstance(case.when(command, record).verdict, Refused)
        assert case.verdict.code == "unreadable"  # pyright: ignore[reportOptionalMemberAccess,reportAttributeAccessIssue]


def test_an_altered_envelope_is_bad_data():
    other = adding(passenger(BORIS, name="x")) | {"details": A["details"] | {"subject": "passenger/x"}}
    with pytest.raises(InvalidEvent, match="does not open"):
        given_passengers().when("AddPassenger", other)
    with pytest.raises(InvalidEvent, match="no command"):
        given_passengers().when("MakePurchase", {})
