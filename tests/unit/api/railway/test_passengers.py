"""Contract 003 §5.1: passengers, their faces and links, as the console has them."""

from __future__ import annotations

import uuid

import httpx
import pytest

from api.railway.parts import FaceTaken
from projections.queries.errors import Unavailable
from schemas.errors import TransientFailure
from tests.drivers.railway_office import Faces, Office, client_of, railway_of

NOBODY = "0f9d3c1e-0000-4000-8000-00000000dead"
OK = {"status": "OK"}


async def created(base: httpx.AsyncClient, **body: object) -> dict[str, str]:
    answer = await base.post("/admin/user", json={"name": "Анна Петрова"} | body)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("version", ["", "/v1"])
async def test_a_passenger_is_created_listed_and_removed(base: httpx.AsyncClient, version: str) -> None:
    anna = (await base.post(f"{version}/admin/user", json={"name": "Анна", "unknown": 1, "face": None})).json()
    assert list(anna) == ["id", "name"]
    assert uuid.UUID(anna["id"]).version == 4
    listed = (await base.get(f"{version}/admin/users")).json()
    assert listed == {"items": [anna], "total": 1, "page": 1, "size": 50, "pages": 1}
    gone = await base.delete(f"{version}/admin/users/{anna['id'].upper()}")
    assert (gone.status_code, gone.json()) == (200, OK)
    assert (await base.get("/admin/users")).json()["items"] == []
    assert (await base.delete(f"/admin/users/{anna['id']}")).json() == {"detail": "User not found"}


async def test_names_are_sealed_before_they_leave(base: httpx.AsyncClient, office: Office) -> None:
    anna = await created(base)
    ((command, key, record, model),) = office.sent
    assert (command, key, model) == ("AddPassenger", "passengers", "railway_passengers")
    assert (record["user_id"], record["name_is_taken_once"], record["by"]) == (anna["id"], True, None)
    assert "Анна".encode() not in record["details"]["content"]
    assert record["details"]["subject"] == f"passenger/{anna['id']}"


async def test_a_name_is_taken_once(base: httpx.AsyncClient) -> None:
    await created(base)
    again = await base.post("/admin/user", json={"name": "Анна Петрова"})
    assert (again.status_code, again.json()) == (409, {"detail": "User already exists"})


async def test_a_retry_with_its_key_gets_the_first_answer(base: httpx.AsyncClient, faces: Faces) -> None:
    key = {"Idempotency-Key": "k"}
    body = {"name": "Анна", "face": "anna"}
    first, again = [await base.post("/admin/user", json=body, headers=key) for _ in range(2)]
    assert (first.status_code, again.json()) == (200, first.json())
    other = await base.post("/admin/user", json=body | {"name": "Борис"}, headers=key)
    assert other.status_code == 409
    assert (await base.get("/admin/users")).json()["total"] == 1
    assert faces.known == {"anna": first.json()["id"]}


async def test_pages_end(base: httpx.AsyncClient) -> None:
    for number in range(3):
        await created(base, name=f"n{number}")
    page = (await base.get("/admin/users", params={"page": 2, "size": 2})).json()
    assert ([one["name"] for one in page["items"]], page["total"], page["pages"]) == (["n2"], 3, 2)
    beyond = await base.get("/admin/users", params={"page": 9, "size": 2})
    assert (beyond.status_code, beyond.json()["items"]) == (200, [])


@pytest.mark.parametrize("query", ["page=0", "size=0", "size=101", "page=x", "page=99999999999999999999"])
async def test_absurd_pages(base: httpx.AsyncClient, query: str) -> None:
    answer = await base.get(f"/admin/users?{query}")
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"][0] == "query"


@pytest.mark.parametrize(
    "body",
    [{}, {"name": 1}, {"name": "x" * 256}, {"name": "a\x00b"}, {"name": "x", "face": 1}, {"name": None}, [], None],
)
async def test_bad_bodies(base: httpx.AsyncClient, office: Office, body: object) -> None:
    answer = await base.post("/admin/user", json=body)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"][0] == "body"
    assert not office.sent


async def test_a_passenger_has_a_face(base: httpx.AsyncClient, faces: Faces) -> None:
    anna = await created(base, face="anna")
    assert faces.known == {"anna": anna["id"]}
    other = await base.patch(f"/admin/user/{anna['id']}/face", json={"face": "anna2"})
    assert (other.status_code, other.json(), faces.known) == (200, OK, {"anna2": anna["id"]})
    gone = await base.delete("/admin/user/face", params={"user_id": anna["id"]})
    assert (gone.status_code, gone.json(), faces.known) == (200, OK, {})


