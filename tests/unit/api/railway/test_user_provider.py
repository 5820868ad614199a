"""Contract 003 §5.4 and §11: Keycloak's user provider, whose decoder breaks at a sixth key."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from fastapi import HTTPException

from tests.drivers.railway_office import Office, client_of, railway_of

USERS = "/user-provider/users"
NOBODY = "0f9d3c1e-0000-4000-8000-00000000dead"
ANNA = {"username": "anna", "full_name": "Анна Петрова", "email": "anna@example.com", "password": "secret"}


async def registered(base: httpx.AsyncClient, **changed: Any) -> dict[str, Any]:
    answer = await base.post(USERS, json=ANNA | changed)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def valid(base: httpx.AsyncClient, user_id: str, password: str) -> Any:
    answer = await base.request("GET", f"{USERS}/validate", json={"user_id": user_id, "password": password})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_user_has_exactly_five_keys(base: httpx.AsyncClient) -> None:
    user = await registered(base)
    assert user == {
        "username": "anna", "full_name": "Анна Петрова", "email": "anna@example.com",
        "id": user["id"], "created_at": user["created_at"],
    }  # fmt: skip
    assert type(user["created_at"]) is int
    assert list(user) == ["username", "full_name", "email", "id", "created_at"]
    for path in (f"id/{user['id']}", "username/anna", "username/anna@example.com", "email/anna@example.com"):
        assert (await base.get(f"{USERS}/{path}")).json() == user
    assert (await base.get(f"{USERS}/all")).json() == [user]


async def test_one_created_by_hand_has_empty_texts(base: httpx.AsyncClient) -> None:
    made = (await base.post("/admin/user", json={"name": "Борис"})).json()
    (user,) = (await base.get(f"{USERS}/all")).json()
    assert (user["id"], user["username"], user["full_name"], user["email"]) == (made["id"], "", "Борис", "")


@pytest.mark.parametrize("path", [f"id/{NOBODY}", "username/nobody", "email/nobody", "username/a/b", "email/x%2Fy"])
async def test_nobody(base: httpx.AsyncClient, path: str) -> None:
    await registered(base, username="", email="")
    answer = await base.get(f"{USERS}/{path}")
    assert (answer.status_code, answer.json()) == (404, {"detail": "User not found"})


@pytest.mark.parametrize("path", ["id/x", "username/%00", f"email/{'x' * 257}"])
async def test_unreadable(base: httpx.AsyncClient, path: str) -> None:
    assert (await base.get(f"{USERS}/{path}")).status_code == 422


async def test_names_and_e_mails_are_taken_once_full_names_are_not(base: httpx.AsyncClient) -> None:
    await registered(base)
    for changed in ({"username": "other"}, {"email": "other"}):
        answer = await base.post(USERS, json=ANNA | changed)
        assert (answer.status_code, answer.json()) == (409, {"detail": "User already exists"})
    await registered(base, username="other", email="other")


async def test_unfinished_registrations_do_not_hinder_each_other(base: httpx.AsyncClient) -> None:
    """Keycloak sends a name and empty texts, then says the rest piece by piece."""
    empty = {"full_name": "", "email": "", "password": ""}
    first, second = [await registered(base, username=name, **empty) for name in ("anna", "boris")]
    assert (first["email"], second["email"], first["full_name"]) == ("", "", "")
    sent = {"id": f"f:c:{first['id']}", "username": "anna", "created_at": "1"}
    answer = await base.patch(f"{USERS}/{first['id']}", json=sent | {"email": "a@x", "full_name": ""})
    assert answer.json() == first | {"email": "a@x"}
    answer = await base.patch(f"{USERS}/{first['id']}", json=sent | {"full_name": "Анна"})
    assert answer.json() == first | {"email": "a@x", "full_name": "Анна"}
    taken = await base.patch(f"{USERS}/{second['id']}", json={"email": "a@x"})
    assert (taken.status_code, taken.json()) == (409, {"detail": "User already exists"})
    assert (await base.get(f"{USERS}/id/{first['id']}")).json() == answer.json()


async def test_nothing_to_change(base: httpx.AsyncClient, office: Office) -> None:
    user = await registered(base)
    answer = await base.patch(f"{USERS}/{user['id']}", json={"email": None, "username": "other", "password": ""})
    assert (answer.json(), len(office.sent)) == (user, 1)
    unknown = await base.patch(f"{USERS}/{NOBODY}", json={})
    assert (unknown.status_code, unknown.json()) == (404, {"detail": "User not found"})


async def test_passwords(base: httpx.AsyncClient, office: Office) -> None:
    user = await registered(base)
    assert await valid(base, user["id"], "secret") == {"valid": True}
    assert await valid(base, user["id"], "wrong") == {"valid": False}
    await base.patch(f"{USERS}/{user['id']}", json={"password": "другой"})
    assert await valid(base, user["id"], "secret") == {"valid": False}
    assert await valid(base, user["id"], "другой") == {"valid": True}
    assert office.users[user["id"]]["password"].startswith("$argon2id$")
    assert "secret" not in str(office.sent)


async def test_an_empty_password_is_never_right(base: httpx.AsyncClient) -> None:
    with_one, without = await registered(base), await registered(base, username="b", email="b", password="")
    for user_id in (with_one["id"], without["id"], NOBODY):
        assert await valid(base, user_id, "") == {"valid": False}
    assert await valid(base, without["id"], "secret") == {"valid": False}


async def test_passwords_are_not_guessed_for_ever(base: httpx.AsyncClient) -> None:
    user = await registered(base)
    body = {"user_id": user["id"], "password": "wrong"}
    answers = [await base.request("GET", f"{USERS}/validate", json=body) for _ in range(21)]
    assert [answer.status_code for answer in answers] == [200] * 20 + [429]
    assert await valid(base, NOBODY, "x") == {"valid": False}


async def test_a_user_is_removed(base: httpx.AsyncClient) -> None:
    user = await registered(base)
    gone = await base.delete(f"{USERS}/{user['id']}")
    assert (gone.status_code, gone.content) == (204, b"")
    assert (await base.delete(f"{USERS}/{user['id']}")).status_code == 404


@pytest.mark.parametrize(
    "changed",
    [{"password": None}, {"username": 1}, {"email": "x" * 257}, {"full_name": "a\x00"}, {"password": "x" * 4097}],
)
async def test_bad_users(base: httpx.AsyncClient, changed: dict[str, Any]) -> None:
    assert (await base.post(USERS, json=ANNA | changed)).status_code == 422


async def test_only_administrators_are_let_in(office: Office) -> None:
    async def nobody() -> str | None:
        raise HTTPException(401, "Not authenticated")

    async with client_of(railway_of(office, admin=nobody)) as client:
        routes = [("GET", "all"), ("GET", f"id/{NOBODY}"), ("GET", "validate"), ("POST", ""), ("PATCH", NOBODY)]
        routes += [("DELETE", NOBODY), ("GET", "username/a"), ("GET", "email/a")]
        for method, path in routes:
            answer = await client.request(method, f"/base_api{USERS}/{path}".rstrip("/"), json={})
            assert answer.status_code == 401, (method, path)


async def test_another_password_under_the_same_key_is_another_request(base: httpx.AsyncClient, office: Office) -> None:
    key = {"Idempotency-Key": "k"}
    first, again = [await base.post(USERS, json=ANNA, headers=key) for _ in range(2)]
    other = await base.post(USERS, json=ANNA | {"password": "other"}, headers=key)
    assert (first.status_code, again.json(), other.status_code) == (200, first.json(), 409)
    path = f"{USERS}/{first.json()['id']}"
    said = [await base.patch(path, json={"password": word}, headers=key) for word in ("new", "new", "newer")]
    assert [answer.status_code for answer in said] == [200, 200, 409]
    assert await valid(base, first.json()["id"], "new") == {"valid": True}
    assert len(office.users) == 1
