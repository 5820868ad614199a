from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from schemas import serde
from schemas.errors import InvalidEvent
from streams.deciders import store
from streams.decisions import Accepted, Command, Fact, Refused

AT_US = 1_767_258_000_000_000
S = "0f9d3c1e-0000-4000-8000-000000000005"
TEA, SOUP, PIN, GONE = (f"0f9d3c1e-0000-4000-8000-00000000000{n}" for n in range(6, 10))
BY = {"store_id": S, "by": "robot"}
AT = BY | {"at_us": AT_US}
OPENED = ("StoreOpened", AT)
CLOSED = ("StoreClosed", AT)
FACTS = {"description": "", "logo_url": "x.jpg"}
ASKED = BY | FACTS | {"item_id": TEA, "name": "Tea", "balance": 10, "price_penny": 5000, "category": "food"}
SAME = BY | {
    "item_id": TEA, "name": None, "description": None, "logo_url": None, "balance_given": False, "balance": None,
    "price_penny": None, "category": None,
}  # fmt: skip
NO_STORE = Refused("store_not_found", "Store not found")
NO_ITEM = Refused("item_not_found", "Item not found")
NO_ITEMS = Refused("items_not_found", "Some items not found")
NOT_ENOUGH = Refused("not_enough", "Not enough items")
INVALID = Refused("invalid_purchase", "A purchase has items, each with a count of 1 or more")
Event = tuple[str, Mapping[str, Any]]


def added(item_id: str = TEA, number: int = 0, **changed: Any) -> Event:
    return "ItemAdded", ASKED | AT | {"item_id": item_id, "number": number} | changed


STOCKED = (
    OPENED,
    added(),
    added(SOUP, 1, name="Soup", balance=None, price_penny=30_000),
    added(PIN, 2, name="Pin", balance=0, category="city_souvenirs"),
)


def purchase(*lines: tuple[str, int], n: int = 1, ready: bool = False) -> dict[str, Any]:
    return BY | {
        "purchase_id": f"p{n}", "task_id": f"t{n}", "user_id": "u", "is_default_ready": ready, "channel": "ROBOT",
        "lines": [{"item_id": item_id, "count": count} for item_id, count in lines], "additional_data": "{}",
    }  # fmt: skip


def bought(*lines: tuple[str, int, int], n: int = 1, ready: bool = False) -> Event:
    told = purchase(n=n)
    del told["is_default_ready"]
    keys = ("item_id", "count", "price_penny")
    total = sum(count * price for _, count, price in lines)
    told |= {"lines": [dict(zip(keys, line, strict=True)) for line in lines], "total_penny": total, "is_ready": ready}
    return "PurchaseMade", told | AT


def given(*events: Event) -> store.State:
    state = store.State()
    for name, record in events:
        state = store.evolve(state, name, record)
    return state


def when(state: store.State, name: str, record: Mapping[str, Any]) -> Accepted | Refused:
    verdict = store.decide(state, Command(name, record, AT_US, "c"))
    for fact in verdict.events if isinstance(verdict, Accepted) else ():
        assert fact.key == S
        serde.encode(fact.name, fact.record)
    return verdict


def happened(verdict: Accepted | Refused) -> list[Event]:
    assert isinstance(verdict, Accepted), verdict
    return [(fact.name, dict(fact.record)) for fact in verdict.events]


def then(state: store.State, name: str, record: Mapping[str, Any]) -> store.State:
    for event in happened(when(state, name, record)):
        state = store.evolve(state, *event)
    return state


def test_a_store_opens_and_closes_once():
    assert happened(when(given(), "OpenStore", BY)) == [OPENED]
    assert when(given(OPENED), "OpenStore", BY) == Accepted()
    assert happened(when(given(OPENED), "CloseStore", BY)) == [CLOSED]
    assert when(given(OPENED, CLOSED), "CloseStore", BY) == Accepted()


@pytest.mark.parametrize("events", [(), (*STOCKED, bought((TEA, 1, 5000)), CLOSED)])
def test_a_store_that_is_not_open_is_not_there(events: tuple[Event, ...]):
    asked = {
        "AddItem": ASKED, "ChangeItem": SAME, "RemoveItem": SAME, "MakePurchase": purchase(),
        "CompleteTask": BY | {"task_id": "t1"},
    }  # fmt: skip
    for name, record in asked.items():
        assert when(given(*events), name, record) == NO_STORE


def test_a_closed_store_knows_nothing():
    assert given(*STOCKED, bought((TEA, 1, 5000)), CLOSED) == store.State()


def test_an_item_is_added_with_the_next_number():
    verdict = when(given(OPENED), "AddItem", ASKED)
    assert happened(verdict) == [added()]
    assert isinstance(verdict, Accepted)
    assert verdict.result == {"item_id": TEA, "number": 0, "created_us": AT_US}
    removed = ("ItemRemoved", AT | {"item_id": TEA})
    assert happened(when(given(OPENED, added(), removed), "AddItem", ASKED)) == [added(number=1)]


