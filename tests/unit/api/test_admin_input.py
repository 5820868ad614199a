"""Whatever is sent to the routes of devices and users, no answer is a 500."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import httpx
import pytest

from api.passwords import Passwords
from api.routes import devices, users
from api.sign_in import SignIn, SignInOptions
from tests.drivers.deciding import RING
from tests.drivers.desk import Desk, app_of

ADMIN = {"Authorization": "Bearer admin-token"}
ID = str(uuid.UUID(int=7))
ROUTES = [
    ("POST", "/api/v1/admin/devices"), ("PATCH", f"/api/v1/admin/devices/{ID}"),
    ("PATCH", f"/api/v1/admin/points/{ID}"), ("PATCH", f"/api/v1/admin/registers/{ID}"),
    ("POST", "/api/v1/auth/login"), ("POST", "/api/v1/users"), ("PATCH", f"/api/v1/users/{ID}"),
]  # fmt: skip
VALUES = (
    "null",
    "1e999",
    "-1",
    "99999999999999999999999",
    '"\\u0000"',
    '"\\ud800"',
    '"' + "я" * 300 + '"',
    "[]",
    "{}",
    "true",
)
FIELDS = (
    "point_id", "register_id", "device_id", "token_plain", "token", "is_enabled", "name", "username", "password",
    "full_name", "is_admin", "is_active",
)  # fmt: skip


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    desk = Desk()
    sign_in = SignIn(SignInOptions("admin-token", "s" * 32), desk)
    people = users.People(desk, desk, sign_in, RING, Passwords(memory_kib=8, passes=1))
    transport = httpx.ASGITransport(app_of(devices.build(desk, desk, sign_in), users.build(people)))
    async with httpx.AsyncClient(transport=transport, base_url="http://t") as session:
        yield session


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_no_body_is_a_500(client: httpx.AsyncClient, method: str, path: str) -> None:
    bodies = [b"\xff", b"\x00", b"[" * 60_000, b'"a"', b"1", b"nul", b"{" + b'"a":1,' * 5_000 + b'"b":1}']
    for value in VALUES:
        bodies.append(("{" + ",".join(f'"{field}": {value}' for field in FIELDS) + "}").encode())
    for body in bodies:
        answer = await client.request(method, path, content=body, headers=ADMIN)
        assert answer.status_code in (200, 201, 401, 404, 409, 413, 422), (body[:80], answer.text)
        assert "detail" in answer.json() or answer.status_code < 300


@pytest.mark.parametrize("value", ["%00", "%ff", "x" * 2000, "..", "%F0%9F%98%80", "urn:uuid:x"])
async def test_no_path_is_a_500(client: httpx.AsyncClient, value: str) -> None:
    for method, path in (
        ("PATCH", "/api/v1/admin/devices/"), ("PATCH", "/api/v1/admin/points/"), ("PATCH", "/api/v1/users/"),
        ("DELETE", "/api/v1/users/"), ("GET", "/v1/sales/devices/"),
    ):  # fmt: skip
        tail = "/history" if "sales" in path else ""
        answer = await client.request(method, path + value + tail, headers=ADMIN)
        assert answer.status_code in (307, 404, 405, 422), (path, answer.text)


@pytest.mark.parametrize(
    "header",
    [b"\xff\xfe", b"Bearer \xe9.\xe9.\xe9", b"Bearer ..", b"Bearer " + b"a" * 9000, b"Bearer a.b.c d", b"bearer\tx"],
)
async def test_no_header_is_a_500(client: httpx.AsyncClient, header: bytes) -> None:
    for path in ("/api/v1/admin/devices", "/api/v1/users", "/api/v1/users/me"):
        answer = await client.get(path, headers={b"Authorization": header})
        assert answer.status_code == 401, answer.text


async def test_what_the_routes_take_is_documented(client: httpx.AsyncClient) -> None:
    paths = (await client.get("/openapi.json")).json()["paths"]
    body = paths["/api/v1/admin/devices"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert set(body["required"]) == {"point_id", "register_id", "device_id", "token_plain"}
    assert paths["/api/v1/users"]["get"]["security"]
    assert "security" not in paths["/api/v1/auth/login"]["post"]
