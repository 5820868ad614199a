"""Stores and accounts in PostgreSQL: the same rows however the log is read, and what the queries make of them."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import psycopg
import pytest
import pytest_asyncio

from producers.publisher import Message
from projections.checksums import checksum
from projections.page_counts import BUCKET
from projections.queries import railway_accounts, railway_stores
from projections.queries.database import Database
from projections.read_model import Event, ReadModel, Target
from projections.registry import READ_MODELS
from projections.store import Transaction
from schemas import cloudevents
from tests.drivers.projecting import Site, site
from tests.drivers.stores import START_US, TRAINS, USERS, Stores, created, history, item, made_id, purchase

MODELS = ("railway_stores", "railway_accounts")
BIG, BARE, GONE = made_id(50), made_id(51), made_id(52)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def world() -> Stores:
    """A history, and a store with many items of which most are removed."""
    chance = random.Random(7)
    made = history(chance, 400)
    for n, shop in ((50, BIG), (51, BARE)):
        made.tell("CreateStore", created(n))
        made.tell("BindTrainStore", {"store_id": shop, "train_number": 9, "train_date_us": START_US} | binding(n))
    made.tell("CreateStore", created(52))
    made.tell("AddItem", item(GONE, 1))
    made.tell("MakePurchase", purchase(GONE, 10**5, USERS[0], (made_id(1001), 1)))
    made.tell("DeleteStore", {"store_id": GONE})
    for n in range(3 * BUCKET):
        made.tell("AddItem", item(BIG, 10_000 + n))
    for n in range(3 * BUCKET):
        if n % 3 or BUCKET - 20 < n < 2 * BUCKET + 30:
            made.tell("RemoveItem", {"store_id": BIG, "item_id": made_id(11_000 + n)})
    return made


def binding(n: int) -> dict[str, str]:
    return {"binding_id": made_id(10**8 + n)}


@pytest.fixture(scope="module")
def there(kafka_bootstrap: str, database_url: str, world: Stores) -> Iterator[Site]:
    """The history on a real log, projected."""
    with site(kafka_bootstrap, database_url, *MODELS) as made:
        made.publisher.publish_all([_message(made.prefix, one) for one in _all(world)], 60)
        with made.projector():
            for model in MODELS:
                made.caught_up(model)
        yield made


def _all(world: Stores) -> list[Event]:
    return [event for events in world.log.values() for event in events] + world.booked


def _message(prefix: str, event: Event) -> Message:
    record = event.record
    headers = cloudevents.headers(event.name, id=f"{record.partition}-{record.offset}", source="/tests")
    assert record.key is not None
    assert record.value is not None
    return Message(prefix + record.topic, record.key, record.value, headers, record.partition)


@pytest_asyncio.fixture
async def database(there: Site) -> AsyncIterator[Database]:
    one = Database(there.database_url)
    await one.open()
    yield one
    await one.close()


@contextmanager
def another(made: Site, model: ReadModel) -> Generator[psycopg.Connection[Any]]:
    """A version of a read model beside the live one."""
    with psycopg.connect(made.database_url) as connection:
        connection.execute("CREATE SCHEMA railway_another")
        connection.execute(model.ddl("railway_another"))  # pyright: ignore[reportArgumentType, reportCallIssue]
        connection.execute("SET LOCAL search_path TO railway_another")
        yield connection
        connection.rollback()


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("name", MODELS)
def test_rows_are_the_same_however_the_log_is_read(there: Site, world: Stores, name: str, seed: int) -> None:
    chance, model = random.Random(seed), READ_MODELS[name]
    events = world.booked if name == "railway_accounts" else world.in_some_order(chance)
    events = [replace(one, record=replace(one.record, topic=there.prefix + one.record.topic)) for one in events]
    with another(there, model) as connection:
        projector, at = model.projector(Target("railway_another")), 0
        while at < len(events):
            until = at + chance.choice([1, 10, 100, 1000])
            projector.write(Transaction(connection), projector.prepare(events[max(0, at - 7) : until]))
            at = until
        found = checksum(connection, "railway_another", name)
        assert min(table["rows"] for table in found.values()) > 0
        assert found == there.checksum(there.live(name), name)


async def test_every_page_of_a_store_and_of_stores_is_right(database: Database, world: Stores) -> None:
    for shop, size in ((BIG, 7), (BIG, 100), (made_id(1), 3), (BARE, 10)):
        known = list(world.each[shop].items.items())
        read = partial(railway_stores.items, store_id=shop, size=size)
        rows: list[dict[str, Any]] = []
        for page in range(1, -(-len(known) // size) + 1):
            some, total = await database.read(partial(read, page=page))
            assert total == len(known)
            assert len(some) == size or page == -(-total // size)
            rows += some
        assert {str(row["id"]): row["balance"] for row in rows} == {key: one.balance for key, one in known}
        assert [row["created_at"] for row in rows] == sorted(row["created_at"] for row in rows)
        assert await database.read(partial(read, page=10**6)) == ([], len(known))
        assert await database.read(partial(railway_stores.all_items, store_id=shop)) == rows
    listed, total = await database.read(partial(railway_stores.listing, page=1, size=100))
    assert total == len(world.directory.stores) == len(listed)
    assert {str(row["id"]): row["name"] for row in listed} == {k: v.name for k, v in world.directory.stores.items()}
    assert (await database.read(partial(railway_stores.listing, page=2, size=2)))[0] == listed[2:4]


async def test_a_store_and_an_item_are_found_or_not(database: Database, world: Stores) -> None:
    row = await database.read(partial(railway_stores.one, store_id=BIG))
    assert row
    assert (str(row["id"]), row["name"], row["store_type"]) == (BIG, "Store 50", "SHOP")
    gone = made_id(99)
    assert await database.read(partial(railway_stores.one, store_id=gone)) is None
    found = await database.read(partial(railway_stores.by_ids, ids=[gone, BIG, BARE, BIG]))
    assert {str(one["id"]) for one in found} == {BIG, BARE}
    item_id = next(iter(world.each[BIG].items))
    assert await database.read(partial(railway_stores.item, store_id=BIG, item_id=item_id))
    assert await database.read(partial(railway_stores.item, store_id=BARE, item_id=item_id)) is None


async def test_tasks_are_listed_with_what_was_bought(database: Database, world: Stores) -> None:
    shop = max(world.each, key=lambda one: len(world.each[one].open_tasks))
    made = [one.body for one in world.since_opened(shop) if one.name == "PurchaseMade"]
    read = partial(railway_stores.tasks, store_id=shop, page=1, size=100)
    everything, total = await database.read(partial(read, also_ready=True))
    assert total == len(made)
    assert [str(row["id"]) for row in everything] == [body["task_id"] for body in made][:100]
    assert [len(row["items"]) for row in everything] == [len(body["lines"]) for body in made][:100]
    assert everything[0]["additional_data"] == '{"seat": 7}'
    still, total = await database.read(partial(read, also_ready=False))
    assert {str(row["id"]) for row in still} == set(world.each[shop].open_tasks)
    assert total == len(still)
    assert still == [row for row in everything if not row["is_ready"]]
    one = await database.read(partial(railway_stores.task, store_id=shop, task_id=str(still[0]["id"])))
    assert one == still[0]
    assert await database.read(partial(railway_stores.task, store_id=BIG, task_id=str(still[0]["id"]))) is None


async def test_recommendations_are_what_a_user_and_others_bought(database: Database, world: Stores) -> None:
    for shop in [one for one in world.directory.stores if world.each[one].items]:
        live = world.each[shop].items
        bodies = [event.body for event in world.since_opened(shop) if event.name == "PurchaseMade"]
        for user in [*USERS, made_id(1)]:
            rows = await database.read(partial(railway_stores.recommended, store_id=shop, user_id=user))
            assert [str(row["id"]) for row in rows] == likely(bodies, set(live), user)


def likely(bodies: list[dict[str, Any]], live: set[str], user: str) -> list[str]:
    own, all_of = Counter[str](), Counter[str]()
    latest: list[str] = []
    for body in bodies:
        ids = sorted(line["item_id"] for line in body["lines"] if line["item_id"] in live)
        for line in body["lines"]:
            all_of[line["item_id"]] += line["count"]
            own[line["item_id"]] += line["count"] if body["user_id"] == user else 0
        latest = (ids if body["user_id"] == user else []) + latest

    def most(sums: Counter[str], number: int) -> list[str]:
        found = [one for one in sums if one in live and sums[one]]
        return sorted(found, key=lambda one: (-sums[one], one))[:number]

    return list(dict.fromkeys(latest[:2] + most(own, 4) + most(all_of, 2)))[:8]


async def test_a_train_has_the_stores_that_are_bound_to_it(database: Database, world: Stores) -> None:
    trains = defaultdict[tuple[int, int], set[str]](set)
    for shop, one in world.directory.stores.items():
        for bound in one.bindings.values():
            trains[bound.train_number, bound.train_date_us].add(shop)
    for train in (*TRAINS, (9, START_US), (10, START_US)):
        asked = {"train_number": train[0], "train_date_us": train[1]}
        rows, total = await database.read(partial(railway_stores.bound, **asked, page=1, size=50))
        assert {str(row["store_id"]) for row in rows} == trains[train]
        assert total == len(rows)
        assert (await database.read(partial(railway_stores.bound, **asked, page=2, size=50))) == ([], total)
        shown = await database.read(partial(railway_stores.on_board, **asked))
        assert [row["id"] for row in shown] == [row["store_id"] for row in rows]
        for shop in (BIG, made_id(1)):
            is_bound = await database.read(partial(railway_stores.is_bound, store_id=shop, **asked))
            assert is_bound == (shop in trains[train])
    read = partial(railway_stores.on_board, train_number=9, train_date_us=START_US, limit=1)
    assert [str(row["id"]) for row in await database.read(read)] == [BIG]


async def test_the_accounts_get_every_purchase_once(database: Database, world: Stores) -> None:
    cursor: dict[int, int] = {}
    given: list[dict[str, Any]] = []
    while True:
        rows, cursor = await database.read(partial(railway_accounts.after, cursor=cursor, limit=9))
        if not rows:
            break
        given += rows
    booked = {event.body["purchase_id"]: event.body for event in world.booked}
    assert len(given) == len(booked) == len({row["purchase_id"] for row in given})
    for row in given:
        body = booked[str(row["purchase_id"])]
        assert (row["total_penny"], row["channel"], str(row["user_id"])) == (
            body["total_penny"], body["channel"], body["user_id"],
        )  # fmt: skip
        assert [line | {"item_id": str(line["item_id"])} for line in row["lines"]] == body["lines"]
    for partition in {row["kafka_partition"] for row in given}:
        offsets = [row["kafka_offset"] for row in given if row["kafka_partition"] == partition]
        assert offsets == sorted(offsets)


async def test_the_accounts_are_read_by_time(database: Database, world: Stores) -> None:
    times = sorted(EPOCH + timedelta(microseconds=event.body["at_us"]) for event in world.booked)
    since, until = times[10], times[-10]
    rows = await database.read(partial(railway_accounts.between, since=since, until=until))
    assert [row["booked_at"] for row in rows] == [time for time in times if since <= time < until]
    pages: list[dict[str, Any]] = []
    place: railway_accounts.Place | None = None
    while some := await database.read(partial(railway_accounts.between, place=place, limit=11)):
        pages += some
        place = some[-1]["booked_at"], some[-1]["kafka_partition"], some[-1]["kafka_offset"]
    assert len(pages) == len(times)
    shop = pages[0]["store_id"]
    own = await database.read(partial(railway_accounts.between, store_id=str(shop)))
    assert own == [row for row in pages if row["store_id"] == shop]


def test_a_closed_store_leaves_nothing_but_accounts(there: Site, world: Stores) -> None:
    closed = {one for one, state in world.each.items() if not state.is_open}
    assert GONE in closed
    for table in ("store_items", "purchases", "purchase_items", "tasks", "bought_items", "bought_by_user"):
        assert {str(row[0]) for row in there.sql(f"SELECT DISTINCT store_id FROM {table}")}.isdisjoint(closed)
    assert not there.sql("SELECT 1 FROM railway_stores_pages WHERE scope = ANY(%s)", list(closed))
    assert there.one("SELECT count(*) FROM booked_purchases WHERE store_id = %s", UUID(GONE)) == 1


def test_a_thousand_items_are_a_few_statements(there: Site) -> None:
    model, fresh = READ_MODELS["railway_stores"], Stores()
    fresh.tell("CreateStore", created(0))
    for n in range(1000):
        fresh.tell("AddItem", item(made_id(0), n))
    fresh.tell("MakePurchase", purchase(made_id(0), 1, USERS[0], *((made_id(1000 + n), 1) for n in range(1000))))
    with another(there, model) as connection:
        transaction, said = Transaction(connection), list[str]()
        counted = CountingTransaction(transaction, said)
        projector = model.projector(Target("railway_another"))
        projector.write(counted, projector.prepare(_all(fresh)))
        assert transaction.rows("SELECT count(*), sum(balance) FROM store_items") == [(1000, 4000)]
        assert len(said) < 20


class CountingTransaction(Transaction):
    """Writes down what is said to the database."""

    def __init__(self, real: Transaction, said: list[str]) -> None:
        self._real, self._said = real, said

    def run(self, statement: str, *parameters: Any) -> int:
        self._said.append(statement)
        return self._real.run(statement, *parameters)

    def rows(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        self._said.append(statement)
        return self._real.rows(statement, *parameters)