def test_an_item_may_not_run_out_and_may_be_sold_out():
    for balance in (None, 0, 2**63 - 1):
        verdict = when(given(OPENED), "AddItem", ASKED | {"balance": balance})
        assert happened(verdict) == [added(balance=balance)]


@pytest.mark.parametrize("wrong", [{"balance": -1}, {"price_penny": -1}, {"balance": 2**63}, {"price_penny": 2**63}])
def test_stock_and_prices_are_0_or_more(wrong: dict[str, int]):
    refusal = Refused("invalid_item", "Balance and price are 0 or more")
    assert when(given(OPENED), "AddItem", ASKED | wrong) == refusal
    assert when(given(*STOCKED), "ChangeItem", SAME | {"balance_given": True} | wrong) == refusal


def test_an_item_is_added_once():
    assert when(given(*STOCKED), "AddItem", ASKED) == Refused("item_exists", "Item already exists")


@pytest.mark.parametrize(
    "change",
    [
        {"name": "Green tea"}, {"category": "souvenirs"}, {"price_penny": 0}, {"description": "x"}, {"logo_url": ""},
        {"balance_given": True, "balance": 11}, {"balance_given": True, "balance": None},
    ],
)  # fmt: skip
def test_an_item_is_changed_where_something_changes(change: dict[str, Any]):
    verdict = when(given(*STOCKED), "ChangeItem", SAME | change)
    assert happened(verdict) == [("ItemChanged", SAME | change | AT)]
    again = then(given(*STOCKED), "ChangeItem", SAME | change)
    if not change.keys() & FACTS.keys():
        assert when(again, "ChangeItem", SAME | change) == Accepted()


def test_what_is_as_it_was_is_no_change():
    same = {"name": "Tea", "category": "food", "price_penny": 5000, "balance_given": True, "balance": 10}
    assert when(given(*STOCKED), "ChangeItem", SAME | same) == Accepted()
    verdict = when(given(*STOCKED), "ChangeItem", SAME | same | {"name": "Green"})
    assert happened(verdict) == [("ItemChanged", SAME | {"name": "Green"} | AT)]


def test_a_balance_that_is_not_given_stays():
    state = then(given(*STOCKED), "ChangeItem", SAME | {"balance": 99, "name": "Green"})
    assert state.items[TEA].balance == 10


def test_only_own_items_are_changed_and_removed():
    for name in ("ChangeItem", "RemoveItem"):
        assert when(given(*STOCKED), name, SAME | {"item_id": GONE, "name": "x"}) == NO_ITEM


def test_an_item_is_removed_and_sold_no_more():
    state = then(given(*STOCKED), "RemoveItem", SAME)
    assert when(state, "RemoveItem", SAME) == NO_ITEM
    assert when(state, "ChangeItem", SAME | {"name": "x"}) == NO_ITEM
    assert when(state, "MakePurchase", purchase((TEA, 1))) == NO_ITEMS


def test_a_purchase_takes_stock_at_todays_prices():
    verdict = when(given(*STOCKED), "MakePurchase", purchase((TEA, 3), (SOUP, 2)))
    assert happened(verdict) == [bought((TEA, 3, 5000), (SOUP, 2, 30_000))]
    assert isinstance(verdict, Accepted)
    assert verdict.result == {"purchase_id": "p1", "task_id": "t1", "total_penny": 75_000, "bought_us": AT_US}
    state = given(*STOCKED, *happened(verdict))
    assert (state.items[TEA].balance, state.items[SOUP].balance) == (7, None)


def test_the_last_pieces_are_sold_and_no_more():
    state = then(given(*STOCKED), "MakePurchase", purchase((TEA, 10)))
    assert when(state, "MakePurchase", purchase((TEA, 1), n=2)) == NO_ITEMS
    assert when(given(*STOCKED), "MakePurchase", purchase((TEA, 11))) == NOT_ENOUGH


def test_what_does_not_run_out_is_sold_in_any_number():
    assert isinstance(when(given(*STOCKED), "MakePurchase", purchase((SOUP, 2**31 - 1))), Accepted)


@pytest.mark.parametrize("lines", [[(GONE, 1)], [(PIN, 1)], [(TEA, 1), (TEA, 1)], [(TEA, 1), (GONE, 1)]])
def test_foreign_sold_out_and_doubled_items_are_not_found(lines: list[tuple[str, int]]):
    assert when(given(*STOCKED), "MakePurchase", purchase(*lines)) == NO_ITEMS


@pytest.mark.parametrize("lines", [[], [(TEA, 0)], [(TEA, -1)], [(TEA, 1), (SOUP, 0)]])
def test_a_purchase_has_items_and_counts(lines: list[tuple[str, int]]):
    assert when(given(*STOCKED), "MakePurchase", purchase(*lines)) == INVALID


