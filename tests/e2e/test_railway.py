"""Every request of seed 003 in the document's order on the whole running system, then every table built anew."""

from __future__ import annotations

import asyncio
import base64
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.drivers.access_desk import Component
from tests.drivers.speech import MEDIA
from tests.drivers.stack import Stack, fresh_stack

DATE = "2025-02-01T00:00:00Z"
TRAIN = {"train_number": 123, "train_date": DATE}
OK = {"status": "OK"}
ENGINEER = {"login": "engineer", "password": "not-a-secret"}
MODELS = ("railway_passengers", "railway_places", "railway_access", "railway_stores", "railway_accounts", "faces")
TABLES = (
    "users", "tickets", "keycloak_users", "hotels", "attractions", "engineers", "auth_cards", "robots",
    "active_stores", "stores", "train_stores", "store_items", "purchases", "purchase_items", "tasks",
)  # fmt: skip

pytestmark = pytest.mark.timeout(280)


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with fresh_stack() as running:
        yield running


@pytest.fixture
async def http(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=stack.base_url, timeout=60) as client:
        yield client


class Walk:
    """Says what is asked and holds the answer to 200."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def base(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        return await self._ask(method, f"/base_api/v1{path}", body, **more)

    async def store(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        return await self._ask(method, f"/store_api/v1{path}", body, **more)

    async def _ask(self, method: str, path: str, body: Any, **more: Any) -> Any:
        answer = await self._http.request(method, path, json=body, **more)
        assert answer.status_code == 200, (method, path, answer.status_code, answer.text)
        return answer.json()


def page(items: list[Any]) -> dict[str, Any]:
    return {"items": items, "total": len(items), "page": 1, "size": 50, "pages": 1 if items else 0}


async def test_the_documents_requests_in_their_order(stack: Stack, http: httpx.AsyncClient) -> None:
    walk = Walk(http)
    user = await _users(walk)
    engineer = await _engineers(walk)
    store = await walk.store("POST", "/admin/store", _store("Вагон-ресторан"))
    assert await walk.base("POST", f"/admin/store/{store['id']}/train", TRAIN) == OK
    assert await walk.base("GET", "/admin/train/stores", TRAIN) == page([store["id"]])
    assert await walk.base("DELETE", f"/admin/store/{store['id']}/train/unbind", TRAIN) == OK
    assert await walk.base("GET", "/admin/train/stores", TRAIN) == page([])
    await _tickets(walk, user)
    await _stores(walk, store)
    await walk.base("PUT", "/admin/engineer_privileges", {"id": engineer, "privileges": ["ROBOT_LOGIN", "STORE_LOGIN"]})
    for key in (rsa.generate_private_key(65537, 2048), Ed25519PrivateKey.generate()):
        terminal = Component(http, key, "store")
        assert (await terminal.register(**ENGINEER, store_id=store["id"])).status_code == 200
        await _items(walk, user, await terminal.sign_in())
        robot = Component(http, key, "robot")
        model = {"robot_model_id": "R1", "robot_model_name": "Robot:1"}
        answer = await robot.register(**ENGINEER, **model)
        assert answer.json() == {"id": robot.id, **model}
        await _on_board(walk, user, store["id"], await robot.sign_in())
    await asyncio.to_thread(_rebuilt, stack)


async def _users(walk: Walk) -> str:
    """Section 1; a passenger stays."""
    made = await walk.base("POST", "/admin/user", {"name": "Иван Петров"})
    assert made == {"id": made["id"], "name": "Иван Петров"}
    if (picture := MEDIA / "faces" / "obama.jpg").is_file():
        face = {"face": base64.b64encode(picture.read_bytes()).decode()}
        assert await walk.base("PATCH", f"/admin/user/{made['id']}/face", face) == OK
    assert await walk.base("DELETE", "/admin/user/face", params={"user_id": made["id"]}) == OK
    gone = await walk.base("POST", "/admin/user", {"name": "Пётр Иванов", "face": None})
    assert await walk.base("GET", "/admin/users") == page([made, gone])
    assert await walk.base("DELETE", f"/admin/users/{gone['id']}") == OK
    assert await walk.base("GET", "/admin/users") == page([made])
    return made["id"]


async def _engineers(walk: Walk) -> str:
    """Section 2; an engineer stays."""
    made = await walk.base("POST", "/admin/engineer", ENGINEER)
    assert made == {"login": ENGINEER["login"], "id": made["id"]}
    gone = await walk.base("POST", "/admin/engineer", ENGINEER | {"login": "another"})
    assert await walk.base("DELETE", f"/admin/engineers/{gone['id']}") == OK
    assert await walk.base("GET", "/admin/engineers") == page([made])
    return made["id"]


async def _tickets(walk: Walk, user: str) -> None:
    """Section 4; a ticket for the train stays."""
    asked = {
        "user_id": user, "train_number": 123, "wagon_number": 5, "place_number": 12, "station_id": "MOSCOW",
        "destination": "SPB", "date": DATE, "start_date": DATE,
    }  # fmt: skip
    kept = await walk.base("POST", "/admin/ticket", asked)
    assert kept == {**asked, "id": kept["id"], "code": kept["code"]}
    assert len(kept["code"]) == 128
    gone = await walk.base("POST", "/admin/ticket", asked | {"place_number": 13})
    assert await walk.base("DELETE", f"/admin/ticket/{gone['id']}") == OK
    assert await walk.base("GET", "/admin/tickets") == page([kept])


def _store(name: str) -> dict[str, str]:
    return {"name": name, "description": "Еда", "logo_url": "cafe.png", "store_type": "RESTAURANT"}


async def _stores(walk: Walk, kept: dict[str, Any]) -> None:
    """Store server, section 1."""
    assert kept == {**_store("Вагон-ресторан"), "id": kept["id"], "items": []}
    gone = await walk.store("POST", "/admin/store", _store("Сувениры"))
    assert await walk.store("GET", "/admin/stores", params={"page": 1, "size": 50}) == page([kept, gone])
    assert await walk.store("GET", f"/admin/store/{gone['id']}") == gone
    assert await walk.store("DELETE", f"/admin/store/{gone['id']}") == OK
    assert await walk.store("GET", "/admin/stores") == page([kept])


async def _items(walk: Walk, user: str, signed_in: dict[str, str]) -> None:
    """Store server, sections 2 and 3, as one store; nothing but a purchase stays."""
    asked = {"name": "Чай", "description": "Чёрный", "price_penny": 1000}
    made = await walk.store("POST", "/store/item", asked, headers=signed_in)
    assert asked.items() <= made.items()
    assert (await walk.store("GET", "/store/items", headers=signed_in))["items"][-1] == made
    assert await walk.store("GET", f"/store/item/{made['id']}", headers=signed_in) == made
    changed = {"id": made["id"], **asked, "price_penny": 1200}
    assert await walk.store("PUT", "/store/item", changed, headers=signed_in) == {**made, "price_penny": 1200}
    lines = [{"item_id": made["id"], "count": 2}]
    wish = {"user_id": user, "items": lines, "is_default_ready": False}
    bought = await walk.store("POST", "/store/purchase", wish, headers=signed_in)
    assert bought == {name: bought[name] for name in ("id", "store_id", "user_id", "items", "date")}
    assert (bought["user_id"], bought["items"]) == (user, lines)
    tasks = (await walk.store("GET", "/store/tasks", headers=signed_in))["items"]
    assert [task["purchase"]["id"] for task in tasks] == [bought["id"]]
    assert await walk.store("PUT", f"/store/task/{tasks[0]['id']}/ready", headers=signed_in) == OK
    assert await walk.store("DELETE", f"/store/item/{made['id']}", headers=signed_in) == OK


async def _on_board(walk: Walk, user: str, store: str, signed_in: dict[str, str]) -> None:
    """What a robot asks."""
    (ticket,) = (await walk.base("GET", "/admin/tickets"))["items"]
    asked = {
        "station_id": "MOSCOW", "train_number": 123, "wagon_number": 5, "date": DATE, "code": ticket["code"],
        "mark_as_used": True,
    }  # fmt: skip
    assert (await walk.base("POST", "/robot/ticket_validation", asked, headers=signed_in))["id"] == ticket["id"]
    assert await walk.base("GET", f"/robot/user/{user}", headers=signed_in) == {"id": user, "name": "Иван Петров"}
    trip = {"user_id": user, "train_number": 123, "start_date": DATE}
    assert await walk.base("POST", "/robot/determine_destination", trip, headers=signed_in) == {"id": "SPB"}
    assert (await walk.store("GET", f"/robot/store/{store}", headers=signed_in))["items"] == []
    unknown = await walk.base("GET", "/robot/destination/SPB/hotels", headers=signed_in)
    assert unknown == page([])


def _rebuilt(stack: Stack) -> None:
    """Every read model of the railway is built anew beside the live one, is equal, and answers in its place."""
    with psycopg.connect(stack.database_url) as connection:
        before = {name: connection.execute(f"SELECT * FROM {name} ORDER BY 1").fetchall() for name in TABLES}
    assert all(before[name] for name in ("users", "tickets", "engineers", "robots", "stores", "purchases", "tasks"))
    for model in MODELS:
        done = stack.command("replay", model)
        assert done.returncode == 0, done.stdout + done.stderr
    with psycopg.connect(stack.database_url) as connection:
        assert {name: connection.execute(f"SELECT * FROM {name} ORDER BY 1").fetchall() for name in TABLES} == before


async def test_what_nobody_may_and_what_is_nothing(http: httpx.AsyncClient) -> None:
    nobody = await http.get("/store_api/v1/store/items")
    assert (nobody.status_code, nobody.json()) == (401, {"detail": "Invalid credentials"})
    assert (await http.get("/face_api/v1/faces")).status_code == 401
    assert (await http.delete(f"/base_api/admin/users/{uuid.uuid4()}")).json() == {"detail": "User not found"}
    wrong = await http.get("/base_api/v1/admin/users", params={"size": 101})
    assert (wrong.status_code, wrong.json()["detail"][0]["loc"]) == (422, ["query", "size"])
    assert (await http.options("/base_api/v1/admin/users")).status_code == 204
    assert (await http.get("/base_api/docs")).status_code == 200