@pytest.mark.parametrize(
    ("face", "status", "detail"),
    [("nobody", 422, "No faces"), ("two", 422, "Too many faces"), ("boris", 409, "Face already exists")],
)
async def test_who_has_no_usable_face_is_not_created(
    base: httpx.AsyncClient, office: Office, faces: Faces, face: str, status: int, detail: str
) -> None:
    faces.known["boris"] = NOBODY
    answer = await base.post("/admin/user", json={"name": "Анна", "face": face})
    assert (answer.status_code, answer.json()) == (status, {"detail": detail})
    assert not office.sent


@pytest.mark.parametrize("failure", [FaceTaken(), Unavailable("Faces cannot be looked at now.")])
async def test_who_cannot_have_the_face_after_all_is_removed(
    base: httpx.AsyncClient, office: Office, faces: Faces, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    async def fails(*_: object) -> None:
        raise failure

    monkeypatch.setattr(faces, "enrol", fails)
    answer = await base.post("/admin/user", json={"name": "Анна", "face": "anna"})
    assert answer.status_code == (409 if isinstance(failure, FaceTaken) else 503)
    assert office.events == ["PassengerAdded", "PassengerRemoved"]


async def test_who_cannot_even_be_removed_is_told_of_in_the_log(
    base: httpx.AsyncClient,
    office: Office,
    faces: Faces,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fails(*_: object) -> None:
        office.failure = TransientFailure("Kafka is away")
        raise Unavailable("Faces cannot be looked at now.")

    monkeypatch.setattr(faces, "enrol", fails)
    answer = await base.post("/admin/user", json={"name": "Анна", "face": "anna"})
    assert answer.status_code == 503
    assert next(iter(office.users)) in caplog.text


async def test_a_key_lets_a_request_be_finished_later(
    base: httpx.AsyncClient, faces: Faces, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object) -> None:
        raise Unavailable("Faces cannot be looked at now.")

    body, key = {"name": "Анна", "face": "anna"}, {"Idempotency-Key": "k"}
    with monkeypatch.context() as patched:
        patched.setattr(faces, "enrol", fails)
        assert (await base.post("/admin/user", json=body, headers=key)).status_code == 503
    again = await base.post("/admin/user", json=body, headers=key)
    assert (again.status_code, faces.known) == (200, {"anna": again.json()["id"]})


async def test_faces_of_nobody(base: httpx.AsyncClient) -> None:
    for answer in (
        await base.patch(f"/admin/user/{NOBODY}/face", json={"face": "anna"}),
        await base.delete("/admin/user/face", params={"user_id": NOBODY}),
    ):
        assert (answer.status_code, answer.json()) == (404, {"detail": "User not found"})
    assert (await base.delete("/admin/user/face")).status_code == 422
    assert (await base.patch("/admin/user/x/face", json={"face": "a"})).status_code == 422


async def test_where_faces_are_not_known_nothing_is_promised(office: Office) -> None:
    async with client_of(railway_of(office)) as client:
        answer = await client.post("/base_api/admin/user", json={"name": "Анна", "face": "anna"})
    assert (answer.status_code, office.sent) == (503, [])


async def test_keycloak_users(base: httpx.AsyncClient) -> None:
    anna, k_id = await created(base), str(uuid.uuid4())
    body = {"k_id": k_id, "user_id": anna["id"]}
    assert (await base.post("/admin/keycloak_user", json=body)).json() == OK
    assert (await base.post("/admin/keycloak_user", json=body)).status_code == 409
    unknown = await base.post("/admin/keycloak_user", json={"k_id": str(uuid.uuid4()), "user_id": NOBODY})
    assert (unknown.status_code, unknown.json()) == (404, {"detail": "User not found"})
    for _ in range(2):
        gone = await base.request("DELETE", "/admin/keycloak_user", json=body)
        assert (gone.status_code, gone.json()) == (200, OK)
    half = await base.request("DELETE", "/admin/keycloak_user", json={"k_id": k_id})
    assert half.status_code == 422


async def test_outages_are_told(base: httpx.AsyncClient, office: Office) -> None:
    office.failure = TransientFailure("not decided in time")
    answer = await base.post("/admin/user", json={"name": "Анна"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    office.outage = Unavailable("PostgreSQL does not answer.")
    assert (await base.get("/admin/users")).status_code == 503
