"""Folds of the stores' read model: what a batch does to rows, however the log is cut into batches."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from projections.kept_rows import Kept
from projections.projectors.railway_stores import RailwayStores
from projections.railway_store_folds import Change, Work, fold, understood
from projections.railway_store_tables import DIRECTORY
from projections.read_model import Event, Target
from projections.sales_rows import Key, Row, Table
from schemas.errors import InvalidEvent
from schemas.record import Record
from tests.drivers import stores as driver
from tests.drivers.stores import Stores, created, history, item, made_id, purchase

SHOP, USER = made_id(0), driver.USERS[0]


@dataclass
class Shelf:
    """Tables as a database would keep them, filled batch by batch with what each batch may load."""

    kept: dict[str, dict[Key, Row]] = field(default_factory=dict[str, dict[Key, Row]])
    added: dict[str, list[Row]] = field(default_factory=lambda: {"purchases": [], "lines": [], "tasks": []})
    completed: dict[Key, Row] = field(default_factory=dict[Key, Row])
    sums: Counter[Any] = field(default_factory=Counter[Any])
    closed: set[Any] = field(default_factory=set[Any])

    def project(self, events: list[Event]) -> int:
        changes = [change for event in events if (change := understood(event))]
        work = self.load(changes)
        taken = fold(work, changes)
        self.close(work.closed)
        for kept in (work.ledgers, work.stores, work.bindings, work.items):
            table = self.kept.setdefault(kept.table.name, {})
            for key in kept.dropped:
                table.pop(key, None)
            table.update({kept.table.key_of(row): row for row in kept.changes()})
        for name, rows in (("purchases", work.purchases), ("lines", work.lines), ("tasks", work.tasks)):
            self.added[name] += rows
        self.completed = work.completed | self.completed
        self.sums.update(work.bought | work.bought_by | work.counts.changes)
        self.closed |= work.closed
        return taken

    def close(self, shops: set[Any]) -> None:
        items = self.kept.get("store_items", {})
        self.kept["store_items"] = {key: row for key, row in items.items() if row["store_id"] not in shops}
        for rows in self.added.values():
            rows[:] = [row for row in rows if row["store_id"] not in shops]
        self.completed = {key: row for key, row in self.completed.items() if key[1] not in shops}
        gone = {*shops, *map(str, shops)}
        self.sums = Counter({key: number for key, number in self.sums.items() if gone.isdisjoint(key)})

    def load(self, changes: list[Change]) -> Work:
        work, owners = Work(), {change.owner for change in changes}
        ids = {item_id for change in changes for item_id in change.item_ids}
        shops = {change.ids["store_id"] for change in changes if change.owner == DIRECTORY}
        for kept, wanted in ((work.ledgers, owners), (work.stores, shops), (work.items, ids)):
            kept.rows.update(self.of(kept.table, wanted))
        return work

    def of(self, table: Table, wanted: set[Any]) -> dict[Key, Row]:
        rows = self.kept.get(table.name, {})
        return {key: row for key, row in rows.items() if row[table.owner] in wanted}

    def rows(self, table: str) -> list[Row]:
        return list(self.kept.get(table, {}).values())

    @property
    def everything(self) -> dict[str, Any]:
        """Comparable: the order of batches between partitions does not matter."""
        added = {name: sorted(map(str, rows)) for name, rows in self.added.items()}
        sums = {key: number for key, number in self.sums.items() if number}
        return {"kept": self.kept, "completed": self.completed, "sums": sums, "closed": self.closed} | added


def told(*commands: tuple[str, dict[str, Any]]) -> Shelf:
    """What is on the shelf after these commands."""
    world = Stores()
    for name, record in commands:
        world.tell(name, record)
    shelf = Shelf()
    shelf.project([event for events in world.log.values() for event in events])
    return shelf


OPEN = ("CreateStore", created(0))
TEA = ("AddItem", item(SHOP, 1))
SOUP = ("AddItem", item(SHOP, 2, balance=None))


def test_a_store_has_its_place_in_the_list() -> None:
    (row,) = told(OPEN).rows("stores")
    assert (str(row["id"]), row["number"], row["store_type"]) == (SHOP, 0, "SHOP")
    assert told(OPEN, ("CreateStore", created(1)), ("DeleteStore", {"store_id": SHOP})).rows("stores")[0]["number"] == 1


def test_a_purchase_takes_stock_and_makes_a_task() -> None:
    lines = [(made_id(1001), 2), (made_id(1002), 3)]
    shelf = told(OPEN, TEA, SOUP, ("MakePurchase", purchase(SHOP, 1, USER, *lines)))
    assert [row["balance"] for row in shelf.rows("store_items")] == [3, None]
    (bought,), (task,) = shelf.added["purchases"], shelf.added["tasks"]
    assert (bought["total_penny"], bought["number"], str(bought["user_id"])) == (508, 0, USER)
    assert (task["is_ready"], task["additional_data"], task["purchase_id"]) == (False, '{"seat": 7}', bought["id"])
    assert [(str(row["store_item_id"]), row["count"], row["price_penny"]) for row in shelf.added["lines"]] == [
        (made_id(1001), 2, 101), (made_id(1002), 3, 102),
    ]  # fmt: skip


def test_what_was_bought_of_a_removed_item_stays() -> None:
    removed = ("RemoveItem", {"store_id": SHOP, "item_id": made_id(1001)})
    shelf = told(OPEN, TEA, ("MakePurchase", purchase(SHOP, 1, USER, (made_id(1001), 2))), removed)
    assert not shelf.rows("store_items")
    assert len(shelf.added["lines"]) == len(shelf.added["purchases"]) == 1


def test_an_item_changes_where_it_is_told_to() -> None:
    change = driver.NOTHING | {"store_id": SHOP, "item_id": made_id(1001), "balance_given": False, "name": "Green"}
    (row,) = told(OPEN, TEA, ("ChangeItem", change)).rows("store_items")
    assert (row["name"], row["balance"], row["price_penny"], row["category"]) == ("Green", 5, 101, "food")
    (row,) = told(OPEN, TEA, ("ChangeItem", change | {"balance_given": True})).rows("store_items")
    assert (row["name"], row["balance"]) == ("Green", None)


def test_a_deleted_store_leaves_no_train_behind() -> None:
    trip = {"store_id": SHOP, "train_number": 7, "train_date_us": driver.START_US}
    bind = ("BindTrainStore", trip | {"binding_id": made_id(9)})
    assert len(told(OPEN, bind).rows("train_stores")) == 1
    shelf = told(OPEN, bind, ("DeleteStore", {"store_id": SHOP}))
    assert not shelf.rows("train_stores")
    assert {str(store_id) for store_id in shelf.closed} == {SHOP}


def test_texts_are_storable() -> None:
    assert told(OPEN, ("AddItem", item(SHOP, 1, name="a\0b"))).rows("store_items")[0]["name"] == "a\ufffdb"


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 120))
def test_batches_repeats_and_the_order_of_partitions_change_nothing(seed: int, commands: int) -> None:
    chance = random.Random(seed)
    world = history(chance, commands)
    whole, pieces = Shelf(), Shelf()
    events = world.in_some_order(chance)
    assert whole.project([event for part in world.log.values() for event in part]) == len(events)
    at, taken = 0, 0
    while at < len(events):
        until = at + chance.randint(1, 12)
        again = max(0, at - chance.choice([0, 0, 5]))
        taken += pieces.project(events[again:until])
        at = until
    assert taken == len(events)
    assert pieces.everything == whole.everything


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 120))
def test_rows_are_what_the_deciders_know(seed: int, commands: int) -> None:
    world = history(random.Random(seed), commands)
    shelf = Shelf()
    shelf.project([event for part in world.log.values() for event in part])
    known = {
        (shop, item_id): (one.name, one.category, one.price_penny, one.balance)
        for shop, state in world.each.items()
        for item_id, one in state.items.items()
    }
    fields = ("name", "category", "price_penny", "balance")
    rows = {(str(row["store_id"]), str(row["id"])): row for row in shelf.rows("store_items")}
    assert {key: tuple(row[name] for name in fields) for key, row in rows.items()} == known
    assert {str(row["id"]) for row in shelf.rows("stores")} == set(world.directory.stores)
    bindings = [b.binding_id for one in world.directory.stores.values() for b in one.bindings.values()]
    assert sorted(str(row["id"]) for row in shelf.rows("train_stores")) == sorted(bindings)
    spent = sum(row["total_penny"] for row in shelf.added["purchases"])
    assert shelf.closed or spent == sum(event.body["total_penny"] for event in world.booked)
    assert spent == sum(row["count"] * row["price_penny"] for row in shelf.added["lines"])


@pytest.mark.parametrize("wrong", [{"store_id": "x"}, {"lines": [{"item_id": "x", "count": 1, "price_penny": 1}]}])
def test_an_id_that_is_none_is_a_dead_letter(wrong: dict[str, Any]) -> None:
    record = Record("railway.events", 0, 0, 0, b"", b"", ())
    body = {"store_id": SHOP, "purchase_id": SHOP, "task_id": SHOP, "user_id": USER, "lines": []} | wrong
    with pytest.raises(InvalidEvent):
        understood(Event(record, "PurchaseMade", body))


def test_a_date_that_is_none_is_a_dead_letter() -> None:
    record = Record("railway.events", 0, 0, 0, b"", b"", ())
    body = {"store_id": SHOP, "binding_id": SHOP, "train_number": 1, "train_date_us": 2**62, "at_us": 0}
    with pytest.raises(InvalidEvent):
        understood(Event(record, "TrainStoreBound", body))


def test_others_events_are_passed_over_and_settled_commands_are_answered() -> None:
    record = Record("railway.events", 0, 0, 0, b"", b"", ())
    projector = RailwayStores(Target("x"))
    prepared = projector.prepare([Event(record, "TicketIssued", {"user_id": "x"}), Event(record, "CommandSettled", {})])
    assert (prepared.changes, prepared.settled) == ([], [record])


def test_a_row_that_comes_back_is_not_dropped() -> None:
    kept = Kept(Table("t", {"id": "int", "x": "int"}, ("id",)))
    kept.drop(1)
    kept.put({"id": 1, "x": 2})
    kept.put({"id": 2, "x": 2})
    kept.drop(2)
    assert (kept.dropped, kept.changes()) == ({(2,)}, [{"id": 1, "x": 2}])
