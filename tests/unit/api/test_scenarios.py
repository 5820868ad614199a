"""Routes of scenarios: the seed's shapes, faults in its shape, what callers see when nobody answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import orjson
import pytest
from fastapi import FastAPI, HTTPException

from api import cursors
from api.routes import scenarios
from projections.queries.errors import Unavailable
from schemas.errors import InvalidEvent, Overloaded, TransientFailure
from schemas.scenarios import ScenarioStatus
from tests.drivers.scenario_rows import Scenarios

WORDS = "'init_startup', 'init_startup_processing', 'active', 'init_shutdown', 'in_shutdown_processing' or 'inactive'"


@pytest.fixture
def there() -> Scenarios:
    return Scenarios()


async def eva() -> str:
    return "eva"


@pytest.fixture
async def client(there: Scenarios) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    app.include_router(scenarios.build(there, there, eva))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://t") as session:
        yield session


@pytest.mark.parametrize("body", [{}, {"status": None}, {"status": "init_startup"}, {"more": 1}])
async def test_a_scenario_begins_with_init_startup(client: httpx.AsyncClient, there: Scenarios, body: Any) -> None:
    answer = await client.post("/scenario/", json=body)
    assert (answer.status_code, answer.json()) == (201, {"scenario_id": 1})
    asked = {"status": "init_startup", "source": None, "settings": "{}", "by": "eva"}
    assert there.asked == [("CreateScenario", asked)]


@pytest.mark.parametrize("status", ScenarioStatus)
async def test_a_scenario_begins_with_any_status(client: httpx.AsyncClient, status: str) -> None:
    await client.post("/scenario/", json={"status": status})
    assert (await client.get("/scenario/1/")).json() == {"id": 1, "status": status}


async def test_what_is_watched_and_how(client: httpx.AsyncClient, there: Scenarios) -> None:
    await client.post("/scenario/", json={"source": "rtsp://k/1\x00", "settings": {"every": 5}})
    shown = (await client.get("/v1/scenarios/1")).json()
    assert (shown["source"], shown["settings"]) == ("rtsp://k/1\ufffd", {"every": 5})
    assert shown["created_at"].endswith("Z")


async def test_shapes_of_a_change(client: httpx.AsyncClient) -> None:
    await client.post("/scenario/", json={})
    changed = await client.post("/scenario/1/", json={"status": "active"})
    assert (changed.status_code, changed.json()) == (200, {"status": "updated", "scenario_id": "1"})
    refused = await client.post("/scenario/1/", json={"status": "init_startup_processing"})
    detail = "Scenario 1 is active: it cannot become init_startup_processing"
    assert (refused.status_code, refused.json()) == (409, {"detail": detail})


async def test_predictions_are_null_and_then_an_object(client: httpx.AsyncClient) -> None:
    await client.post("/scenario/", json={})
    assert (await client.get("/prediction/1/")).json() == {"scenario_id": 1, "predictions": None}
    predictions = {"predictions": [{"class": "person", "confidence": 0.95}], "timestamp": "2026-01-01T00:00:00"}
    assert (await client.put("/v1/scenarios/1/predictions", json=predictions)).status_code == 200
    assert (await client.get("/prediction/1/")).json() == {"scenario_id": 1, "predictions": predictions}
    assert (await client.put("/v1/scenarios/1/predictions", json=[1])).json()["status"] == "updated"
    assert (await client.get("/prediction/1/")).json()["predictions"] == {"predictions": [1]}


async def test_a_wrong_word_has_what_was_expected(client: httpx.AsyncClient) -> None:
    for path, body in (("/scenario/", {"status": "asleep"}), ("/scenario/1/", {"status": "asleep"})):
        answer = await client.post(path, json=body)
        (fault,) = answer.json()["detail"]
        assert answer.status_code == 422
        assert fault == {
            "type": "enum", "loc": ["body", "status"], "msg": f"Input should be {WORDS}", "input": "asleep",
            "ctx": {"expected": WORDS},
        }  # fmt: skip


async def test_other_faults_say_where_they_are_explained(client: httpx.AsyncClient) -> None:
    (missing,) = (await client.post("/scenario/1/", json={})).json()["detail"]
    assert missing.pop("url").startswith("https://errors.pydantic.dev/2.")
    assert missing == {"type": "missing", "loc": ["body", "status"], "msg": "Field required", "input": {}}
    (no_body,) = (await client.post("/scenario/")).json()["detail"]
    assert (no_body["loc"], no_body["url"][-8:]) == (["body"], "/missing")
    answer = await client.get("/scenario/seven/")
    (fault,) = answer.json()["detail"]
    assert answer.status_code == 422
    assert fault.pop("url").endswith("/v/int_parsing")
    assert fault == {
        "type": "int_parsing", "loc": ["path", "scenario_id"], "input": "seven",
        "msg": "Input should be a valid integer, unable to parse string as an integer",
    }  # fmt: skip


@pytest.mark.parametrize("body", [b"[]", b"1", b'"x"', b"{", b"\xff", b'{"status":1}', b'{"settings":[]}'])
async def test_what_is_no_such_object_is_422(client: httpx.AsyncClient, there: Scenarios, body: bytes) -> None:
    assert (await client.post("/scenario/", content=body)).status_code == 422
    assert there.asked == []


async def test_what_is_too_deep_or_too_large(client: httpx.AsyncClient) -> None:
    await client.post("/scenario/", json={})
    deep = b'{"a":' + b"[" * 400 + b"]" * 400 + b"}"
    assert (await client.put("/v1/scenarios/1/predictions", content=deep)).status_code == 422
    assert (await client.post("/scenario/", content=b'{"settings":' + deep + b"}")).status_code == 422
    large = orjson.dumps({"a": "x" * scenarios.LARGEST_PREDICTIONS})
    assert (await client.put("/v1/scenarios/1/predictions", content=large)).status_code == 413


@pytest.mark.parametrize("unknown", [2, 0, -1, 2**31 - 1, 2**31, 10**40])
async def test_unknown_ids_are_404(client: httpx.AsyncClient, unknown: int) -> None:
    await client.post("/scenario/", json={})
    told = {"detail": f"Сценарий с id={unknown} не найден"}
    for method, path, body in (
        ("GET", "/scenario/{}/", None), ("GET", "/prediction/{}/", None), ("GET", "/v1/scenarios/{}", None),
        ("GET", "/v1/scenarios/{}/history", None), ("GET", "/v1/scenarios/{}/predictions", None),
        ("POST", "/scenario/{}/", {"status": "active"}), ("PUT", "/v1/scenarios/{}/predictions", {}),
    ):  # fmt: skip
        answer = await client.request(method, path.format(unknown), json=body)
        assert (answer.status_code, answer.json()) == (404, told), path


@pytest.mark.parametrize("failure", [TransientFailure("late"), Overloaded("full")])
async def test_when_nobody_decides_it_is_said_as_the_seed_says_it(
    client: httpx.AsyncClient, there: Scenarios, failure: Exception
) -> None:
    await client.post("/scenario/", json={})
    there.away = failure
    for method, path, body in (
        ("POST", "/scenario/", {}), ("POST", "/scenario/1/", {"status": "active"}),
        ("PUT", "/v1/scenarios/1/predictions", {}),
    ):  # fmt: skip
        answer = await client.request(method, path, json=body)
        assert (answer.status_code, answer.json()) == (503, {"detail": "Оркестратор не инициализирован"})
        assert int(answer.headers["retry-after"]) > 0


async def test_what_no_topic_takes_is_413(client: httpx.AsyncClient, there: Scenarios) -> None:
    there.away = InvalidEvent("too large")
    assert (await client.post("/scenario/", json={})).status_code == 413


async def test_without_the_database_there_is_no_answer(client: httpx.AsyncClient, there: Scenarios) -> None:
    there.away = Unavailable("PostgreSQL is away")
    with pytest.raises(Unavailable):
        await client.get("/scenario/1/")


@pytest.mark.parametrize("path", ["/scenario", "/scenario/1", "/prediction/1"])
async def test_without_the_final_slash_the_way_is_shown(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.request("POST" if path == "/scenario" else "GET", path)
    assert (answer.status_code, answer.headers["location"]) == (307, f"http://t{path}/")


async def test_whoever_is_not_let_in_learns_nothing(there: Scenarios) -> None:
    async def nobody() -> None:
        raise HTTPException(401, "Unauthorized")

    app = FastAPI()
    app.include_router(scenarios.build(there, there, nobody))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://t") as session:
        for method, path in (("POST", "/scenario/"), ("GET", "/scenario/x/"), ("PUT", "/v1/scenarios/1/predictions")):
            assert (await session.request(method, path)).status_code == 401
    assert there.asked == []


async def test_lists_are_paged(client: httpx.AsyncClient) -> None:
    for status in ("active", "inactive", "active"):
        await client.post("/scenario/", json={"status": status})
    page = await client.get("/v1/scenarios?status=active&limit=1")
    assert [one["id"] for one in page.json()["items"]] == [1]
    rest = await client.get("/v1/scenarios" + page.headers["link"].split(">")[0][1:])
    assert [one["id"] for one in rest.json()["items"]] == [3]
    for wrong in ("?limit=0", "?limit=1001", "?after=x", "?status=asleep"):
        assert (await client.get("/v1/scenarios" + wrong)).status_code == 422
    assert (await client.get("/v1/scenarios/1/predictions?after_frame=-2")).status_code == 422
    for place in ((2**63 - 1, "scenarios", 1), (0, "\0", 1)):
        answer = await client.get(f"/v1/scenarios/1/history?after={cursors.write(*place)}")
        assert answer.status_code == 422
