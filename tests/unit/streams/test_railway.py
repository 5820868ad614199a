"""The railway's decider: aggregates chosen by a command's name, each in its own part of the state."""

from __future__ import annotations

from typing import Any

import pytest

from schemas import catalogue, examples
from schemas.errors import InvalidEvent
from schemas.topics import TOPICS
from streams import railway
from streams.decisions import Accepted, Command, Refused
from streams.railway import State
from tests.drivers.deciding import AT_US, DECIDERS, RING, given

DECIDER = DECIDERS["railway"]
OPENED = ("StoreOpened", {"store_id": "s", "at_us": 1, "by": None})


def item(store_id: str, item_id: str) -> tuple[str, dict[str, Any]]:
    return "ItemAdded", examples.load("ItemAdded") | {"store_id": store_id, "item_id": item_id, "number": 0}


def test_every_command_and_event_of_the_topics_has_one_aggregate() -> None:
    parts = railway.parts(RING)
    asked = [name for part in parts for name in part.commands]
    said = [name for part in parts for name in part.events]
    assert sorted(asked) == sorted(TOPICS["railway.commands"].events)
    sealed = {"PassengerDetails", "EngineerDetails", "TicketCode", "CommandSettled"}
    assert sorted(said) == sorted(set(TOPICS["railway.events"].events) - sealed)


def test_a_store_has_a_state_of_its_own() -> None:
    other = ("StoreOpened", {"store_id": "t", "at_us": 1, "by": None})
    state = given("railway", OPENED, other, item("s", "a"), item("t", "b")).state
    assert {name: list(store.items) for name, store in state.each.items()} == {"s": ["a"], "t": ["b"]}


def test_a_store_that_was_never_opened_is_not_found() -> None:
    asked = examples.load("AddItem") | {"store_id": "nowhere"}
    given("railway").when("AddItem", asked).refused("store_not_found", "Store not found")


def test_a_closed_store_leaves_nothing_behind() -> None:
    case = given("railway", OPENED, item("s", "a"), ("StoreClosed", {"store_id": "s", "at_us": 2, "by": None}))
    assert case.state == State()


def test_an_event_changes_its_own_aggregate_only() -> None:
    case = given("railway", OPENED)
    added = case.decider.evolve(case.state, "PlaceAdded", examples.load("PlaceAdded"))
    assert added.places != case.state.places
    assert (added.each, added.passengers, added.access, added.stores) == (
        case.state.each, case.state.passengers, case.state.access, case.state.stores,
    )  # fmt: skip


def test_what_follows_is_announced_by_the_aggregate() -> None:
    created = examples.load("StoreCreated")
    state = given("railway", ("StoreCreated", created)).state
    (fact,) = DECIDER.announce(state, "StoreCreated", created)
    assert (fact.name, fact.key, fact.topic) == ("OpenStore", created["store_id"], "railway.commands")


def test_a_command_of_somebody_else_is_no_command() -> None:
    with pytest.raises(InvalidEvent):
        DECIDER.decide(State(), Command("CreateUser", {}, AT_US, "c"))
    assert DECIDER.evolve(State(), "UserCreated", {}) == State()
    assert DECIDER.announce(State(), "UserCreated", {}) == ()


@pytest.mark.parametrize("name", TOPICS["railway.commands"].events)
def test_every_command_gets_a_verdict_from_the_empty_state(name: str) -> None:
    record = examples.load(name)
    if record.get("details"):  # what is sealed in examples opens with no key
        record["details"] |= {"key_id": "lost"}
    verdict = DECIDER.decide(State(), Command(name, record, AT_US, "c"))
    assert isinstance(verdict, Accepted | Refused)
    if isinstance(verdict, Accepted):
        for one in verdict.events:
            assert one.topic or one.name in TOPICS["railway.events"].events
            assert catalogue.latest(one.name)
