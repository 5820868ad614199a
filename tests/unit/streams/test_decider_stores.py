from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from schemas import serde
from schemas.errors import InvalidEvent
from streams.deciders import stores
from streams.decisions import Accepted, Command, Fact, Refused

AT_US = 1_767_258_000_000_000
A, B = "0f9d3c1e-0000-4000-8000-00000000000a", "0f9d3c1e-0000-4000-8000-00000000000b"
X, Y = "0f9d3c1e-0000-4000-8000-0000000000f1", "0f9d3c1e-0000-4000-8000-0000000000f2"
MORNING, EVENING = 1_770_000_000_000_000, 1_770_040_000_000_000
BY = {"by": "token"}
AT = {"at_us": AT_US}
TEA = {"store_id": A, "name": "Tea", "description": "Tea shop", "logo_url": "/tea.png", "store_type": "SHOP"} | BY
CREATED = ("StoreCreated", TEA | AT)
ON_TRAIN = {"store_id": A, "train_number": 7, "train_date_us": MORNING} | BY
BIND = ON_TRAIN | {"binding_id": X}
BOUND = ("TrainStoreBound", BIND | AT)
UNBOUND = ("TrainStoreUnbound", BIND | AT)
DELETED = ("StoreDeleted", {"store_id": A} | BY | AT)
UNKNOWN = Refused("store_not_found", "Store not found")
Event = tuple[str, Mapping[str, Any]]


def given(*events: Event) -> stores.State:
    state = stores.State()
    for name, record in events:
        state = stores.evolve(state, name, record)
    return state


def when(state: stores.State, name: str, record: Mapping[str, Any]) -> Accepted | Refused:
    verdict = stores.decide(state, Command(name, record, AT_US, "c"))
    for fact in verdict.events if isinstance(verdict, Accepted) else ():
        assert fact.key == "stores"
        serde.encode(fact.name, fact.record)
    return verdict


def happened(verdict: Accepted | Refused) -> list[Event]:
    assert isinstance(verdict, Accepted), verdict
    return [(fact.name, dict(fact.record)) for fact in verdict.events]


def test_a_store_is_created():
    verdict = when(given(), "CreateStore", TEA)
    assert happened(verdict) == [CREATED]
    assert verdict == Accepted(verdict.events, {"store_id": A, "created_us": AT_US})  # type: ignore[union-attr]


@pytest.mark.parametrize("other", [{"store_id": B}, {"name": "Other"}])
def test_a_name_and_an_id_belong_to_one_store(other: dict[str, str]):
    refusal = Refused("store_exists", "Store with this name already exists")
    assert when(given(CREATED), "CreateStore", TEA | other) == refusal


def test_names_differ_by_case():
    assert isinstance(when(given(CREATED), "CreateStore", TEA | {"store_id": B, "name": "TEA"}), Accepted)


def test_a_deleted_stores_name_is_free_again():
    again = TEA | {"store_id": B}
    assert happened(when(given(CREATED, DELETED), "CreateStore", again)) == [("StoreCreated", again | AT)]


def test_a_store_is_deleted_with_its_bindings():
    evening = {"binding_id": Y, "train_date_us": EVENING}
    state = given(CREATED, ("TrainStoreBound", BIND | evening | AT), BOUND)
    verdict = when(state, "DeleteStore", {"store_id": A} | BY)
    assert happened(verdict) == [UNBOUND, ("TrainStoreUnbound", BIND | evening | AT), DELETED]
    assert given(CREATED, BOUND, *happened(when(given(CREATED, BOUND), "DeleteStore", {"store_id": A} | BY))) == given()


def test_only_a_store_that_is_there_is_deleted():
    assert when(given(), "DeleteStore", {"store_id": A} | BY) == UNKNOWN
    assert when(given(CREATED, DELETED), "DeleteStore", {"store_id": A} | BY) == UNKNOWN


def test_a_store_goes_on_board_once():
    assert happened(when(given(CREATED), "BindTrainStore", BIND)) == [BOUND]
    again = when(given(CREATED, BOUND), "BindTrainStore", BIND | {"binding_id": Y})
    assert again == Refused("binding_exists", "Binding already exists")
    assert when(given(), "BindTrainStore", BIND) == UNKNOWN


@pytest.mark.parametrize("other", [{"train_number": 8}, {"train_date_us": EVENING}, {"train_date_us": MORNING + 1}])
def test_another_train_or_time_is_another_binding(other: dict[str, int]):
    asked = BIND | other | {"binding_id": Y}
    assert happened(when(given(CREATED, BOUND), "BindTrainStore", asked)) == [("TrainStoreBound", asked | AT)]


def test_a_store_leaves_a_train_and_may_come_back():
    assert happened(when(given(CREATED, BOUND), "UnbindTrainStore", ON_TRAIN)) == [UNBOUND]
    assert happened(when(given(CREATED, BOUND, UNBOUND), "BindTrainStore", BIND)) == [BOUND]


def test_what_is_not_bound_is_unbound_already():
    for state in (given(), given(CREATED), given(CREATED, BOUND, UNBOUND)):
        assert when(state, "UnbindTrainStore", ON_TRAIN) == Accepted()
    assert when(given(CREATED, BOUND), "UnbindTrainStore", ON_TRAIN | {"train_number": 8}) == Accepted()


def test_a_new_store_is_told_to_open():
    told = stores.announce(given(CREATED), *CREATED)
    assert told == (Fact("OpenStore", A, {"store_id": A} | BY, "railway.commands"),)
    serde.encode(told[0].name, told[0].record)


def test_a_deleted_store_is_told_to_close_and_its_terminal_is_forgotten():
    told = stores.announce(given(CREATED, DELETED), *DELETED)
    assert told == (
        Fact("CloseStore", A, {"store_id": A} | BY, "railway.commands"),
        Fact("ForgetTerminal", "access", {"store_id": A} | BY, "railway.commands"),
    )
    for fact in told:
        serde.encode(fact.name, fact.record)


def test_nothing_follows_from_bindings_or_other_events():
    assert not stores.announce(given(CREATED, BOUND), *BOUND)
    assert not stores.announce(given(), "PassengerRemoved", {"user_id": A})


def test_other_events_change_nothing_and_other_commands_are_not_decided():
    assert stores.evolve(given(CREATED), "StoreOpened", {"store_id": A}) == given(CREATED)
    with pytest.raises(InvalidEvent):
        stores.decide(stores.State(), Command("AddItem", {"store_id": A}, AT_US, "c"))
