"""Contract 003 §5.1, §5.3 and §5.5: tickets issued, listed, cancelled, and looked at by robots."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from api.railway.cards import marks
from api.railway.parts import POOL
from tests.drivers.deciding import RING
from tests.drivers.railway_office import AS_ROBOT, ROBOT, Faces, Office, client_of, railway_of

NOBODY = "0f9d3c1e-0000-4000-8000-00000000dead"
KEYS = [
    "user_id", "train_number", "wagon_number", "place_number", "station_id", "destination",
    "date", "start_date", "id", "code",
]  # fmt: skip
PLACE = {"train_number": 7, "wagon_number": 3, "place_number": 12, "station_id": "MSK", "destination": "SPB"}
DATE = "2026-03-01T12:00:00Z"
HERE = {"train_number": 7, "wagon_number": 3, "station_id": "MSK", "date": DATE, "mark_as_used": False}
ON_TRAIN = {"train_number": 7, "date": DATE}
VALIDATE, CHECK = "/robot/ticket_validation", "/robot/ticket_check"


@pytest.fixture
async def anna(base: httpx.AsyncClient) -> str:
    """A passenger with a face."""
    return (await base.post("/admin/user", json={"name": "Анна", "face": "anna"})).json()["id"]


async def issued(base: httpx.AsyncClient, user_id: str, **changed: Any) -> dict[str, Any]:
    body = PLACE | {"user_id": user_id, "date": DATE, "start_date": DATE} | changed
    answer = await base.post("/admin/ticket", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def asked(base: httpx.AsyncClient, path: str, body: Any, status: int = 200) -> Any:
    answer = await base.post(path, json=body, headers=AS_ROBOT)
    assert answer.status_code == status, answer.text
    return answer.json()


async def test_a_ticket_is_issued_listed_and_cancelled(base: httpx.AsyncClient, anna: str, office: Office) -> None:
    ticket = await issued(base, anna, start_date="2026-02-28T23:30:00Z")
    assert list(ticket) == KEYS
    assert ticket == PLACE | {
        "user_id": anna, "date": DATE, "start_date": "2026-02-28T23:30:00Z", "id": ticket["id"], "code": ticket["code"]
    }  # fmt: skip
    assert len(ticket["code"]) == 128
    assert set(ticket["code"]) <= set(POOL)
    assert ticket["code"].encode() not in office.sent[-1][2]["code"]["content"]
    assert (await base.get("/admin/tickets")).json()["items"] == [ticket]
    for _ in range(2):
        gone = await base.delete(f"/admin/ticket/{ticket['id']}")
        assert (gone.status_code, gone.json()) == (200, {"status": "OK"})
    assert (await base.get("/admin/tickets")).json()["total"] == 0


@pytest.mark.parametrize(
    ("sent", "echoed", "stored"),
    [
        ("2026-03-01T15:00:00+03:00", "2026-03-01T15:00:00+03:00", DATE),
        ("2026-03-01T12:00:00", DATE, DATE),
        ("2026-03-01", "2026-03-01T00:00:00Z", "2026-03-01T00:00:00Z"),
        (1772366400, DATE, DATE),
        (1772366400000, DATE, DATE),
        ("2026-03-01T12:00:00.5Z", "2026-03-01T12:00:00.500000Z", "2026-03-01T12:00:00.500000Z"),
    ],
)
async def test_times_are_echoed_as_sent_and_kept_in_utc(
    base: httpx.AsyncClient, anna: str, sent: Any, echoed: str, stored: str
) -> None:
    assert (await issued(base, anna, date=sent))["date"] == echoed
    assert (await base.get("/admin/tickets")).json()["items"][0]["date"] == stored


async def test_numbers_may_be_texts(base: httpx.AsyncClient, anna: str) -> None:
    ticket = await issued(base, anna, train_number="7", wagon_number=3.0, place_number=True)
    assert (ticket["train_number"], ticket["wagon_number"], ticket["place_number"]) == (7, 3, 1)


@pytest.mark.parametrize(
    "changed",
    [
        {"train_number": 2**31}, {"wagon_number": "x"}, {"place_number": 1.5}, {"station_id": "x" * 61},
        {"destination": "x" * 61}, {"station_id": 1}, {"date": "yesterday"}, {"date": "0001-01-01T00:00:00+05:00"},
        {"date": 1e300}, {"user_id": "x"}, {"start_date": None},
    ],
)  # fmt: skip
async def test_bad_tickets(base: httpx.AsyncClient, anna: str, changed: dict[str, Any]) -> None:
    body = PLACE | {"user_id": anna, "date": DATE, "start_date": DATE} | changed
    answer = await base.post("/admin/ticket", json=body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["detail"][0]["loc"] == ["body", *changed]


async def test_tickets_of_nobody(base: httpx.AsyncClient) -> None:
    body = PLACE | {"user_id": NOBODY, "date": DATE, "start_date": DATE}
    answer = await base.post("/admin/ticket", json=body)
    assert (answer.status_code, answer.json()) == (404, {"detail": "User not found"})


async def test_a_retry_with_its_key_gets_the_first_code(base: httpx.AsyncClient, anna: str) -> None:
    body = PLACE | {"user_id": anna, "date": DATE, "start_date": DATE}
    key = {"Idempotency-Key": "k"}
    first, again = [(await base.post("/admin/ticket", json=body, headers=key)).json() for _ in range(2)]
    assert first == again
    assert (await base.get("/admin/tickets")).json()["total"] == 1
    other = await base.post("/admin/ticket", json=body | {"place_number": 1}, headers=key)
    assert other.status_code == 409
    await base.delete(f"/admin/ticket/{first['id']}")
    gone = await base.post("/admin/ticket", json=body, headers=key)
    assert (gone.status_code, gone.json()) == (404, {"detail": "Ticket not found"})


async def test_a_robot_needs_its_token(base: httpx.AsyncClient) -> None:
    for path in (VALIDATE, CHECK, "/robot/identification", "/robot/determine_destination"):
        answer = await base.post(path, json={})
        assert (answer.status_code, answer.json()) == (401, {"detail": "Invalid credentials"})


async def test_a_face_or_a_code_is_wanted(base: httpx.AsyncClient) -> None:
    for nothing in ({}, {"face": None, "code": None}):
        assert await asked(base, VALIDATE, HERE | nothing, 422) == {"detail": "Unprocessable Entity"}
    assert await asked(base, CHECK, ON_TRAIN, 422) == {"detail": "Unprocessable Entity"}


@pytest.mark.parametrize("name", HERE)
async def test_the_rest_is_wanted_too(base: httpx.AsyncClient, name: str) -> None:
    body = {key: value for key, value in HERE.items() if key != name} | {"face": "anna"}
    told = await asked(base, VALIDATE, body, 422)
    assert told["detail"][0]["loc"] == ["body", name]


async def test_by_face(base: httpx.AsyncClient, anna: str) -> None:
    ticket = await issued(base, anna)
    assert await asked(base, VALIDATE, HERE | {"face": "anna"}) == ticket
    assert await asked(base, VALIDATE, HERE | {"face": "anna", "code": "wrong"}) == ticket
    unknown = await asked(base, VALIDATE, HERE | {"face": "boris", "code": ticket["code"]}, 404)
    assert unknown == {"detail": "Face not found"}
    unseen = await asked(base, VALIDATE, HERE | {"face": "nobody"}, 422)
    assert unseen == {"detail": "Can`t recognize face"}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"wagon_number": 4}, "Invalid wagon number"),
        ({"date": "2026-02-28T12:00:00Z"}, "Invalid date"),
        ({"train_number": 8}, "Invalid train number"),
        ({"station_id": "SPB"}, "Invalid train number"),
    ],
)
async def test_a_ticket_for_elsewhere_is_shown(
    base: httpx.AsyncClient, anna: str, office: Office, changed: dict[str, Any], message: str
) -> None:
    ticket = await issued(base, anna)
    told = await asked(base, VALIDATE, HERE | changed | {"face": "anna", "mark_as_used": True}, 400)
    times = {"date": "2026-03-01T12:00:00+00:00", "start_date": "2026-03-01T12:00:00+00:00"}
    assert told == {"detail": {"message": message, "right_ticket": ticket | times | {"code": ""}}}
    assert "TicketUsed" not in office.events


async def test_no_ticket_for_a_face(base: httpx.AsyncClient, anna: str) -> None:
    none = {"detail": "User haven`t any active tickets"}
    assert await asked(base, VALIDATE, HERE | {"face": "anna"}, 400) == none
    await issued(base, anna)
    assert await asked(base, VALIDATE, HERE | {"face": "anna", "date": "2026-03-02"}, 400) == none


async def test_by_code_or_id(base: httpx.AsyncClient, anna: str) -> None:
    ticket = await issued(base, anna)
    for code in (ticket["code"], ticket["id"]):
        assert await asked(base, VALIDATE, HERE | {"code": code}) == ticket
        for changed in ({"wagon_number": 4}, {"train_number": 8}, {"station_id": "SPB"}, {"date": "2026-02-28"}):
            wrong = await asked(base, VALIDATE, HERE | changed | {"code": code}, 401)
            assert wrong == {"detail": "Invalid ticket code"}
    for code in ("", "x", "x" * 1000):
        assert await asked(base, VALIDATE, HERE | {"code": code}, 401) == {"detail": "Invalid ticket code"}


async def test_a_used_ticket_is_right_again(base: httpx.AsyncClient, anna: str, office: Office) -> None:
    ticket = await issued(base, anna)
    body = HERE | {"code": ticket["code"]}
    await asked(base, VALIDATE, body)
    assert "TicketUsed" not in office.events
    for _ in range(3):
        assert await asked(base, VALIDATE, body | {"mark_as_used": 1}) == ticket
    assert office.events.count("TicketUsed") == 1
    ((_, _, record, model),) = [one for one in office.sent if one[0] == "UseTicket"]
    assert (record, model) == ({"ticket_id": ticket["id"], "robot_id": ROBOT, "by": ROBOT}, "railway_passengers")


async def test_a_journey(base: httpx.AsyncClient, anna: str) -> None:
    journey = {"user_id": anna, "train_number": 7, "start_date": DATE}
    current = {"user_id": anna, "train_id": 7, "start_date": DATE}
    first, second = await issued(base, anna, destination="TVER"), await issued(base, anna)
    none = await asked(base, "/robot/determine_destination", journey, 400)
    assert none == {"detail": "User haven`t any active tickets"}
    assert await asked(base, "/robot/user/current_ticket", current, 404) == {"detail": "Ticket not found"}
    for ticket in (first, second):
        await asked(base, VALIDATE, HERE | {"code": ticket["code"], "mark_as_used": True})
    assert await asked(base, "/robot/determine_destination", journey) == {"id": "SPB"}
    assert await asked(base, "/robot/user/current_ticket", current) == second | {"code": ""}
    for other in ({"start_date": "2026-03-02"}, {"train_number": 8, "train_id": 8}):
        await asked(base, "/robot/determine_destination", journey | other, 400)
        await asked(base, "/robot/user/current_ticket", current | other, 404)


async def test_who_it_is(base: httpx.AsyncClient, anna: str, faces: Faces) -> None:
    user = {"id": anna, "name": "Анна"}
    assert await asked(base, "/robot/identification", {"image": "anna"}) == user
    assert await asked(base, "/robot/identification", {"image": "boris"}, 404) == {"detail": "User not found"}
    assert await asked(base, "/robot/identification", {"image": "nobody"}, 422) == {"detail": "Can`t recognize face"}
    faces.known["ghost"] = NOBODY
    assert await asked(base, "/robot/identification", {"image": "ghost"}, 404) == {"detail": "User not found"}
    assert (await base.get(f"/robot/user/{anna}", headers=AS_ROBOT)).json() == user
    assert (await base.get(f"/robot/user/{NOBODY}", headers=AS_ROBOT)).status_code == 404
    assert (await base.get(f"/robot/user/xx{anna}", headers=AS_ROBOT)).status_code == 422


@pytest.mark.parametrize("by", ["face", "code"])
async def test_a_conductor_asks(base: httpx.AsyncClient, anna: str, by: str) -> None:
    ticket = await issued(base, anna)
    who = {by: {"face": "anna", "code": ticket["code"]}[by]}
    shown = {"ticket": ticket | {"code": ""}, "user": {"id": anna, "name": "Анна"}, "staff": None}
    assert await asked(base, CHECK, ON_TRAIN | who) == {"verdict": "valid"} | shown
    for changed, verdict in (
        ({"wagon_number": 4}, "other_wagon"), ({"train_number": 8}, "other_train"),
        ({"date": "2026-02-28"}, "other_date"), ({"date": "2026-03-02"}, "other_date"),
    ):  # fmt: skip
        assert await asked(base, CHECK, ON_TRAIN | changed | who) == {"verdict": verdict} | shown
    marking = ON_TRAIN | who | {"mark_as_used": True, "wagon_number": 3, "station_id": "MSK"}
    verdicts = [answer["verdict"] for answer in await asyncio.gather(*[asked(base, CHECK, marking) for _ in range(3)])]
    assert sorted(verdicts) == ["used", "used", "valid"]
    assert await asked(base, CHECK, ON_TRAIN | who) == {"verdict": "used"} | shown


async def test_a_check_that_is_sent_again_is_told_what_was_told_first(base: httpx.AsyncClient, anna: str) -> None:
    marking = ON_TRAIN | {"code": (await issued(base, anna))["code"], "mark_as_used": True}
    keys = ({"Idempotency-Key": "first"}, {"Idempotency-Key": "first"}, {"Idempotency-Key": "second"}, {})
    answers = [await base.post(CHECK, json=marking, headers=AS_ROBOT | key) for key in keys]
    assert [answer.json()["verdict"] for answer in answers] == ["valid", "valid", "used", "used"]


async def test_a_conductor_finds_nobody(base: httpx.AsyncClient, anna: str) -> None:
    nothing = {"verdict": "none", "ticket": None, "user": None, "staff": None}
    for who in ({"face": "boris"}, {"code": "x"}, {"code": ""}, {"card": "0xAB 0x3"}, {"card": ""}):
        assert await asked(base, CHECK, ON_TRAIN | who) == nothing
    known = nothing | {"user": {"id": anna, "name": "Анна"}}
    assert await asked(base, CHECK, ON_TRAIN | {"face": "anna"}) == known
    assert (await asked(base, CHECK, ON_TRAIN | {"face": "nobody"}, 422))["detail"] == "Can`t recognize face"


async def test_a_card_is_staffs(base: httpx.AsyncClient, office: Office) -> None:
    office.cards[marks(RING, "0xAB 0x3")[0]] = {"id": NOBODY, "login": "ivan", "privileges": 0}
    found = await asked(base, CHECK, ON_TRAIN | {"card": "0xAB 0x3"})
    assert (found["verdict"], found["staff"]) == ("staff", {"login": "ivan", "id": NOBODY})


async def test_cards_are_not_guessed_for_ever(office: Office) -> None:
    async with client_of(railway_of(office)) as client:
        asking = [
            client.post(f"/base_api{CHECK}", json=ON_TRAIN | {"card": str(n)}, headers=AS_ROBOT) for n in range(61)
        ]
        answers = [await one for one in asking]
    assert [answer.status_code for answer in answers] == [200] * 60 + [429]
    assert int(answers[-1].headers["retry-after"]) > 0