@pytest.mark.parametrize("data", ["", "{", "[]", "null", '{"a": NaN}'])
def test_additional_data_are_a_json_object(data: str):
    verdict = when(given(*STOCKED), "MakePurchase", purchase((TEA, 1)) | {"additional_data": data})
    assert verdict == Refused("invalid_purchase", "Additional data is no JSON object")


def test_the_checks_have_an_order():
    assert when(given(), "MakePurchase", purchase()) == NO_STORE
    assert when(given(*STOCKED), "MakePurchase", purchase((GONE, 0))) == INVALID
    assert when(given(*STOCKED), "MakePurchase", purchase((TEA, 99), (GONE, 1))) == NO_ITEMS
    assert when(given(*STOCKED), "MakePurchase", purchase((TEA, 99), (PIN, 1))) == NO_ITEMS


def test_a_total_that_no_column_holds_is_refused():
    dear = added(GONE, 3, balance=None, price_penny=2**63 - 1)
    one = purchase((GONE, 1))
    assert happened(when(given(*STOCKED, dear), "MakePurchase", one))[0][1]["total_penny"] == 2**63 - 1
    for lines in ([(GONE, 2)], [(GONE, 1), (TEA, 1)]):
        verdict = when(given(*STOCKED, dear), "MakePurchase", purchase(*lines))
        assert verdict == Refused("invalid_purchase", "The total is too large")


def test_a_price_that_changed_later_does_not_change_what_was_bought():
    state = then(given(*STOCKED), "MakePurchase", purchase((TEA, 1)))
    state = then(state, "ChangeItem", SAME | {"price_penny": 1})
    assert happened(when(state, "MakePurchase", purchase((TEA, 1), n=2))) == [bought((TEA, 1, 1), n=2)]


def test_a_purchase_is_not_made_twice_under_one_id():
    for ready in (True, False):
        state = then(given(*STOCKED), "MakePurchase", purchase((TEA, 1), ready=ready))
        again = when(state, "MakePurchase", purchase((TEA, 1), ready=ready))
        assert again == Refused("purchase_exists", "Purchase already exists")


def test_the_accounts_hear_of_a_purchase_with_names():
    made = bought((TEA, 2, 5000), (SOUP, 1, 30_000))
    (fact,) = store.announce(given(*STOCKED, made), *made)
    lines = [
        {"item_id": TEA, "count": 2, "name": "Tea", "category": "food", "price_penny": 5000},
        {"item_id": SOUP, "count": 1, "name": "Soup", "category": "food", "price_penny": 30_000},
    ]
    told = {"store_id": S, "purchase_id": "p1", "user_id": "u", "channel": "ROBOT", "at_us": AT_US}
    assert fact == Fact("PurchaseBooked", S, told | {"total_penny": 40_000, "lines": lines}, "railway.purchases")
    serde.encode(fact.name, fact.record)
    assert not store.announce(given(OPENED), *OPENED)


def test_a_task_is_done_once_and_stays_done():
    state = then(given(*STOCKED), "MakePurchase", purchase((TEA, 1)))
    done = BY | {"task_id": "t1"}
    assert happened(when(state, "CompleteTask", done)) == [("TaskCompleted", AT | {"task_id": "t1"})]
    assert when(then(state, "CompleteTask", done), "CompleteTask", done) == Accepted()


def test_a_task_may_be_done_from_the_beginning():
    state = then(given(*STOCKED), "MakePurchase", purchase((TEA, 1), ready=True))
    assert when(state, "CompleteTask", BY | {"task_id": "t1"}) == Accepted()


def test_an_unknown_task_is_not_found():
    assert when(given(*STOCKED), "CompleteTask", BY | {"task_id": "t1"}) == Refused("task_not_found", "Task not found")


def test_a_store_does_not_grow_with_its_history():
    state = given(*STOCKED, *(bought((SOUP, 1, 1), n=n, ready=True) for n in range(5 * store.DONE_REMEMBERED)))
    assert len(state.done) + len(state.done_before) < 2 * store.DONE_REMEMBERED
    newest = range(4 * store.DONE_REMEMBERED + 1, 5 * store.DONE_REMEMBERED)
    assert all(when(state, "CompleteTask", BY | {"task_id": f"t{n}"}) == Accepted() for n in newest)


def test_an_open_task_is_never_forgotten():
    history = (bought((SOUP, 1, 1), n=n, ready=True) for n in range(1, 3 * store.DONE_REMEMBERED))
    state = given(*STOCKED, bought((TEA, 1, 5000), n=0), *history)
    assert len(happened(when(state, "CompleteTask", BY | {"task_id": "t0"}))) == 1


def test_other_events_change_nothing_and_other_commands_are_not_decided():
    assert store.evolve(given(*STOCKED), "StoreCreated", {"store_id": S}) == given(*STOCKED)
    with pytest.raises(InvalidEvent):
        store.decide(given(OPENED), Command("CreateStore", BY, AT_US, "c"))
