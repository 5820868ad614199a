"""The Base server end to end: HTTP, commands, the decider, read models, and back."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.drivers import railway_site
from tests.drivers.access_desk import Component
from tests.drivers.deciding import DecidingSite
from tests.drivers.railway_office import client_at, server_of
from tests.drivers.railway_site import PERSON, picture
from tests.drivers.waiting import until

DATE = "2026-03-01T14:30:00Z"
PLACE = {"train_number": 7, "wagon_number": 3, "place_number": 12, "station_id": "МСК", "destination": "SPB"}
HERE = {"train_number": 7, "wagon_number": 3, "station_id": "МСК", "date": DATE, "mark_as_used": True}


@pytest.fixture(scope="module")
def site(kafka_bootstrap: str, database_url: str) -> Iterator[DecidingSite]:
    with railway_site.at_work(kafka_bootstrap, database_url) as made:
        yield made


@pytest.fixture
async def base(site: DecidingSite, database_url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with railway_site.served(site, database_url) as railway, client_at(server_of(railway), "/base_api") as client:
        yield client


async def robot(base: httpx.AsyncClient, *, at: int = 1) -> dict[str, str]:
    """The header of a robot that signed in, with an engineer's help."""
    login = uuid.uuid4().hex
    engineer = (await base.post("/admin/engineer", json={"login": login, "password": "p"})).json()
    granted = {"id": engineer["id"], "privileges": ["ROBOT_LOGIN"]}
    assert (await base.put("/admin/engineer_privileges", json=granted)).status_code == 200
    async with httpx.AsyncClient(transport=base._transport, base_url="http://t") as session:
        component = Component(session, Ed25519PrivateKey.generate(), "robot")
        model = {"robot_model_id": f"{login}{at}", "robot_model_name": "R"}
        assert (await component.register(login, "p", **model)).status_code == 200
        return await component.sign_in()


async def sent(client: httpx.AsyncClient, method: str, path: str, status: int = 200, **more: Any) -> Any:
    answer = await client.request(method, path, **more)
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


async def created(base: httpx.AsyncClient, **body: Any) -> dict[str, str]:
    return await sent(base, "POST", "/admin/user", json={"name": f"Анна {uuid.uuid4()}"} | body)


async def test_what_was_answered_is_in_the_next_read(base: httpx.AsyncClient, site: DecidingSite) -> None:
    anna = await created(base, face=picture(1))
    page = await sent(base, "GET", "/admin/users")
    last = await sent(base, "GET", "/admin/users", params={"page": page["total"], "size": 1})
    assert last == {"items": [anna], "total": page["total"], "page": page["total"], "size": 1, "pages": page["total"]}
    body = PLACE | {"user_id": anna["id"], "date": DATE, "start_date": "2026-03-01T17:30:00+03:00"}
    ticket = await sent(base, "POST", "/admin/ticket", json=body)
    shown = (await sent(base, "GET", "/admin/tickets"))["items"][-1]
    assert ticket["start_date"] == "2026-03-01T17:30:00+03:00"
    assert shown == ticket | {"start_date": DATE}
    at_door = await robot(base)
    who = await sent(base, "POST", "/robot/identification", json={"image": picture(1)}, headers=at_door)
    assert who == anna
    found = await sent(base, "POST", "/robot/ticket_validation", json=HERE | {"face": picture(1)}, headers=at_door)
    assert found == shown
    journey = {"user_id": anna["id"], "train_number": 7, "start_date": DATE}
    there = await sent(base, "POST", "/robot/determine_destination", json=journey, headers=at_door)
    assert there == {"id": "SPB"}
    elsewhere = HERE | {"face": picture(1), "wagon_number": 4}
    told = await sent(base, "POST", "/robot/ticket_validation", 400, json=elsewhere, headers=at_door)
    assert told["detail"]["right_ticket"]["id"] == ticket["id"]
    await sent(base, "DELETE", f"/admin/users/{anna['id']}")
    await sent(base, "GET", f"/robot/user/{anna['id']}", 404, headers=at_door)
    assert (await sent(base, "GET", "/admin/tickets"))["total"] == 0

    async def forgotten() -> bool:
        answer = await base.post("/robot/identification", json={"image": picture(1)}, headers=at_door)
        return answer.json() == {"detail": "User not found"} and bool(site.events("faces.events"))

    await until(forgotten)
    assert [name for name, _ in site.events("faces.events") if name == "FaceRemoved"] == ["FaceRemoved"]


async def test_whoever_has_no_usable_face_leaves_nothing_behind(base: httpx.AsyncClient, site: DecidingSite) -> None:
    owner = await created(base, face=picture(5))
    before = len(site.events("railway.events"))
    for image, status in ((picture(), 422), (picture(6, 7), 422), ("*", 422), (picture(5), 409)):
        await sent(base, "POST", "/admin/user", status, json={"name": "Борис", "face": image})
    assert len(site.events("railway.events")) == before
    await sent(base, "PATCH", f"/admin/user/{owner['id']}/face", json={"face": picture(8)})
    await sent(base, "POST", "/admin/user", json={"name": "Борис", "face": picture(5)})


