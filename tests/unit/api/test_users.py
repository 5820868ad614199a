"""Contract 002 §3 and §4: signing in and users, against deciders in memory."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator

import httpx
import jwt
import pytest

from api import app, first_admin
from api.attempts import Attempts
from api.passwords import Passwords
from api.routes import users
from api.routes.users import People
from api.sign_in import SignIn, SignInOptions
from projections.queries.errors import Unavailable
from schemas.errors import TransientFailure
from tests.drivers.deciding import RING
from tests.drivers.desk import Desk, app_of
from tests.drivers.waiting import until

SECRET = "s" * 32
ADMIN = {"Authorization": "Bearer admin-token"}
ANNA = {"username": "anna", "password": "secret1", "full_name": "Anna Petrova"}
USERS, LOGIN = "/api/v1/users", "/api/v1/auth/login"


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def people(desk: Desk) -> People:
    sign_in = SignIn(SignInOptions("admin-token", SECRET), desk)
    return People(desk, desk, sign_in, RING, Passwords(memory_kib=8, passes=1), Attempts())


@pytest.fixture
async def client(people: People) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app_of(users.build(people)))
    async with httpx.AsyncClient(transport=transport, base_url="http://t") as session:
        yield session


async def created(client: httpx.AsyncClient, **changed) -> dict:
    answer = await client.post(USERS, json=ANNA | changed, headers=ADMIN)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def signed_in(client: httpx.AsyncClient, **changed) -> dict[str, str]:
    credentials = {"username": ANNA["username"], "password": ANNA["password"]} | changed
    answer = await client.post(LOGIN, json=credentials)
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


async def test_a_user_is_created_and_signs_in(client: httpx.AsyncClient, desk: Desk) -> None:
    user = await created(client)
    assert user.keys() == {
        "user_id", "username", "full_name", "is_admin", "is_active", "created_at", "last_login_at"
    }  # fmt: skip
    assert (user["is_admin"], user["is_active"], user["last_login_at"]) == (False, True, None)
    assert user["created_at"].endswith("+00:00")
    answer = (await client.post(LOGIN, json={"username": "anna", "password": "secret1"})).json()
    assert answer.keys() == {"access_token", "token_type", "user"}
    assert answer["token_type"] == "bearer"
    assert answer["user"]["last_login_at"].endswith("+00:00")
    claims = jwt.decode(answer["access_token"], SECRET, ["HS256"])
    assert claims["sub"] == user["user_id"]
    assert 86_300 < claims["exp"] - time.time() < 86_500

    async def told() -> bool:
        return bool(desk.told)

    await until(told)
    assert desk.told == [("RecordSignIn", {"user_id": user["user_id"]})]


async def test_no_password_leaves_the_process_in_clear(client: httpx.AsyncClient, desk: Desk) -> None:
    user = await created(client)
    await client.patch(f"{USERS}/{user['user_id']}", json={"password": "secret2"}, headers=ADMIN)
    assert len(desk.sent) == 2
    assert "secret" not in str(desk.sent)
    assert "anna" not in str(desk.sent).lower()


@pytest.mark.parametrize("header", ["bearer", "BEARER", "Bearer"])
async def test_a_users_token_is_taken_with_the_scheme_in_any_case(client: httpx.AsyncClient, header: str) -> None:
    await created(client)
    token = (await signed_in(client))["Authorization"].split(" ")[1]
    answer = await client.get(f"{USERS}/me", headers={"Authorization": f"{header} {token}"})
    assert (answer.status_code, answer.json()["username"]) == (200, "anna")


async def test_unknown_wrong_and_inactive_are_refused_alike(client: httpx.AsyncClient) -> None:
    user = await created(client)
    wrong = {"username": "anna", "password": "wrong1"}
    unknown = {"username": "nobody", "password": "secret1"}
    answers = [await client.post(LOGIN, json=body) for body in (wrong, unknown, unknown | {"username": "an\x00na"})]
    await client.patch(f"{USERS}/{user['user_id']}", json={"is_active": False}, headers=ADMIN)
    answers.append(await client.post(LOGIN, json={"username": "anna", "password": "secret1"}))
    for answer in answers:
        assert (answer.status_code, answer.json()) == (401, {"detail": "Incorrect username or password"})
        assert answer.headers["www-authenticate"] == "Bearer"


async def test_whoever_guesses_shuts_out_nobody_but_himself(people: People, client: httpx.AsyncClient) -> None:
    await created(client)
    wrong = {"username": "anna", "password": "wrong1"}
    for _ in range(5):
        assert (await client.post(LOGIN, json=wrong)).status_code == 401
    answer = await client.post(LOGIN, json=wrong | {"password": "secret1"})
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["retry-after"]) <= 61
    elsewhere = httpx.ASGITransport(app_of(users.build(people)), client=("10.9.8.7", 1))
    async with httpx.AsyncClient(transport=elsewhere, base_url="http://t") as session:
        await signed_in(session)


async def test_signing_in_works_while_nothing_can_be_written(client: httpx.AsyncClient, desk: Desk) -> None:
    await created(client)
    desk.failure = TransientFailure("away")
    await signed_in(client)
    desk.outage = Unavailable("PostgreSQL does not answer.")
    assert (await client.post(LOGIN, json={"username": "anna", "password": "secret1"})).status_code == 503


@pytest.mark.parametrize("body", [{}, {"username": "ab", "password": "secret1"}, {"username": "anna", "password": "x"}])
async def test_a_bad_login_is_422(client: httpx.AsyncClient, body: dict) -> None:
    assert (await client.post(LOGIN, json=body)).status_code == 422


async def test_who_is_no_administrator_sees_no_users(client: httpx.AsyncClient) -> None:
    await created(client)
    mine = await signed_in(client)
    for method, path in (("GET", USERS), ("POST", USERS), ("PATCH", f"{USERS}/x"), ("DELETE", f"{USERS}/x")):
        answer = await client.request(method, path, headers=mine, content=b"{")
        assert (answer.status_code, answer.json()) == (403, {"detail": "Admin access required"})


@pytest.mark.parametrize(
    ("header", "detail"),
    [
        (None, "Not authenticated"),
        ("Basic x", "Not authenticated"),
        ("Bearer x", "Could not validate credentials"),
        ("Bearer a.b.c", "Could not validate credentials"),
    ],
)
@pytest.mark.parametrize("path", [USERS, f"{USERS}/me"])
async def test_401_of_users(client: httpx.AsyncClient, path: str, header: str | None, detail: str) -> None:
    headers = {} if header is None else {"Authorization": header}
    for method in ("GET",) if path.endswith("me") else ("GET", "POST"):
        answer = await client.request(method, path, headers=headers, content=b"{")
        assert (answer.status_code, answer.json()) == (401, {"detail": detail})
        assert answer.headers["www-authenticate"] == "Bearer"


async def test_the_admin_token_is_nobody_in_particular(client: httpx.AsyncClient) -> None:
    assert (await client.get(f"{USERS}/me", headers=ADMIN)).status_code == 401


async def test_a_forged_expired_or_foreign_token_is_refused(client: httpx.AsyncClient) -> None:
    user_id = (await created(client))["user_id"]
    soon = int(time.time()) + 60
    forged = [
        jwt.encode({"sub": user_id, "exp": soon}, "x" * 32, "HS256"),
        jwt.encode({"sub": user_id, "exp": soon - 120}, SECRET, "HS256"),
        jwt.encode({"sub": user_id}, SECRET, "HS256"),
        jwt.encode({"exp": soon}, SECRET, "HS256"),
        jwt.encode({"sub": "x", "exp": soon}, SECRET, "HS256"),
        jwt.encode({"sub": str(uuid.uuid4()), "exp": soon}, SECRET, "HS256"),
        jwt.encode({"sub": user_id, "exp": soon}, "", "none"),
    ]
    good = jwt.encode({"sub": user_id, "exp": soon}, SECRET, "HS256")
    statuses = [
        (await client.get(f"{USERS}/me", headers={"Authorization": f"Bearer {token}"})).status_code
        for token in (*forged, good)
    ]
    assert statuses == [401] * 7 + [200]


async def test_without_a_secret_nobody_can_make_a_token(desk: Desk, client: httpx.AsyncClient) -> None:
    user_id = (await created(client))["user_id"]
    soon = int(time.time()) + 60
    sign_in = SignIn(SignInOptions("admin-token", ""), desk)
    transport = httpx.ASGITransport(app_of(users.build(People(desk, desk, sign_in, RING))))
    async with httpx.AsyncClient(transport=transport, base_url="http://t") as session:
        for token in (jwt.encode({"sub": user_id, "exp": soon}, "", "none"), sign_in.token_of(user_id)):
            answer = await session.get(f"{USERS}/me", headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == (200 if token == sign_in.token_of(user_id) else 401)


async def test_whoever_is_deactivated_or_deleted_is_out(client: httpx.AsyncClient) -> None:
    user_id = (await created(client))["user_id"]
    mine = await signed_in(client)
    await client.patch(f"{USERS}/{user_id}", json={"is_active": False}, headers=ADMIN)
    assert (await client.get(f"{USERS}/me", headers=mine)).status_code == 401
    await client.patch(f"{USERS}/{user_id}", json={"is_active": True}, headers=ADMIN)
    assert (await client.get(f"{USERS}/me", headers=mine)).status_code == 200
    assert (await client.delete(f"{USERS}/{user_id}", headers=ADMIN)).status_code == 204
    assert (await client.get(f"{USERS}/me", headers=mine)).json() == {"detail": "Could not validate credentials"}


async def test_a_name_is_taken_once(client: httpx.AsyncClient) -> None:
    await created(client)
    answer = await client.post(USERS, json=ANNA, headers=ADMIN)
    assert (answer.status_code, answer.json()) == (409, {"detail": "Username already exists"})


async def test_a_retry_with_its_key_is_the_same_user(client: httpx.AsyncClient) -> None:
    key = ADMIN | {"Idempotency-Key": "k"}
    first = await client.post(USERS, json=ANNA, headers=key)
    again = await client.post(USERS, json=ANNA, headers=key)
    assert (again.status_code, again.json()) == (201, first.json())
    other = await client.post(USERS, json=ANNA | {"username": "berta"}, headers=key)
    assert other.status_code == 409


async def test_users_are_listed_the_oldest_first(client: httpx.AsyncClient) -> None:
    await created(client)
    await created(client, username="berta", is_admin=True)
    mine = await signed_in(client, username="berta")
    rows = (await client.get(USERS, headers=mine)).json()
    assert [row["username"] for row in rows] == ["anna", "berta"]
    assert "password_hash" not in rows[0]


async def test_a_user_is_changed(client: httpx.AsyncClient, desk: Desk) -> None:
    user = await created(client)
    path = f"{USERS}/{user['user_id']}"
    changes = {"full_name": "Anna P.", "password": "secret2", "is_admin": True}
    answer = await client.patch(path, json=changes, headers=ADMIN)
    assert answer.status_code == 200
    assert answer.json() == user | {"full_name": "Anna P.", "is_admin": True}
    await signed_in(client, password="secret2")
    before = len(desk.sent)
    answer = await client.patch(path, json={"full_name": None, "unknown": 1}, headers=ADMIN)
    assert (answer.status_code, len(desk.sent)) == (200, before)
    for bad in ({"full_name": ""}, {"password": "x"}, {"is_active": "perhaps"}):
        assert (await client.patch(path, json=bad, headers=ADMIN)).status_code == 422


async def test_an_unknown_user_is_404(client: httpx.AsyncClient) -> None:
    path = f"{USERS}/{uuid.uuid4()}"
    for body in ({}, {"is_active": False}):
        answer = await client.patch(path, json=body, headers=ADMIN)
        assert (answer.status_code, answer.json()) == (404, {"detail": "User not found"})
    assert (await client.delete(path, headers=ADMIN)).status_code == 404


async def test_nobody_deletes_himself(client: httpx.AsyncClient) -> None:
    user = await created(client, is_admin=True)
    mine = await signed_in(client)
    answer = await client.delete(f"{USERS}/{user['user_id']}", headers=mine)
    assert (answer.status_code, answer.json()) == (400, {"detail": "Cannot delete yourself"})


async def test_the_first_administrator_is_made_once(people: People, desk: Desk, client: httpx.AsyncClient) -> None:
    first = first_admin.FirstAdmin("root", "secret1")
    await first_admin.ensure(people, first)
    await first_admin.ensure(people, first_admin.FirstAdmin("root", "another1"))
    assert [row["username"] for row in desk.users.values()] == ["root"]
    mine = await signed_in(client, username="root")
    assert (await client.get(USERS, headers=mine)).status_code == 200


async def test_the_first_administrator_waits_for_kafka(
    people: People, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_admin, "RETRY_S", 0)
    desk.failure = TransientFailure("away")
    making = asyncio.create_task(first_admin.ensure(people, first_admin.FirstAdmin("root", "secret1")))

    async def refused() -> bool:
        return desk.refused >= 3

    await until(refused)
    assert not making.done()
    desk.failure = None
    await making
    assert len(desk.users) == 1


def test_a_first_administrator_that_cannot_be_is_told_without_the_password() -> None:
    with pytest.raises(ValueError, match="a password of 6") as told:
        first_admin.checked(first_admin.FirstAdmin("root", "pw"))
    assert "'pw'" not in str(told.value)


async def test_without_a_secret_every_route_takes_the_tokens_of_signing_in(desk: Desk) -> None:
    sales = app.Sales(SignInOptions("admin-token", ""), RING, desk)
    served = app.build(app.Api(desk, None, sales=sales))  # pyright: ignore[reportArgumentType]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(served), base_url="http://t") as session:
        await created(session, is_admin=True)
        token = await signed_in(session)
        for path in (f"{USERS}/me", "/api/v1/admin/devices"):
            assert (await session.get(path, headers=token)).status_code == 200, path
