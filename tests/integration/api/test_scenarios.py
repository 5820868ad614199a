"""Scenarios end to end: HTTP, commands, the decider, the read model, and back; and the calls from Python."""

from __future__ import annotations

import threading
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import httpx
import psycopg
import pytest
import pytest_asyncio
from fastapi import FastAPI

from api.routes import scenarios
from edge_agents.scenario_client.calls import ScenarioCalls
from edge_agents.scenario_client.server import Server
from edge_agents.scenario_client.settings import Settings
from producers.commands import Writer
from producers.publisher import Publisher
from producers.replies import ReplyReader
from projections import checksum, runner
from projections.projection import Projection, starts_of
from projections.queries.database import Database
from projections.read_model import ReadModel, Target
from projections.registry import READ_MODELS
from projections.store import Store
from projections.store_models import Models
from schemas import examples
from schemas.scenarios import ScenarioStatus
from streams.log_reader import LogReader, TopicPartition
from tests.drivers.deciding import RING, DecidingSite
from tests.drivers.scenarios import LEASE_MS, SEEN, signed
from tests.drivers.waiting import eventually, until

TOPICS = ("scenarios.commands", "scenarios", "retry_topic", "vision.predictions")
SUMMARY = '{"predictions":[{"class":"person","confidence":0.95}]}'
pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Front:
    """The routes over this module's log, and the runners' way into it."""

    http: httpx.AsyncClient
    transport: httpx.AsyncBaseTransport
    writer: Writer
    database_url: str

    async def create(self, **body: Any) -> int:
        answer = await self.http.post("/scenario/", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()["scenario_id"]

    async def tell(self, command: str, **record: Any) -> dict[str, Any]:
        """What a runner says, decided and visible."""
        asked = {"by": None} | record
        record = {name: asked.get(name, value) for name, value in examples.load(command).items()}
        answer = await self.writer.command(command, "scenarios", record, await_model="scenarios")
        assert answer.accepted, answer
        assert answer.seen
        return dict(answer.result or {})

    async def claim(self) -> dict[str, Any]:
        return {**await self.tell("ClaimScenario", runner_id="r1", lease_ms=LEASE_MS), "runner_id": "r1"}

    async def status(self, scenario_id: int) -> str:
        return (await self.http.get(f"/scenario/{scenario_id}/")).json()["status"]

    async def items(self, path: str) -> list[dict[str, Any]]:
        answer = await self.http.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()["items"]


def at_site(site: DecidingSite) -> ReadModel:
    model = READ_MODELS["scenarios"]
    return replace(model, topics=tuple(site.topics[topic] for topic in model.topics))


@pytest.fixture(scope="module")
def site(kafka_bootstrap: str, database_url: str) -> Iterator[DecidingSite]:
    """A decider and a projector at work."""
    with closing(DecidingSite(kafka_bootstrap, *TOPICS)) as made:
        stop, ready = threading.Event(), threading.Event()
        arguments = (kafka_bootstrap, database_url, RING, "t", stop, {"scenarios": at_site(made)}, ready.set)
        thread = threading.Thread(target=runner.run, args=arguments, name="projector")
        thread.start()
        try:
            with made.deciding("scenarios"):
                assert ready.wait(30)
                yield made
        finally:
            stop.set()
            thread.join()


async def anybody() -> None:
    """Somebody on this network."""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def front(site: DecidingSite, database_url: str) -> AsyncIterator[Front]:
    publisher = Publisher(site.bootstrap, client_id="front", linger_ms=0)
    replies, database = ReplyReader(site.bootstrap, uuid.uuid4().hex), Database(database_url)
    writer = Writer(publisher, replies, deadline_s=20, model_wait_s=20, topic_of=site.topic_of)
    app = FastAPI()
    app.include_router(scenarios.build(database, writer, anybody))
    await replies.start()
    await database.open()
    await until(lambda: replies.ready)
    try:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://t", timeout=60) as http:
            yield Front(http, transport, writer, database_url)
    finally:
        await replies.stop()
        await database.close()
        publisher.close()


async def test_the_seeds_examples(front: Front) -> None:
    made = await front.http.post("/scenario/", json={"status": "init_startup"})
    assert (made.status_code, made.json()) == (201, {"scenario_id": 1})
    assert (await front.http.get("/prediction/1/")).json() == {"scenario_id": 1, "predictions": None}
    changed = await front.http.post("/scenario/1/", json={"status": "active"})
    assert (changed.status_code, changed.json()) == (200, {"status": "updated", "scenario_id": "1"})
    assert (await front.http.get("/scenario/1/")).json() == {"id": 1, "status": "active"}
    predictions = {"predictions": [{"class": "person", "confidence": 0.95}]}
    put = await front.http.put("/v1/scenarios/1/predictions", json=predictions)
    assert (put.status_code, put.json()) == (200, {"status": "updated", "scenario_id": "1"})
    assert (await front.http.get("/prediction/1/")).json() == {"scenario_id": 1, "predictions": predictions}
    put = await front.http.put("/v1/scenarios/1/predictions", json=[{"class": "car"}])
    assert (await front.http.get("/prediction/1/")).json()["predictions"] == {"predictions": [{"class": "car"}]}
    for path in ("/scenario/1", "/prediction/1"):
        moved = await front.http.get(path)
        assert (moved.status_code, moved.headers["location"]) == (307, f"http://t{path}/")


async def test_what_is_refused(front: Front) -> None:
    known = await front.create(status="inactive")
    refused = await front.http.post(f"/scenario/{known}/", json={"status": "active"})
    detail = f"Scenario {known} is inactive: it cannot become active"
    assert (refused.status_code, refused.json()) == (409, {"detail": detail})
    assert (await front.http.post(f"/scenario/{known}/", json={"status": "inactive"})).status_code == 200
    for unknown in (2**31 - 1, 2**31, 10**30, 0, -1):
        told = {"detail": f"Сценарий с id={unknown} не найден"}
        for path in (f"/scenario/{unknown}/", f"/prediction/{unknown}/", f"/v1/scenarios/{unknown}/history"):
            answer = await front.http.get(path)
            assert (answer.status_code, answer.json()) == (404, told)
        answer = await front.http.post(f"/scenario/{unknown}/", json={"status": "active"})
        assert (answer.status_code, answer.json()) == (404, told)


async def test_an_idempotency_key_makes_one_scenario(front: Front) -> None:
    key = {"Idempotency-Key": uuid.uuid4().hex}
    answers = [await front.http.post("/scenario/", json={"source": "a.mp4"}, headers=key) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    other = await front.http.post("/scenario/", json={"source": "b.mp4"}, headers=key)
    assert other.status_code == 409


async def test_a_run_from_claim_to_shutdown(front: Front) -> None:
    scenario_id = await front.create(source="пешеходы.mp4", settings={"every": 5, "большое": 10**18})
    path = f"/v1/scenarios/{scenario_id}"
    while (run := await front.claim())["scenario_id"] != scenario_id:
        await front.tell("FinishScenarioRun", **signed(run))  # of the tests before
    assert await front.status(scenario_id) == "init_startup_processing"
    await front.tell("RenewScenarioLease", **signed(run), lease_ms=LEASE_MS, frame=3, frames=100)
    for first in (0, 25):
        frames = {"first_frame": first, "last_frame": first + 24, "detections": [SEEN], "summary": SUMMARY}
        assert await front.tell("RecordPredictions", **signed(run), **frames, lease_ms=LEASE_MS) == {
            "stop": False, "last_frame": first + 24,
        }  # fmt: skip
    shown = (await front.http.get(path)).json()
    told = {name: shown[name] for name in ("status", "source", "settings", "runner_id", "epoch", "frame", "frames")}
    assert told == {
        "status": "active", "source": "пешеходы.mp4", "settings": {"every": 5, "большое": 10**18}, "runner_id": "r1",
        "epoch": 1, "frame": 49, "frames": 100,
    }  # fmt: skip
    assert shown["predictions"] == {"predictions": [{"class": "person", "confidence": 0.95}]}
    seen = await front.items(f"{path}/predictions")
    assert [(one["first_frame"], one["last_frame"]) for one in seen] == [(0, 24), (25, 49)]
    assert seen[0]["detections"] == [SEEN]
    assert await front.items(f"{path}/predictions?after_frame=24") == seen[1:]
    assert (await front.http.post(f"/scenario/{scenario_id}/", json={"status": "init_shutdown"})).status_code == 200
    await front.tell("FinishScenarioRun", **signed(run))
    assert await front.status(scenario_id) == "inactive"
    history = await front.items(f"{path}/history")
    ways = [one["details"]["new_status"] for one in history if one["event"] == "ScenarioStatusChanged"]
    assert ways == ["init_startup_processing", "active", "init_shutdown", "in_shutdown_processing", "inactive"]
    assert [one["event"] for one in history][:2] == ["ScenarioCreated", "ScenarioAssigned"]


async def test_a_failed_run_and_a_new_start_are_told(front: Front) -> None:
    scenario_id = await front.create()
    run = await front.claim()
    assert run["scenario_id"] == scenario_id
    frames = {"first_frame": 0, "last_frame": 9, "detections": [], "summary": SUMMARY}
    await front.tell("RecordPredictions", **signed(run), **frames, lease_ms=LEASE_MS)
    await front.tell("FailScenarioRun", **signed(run), reason="failed_to_read_frame")
    shown = (await front.http.get(f"/v1/scenarios/{scenario_id}")).json()
    assert (shown["status"], shown["reason"], shown["runner_id"]) == ("init_startup", "failed_to_read_frame", None)
    await front.tell("RetryScenario", scenario_id=scenario_id, attempt=1)
    run = await front.claim()
    assert (run["from_frame"], run["epoch"]) == (10, 2)
    assert len(await front.items(f"/v1/scenarios/{scenario_id}/predictions")) == 1
    for status in ("inactive", "init_startup"):
        assert (await front.http.post(f"/scenario/{scenario_id}/", json={"status": status})).status_code == 200
    assert await front.items(f"/v1/scenarios/{scenario_id}/predictions") == []
    assert (await front.claim())["from_frame"] == 0
    everything = await front.items(f"/v1/scenarios/{scenario_id}/history?predictions=true")
    names = [one["event"] for one in everything]
    assert names.count("PredictionsRecorded") == 1
    assert "PredictionsRecorded" not in [
        one["event"] for one in await front.items(f"/v1/scenarios/{scenario_id}/history")
    ]
    paged, url = list[dict[str, Any]](), f"/v1/scenarios/{scenario_id}/history?predictions=true&limit=3"
    while url:
        answer = await front.http.get(url)
        paged += answer.json()["items"]
        link = answer.headers.get("link")
        url = f"/v1/scenarios/{scenario_id}/history{link[1 : link.index('>')]}" if link else ""
    assert paged == everything


async def test_scenarios_are_listed(front: Front) -> None:
    made = [await front.create(status="in_shutdown_processing") for _ in range(3)]
    assert [one["id"] for one in await front.items("/v1/scenarios?status=in_shutdown_processing")] == made
    first = await front.http.get("/v1/scenarios?status=in_shutdown_processing&limit=2")
    link = first.headers["link"]
    rest = await front.items("/v1/scenarios" + link[1 : link.index(">")])
    assert [one["id"] for one in (*first.json()["items"], *rest)] == made
    assert (await front.http.get("/v1/scenarios?status=asleep")).status_code == 422
    ids = [one["id"] for one in await front.items("/v1/scenarios?limit=1000")]
    assert ids == list(range(1, len(ids) + 1))


async def test_the_calls_from_python(front: Front) -> None:
    server = Server(lambda: Settings("http://t"), front.transport)
    await server.connect()
    calls, predict = ScenarioCalls(server), {"predictions": [{"class": "person", "confidence": 0.95}]}
    scenario_id = await calls.create_scenario(status=ScenarioStatus.INIT_STARTUP)
    assert await calls.update_status(scenario_id, ScenarioStatus.INIT_STARTUP_PROCESSING) is True
    assert await calls.get_status(scenario_id) is ScenarioStatus.INIT_STARTUP_PROCESSING
    assert await calls.get_predict(scenario_id) is None
    assert await calls.update_predict(scenario_id, predict) is True
    assert await calls.get_predict(scenario_id) == predict
    found = await calls.get_scenario(scenario_id)
    assert found is not None
    assert (found.id, found.status, found.predict) == (scenario_id, "init_startup_processing", predict)
    await server.disconnect()


async def test_the_seeds_own_sql_is_answered(front: Front) -> None:
    with psycopg.connect(front.database_url) as connection:
        rows = connection.execute(
            "SELECT id, status, predict, created_at, updated_at FROM scenarios"
            " WHERE status = 'active'::scenario_status ORDER BY id"
        ).fetchall()
    assert rows
    assert all(isinstance(row[2], dict | None) for row in rows)


async def test_a_rebuilt_version_is_the_same(front: Front, site: DecidingSite) -> None:
    model = at_site(site)
    with Models(front.database_url) as models, LogReader(site.bootstrap, "rebuild") as reader:
        live = models.live(model.name)
        assert live is not None
        version = models.create(model, starts_of(model, reader), state="building")
        ends = {TopicPartition(topic, 0): reader.end_offsets(topic)[0] for topic in model.topics}
        store = Store(front.database_url, version.schema)
        target = Target(version.schema, None, RING)
        Projection(model, target, store=store, reader=reader, publisher=site.publisher).advance_to(
            ends, threading.Event()
        )
        store.close()
    rebuilt = summed(front.database_url, version.schema)
    assert all(rebuilt[table]["rows"] for table in model.views)
    eventually(lambda: summed(front.database_url, live.schema) == rebuilt)


def summed(database_url: str, schema: str) -> dict[str, dict[str, int]]:
    with psycopg.connect(database_url) as connection:
        return checksum(connection, schema, "scenarios")
