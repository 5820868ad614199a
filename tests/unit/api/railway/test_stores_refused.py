"""Contract 003 §2, §6 and §7: what the Store server refuses, and whom."""

from __future__ import annotations

import httpx
import pytest
from fastapi import HTTPException

from tests.drivers.railway_office import AS_ROBOT, client_at, railway_of, server_of
from tests.drivers.railway_shops import AS_SHOP, KIOSK, NOBODY, PASSENGER, SHOP, TEA, B, S, Shops, purchase, told


@pytest.mark.parametrize(
    "wrong",
    [
        {"items": []}, {"items": None}, {"items": [{"item_id": "x", "count": 1}]}, {"user_id": "x"}, {"user_id": 1},
        {"items": [{"item_id": NOBODY, "count": 0}]}, {"items": [{"item_id": NOBODY, "count": -100}]},
        {"items": [{"item_id": NOBODY, "count": 2**31}]}, {"items": [{"item_id": NOBODY, "count": 1.5}]},
        {"items": [{"item_id": NOBODY, "count": 1}] * 1001}, {"is_default_ready": None}, {"is_default_ready": "maybe"},
        {"additional_data": []}, {"additional_data": "{}"}, {"additional_data": None},
        {"additional_data": {"a": "x" * 10_001}}, {"additional_data": {"a": "\x00"}}, {"additional_data": {"\x00": 1}},
    ],
)  # fmt: skip
async def test_a_purchase_that_cannot_be_is_422(client: httpx.AsyncClient, shops: Shops, wrong: dict) -> None:
    for path, headers in ((f"{S}/store/purchase", AS_SHOP), (f"{S}/robot/store/{SHOP}/make_purchase", AS_ROBOT)):
        answer = await client.post(path, json=purchase(NOBODY) | wrong, headers=headers)
        assert answer.status_code == 422
        fault = answer.json()["detail"][0]
        assert {"type", "loc", "msg", "input"} <= fault.keys()
        assert fault["loc"][:2] == ["body", next(iter(wrong))]
    assert shops.sent == []


@pytest.mark.parametrize(
    "wrong",
    ['{"a": NaN}', '{"a": 1e999}', '{"a": "\\ud800"}', '{"a":' * 100 + "1" + "}" * 100, '{"a": ' + "9" * 4000 + "}"],
)
async def test_numbers_and_depths_that_json_does_not_have_are_no_fault_of_the_server(
    client: httpx.AsyncClient, wrong: str
) -> None:
    head = f'{{"user_id": "{PASSENGER}", "items": [{{"item_id": "{NOBODY}", "count": 1}}], "is_default_ready": true'
    content = f'{head}, "additional_data": {wrong}}}'
    for body in (content, content.replace("additional_data", "user_id"), wrong, "[" * 5000):
        headers = AS_SHOP | {"Content-Type": "application/json"}
        answer = await client.post(f"{S}/store/purchase", content=body, headers=headers)
        assert answer.status_code in (400, 404, 422), answer.text
        assert "detail" in answer.json()


@pytest.mark.parametrize(
    "wrong",
    [{"name": "x" * 51}, {"name": "a\x00b"}, {"name": 1}, {"name": None}, {"description": "x" * 256},
     {"logo_url": "x" * 256}, {"category": "x" * 101}, {"balance": -1}, {"balance": 2**31}, {"price_penny": -1},
     {"price_penny": "1.5"}, {"price_penny": None}, {"balance": "many"}],
)  # fmt: skip
async def test_an_item_that_cannot_be_is_422(client: httpx.AsyncClient, shops: Shops, wrong: dict) -> None:
    asked = TEA | {"category": "food"} | wrong
    assert (await client.post(f"{S}/store/item", json=asked, headers=AS_SHOP)).status_code == 422
    if None not in wrong.values():
        change = {"id": NOBODY} | wrong
        assert (await client.put(f"{S}/store/item", json=change, headers=AS_SHOP)).status_code == 422
    assert shops.sent == []


@pytest.mark.parametrize("wrong", [{"name": "x" * 51}, {"store_type": "shop"}, {"store_type": None}, {"logo_url": 1}])
async def test_a_store_that_cannot_be_is_422(client: httpx.AsyncClient, wrong: dict) -> None:
    assert (await client.post(f"{S}/admin/store", json=KIOSK | wrong)).status_code == 422


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/store/items"), ("GET", f"/store/item/{NOBODY}"), ("POST", "/store/item"), ("PUT", "/store/item"),
     ("DELETE", f"/store/item/{NOBODY}"), ("POST", "/store/purchase"), ("GET", "/store/tasks"),
     ("PUT", f"/store/task/{NOBODY}/ready"), ("PUT", f"/store/task/{NOBODY}"), ("GET", f"/robot/store/{SHOP}"),
     ("POST", f"/robot/store/{SHOP}/make_purchase"), ("POST", "/robot/stores/list"),
     ("GET", f"/robot/store/{SHOP}/user/{PASSENGER}/recommendations")],
)  # fmt: skip
async def test_the_wrong_kind_of_client_is_nobody(client: httpx.AsyncClient, method: str, path: str) -> None:
    other = AS_ROBOT if path.startswith("/store") else AS_SHOP
    for headers in ({}, other, {"Authorization": "Bearer x"}, {"Authorization": other["Authorization"].split()[1]}):
        answer = await client.request(method, S + path, headers=headers, json={})
        assert told(answer) == (401, {"detail": "Invalid credentials"})


async def test_admin_routes_ask_who_it_is() -> None:
    async def nobody() -> str | None:
        raise HTTPException(401, "Invalid admin token")

    async with client_at(server_of(railway_of(Shops(), admin=nobody))) as client:
        for method, path in (
            ("POST", f"{S}/admin/store"), ("GET", f"{S}/admin/stores"), ("GET", f"{S}/admin/store/{SHOP}"),
            ("DELETE", f"{S}/admin/store/{SHOP}"), ("GET", f"{S}/admin/ids/stores"),
            ("GET", f"{S}/admin/store/{SHOP}/tasks"), ("POST", f"{B}/admin/store/{SHOP}/train"),
            ("DELETE", f"{B}/admin/store/{SHOP}/train/unbind"), ("GET", f"{B}/admin/train/stores"),
        ):  # fmt: skip
            answer = await client.request(method, path, json={})
            assert told(answer) == (401, {"detail": "Invalid admin token"}), path


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [("GET", f"{S}/admin/store/x", {}), ("DELETE", f"{S}/admin/store/xx{SHOP}", {}),
     ("GET", f"{S}/store/item/1", AS_SHOP),
     ("DELETE", f"{S}/store/item/x", AS_SHOP), ("PUT", f"{S}/store/task/x", AS_SHOP),
     ("GET", f"{S}/robot/store/{SHOP}x", AS_ROBOT), ("GET", f"{S}/admin/stores?page=0", {}),
     ("GET", f"{S}/admin/stores?size=101", {}), ("GET", f"{S}/store/items?page={2**40}", AS_SHOP),
     ("GET", f"{S}/store/tasks?also_ready_tasks=perhaps", AS_SHOP), ("GET", f"{B}/admin/train/stores", {}),
     ("GET", f"{B}/admin/train/stores?train_number=1", {}), ("GET", f"{B}/robot/train/stores", AS_ROBOT),
     ("GET", f"{B}/admin/train/stores?train_number={2**31}&train_date=2025-02-01", {})],
)  # fmt: skip
async def test_bad_ids_and_pages_are_422(client: httpx.AsyncClient, method: str, path: str, headers: dict) -> None:
    answer = await client.request(method, path, headers=headers)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"][0] in ("path", "query")
