"""The Store server on a real log: many buyers of few items, retries, what every table and the accounts say of it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import httpx
import psycopg
import pytest
import pytest_asyncio
from fastapi import FastAPI

from api.railway.app import Front, servers
from api.railway.parts import Railway
from api.routes import railway_purchases
from producers.commands import Writer
from producers.publisher import Publisher
from producers.replies import ReplyReader
from projections import runner
from projections.queries.database import Database
from projections.registry import READ_MODELS
from tests.drivers.deciding import RING, DecidingSite
from tests.drivers.desk import app_of
from tests.drivers.railway_office import anybody
from tests.drivers.railway_shops import purchase
from tests.drivers.railway_site import Tokens
from tests.drivers.waiting import until

TOPICS = ("railway.commands", "railway.events", "railway.purchases", "faces.commands")
MODELS = ("railway_stores", "railway_accounts")
S, FEED = "/store_api/v1", "/v1/railway/purchases"
BUYERS, PIECES = 200, 10

pytestmark = pytest.mark.asyncio(loop_scope="module")


def as_store(store_id: str) -> dict[str, str]:
    return {"Authorization": f"Bearer STORE/{store_id}"}


AS_ROBOT = {"Authorization": f"Bearer ROBOT/{uuid.uuid4()}"}


@pytest.fixture(scope="module")
def site(kafka_bootstrap: str) -> Iterator[DecidingSite]:
    with contextlib.closing(DecidingSite(kafka_bootstrap, *TOPICS)) as made, made.deciding("railway"):
        yield made


@pytest.fixture(scope="module")
def projected(site: DecidingSite, database_url: str) -> Iterator[None]:
    models = {
        name: replace(READ_MODELS[name], topics=tuple(site.topics[topic] for topic in READ_MODELS[name].topics))
        for name in MODELS
    }
    stop, ready = threading.Event(), threading.Event()
    thread = threading.Thread(
        target=runner.run, args=(site.bootstrap, database_url, RING, "t", stop, models, ready.set), name="projector"
    )
    thread.start()
    assert ready.wait(30)
    yield
    stop.set()
    thread.join()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(site: DecidingSite, database_url: str, projected: None) -> AsyncIterator[httpx.AsyncClient]:
    """A server's: the store routes, and the accounts."""
    publisher = Publisher(site.bootstrap, client_id="front", linger_ms=0)
    replies = ReplyReader(site.bootstrap, uuid.uuid4().hex)
    database = Database(database_url)
    writer = Writer(publisher, replies, deadline_s=20, model_wait_s=20, topic_of=site.topic_of)
    railway = Railway(database, writer, RING, anybody, extra={"sessions": Tokens()})
    accounts: FastAPI = app_of(railway_purchases.build(database, anybody))
    await replies.start()
    await database.open()

    async def is_ready() -> bool:
        return replies.ready

    await until(is_ready)
    transport = httpx.ASGITransport(Front(servers(railway), accounts))
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(transport=transport, base_url="http://t", timeout=60, limits=limits) as session:
        yield session
    await replies.stop()
    await database.close()
    publisher.close()


