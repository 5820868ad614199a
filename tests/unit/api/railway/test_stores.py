"""Contract 003 §6 and §7: the Store server and stores on trains, against the real decider in memory."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import httpx

from projections.queries.errors import Unavailable
from schemas.errors import TransientFailure
from tests.drivers.railway_office import AS_ROBOT, moment
from tests.drivers.railway_shops import (
    AS_RIVAL,
    AS_SHOP,
    KIOSK,
    NOBODY,
    PASSENGER,
    RIVAL,
    ROBOT,
    SHOP,
    TEA,
    B,
    S,
    Shops,
    purchase,
    told,
)

TRIP = {"train_number": "12", "train_date": "2025-02-01"}


async def item_of(client: httpx.AsyncClient, shop: dict[str, str] = AS_SHOP, **changed: Any) -> dict[str, Any]:
    asked = {key: value for key, value in (TEA | {"category": "food"} | changed).items() if value is not ...}
    answer = await client.post(f"{S}/store/item", json=asked, headers=shop)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_store_is_created_listed_shown_and_deleted(client: httpx.AsyncClient, shops: Shops) -> None:
    created = await client.post(f"{S}/admin/store", json=KIOSK | {"unknown": 1})
    assert created.status_code == 200
    assert list(created.json()) == ["name", "description", "logo_url", "store_type", "id", "items"]
    assert created.json() == KIOSK | {"id": created.json()["id"], "items": []}
    assert uuid.UUID(created.json()["id"]).version == 4
    name, key, record, model = shops.asked()
    assert (name, key, record["by"], model) == ("CreateStore", "stores", None, "railway_stores")
    path = f"{S}/admin/store/{created.json()['id']}"
    assert told(await client.get(path.upper().replace("/STORE_API/V1/ADMIN/STORE", f"{S}/admin/store"))) == (
        200, created.json()
    )  # fmt: skip
    listed = (await client.get(f"{S}/admin/stores?size=2&page=2")).json()
    assert listed == {"items": [created.json()], "total": 3, "page": 2, "size": 2, "pages": 2}
    assert told(await client.delete(path)) == (200, {"status": "OK"})
    for method in ("GET", "DELETE"):
        assert told(await client.request(method, path)) == (404, {"detail": "Store not found"})


async def test_a_name_belongs_to_one_store(client: httpx.AsyncClient) -> None:
    first = await client.post(f"{S}/admin/store", json=KIOSK, headers={"Idempotency-Key": "k"})
    again = await client.post(f"{S}/admin/store", json=KIOSK, headers={"Idempotency-Key": "k"})
    assert told(again) == (200, first.json())
    taken = await client.post(f"{S}/admin/store", json=KIOSK)
    assert told(taken) == (409, {"detail": "Store with this name already exists"})
    other = await client.post(f"{S}/admin/store", json=KIOSK | {"name": "Иной"}, headers={"Idempotency-Key": "k"})
    assert other.status_code == 409


async def test_stores_are_found_by_ids_in_a_body_of_a_get(client: httpx.AsyncClient) -> None:
    ids = [RIVAL.upper(), NOBODY, SHOP, RIVAL]
    for method, path, headers in (
        ("GET", f"{S}/admin/ids/stores", {}), ("POST", f"{S}/robot/stores/list", AS_ROBOT)
    ):  # fmt: skip
        found = await client.request(method, path, json={"ids": ids}, headers=headers)
        assert found.status_code == 200
        assert [(one["id"], one["items"]) for one in found.json()] == [(RIVAL, []), (SHOP, [])]
        for bad in ([], [NOBODY] * 51, ["x"], [1], None):
            assert (await client.request(method, path, json={"ids": bad}, headers=headers)).status_code == 422


async def test_an_items_life(client: httpx.AsyncClient, shops: Shops) -> None:
    item = await item_of(client)
    assert list(item) == [
        "name", "description", "logo_url", "balance", "price_penny", "category", "id", "unlimited"
    ]  # fmt: skip
    numbers = {"balance": 10, "price_penny": 5000, "category": "food"}
    assert item == TEA | numbers | {"id": item["id"], "unlimited": False}
    assert shops.asked()[:2] == ("AddItem", SHOP)
    path = f"{S}/store/item/{item['id']}"
    assert told(await client.get(path, headers=AS_SHOP)) == (200, item)
    changed = await client.put(f"{S}/store/item", json={"id": item["id"].upper(), "price_penny": 1}, headers=AS_SHOP)
    assert told(changed) == (200, item | {"price_penny": 1})
    listed = (await client.get(f"{S}/store/items", headers=AS_SHOP)).json()
    assert listed == {"items": [changed.json()], "total": 1, "page": 1, "size": 50, "pages": 1}
    assert (await client.get(f"{S}/admin/store/{SHOP}")).json()["items"] == [changed.json()]
    assert (await client.get(f"{S}/robot/store/{SHOP}", headers=AS_ROBOT)).json()["items"] == [changed.json()]
    assert told(await client.delete(path, headers=AS_SHOP)) == (200, {"status": "OK"})
    for method in ("GET", "DELETE"):
        gone = await client.request(method, path, headers=AS_SHOP)
        assert told(gone) == (404, {"detail": "Item not found"})
    again = await client.put(f"{S}/store/item", json={"id": item["id"]}, headers=AS_SHOP)
    assert told(again) == (404, {"detail": "Item not found"})


async def test_an_item_without_a_balance_does_not_run_out(client: httpx.AsyncClient, shops: Shops) -> None:
    short = {"name": "Чай", "description": "", "price_penny": 1000}
    answer = await client.post(f"{S}/store/item", json=short, headers=AS_SHOP)
    endless = answer.json()
    assert (endless["balance"], endless["unlimited"], endless["category"], endless["logo_url"]) == (0, True, "", "")
    assert (await item_of(client, balance=None))["unlimited"]
    for told_back in (endless, {"id": endless["id"], "name": "Чай"}):
        kept = await client.put(f"{S}/store/item", json=told_back, headers=AS_SHOP)
        assert (kept.status_code, kept.json()["unlimited"]) == (200, True)
    for change, shown in (
        ({"balance": 3}, (3, False)), ({"balance": 0}, (0, False)), ({"balance": None}, (0, True)),
        ({"balance": 7, "unlimited": True}, (7, False)), ({"unlimited": True}, (0, True)),
    ):  # fmt: skip
        answer = await client.put(f"{S}/store/item", json={"id": endless["id"]} | change, headers=AS_SHOP)
        assert (answer.json()["balance"], answer.json()["unlimited"]) == shown
        assert (await client.get(f"{S}/store/item/{endless['id']}", headers=AS_SHOP)).json() == answer.json()
    assert (await item_of(client, balance=0))["unlimited"] is False
    await client.post(f"{S}/store/purchase", json=purchase(endless["id"], 2**31 - 1), headers=AS_SHOP)
    assert shops.asked()[0] == "MakePurchase"
    assert (await client.get(f"{S}/store/item/{endless['id']}", headers=AS_SHOP)).json()["unlimited"]


async def test_a_change_is_answered_though_the_read_model_is_late(client: httpx.AsyncClient, shops: Shops) -> None:
    item = await item_of(client)
    shops.late = True
    answer = await client.put(f"{S}/store/item", json={"id": item["id"], "balance": 4}, headers=AS_SHOP)
    assert answer.json() == item | {"balance": 4}


async def test_a_store_has_only_its_own(client: httpx.AsyncClient) -> None:
    item = await item_of(client)
    path = f"{S}/store/item/{item['id']}"
    for answer in (
        await client.get(path, headers=AS_RIVAL),
        await client.delete(path, headers=AS_RIVAL),
        await client.put(f"{S}/store/item", json=item, headers=AS_RIVAL),
    ):
        assert told(answer) == (404, {"detail": "Item not found"})
    foreign = await client.post(f"{S}/store/purchase", json=purchase(item["id"]), headers=AS_RIVAL)
    assert told(foreign) == (404, {"detail": "Some items not found"})
    await client.post(f"{S}/store/purchase", json=purchase(item["id"], is_default_ready=False), headers=AS_SHOP)
    (task,) = (await client.get(f"{S}/store/tasks", headers=AS_SHOP)).json()["items"]
    ready = await client.put(f"{S}/store/task/{task['id']}/ready", headers=AS_RIVAL)
    assert told(ready) == (404, {"detail": "Task not found"})
    assert (await client.get(f"{S}/store/items", headers=AS_RIVAL)).json()["total"] == 0
    assert (await client.get(f"{S}/store/tasks?also_ready_tasks=1", headers=AS_RIVAL)).json()["total"] == 0


async def test_a_purchase_and_its_task(client: httpx.AsyncClient, shops: Shops) -> None:
    item = await item_of(client)
    extra = {"table": 4, "note": "без сахара", "deep": [{"a": None}]}
    asked = purchase(item["id"].upper(), 3, is_default_ready="0", additional_data=extra, user_id=PASSENGER.upper())
    bought = await client.post(f"{S}/store/purchase", json=asked, headers=AS_SHOP)
    date = moment(shops.now_us).isoformat().replace("+00:00", "Z")
    assert bought.status_code == 200
    assert list(bought.json()) == ["id", "store_id", "user_id", "items", "date"]
    assert bought.json() == {
        "id": bought.json()["id"], "store_id": SHOP, "user_id": PASSENGER,
        "items": [{"item_id": item["id"], "count": 3}], "date": date,
    }  # fmt: skip
    name, key, record, model = shops.asked()
    assert (name, key, record["channel"], record["by"], model) == (
        "MakePurchase", SHOP, "STORE", SHOP, "railway_stores"
    )  # fmt: skip
    assert (await client.get(f"{S}/store/item/{item['id']}", headers=AS_SHOP)).json()["balance"] == 7
    page = (await client.get(f"{S}/store/tasks", headers=AS_SHOP)).json()
    (task,) = page["items"]
    assert list(task) == ["id", "purchase", "store_id", "user_id", "is_ready", "date", "additional_data"]
    shown = {"purchase": bought.json(), "store_id": SHOP, "user_id": PASSENGER, "is_ready": False, "date": date}
    assert task == shown | {"id": task["id"], "additional_data": extra}
    assert (await client.get(f"{S}/admin/store/{SHOP}/tasks")).json() == page
    for path in (f"{S}/store/task/{task['id'].upper()}", f"{S}/store/task/{task['id']}/ready"):
        assert told(await client.put(path, headers=AS_SHOP)) == (200, {"status": "OK"})
    assert (await client.get(f"{S}/store/tasks?also_ready_tasks=false", headers=AS_SHOP)).json()["items"] == []
    done = (await client.get(f"{S}/store/tasks?also_ready_tasks=1", headers=AS_SHOP)).json()["items"]
    assert done == [task | {"is_ready": True}]
    unknown = await client.put(f"{S}/store/task/{NOBODY}/ready", headers=AS_SHOP)
    assert told(unknown) == (404, {"detail": "Task not found"})


async def test_a_task_that_the_decider_has_forgotten_is_still_done(client: httpx.AsyncClient, shops: Shops) -> None:
    for is_ready in (True, False):
        shops.tasks[NOBODY] = {"store_id": SHOP, "is_ready": is_ready}
        answer = await client.put(f"{S}/store/task/{NOBODY}/ready", headers=AS_SHOP)
        assert answer.status_code == (200 if is_ready else 404)


async def test_refusals_of_a_purchase_come_in_their_order(client: httpx.AsyncClient) -> None:
    tea, sold_out = (await item_of(client))["id"], (await item_of(client, balance=0))["id"]

    async def bought(*lines: tuple[str, int], store: str = SHOP) -> tuple[int, Any]:
        asked = purchase(tea) | {"items": [{"item_id": one, "count": count} for one, count in lines]}
        path = f"{S}/robot/store/{store}/make_purchase"
        return told(await client.post(path, json=asked, headers=AS_ROBOT))

    assert await bought((NOBODY, 1), store=NOBODY) == (404, {"detail": "Store not found"})
    for lines in (((NOBODY, 1),), ((sold_out, 1),), ((tea, 1), (tea, 1)), ((tea, 11), (NOBODY, 1))):
        assert await bought(*lines) == (404, {"detail": "Some items not found"})
    assert await bought((tea, 11)) == (400, {"detail": "Not enough items"})
    assert (await bought((tea, 10)))[0] == 200
    assert await bought((tea, 1)) == (404, {"detail": "Some items not found"})


async def test_a_robot_buys_and_its_retry_buys_nothing_more(client: httpx.AsyncClient, shops: Shops) -> None:
    item = await item_of(client)
    path, headers = f"{S}/robot/store/{SHOP.upper()}/make_purchase", AS_ROBOT | {"Idempotency-Key": "click"}
    answers = [await client.post(path, json=purchase(item["id"]), headers=headers) for _ in range(3)]
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    assert (shops.asked()[2]["channel"], shops.asked()[2]["by"]) == ("ROBOT", ROBOT)
    assert shops.items[item["id"]]["balance"] == 9
    assert (await client.post(path, json=purchase(item["id"]), headers=AS_ROBOT)).status_code == 200
    assert shops.items[item["id"]]["balance"] == 8


async def test_parallel_buyers_of_the_last_items(client: httpx.AsyncClient, shops: Shops) -> None:
    item = await item_of(client)
    asked = purchase(item["id"])
    buying = [client.post(f"{S}/robot/store/{SHOP}/make_purchase", json=asked, headers=AS_ROBOT) for _ in range(50)]
    statuses = [answer.status_code for answer in await asyncio.gather(*buying)]
    assert (statuses.count(200), statuses.count(404), shops.items[item["id"]]["balance"]) == (10, 40, 0)


async def test_a_deleted_store_sells_nothing(client: httpx.AsyncClient) -> None:
    item = await item_of(client)
    await client.delete(f"{S}/admin/store/{SHOP}")
    for method, path, body in (
        ("GET", "/store/items", None), ("GET", "/store/tasks", None), ("POST", "/store/item", TEA),
        ("POST", "/store/purchase", purchase(item["id"])),
    ):  # fmt: skip
        answer = await client.request(method, S + path, json=body, headers=AS_SHOP)
        assert told(answer) == (404, {"detail": "Store not found"})
    assert told(await client.get(f"{S}/robot/store/{SHOP}", headers=AS_ROBOT))[0] == 404


async def test_recommendations_are_a_page_of_at_most_eight(client: httpx.AsyncClient, shops: Shops) -> None:
    path = f"{S}/robot/store/{SHOP}/user/{PASSENGER}/recommendations"
    empty = {"items": [], "total": 0, "page": 1, "size": 50, "pages": 0}
    assert (await client.get(path, headers=AS_ROBOT)).json() == empty
    shops.recommended = [(await item_of(client, name=f"{n}"))["id"] for n in range(9)]
    page = (await client.get(f"{path}?page=2&size=3", headers=AS_ROBOT)).json()
    assert ([one["name"] for one in page["items"]], page["total"], page["pages"]) == (["3", "4", "5"], 8, 3)
    assert (await client.get(f"{path}?page=9", headers=AS_ROBOT)).json()["items"] == []


async def test_a_store_goes_on_board_and_leaves(client: httpx.AsyncClient, shops: Shops) -> None:
    path = f"{B}/admin/store/{SHOP.upper()}/train"
    assert told(await client.post(path, json=TRIP)) == (200, {"status": "OK"})
    assert shops.asked()[:2] == ("BindTrainStore", "stores")
    same = {"train_number": 12, "train_date": "2025-02-01T03:00:00+03:00"}
    assert told(await client.post(path, json=same)) == (409, {"detail": "Binding already exists"})
    unknown = await client.post(f"{B}/admin/store/{NOBODY}/train", json=TRIP)
    assert told(unknown) == (404, {"detail": "Store id not found"})
    query = f"{B}/admin/train/stores?train_number=12&train_date=2025-02-01T00:00:00Z&size=1"
    page = {"items": [SHOP], "total": 1, "page": 1, "size": 1, "pages": 1}
    for answer in (
        await client.request("GET", f"{B}/admin/train/stores?size=1", json=same), await client.get(query)
    ):  # fmt: skip
        assert told(answer) == (200, page)
    aboard = await client.request("GET", f"{B}/robot/train/stores", json=TRIP, headers=AS_ROBOT)
    assert [(one["id"], one["items"]) for one in aboard.json()] == [(SHOP, [])]
    for _ in range(2):
        assert told(await client.request("DELETE", f"{path}/unbind", json=TRIP)) == (200, {"status": "OK"})
    assert (await client.get(f"{query.replace('admin', 'robot')}", headers=AS_ROBOT)).json() == []
    for wrong in ({}, {"train_number": 2**31, "train_date": "2025-02-01"}, {"train_number": 1, "train_date": "soon"}):
        assert (await client.post(path, json=wrong)).status_code == 422
        assert (await client.request("DELETE", f"{path}/unbind", json=wrong)).status_code == 422


async def test_every_route_stands_with_and_without_its_version(client: httpx.AsyncClient) -> None:
    for path in ("/admin/stores", "/v1/admin/stores"):
        assert (await client.get(f"/store_api{path}")).status_code == 200
    assert (await client.get("/base_api/admin/train/stores?train_number=1&train_date=0")).status_code == 200
    assert (await client.post("/store_api/admin/stores")).status_code == 405


async def test_nothing_is_answered_before_it_is_decided(client: httpx.AsyncClient, shops: Shops) -> None:
    shops.failure = TransientFailure("not decided in time")
    answer = await client.post(f"{S}/admin/store", json=KIOSK)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    shops.outage = Unavailable("PostgreSQL does not answer.")
    assert (await client.get(f"{S}/admin/stores")).status_code == 503


async def test_the_documentation_says_what_may_be_answered(client: httpx.AsyncClient) -> None:
    paths = (await client.get("/store_api/openapi.json")).json()["paths"]
    assert {"200", "400", "401", "404", "409", "413", "422", "503"} == set(
        paths["/v1/store/purchase"]["post"]["responses"]
    )
    assert not [path for path in paths if not path.startswith("/v1/")]