async def test_a_retry_with_its_key_gets_the_first_answer(base: httpx.AsyncClient) -> None:
    body, key = {"name": uuid.uuid4().hex, "face": picture(9)}, {"Idempotency-Key": uuid.uuid4().hex}
    first, again = [await sent(base, "POST", "/admin/user", json=body, headers=key) for _ in range(2)]
    assert first == again
    await sent(base, "POST", "/admin/user", 409, json=body | {"name": "other"}, headers=key)
    asked = PLACE | {"user_id": first["id"], "date": DATE, "start_date": DATE}
    key = {"Idempotency-Key": uuid.uuid4().hex}
    tickets = await asyncio.gather(*[sent(base, "POST", "/admin/ticket", json=asked, headers=key) for _ in range(3)])
    assert tickets[0]["code"]
    assert tickets == [tickets[0]] * 3


async def test_a_ticket_at_two_doors_in_the_same_second(base: httpx.AsyncClient, site: DecidingSite) -> None:
    anna = await created(base)
    body = PLACE | {"user_id": anna["id"], "date": DATE, "start_date": DATE}
    tickets = [await sent(base, "POST", "/admin/ticket", json=body) for _ in range(2)]
    doors = [await robot(base, at=number) for number in range(2)]
    seed = HERE | {"code": tickets[0]["code"]}
    answers = await asyncio.gather(
        *[sent(base, "POST", "/robot/ticket_validation", json=seed, headers=door) for door in doors]
    )
    assert answers == [tickets[0]] * 2
    conductor = {"train_number": 7, "date": DATE, "code": tickets[1]["id"], "mark_as_used": True}
    verdicts = await asyncio.gather(
        *[sent(base, "POST", "/robot/ticket_check", json=conductor, headers=door) for door in doors]
    )
    assert sorted(one["verdict"] for one in verdicts) == ["used", "valid"]
    used = [record["ticket_id"] for name, record in site.events("railway.events") if name == "TicketUsed"]
    assert [used.count(ticket["id"]) for ticket in tickets] == [1, 1]


async def test_the_same_place_is_sold_once(base: httpx.AsyncClient) -> None:
    anna = await created(base)
    bought = {"wagon_number": 1, "place_number": 1, "station_id": "MOSCOW", "destination_id": "SPB", "date": DATE}
    headers = {PERSON: anna["id"]}
    answers = await asyncio.gather(*[base.post("/frontend/tickets", json=bought, headers=headers) for _ in range(4)])
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    mine = await sent(base, "GET", "/frontend/tickets", headers=headers)
    assert (mine["total"], mine["items"][0]["train_number"]) == (1, 1015)
    assert (await sent(base, "GET", "/frontend/get_ticket", headers=headers)) == mine["items"][0]
    await sent(base, "GET", "/frontend/faces", 404, headers=headers)
    file = {"file": b"77"}
    await sent(base, "POST", "/frontend/faces", files=file, headers=headers)
    await sent(base, "GET", "/frontend/faces", headers=headers)


async def test_keycloaks_users(base: httpx.AsyncClient) -> None:
    name = uuid.uuid4().hex
    new = {"username": name, "full_name": "", "email": "", "password": "secret"}
    users = "/user-provider/users"
    user = await sent(base, "POST", users, json=new)
    await sent(base, "POST", users, 409, json=new)
    changed = await sent(base, "PATCH", f"{users}/{user['id']}", json={"email": f"{name}@x", "full_name": "Ё"})
    assert changed == user | {"email": f"{name}@x", "full_name": "Ё"}
    for path in (f"id/{user['id']}", f"username/{name}", f"username/{name}@x", f"email/{name}@x"):
        assert await sent(base, "GET", f"{users}/{path}") == changed
    assert changed in await sent(base, "GET", f"{users}/all")
    for password, valid in (("secret", True), ("", False), ("other", False)):
        asked = {"user_id": user["id"], "password": password}
        assert await sent(base, "GET", f"{users}/validate", json=asked) == {"valid": valid}
    await sent(base, "DELETE", f"{users}/{user['id']}", 204)
    await sent(base, "GET", f"{users}/id/{user['id']}", 404)


async def test_places(base: httpx.AsyncClient) -> None:
    city = f"ТВЕРЬ {uuid.uuid4()}"
    place = {"name": "Волга", "description": "", "logo_url": "/static/logos/hotels/1.png"}
    path = f"/admin/destination/{city}/hotel"
    made = [await sent(base, "POST", path, json=place) for _ in range(3)]
    page = await sent(base, "GET", f"{path}s", params={"size": 2, "page": 2})
    assert page == {"items": [made[2]], "total": 3, "page": 2, "size": 2, "pages": 2}
    await sent(base, "DELETE", f"/admin/destination_info/hotel/{made[0]['id']}")
    assert (await sent(base, "GET", f"{path}s"))["items"] == made[1:]
