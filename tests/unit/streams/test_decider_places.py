"""Hotels and attractions."""

from __future__ import annotations

import pytest

from schemas import examples
from schemas.errors import InvalidEvent
from streams.deciders import places
from tests.drivers.passengers import AT, given_places

ASKED = examples.load("AddPlace")
ID = ASKED["place_id"]
ADDED = ("PlaceAdded", ASKED | AT)
REMOVE = {"place_id": ID, "kind": ASKED["kind"], "by": ASKED["by"]}
REMOVED = ("PlaceRemoved", REMOVE | AT)


def test_a_place_is_added():
    given_places().when("AddPlace", ASKED).then(ADDED, result={"place_id": ID})


def test_an_id_stands_for_one_place():
    given_places(ADDED).when("AddPlace", ASKED).refused("place_exists", "Place already exists")


def test_a_place_is_removed():
    case = given_places(ADDED)
    case.when("RemovePlace", REMOVE).then(REMOVED)
    assert case.state == places.State()


def test_what_is_not_there_is_removed_already():
    given_places().when("RemovePlace", REMOVE).then()
    other = "HOTEL" if ASKED["kind"] == "ATTRACTION" else "ATTRACTION"
    given_places(ADDED).when("RemovePlace", REMOVE | {"kind": other}).then()


def test_others_commands_and_events_are_none_of_places():
    with pytest.raises(InvalidEvent):
        given_places().when("IssueTicket", {"by": None})
    assert places.evolve(places.State(), "TicketIssued", {}) == places.State()
    assert places.announce(places.State(), *ADDED) == ()