async def opened(client: httpx.AsyncClient) -> dict[str, Any]:
    """A new store."""
    asked = {"name": uuid.uuid4().hex, "description": "Вагон 5", "logo_url": "", "store_type": "SHOP"}
    answer = await client.post(f"{S}/admin/store", json=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def stocked(client: httpx.AsyncClient, store_id: str, **changed: Any) -> str:
    """A new item's id."""
    asked = {"name": "Чай", "description": "", "price_penny": 5000, "category": "food"} | changed
    answer = await client.post(f"{S}/store/item", json=asked, headers=as_store(store_id))
    assert answer.status_code == 200, answer.text
    return answer.json()["id"]


async def booked(client: httpx.AsyncClient, store_id: str, wanted: int) -> list[dict[str, Any]]:
    """This store's purchases in the accounts, once so many are there."""
    found: list[dict[str, Any]] = []

    async def are_there() -> bool:
        items = (await client.get(f"{FEED}?limit=1000")).json()["items"]
        found[:] = [one for one in items if one["store_id"] == store_id]
        return len(found) >= wanted

    await until(are_there)
    return found


async def test_two_hundred_parallel_buyers_of_the_last_ten_items(client: httpx.AsyncClient, database_url: str) -> None:
    store_id = (await opened(client))["id"]
    item_id = await stocked(client, store_id, balance=PIECES)

    async def buy(n: int) -> httpx.Response:
        if n % 2:
            return await client.post(f"{S}/store/purchase", json=purchase(item_id), headers=as_store(store_id))
        path = f"{S}/robot/store/{store_id}/make_purchase"
        return await client.post(path, json=purchase(item_id), headers=AS_ROBOT)

    answers = await asyncio.gather(*[buy(n) for n in range(BUYERS)])
    sold = [answer.json() for answer in answers if answer.status_code == 200]
    refused = [answer for answer in answers if answer.status_code != 200]
    assert len(sold) == len({one["id"] for one in sold}) == PIECES
    assert {(one.status_code, one.text) for one in refused} == {(404, '{"detail":"Some items not found"}')}
    shown = (await client.get(f"{S}/robot/store/{store_id}", headers=AS_ROBOT)).json()["items"]
    assert [(one["balance"], one["unlimited"]) for one in shown] == [(0, False)]
    done = (await client.get(f"{S}/store/tasks?also_ready_tasks=1", headers=as_store(store_id))).json()
    assert {task["purchase"]["id"] for task in done["items"]} == {one["id"] for one in sold}
    in_accounts = await booked(client, store_id, PIECES)
    assert {one["purchase_id"] for one in in_accounts} == {one["id"] for one in sold}
    assert sum(one["total_penny"] for one in in_accounts) == PIECES * 5000
    with psycopg.connect(database_url) as connection:
        row = connection.execute(
            "SELECT count(*), sum(i.count) FROM purchases p JOIN purchase_items i ON i.purchase_id = p.id"
            " WHERE p.store_id = %s", (store_id,)
        ).fetchone()  # fmt: skip
    assert row == (PIECES, PIECES)


async def test_a_retry_buys_once_and_sees_the_first_answer(client: httpx.AsyncClient) -> None:
    store_id = (await opened(client))["id"]
    item_id = await stocked(client, store_id, balance=5)
    headers = AS_ROBOT | {"Idempotency-Key": uuid.uuid4().hex}
    path = f"{S}/robot/store/{store_id}/make_purchase"
    answers = await asyncio.gather(*[client.post(path, json=purchase(item_id, 2), headers=headers) for _ in range(5)])
    assert len({(answer.status_code, answer.text) for answer in answers}) == 1
    assert answers[0].status_code == 200
    item = (await client.get(f"{S}/store/item/{item_id}", headers=as_store(store_id))).json()
    assert item["balance"] == 3
    other = await client.post(path, json=purchase(item_id, 1), headers=headers)
    assert other.status_code == 409


async def test_a_stores_life_is_in_the_very_next_read(client: httpx.AsyncClient) -> None:
    store = await opened(client)
    mine = as_store(store["id"])
    assert store in (await client.get(f"{S}/admin/stores?size=100")).json()["items"]
    endless, sold_out = await stocked(client, store["id"]), await stocked(client, store["id"], balance=0)
    changed = await client.put(f"{S}/store/item", json={"id": sold_out, "balance": "3", "name": "Сок"}, headers=mine)
    listed = (await client.get(f"{S}/store/items", headers=mine)).json()
    assert [one["id"] for one in listed["items"]] == [endless, sold_out]
    assert listed["items"][1] == changed.json()
    extra = {"note": "без сахара", "deep": [{"a": None, "b": 1.5}]}
    asked = purchase(endless, 7, is_default_ready=False, additional_data=extra)
    bought = await client.post(f"{S}/store/purchase", json=asked, headers=mine)
    (task,) = (await client.get(f"{S}/store/tasks", headers=mine)).json()["items"]
    assert (task["purchase"], task["additional_data"]) == (bought.json(), extra)
    path = f"{S}/robot/store/{store['id']}/user/{asked['user_id']}/recommendations"
    assert [one["id"] for one in (await client.get(path, headers=AS_ROBOT)).json()["items"]] == [endless]
    assert (await client.put(f"{S}/store/task/{task['id']}/ready", headers=mine)).json() == {"status": "OK"}
    assert (await client.get(f"{S}/store/tasks", headers=mine)).json()["total"] == 0
    trip = {"train_number": 12, "train_date": "2025-02-01"}
    train = f"/base_api/v1/admin/store/{store['id']}/train"
    assert [(await client.post(train, json=trip)).status_code for _ in range(2)] == [200, 409]
    aboard = await client.request("GET", "/base_api/v1/robot/train/stores", json=trip, headers=AS_ROBOT)
    assert aboard.json() == [store]
    assert (await client.delete(f"{S}/store/item/{endless}", headers=mine)).status_code == 200
    assert (await client.delete(f"{S}/admin/store/{store['id']}")).status_code == 200
    for method, url in (("GET", f"{S}/admin/store/{store['id']}"), ("DELETE", f"{S}/admin/store/{store['id']}")):
        assert (await client.request(method, url)).status_code == 404
    late = await client.post(f"{S}/store/purchase", json=purchase(sold_out), headers=mine)
    assert (late.status_code, late.json()) == (404, {"detail": "Store not found"})
    bound = (await client.get("/base_api/admin/train/stores", params=trip)).json()
    assert store["id"] not in bound["items"]
    (kept,) = await booked(client, store["id"], 1)
    assert (kept["purchase_id"], kept["total_penny"]) == (bought.json()["id"], 35_000)
    assert kept["lines"][0]["name"] == "Чай"
    table = (await client.get(f"{FEED}.csv")).text
    assert kept["purchase_id"] in table
