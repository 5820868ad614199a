"""Contract 002 §4: the routes of devices, against deciders in memory."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from hashlib import sha256

import httpx
import pytest

from api.routes import devices
from api.sign_in import SignIn, SignInOptions
from projections.queries.errors import Unavailable
from schemas.errors import TransientFailure
from tests.drivers.desk import Desk, app_of, moment

D, P, R = (str(uuid.UUID(int=n)) for n in (3, 1, 2))
ASKED = {"device_id": D, "point_id": P, "register_id": R, "token_plain": "0123456789abcdef"}
ADMIN = {"Authorization": "Bearer admin-token"}
DEVICES = "/api/v1/admin/devices"


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
async def client(desk: Desk) -> AsyncIterator[httpx.AsyncClient]:
    sign_in = SignIn(SignInOptions("admin-token", "s" * 32), desk)
    app = app_of(devices.build(desk, desk, sign_in))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://t", headers=ADMIN) as session:
        yield session


async def test_a_device_is_registered_as_in_the_quick_start(client: httpx.AsyncClient, desk: Desk) -> None:
    answer = await client.post(DEVICES, json=ASKED)
    assert answer.status_code == 201
    created = moment(desk.now_us).isoformat().replace("+00:00", "Z")
    assert answer.json() == {
        "device_id": D, "point_id": P, "register_id": R, "is_enabled": True, "created_at": created,
        "last_seen_at": None, "point_name": None, "register_name": None,
    }  # fmt: skip
    (_, record, model, _), *more = desk.sent
    assert not more
    assert record["token_sha256"] == sha256(b"0123456789abcdef").hexdigest()
    assert "0123456789abcdef" not in str(desk.sent)
    assert (record["by"], model) == ("token", "devices")


async def test_the_other_name_of_the_token_and_is_enabled_are_taken(client: httpx.AsyncClient, desk: Desk) -> None:
    asked = {key: value for key, value in ASKED.items() if key != "token_plain"}
    answer = await client.post(DEVICES, json=asked | {"token": "f" * 64, "is_enabled": False, "unknown": [1]})
    assert (answer.status_code, answer.json()["is_enabled"]) == (201, False)
    assert desk.sent[0][1]["token_sha256"] == sha256(b"f" * 64).hexdigest()


async def test_ids_come_in_any_case_and_go_in_lower(client: httpx.AsyncClient) -> None:
    upper = {key: value.upper() for key, value in ASKED.items()} | {"device_id": "ABCDEF00-0000-4000-8000-00000000000A"}
    assert (await client.post(DEVICES, json=upper)).json()["device_id"] == "abcdef00-0000-4000-8000-00000000000a"


async def test_a_device_is_registered_once(client: httpx.AsyncClient) -> None:
    assert (await client.post(DEVICES, json=ASKED)).status_code == 201
    answer = await client.post(DEVICES, json=ASKED)
    assert (answer.status_code, answer.json()) == (409, {"detail": "Device already exists"})
    other = await client.post(DEVICES, json=ASKED | {"device_id": str(uuid.uuid4())})
    assert (other.status_code, other.json()) == (409, {"detail": "Token already belongs to another device"})


async def test_of_two_that_race_one_wins(client: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*[client.post(DEVICES, json=ASKED) for _ in range(2)])
    assert sorted(answer.status_code for answer in answers) == [201, 409]


async def test_an_idempotency_key_makes_a_retry_the_same_request(client: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": "k"}
    first = await client.post(DEVICES, json=ASKED, headers=key)
    again = await client.post(DEVICES, json=ASKED, headers=key)
    assert (again.status_code, again.json()) == (201, first.json())
    other = await client.post(DEVICES, json=ASKED | {"device_id": str(uuid.uuid4())}, headers=key)
    assert other.status_code == 409


@pytest.mark.parametrize(
    ("body", "loc", "kind"),
    [
        (b"", ["body"], "missing"),
        (b"{", ["body", 1], "json_invalid"),
        (b'{"is_enabled": NaN}', ["body", 15], "json_invalid"),
        (b"[]", ["body"], "model_type"),
        (b'{"device_id": ""}', ["body", "device_id"], "uuid_parsing"),
        (b'{"token_plain": "short"}', ["body", "token_plain"], "string_too_short"),
        (b"{}", ["body", "token_plain"], "missing"),
    ],
)
async def test_bad_input_is_422(client: httpx.AsyncClient, body: bytes, loc: list, kind: str) -> None:
    answer = await client.post(DEVICES, content=body)
    assert answer.status_code == 422
    found = [one for one in answer.json()["detail"] if one["loc"] == loc]
    assert [one["type"] for one in found] == [kind]
    assert {"type", "loc", "msg", "input"} <= found[0].keys()


async def test_a_huge_body_is_413(client: httpx.AsyncClient) -> None:
    assert (await client.post(DEVICES, content=b" " * 100_000)).status_code == 413


async def test_devices_are_listed_the_newest_first_with_names(client: httpx.AsyncClient) -> None:
    second = str(uuid.uuid4())
    await client.post(DEVICES, json=ASKED)
    await client.post(DEVICES, json=ASKED | {"device_id": second, "token_plain": "g" * 16})
    await client.patch(f"/api/v1/admin/points/{P}", json={"name": "Вокзал"})
    rows = (await client.get(DEVICES)).json()
    assert [row["device_id"] for row in rows] == [second, D]
    assert rows[0]["point_name"] == "Вокзал"
    assert rows[0]["register_name"] is None
    assert "token_hash" not in rows[0]


async def test_a_device_is_shut_out_and_let_in(client: httpx.AsyncClient, desk: Desk) -> None:
    await client.post(DEVICES, json=ASKED)
    answer = await client.patch(f"{DEVICES}/{D}", json={"is_enabled": False})
    assert (answer.status_code, answer.json()["is_enabled"]) == (200, False)
    assert answer.json().keys() == (await client.get(DEVICES)).json()[0].keys()
    for nothing in ({}, {"is_enabled": None}):
        before = len(desk.sent)
        answer = await client.patch(f"{DEVICES}/{D}", json=nothing)
        assert (answer.status_code, answer.json()["is_enabled"], len(desk.sent)) == (200, False, before)
    assert (await client.patch(f"{DEVICES}/{D}", json={"is_enabled": "true"})).json()["is_enabled"]


async def test_a_change_is_answered_though_the_read_model_is_late(client: httpx.AsyncClient, desk: Desk) -> None:
    desk.blind = True
    await client.post(DEVICES, json=ASKED)
    answer = await client.patch(f"{DEVICES}/{D}", json={"is_enabled": False})
    assert (answer.status_code, answer.json()["is_enabled"], answer.json()["point_id"]) == (200, False, P)


@pytest.mark.parametrize("body", [{}, {"is_enabled": True}])
async def test_an_unknown_device_is_404(client: httpx.AsyncClient, body: dict) -> None:
    answer = await client.patch(f"{DEVICES}/{uuid.uuid4()}", json=body)
    assert (answer.status_code, answer.json()) == (404, {"detail": "Device not found"})


@pytest.mark.parametrize(("path", "key"), [("points", "point_id"), ("registers", "register_id")])
async def test_points_and_registers_get_names(client: httpx.AsyncClient, path: str, key: str) -> None:
    answer = await client.patch(f"/api/v1/admin/{path}/{P}", json={"name": "A\x00B"})
    assert (answer.status_code, answer.json()) == (200, {key: P, "name": "A\ufffdB"})
    for bad in ({"name": ""}, {"name": "x" * 256}, {}, {"name": None}):
        assert (await client.patch(f"/api/v1/admin/{path}/{P}", json=bad)).status_code == 422
    assert (await client.patch(f"/api/v1/admin/{path}/x", json={"name": "A"})).status_code == 422


async def test_nothing_is_answered_before_it_is_decided(client: httpx.AsyncClient, desk: Desk) -> None:
    desk.failure = TransientFailure("the command was not decided in time; it may still be")
    answer = await client.post(DEVICES, json=ASKED)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    desk.failure, desk.outage = None, Unavailable("PostgreSQL does not answer.")
    assert (await client.get(DEVICES)).status_code == 503


@pytest.mark.parametrize(
    ("header", "detail"),
    [
        (None, "Missing Authorization header"),
        ("", "Missing Authorization header"),
        ("Basic x", "Invalid authorization scheme"),
        ("admin-token", "Invalid authorization scheme"),
        ("Bearer wrong", "Invalid admin token"),
        ("Bearer ", "Invalid authorization scheme"),
        ("Bearer a.b.c", "Could not validate credentials"),
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", DEVICES), ("GET", DEVICES), ("PATCH", f"{DEVICES}/x"), ("PATCH", "/api/v1/admin/points/x"),
     ("PATCH", "/api/v1/admin/registers/x"), ("GET", "/v1/sales/devices/x/history")],
)  # fmt: skip
async def test_who_is_not_known_is_told_so_before_anything_else(
    desk: Desk, method: str, path: str, header: str | None, detail: str
) -> None:
    sign_in = SignIn(SignInOptions("admin-token", "s" * 32), desk)
    transport = httpx.ASGITransport(app_of(devices.build(desk, desk, sign_in)))
    headers = {} if header is None else {"Authorization": header}
    async with httpx.AsyncClient(transport=transport, base_url="http://t") as session:
        answer = await session.request(method, path, content=b"{", headers=headers)
    assert (answer.status_code, answer.json()) == (401, {"detail": detail})
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_an_empty_admin_token_lets_nobody_in(desk: Desk) -> None:
    sign_in = SignIn(SignInOptions("", "s" * 32), desk)
    transport = httpx.ASGITransport(app_of(devices.build(desk, desk, sign_in)))
    async with httpx.AsyncClient(transport=transport, base_url="http://t") as session:
        for header in ("Bearer", "Bearer ", "Bearer x"):
            assert (await session.get(DEVICES, headers={"Authorization": header})).status_code == 401


async def test_other_methods_are_405(client: httpx.AsyncClient) -> None:
    assert (await client.put(DEVICES)).status_code == 405
    assert (await client.head(DEVICES)).status_code == 405
    assert (await client.get(f"{DEVICES}/")).status_code == 307


async def test_a_history_has_pages(client: httpx.AsyncClient, desk: Desk) -> None:
    path = f"/v1/sales/devices/{D}/history"
    assert (await client.get(path)).status_code == 404
    await client.post(DEVICES, json=ASKED)
    place = {"topic": "devices.events", "kafka_partition": 0, "kafka_offset": 0}
    desk.history = [{"at": moment(n), "event": "DeviceEnabled", "details": {}} | place for n in (2, 1)]
    answer = await client.get(path, params={"limit": 1})
    assert answer.json()["count"] == 1
    assert answer.json()["events"][0]["at"] == "1970-01-01T00:00:00.000002Z"
    after = httpx.URL(answer.headers["link"].split(">")[0].removeprefix("<")).params["after"]
    assert (await client.get(path, params={"after": after})).status_code == 200
    assert (await client.get(path, params={"after": "x"})).status_code == 422
