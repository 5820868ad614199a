"""Contract 003 §5.1 and §5.3: hotels and attractions."""

from __future__ import annotations

import uuid
from typing import Any

import httpx
import pytest

from tests.drivers.railway_office import AS_ROBOT

PLACE = {"name": "Астория", "description": "У собора", "logo_url": "/static/logos/hotels/1.png"}


async def added(base: httpx.AsyncClient, kind: str, destination: str = "SPB", **body: Any) -> dict[str, Any]:
    answer = await base.post(f"/admin/destination/{destination}/{kind}", json=PLACE | body)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("kind", ["hotel", "attraction"])
async def test_a_place_is_added_listed_and_removed(base: httpx.AsyncClient, kind: str) -> None:
    place = await added(base, kind)
    assert list(place) == ["id", "name", "description", "logo_url"]
    assert place == PLACE | {"id": place["id"]}
    await added(base, kind, "MOSCOW")
    await added(base, "hotel" if kind == "attraction" else "attraction")
    for prefix, headers in (("/admin", {}), ("/robot", AS_ROBOT)):
        page = (await base.get(f"{prefix}/destination/SPB/{kind}s", headers=headers)).json()
        assert page == {"items": [place], "total": 1, "page": 1, "size": 50, "pages": 1}
    for _ in range(2):
        gone = await base.delete(f"/admin/destination_info/{kind}/{place['id']}")
        assert (gone.status_code, gone.json()) == (200, {"status": "OK"})
    empty = (await base.get(f"/admin/destination/SPB/{kind}s")).json()
    assert (empty["items"], empty["total"], empty["pages"]) == ([], 0, 0)


async def test_an_unknown_destination_is_an_empty_page(base: httpx.AsyncClient) -> None:
    answer = await base.get("/admin/destination/Нигде/hotels")
    assert (answer.status_code, answer.json()["total"]) == (200, 0)


async def test_a_hotel_is_no_attraction(base: httpx.AsyncClient) -> None:
    hotel = await added(base, "hotel")
    await base.delete(f"/admin/destination_info/attraction/{hotel['id']}")
    assert (await base.get("/admin/destination/SPB/hotels")).json()["items"] == [hotel]


@pytest.mark.parametrize(
    "changed",
    [{"name": "x" * 257}, {"description": "x" * 1025}, {"logo_url": "x" * 257}, {"name": None}, {"name": "a\x00"}],
)
async def test_bad_bodies(base: httpx.AsyncClient, changed: dict[str, Any]) -> None:
    answer = await base.post("/admin/destination/SPB/hotel", json=PLACE | changed)
    assert answer.status_code == 422


@pytest.mark.parametrize("path", ["/admin/destination/%00/hotels", f"/admin/destination/{'x' * 257}/attractions"])
async def test_bad_destinations(base: httpx.AsyncClient, path: str) -> None:
    assert (await base.get(path)).status_code == 422


async def test_bad_ids(base: httpx.AsyncClient) -> None:
    for path in ("x", f"xx{uuid.uuid4()}"):
        assert (await base.delete(f"/admin/destination_info/hotel/{path}")).status_code == 422


async def test_robots_show_their_token(base: httpx.AsyncClient) -> None:
    for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": AS_ROBOT["Authorization"][7:]}):
        answer = await base.get("/robot/destination/SPB/hotels", headers=headers)
        assert (answer.status_code, answer.json()) == (401, {"detail": "Invalid credentials"})
