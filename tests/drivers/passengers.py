"""Passengers, tickets and places of tests: commands and events with sealed parts, and the deciders under test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas.envelope import KeyRing, seal
from streams.deciders import passengers, places
from streams.decisions import Decider
from streams.topology import StateCodec
from tests.drivers.deciding import AT_US, RING, Case

ANNA, BORIS = "0f9d3c1e-0000-4000-8000-00000000000a", "0f9d3c1e-0000-4000-8000-00000000000b"
T1, T2 = "0f9d3c1e-0000-4000-8000-0000000000f1", "0f9d3c1e-0000-4000-8000-0000000000f2"
K1, K2 = "0f9d3c1e-0000-4000-8000-0000000000c1", "0f9d3c1e-0000-4000-8000-0000000000c2"
BY = {"by": "token"}
AT = {"at_us": AT_US}
Told = tuple[str, Mapping[str, Any]]


def given_passengers(*events: Told, ring: KeyRing = RING) -> Case:
    """Passengers after these events."""
    decide, evolve = passengers.decider(ring)
    return _case("passengers", decide, evolve, passengers.State, *events)


def given_places(*events: Told) -> Case:
    """Places after these events."""
    return _case("places", places.decide, places.evolve, places.State, *events)


def _case(name: str, decide: Any, evolve: Any, state: Any, *events: Told) -> Case:
    made: Decider[Any] = Decider(name, "railway.commands", "railway.events", decide, evolve, StateCodec(state, 1))
    now = state()
    for event, record in events:
        now = evolve(now, event, record)
    return Case(made, now)


def said(user_id: str, ring: KeyRing = RING, **told: str | None) -> dict[str, Any]:
    """Sealed details of a passenger."""
    record = {"name": None, "username": None, "email": None, "password_hash": None} | told
    return seal(ring, f"passenger/{user_id}", "PassengerDetails", record)


def passenger(user_id: str = ANNA, ring: KeyRing = RING, **told: str | None) -> dict[str, Any]:
    """Half of an AddPassenger, ChangePassenger, PassengerAdded or PassengerChanged: whose details, and who asked."""
    return {"user_id": user_id, "details": said(user_id, ring, **told)} | BY


def adding(asked: Mapping[str, Any], *, once: bool = False) -> dict[str, Any]:
    """An AddPassenger."""
    return {**asked, "name_is_taken_once": once}


def added(asked: Mapping[str, Any]) -> Told:
    """What becomes of it."""
    return "PassengerAdded", {**asked, **AT}


def ticket(ticket_id: str = T1, user_id: str = ANNA, **changed: Any) -> dict[str, Any]:
    """What IssueTicket and TicketIssued share."""
    record = {
        "ticket_id": ticket_id,
        "user_id": user_id,
        "train_number": 1012,
        "wagon_number": 5,
        "place_number": 12,
        "station_id": "MOSCOW",
        "destination_id": "SPB",
        "date_us": AT_US,
        "start_date_us": AT_US,
        "code": seal(RING, f"ticket/{ticket_id}", "TicketCode", {"code": "c" * 128}),
    }
    return record | changed | BY


def asking(record: Mapping[str, Any], *, once: bool = False) -> dict[str, Any]:
    """An IssueTicket."""
    return {**record, "place_is_taken_once": once}


def issued(record: Mapping[str, Any]) -> Told:
    """What becomes of it."""
    return "TicketIssued", {**record, **AT}


def cancelled(ticket_id: str = T1) -> Told:
    """A ticket that is no more."""
    return "TicketCancelled", {"ticket_id": ticket_id} | BY | AT


def linked(keycloak_id: str = K1, user_id: str = ANNA, *, holds: bool = True) -> Told:
    """A sign-in that stands for a passenger, or no more."""
    record = {"keycloak_id": keycloak_id, "user_id": user_id} | BY | AT
    return "KeycloakUserLinked" if holds else "KeycloakUserUnlinked", record


def removed(user_id: str = ANNA) -> Told:
    """A passenger who is no more."""
    return "PassengerRemoved", {"user_id": user_id} | BY | AT
