"""What administrators do with engineers, their cards and robots; and whose card a robot has read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from api.passwords import Passwords
from api.railway import cards, component_sign_in, engineers
from api.railway.cards import marks
from api.railway.parts import Railway
from schemas.envelope import KeyRing
from schemas.errors import TransientFailure
from tests.drivers.access import rsa_key
from tests.drivers.access_desk import AccessDesk, Component
from tests.drivers.deciding import RING

BASE = "/base_api/v1"
OK = {"status": "OK"}
NOBODY = "0f9d3c1e-0000-4000-8000-00000000dead"
UNKNOWN = (404, {"detail": "Engineer not found"})


async def administrator() -> str:
    return "token"


@pytest.fixture(scope="module")
def served() -> tuple[AccessDesk, FastAPI]:
    """Built once, for that takes a while."""
    desk, cheap = AccessDesk(), {"passwords": Passwords(memory_kib=8, passes=1)}
    railway = Railway(desk, desk, RING, administrator, now=lambda: desk.now, extra=cheap)  # pyright: ignore
    app = FastAPI()
    for one in (component_sign_in, engineers, cards):
        app.include_router(one.build(railway), prefix=BASE)
    return desk, app


@pytest.fixture
def desk(served: tuple[AccessDesk, FastAPI]) -> AccessDesk:
    served[0].__init__()
    return served[0]


@pytest.fixture
async def http(served: tuple[AccessDesk, FastAPI], desk: AccessDesk) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(served[1]), base_url="http://t" + BASE) as client:
        yield client


async def engineer(http: httpx.AsyncClient, login: str = "eva", **headers: str) -> str:
    answer = await http.post("/admin/engineer", json={"login": login, "password": "secret"}, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"login": login, "id": answer.json()["id"]}
    return answer.json()["id"]


async def put(http: httpx.AsyncClient, path: str, body: Any) -> tuple[int, Any]:
    answer = await http.put(path, json=body)
    return answer.status_code, answer.json()


async def test_engineers_are_created_listed_and_deleted(http: httpx.AsyncClient):
    ids = [await engineer(http, login) for login in ("eva", "ivan", "Eva")]
    taken = await http.post("/admin/engineer", json={"login": "eva", "password": "other"})
    assert (taken.status_code, taken.json()) == (409, {"detail": "Engineer already exists"})
    page = (await http.get("/admin/engineers", params={"page": 2, "size": 2})).json()
    assert page == {"items": [{"login": "Eva", "id": ids[2]}], "total": 3, "page": 2, "size": 2, "pages": 2}
    assert (await http.delete(f"/admin/engineers/{ids[0].upper()}")).json() == OK
    gone = await http.delete(f"/admin/engineers/{ids[0]}")
    assert (gone.status_code, gone.json()) == UNKNOWN
    await engineer(http)  # the login is free again


async def test_a_retry_with_its_key_creates_one_engineer(http: httpx.AsyncClient):
    key = {"Idempotency-Key": "k1"}
    assert await engineer(http, **key) == await engineer(http, **key)
    for changed in ({"login": "ivan"}, {"password": "other"}):
        other = await http.post("/admin/engineer", json={"login": "eva", "password": "secret"} | changed, headers=key)
        assert other.status_code == 409
    assert (await http.get("/admin/engineers")).json()["total"] == 1


async def test_privileges_are_names_of_bits(http: httpx.AsyncClient, desk: AccessDesk):
    one = await engineer(http)
    for names, bits in (
        (["ROBOT_LOGIN", "STORE_LOGIN", "ROBOT_ADMIN"], 7),
        (["ROBOT_ADMIN", "ROBOT_ADMIN"], 4),
        ([], 0),
    ):
        assert await put(http, "/admin/engineer_privileges", {"id": one, "privileges": names}) == (200, OK)
        assert desk.state.engineers[one].privileges == bits
    assert await put(http, "/admin/engineer_privileges", {"id": NOBODY, "privileges": []}) == UNKNOWN


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/admin/engineer", {"login": "x" * 61, "password": "secret"}),
        ("POST", "/admin/engineer", {"login": "", "password": "secret"}),
        ("POST", "/admin/engineer", {"login": "eva", "password": ""}),
        ("POST", "/admin/engineer", {"login": "eva", "password": "x" * 256}),
        ("POST", "/admin/engineer", {"login": "e\x00", "password": "secret"}),
        ("POST", "/admin/engineer", {"login": 5, "password": "secret"}),
        ("PUT", "/admin/engineer_privileges", {"id": NOBODY, "privileges": ["ALL"]}),
        ("PUT", "/admin/engineer_privileges", {"id": "5", "privileges": []}),
        ("PUT", "/admin/engineer/5/auth_card", {"key": "k"}),
        ("PUT", f"/admin/engineer/{NOBODY}/auth_card", {"key": "x" * 257}),
        ("DELETE", f"/admin/engineers/x{NOBODY}", None),
        ("DELETE", "/admin/robots/5", None),
        ("GET", "/admin/robots?size=101", None),
        ("GET", "/admin/engineers?page=0", None),
    ],
)
async def test_input_that_is_none(http: httpx.AsyncClient, desk: AccessDesk, method: str, path: str, body: Any):
    answer = await http.request(method, path, json=body)
    assert answer.status_code == 422
    assert not desk.sent


async def test_a_long_password_counts_to_its_end(http: httpx.AsyncClient):
    password = "п" * 127
    await http.post("/admin/engineer", json={"login": "long", "password": password})
    one = (await http.get("/admin/engineers")).json()["items"][0]["id"]
    await put(http, "/admin/engineer_privileges", {"id": one, "privileges": ["ROBOT_LOGIN"]})
    robot = Component(http, rsa_key(), "robot", base="")
    model = {"robot_model_id": "m", "robot_model_name": "r"}
    assert (await robot.register("long", password[:-1] + "х", **model)).status_code == 401
    assert (await robot.register("long", password, **model)).status_code == 200


async def test_whose_card_it_is(http: httpx.AsyncClient, desk: AccessDesk):
    eva, ivan = await engineer(http), await engineer(http, "ivan")
    await put(http, "/admin/engineer_privileges", {"id": eva, "privileges": ["ROBOT_LOGIN", "ROBOT_ADMIN"]})
    robot = Component(http, rsa_key(), "robot", base="")
    await robot.register("eva", "secret", robot_model_id="m", robot_model_name="r")
    header = await robot.sign_in()
    card = "0xAB 0x3 0x4 0x5F"

    async def shown(key: str = card) -> tuple[int, Any]:
        answer = await http.post("/robot/engineer/admin_access", json={"key": key}, headers=header)
        return answer.status_code, answer.json()

    denied = (403, {"detail": "Access denied"})
    assert (await http.post("/robot/engineer/admin_access", json={"key": card})).status_code == 401
    assert await shown() == denied
    assert await put(http, f"/admin/engineer/{eva}/auth_card", {"key": card}) == (200, OK)
    assert await shown() == (200, {"login": "eva", "id": eva})
    taken = await put(http, f"/admin/engineer/{ivan}/auth_card", {"key": card})
    assert taken == (409, {"detail": "Card already belongs to another engineer"})
    for nothing in ({"key": None}, {"key": ""}, {}):
        assert await put(http, f"/admin/engineer/{eva}/auth_card", nothing) == (200, OK)
        assert await shown() == denied
        assert await shown("") == denied
    assert await put(http, f"/admin/engineer/{ivan}/auth_card", {"key": card}) == (200, OK)
    assert await shown() == denied  # his, but he may not
    assert await put(http, f"/admin/engineer/{NOBODY}/auth_card", {"key": "k"}) == UNKNOWN
    assert card not in repr(desk.sent)


async def test_a_robot_that_tries_card_after_card_has_to_wait(http: httpx.AsyncClient):
    one = await engineer(http)
    await put(http, "/admin/engineer_privileges", {"id": one, "privileges": ["ROBOT_LOGIN"]})
    robot = Component(http, rsa_key(), "robot", base="")
    await robot.register("eva", "secret", robot_model_id="m", robot_model_name="r")
    header = await robot.sign_in()
    tries = [
        (await http.post("/robot/engineer/admin_access", json={"key": str(n)}, headers=header)).status_code
        for n in range(61)
    ]
    assert tries == [403] * 60 + [429]


def test_a_card_keeps_its_mark_while_its_key_is_in_the_ring():
    newer = KeyRing({**RING.keys, "k2": bytes(32)}, "k2")
    (old,) = marks(RING, "card")
    assert marks(newer, "card")[1] == old
    assert marks(newer, "card")[0] == marks(KeyRing({"k2": bytes(32)}, "k2"), "card")[0] != old
    assert len(old) == 64


async def test_nobody_decides(http: httpx.AsyncClient, desk: AccessDesk):
    desk.failure = TransientFailure("Kafka is away")
    answer = await http.post("/admin/engineer", json={"login": "eva", "password": "secret"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
