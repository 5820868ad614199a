"""Contract 003 §5.4: what passengers do for themselves on the web."""

from __future__ import annotations

import base64
import gc
from datetime import datetime
from typing import Any

import httpx
import pytest

from api.railway.train_numbers import train_number
from tests.drivers.railway_office import Faces, Office, client_of, railway_of

NOBODY = "0f9d3c1e-0000-4000-8000-00000000dead"
PLACE = {"wagon_number": 3, "place_number": 12, "station_id": "MOSCOW", "destination_id": "SPB"}
DATE = "2026-03-01T14:30:00Z"
PICTURE = b"a picture"
TEXT = base64.b64encode(PICTURE).decode()


@pytest.fixture
async def anna(base: httpx.AsyncClient) -> str:
    """A passenger who is signed in."""
    user_id = (await base.post("/admin/user", json={"name": "Анна"})).json()["id"]
    base.headers["X-Person"] = user_id
    return user_id


async def buy(base: httpx.AsyncClient, **changed: Any) -> httpx.Response:
    return await base.post("/frontend/tickets", json=PLACE | {"date": DATE} | changed)


@pytest.mark.parametrize(
    ("hour", "number"), [(5, 12), (8, 13), (9, 13), (13, 14), (17, 15), (4, None), (12, None), (0, None), (18, None)]
)
def test_the_train_follows_from_station_and_hour(hour: int, number: int | None) -> None:
    at = datetime.fromisoformat(f"2026-03-01T{hour:02}:59:59+03:00")
    assert train_number("MOSCOW", at) == (number and 1000 + number)
    assert train_number("SPB", at) == (number and 2000 + number)


def test_the_trains_own_time_counts() -> None:
    assert train_number("SPB", datetime.fromisoformat("2026-03-01T02:00:00+00:00")) == 2012
    assert train_number("SPB", datetime.fromisoformat("2026-02-28T21:00:00-05:00")) == 2012


async def test_a_ticket_is_bought(base: httpx.AsyncClient, anna: str) -> None:
    answer = await buy(base, train_number=99)
    ticket = answer.json()
    assert answer.status_code == 200, answer.text
    assert list(ticket) == [
        "user_id", "train_number", "wagon_number", "place_number", "station_id", "destination",
        "date", "start_date", "id", "code",
    ]  # fmt: skip
    assert (ticket["user_id"], ticket["train_number"], ticket["destination"]) == (anna, 1015, "SPB")
    assert ticket["date"] == ticket["start_date"] == "2026-03-01T17:30:00+03:00"
    utc = {"date": DATE, "start_date": DATE}
    page = (await base.get("/frontend/tickets")).json()
    assert (page["items"], page["total"], page["pages"]) == ([ticket | utc], 1, 1)
    assert (await base.get("/frontend/get_ticket")).json() == ticket | utc
    again = await buy(base)
    assert (again.status_code, again.json()) == (409, {"detail": "Ticket already exists"})
    base.headers["X-Person"] = NOBODY
    assert (await base.get("/frontend/tickets")).json()["total"] == 0


async def test_the_latest_ticket_is_that_of_the_latest_date(base: httpx.AsyncClient, anna: str) -> None:
    del anna
    assert (await base.get("/frontend/get_ticket")).json() == {"detail": "Ticket not found"}
    later = (await buy(base, date="2027-03-01T14:30:00Z")).json()
    await buy(base)
    assert (await base.get("/frontend/get_ticket")).json()["id"] == later["id"]


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"date": "2026-03-01T10:00:00+03:00"}, 400), ({"date": "9999-12-31T22:00:00Z"}, 400),
        ({"destination_id": "MOSCOW"}, 422), ({"station_id": "TVER"}, 422), ({"station_id": "moscow"}, 422),
        ({"wagon_number": 2**31}, 422), ({"place_number": None}, 422), ({"date": "x"}, 422),
    ],
)  # fmt: skip
async def test_what_cannot_be_bought(
    base: httpx.AsyncClient, anna: str, office: Office, changed: dict[str, Any], status: int
) -> None:
    del anna
    answer = await buy(base, **changed)
    assert answer.status_code == status, answer.text
    if status == 400:
        assert answer.json() == {"detail": "Invalid time"}
    assert [one[0] for one in office.sent] == ["AddPassenger"]


async def test_who_is_no_passenger_buys_nothing(base: httpx.AsyncClient) -> None:
    base.headers["X-Person"] = NOBODY
    answer = await buy(base)
    assert (answer.status_code, answer.json()) == (403, {"detail": "User not found"})
    assert (await base.post("/frontend/faces", files={"file": PICTURE})).status_code == 403


async def test_a_face_is_shown_and_forgotten(base: httpx.AsyncClient, anna: str, faces: Faces) -> None:
    assert (await base.get("/frontend/faces")).json() == {"detail": "Face not found"}
    answer = await base.post("/frontend/faces", files={"file": ("me.jpg", PICTURE, "image/jpeg")})
    assert (answer.status_code, answer.json(), faces.known) == (200, {"status": "OK"}, {TEXT: anna})
    assert faces.enrolled == [(anna, TEXT, anna)]
    assert (await base.get("/frontend/faces")).json() == {"status": "OK"}
    gone = await base.post("/frontend/faces")
    assert (gone.status_code, faces.known) == (200, {})


# Starlette leaves the file of a part that never ends to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_picture_that_was_cut_off_forgets_nobody(base: httpx.AsyncClient, anna: str, faces: Faces) -> None:
    faces.known[TEXT] = anna
    form = {"Content-Type": "multipart/form-data; boundary=b"}
    part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="me.jpg"\r\n\r\n'
    for body in (part + PICTURE, part, b"--b\r\nnothing"):
        answer = await base.post("/frontend/faces", content=body, headers=form)
        assert (answer.status_code, faces.known) == (422, {TEXT: anna}), answer.text
    gc.collect()
    answer = await base.post("/frontend/faces", content=b"--b--\r\n", headers=form)
    assert (answer.status_code, faces.known) == (200, {})


async def test_unusable_faces(base: httpx.AsyncClient, anna: str, faces: Faces) -> None:
    del anna
    faces.known[TEXT] = NOBODY
    taken = await base.post("/frontend/faces", files={"file": PICTURE})
    assert (taken.status_code, taken.json()) == (409, {"detail": "Face already exists"})
    faces.useless.add(TEXT)
    nobody = await base.post("/frontend/faces", files={"file": PICTURE})
    assert (nobody.status_code, nobody.json()) == (422, {"detail": "No faces"})
    big = await base.post("/frontend/faces", files={"file": bytes(8 << 20)})
    assert (big.status_code, big.json()) == (422, {"detail": "Image too big"})
    text = await base.post("/frontend/faces", data={"file": "text"})
    assert text.status_code == 422


async def test_with_no_provider_nobody_is_let_in(office: Office) -> None:
    async with client_of(railway_of(office)) as client:
        for method, path in (("GET", "tickets"), ("POST", "tickets"), ("GET", "get_ticket"), ("GET", "faces")):
            answer = await client.request(method, f"/base_api/v1/frontend/{path}")
            assert (answer.status_code, answer.json()) == (401, {"detail": "Invalid credentials"})
