"""The Python calls of video analytics: as scripts make them, over HTTP, against the real routes."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from api.routes import scenarios
from edge_agents.scenario_client.calls import ScenarioCalls
from edge_agents.scenario_client.server import Server, ServerError
from edge_agents.scenario_client.settings import Settings, load
from schemas.errors import TransientFailure
from schemas.scenarios import ScenarioStatus
from tests.drivers.scenario_rows import Scenarios
from tests.drivers.serving import served

ROOT = Path(__file__).resolve().parents[3]
APP = ROOT / "edge_agents" / "scenario_client" / "app"
PREDICT = {"predictions": [{"class": "person", "confidence": 0.95}]}

# What the installed package `app` makes possible; here it is found where the install would find it.
SCRIPT = f"""
import asyncio, importlib.util, sys
spec = importlib.util.spec_from_file_location("app", {str(APP / "__init__.py")!r},
                                              submodule_search_locations=[{str(APP)!r}])
sys.modules["app"] = importlib.util.module_from_spec(spec)

from app.db import db, scenario_crud, ScenarioStatus, Scenario
from app.db.models import Scenario as Same

async def main():
    await db.connect()
    try:
        scenario_id = await scenario_crud.create_scenario(status=ScenarioStatus.INIT_STARTUP)
        print(scenario_id)
        print(await scenario_crud.update_status(scenario_id, ScenarioStatus.INIT_STARTUP_PROCESSING))
        print(await scenario_crud.get_status(scenario_id))
        await scenario_crud.update_predict(scenario_id, {PREDICT!r})
        print(await scenario_crud.get_predict(scenario_id))
        scenario = await scenario_crud.get_scenario(scenario_id)
        assert isinstance(scenario, Scenario) and Same is Scenario
        print(scenario.id, scenario.status)
    finally:
        await db.disconnect()

asyncio.run(main())
"""


@pytest.fixture
def there() -> Scenarios:
    return Scenarios()


@pytest.fixture
def app(there: Scenarios) -> FastAPI:
    async def anybody() -> None:
        """Nobody is asked."""

    made = FastAPI()
    made.include_router(scenarios.build(there, there, anybody))  # type: ignore[arg-type]
    return made


@pytest.fixture
async def calls(app: FastAPI) -> AsyncIterator[ScenarioCalls]:
    server = Server(lambda: Settings("http://t"), httpx.ASGITransport(app))
    await server.connect()
    await server.create_tables()
    yield ScenarioCalls(server)
    await server.disconnect()


@pytest.fixture
def address(app: FastAPI) -> Iterator[str]:
    with served(app) as url:
        yield url


def test_a_script_of_the_field_runs_as_it_is(address: str) -> None:
    environ = {"SENSORIUM_URL": address, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "1",
        "True",
        "init_startup_processing",
        str(PREDICT),
        "1 init_startup_processing",
    ]


async def test_a_change_that_is_refused_is_false(calls: ScenarioCalls) -> None:
    scenario_id = await calls.create_scenario("active")
    assert await calls.update_status(scenario_id, ScenarioStatus.INIT_STARTUP_PROCESSING) is False
    assert await calls.update_status(scenario_id, "active") is True
    with pytest.raises(ValueError, match="asleep"):
        await calls.update_status(scenario_id, "asleep")


async def test_who_does_not_exist(calls: ScenarioCalls) -> None:
    assert await calls.get_scenario(7) is None
    assert await calls.get_status(7) is None
    assert await calls.get_predict(7) is None
    assert await calls.update_status(7, ScenarioStatus.ACTIVE) is False
    assert await calls.update_predict(7, PREDICT) is False


async def test_a_scenario_has_its_times(calls: ScenarioCalls) -> None:
    found = await calls.get_scenario(await calls.create_scenario())
    assert found is not None
    assert (found.id, found.status, found.predict) == (1, ScenarioStatus.INIT_STARTUP, None)
    assert found.created_at.utcoffset() == timedelta(0)
    assert await calls.get_predict(1) is None


async def test_a_server_that_cannot_is_an_error(calls: ScenarioCalls, there: Scenarios) -> None:
    there.away = TransientFailure("late")
    with pytest.raises(ServerError, match="503"):
        await calls.create_scenario()


async def test_nobody_there_and_nobody_asked() -> None:
    server = Server(lambda: Settings("http://127.0.0.1:9"))
    with pytest.raises(RuntimeError, match="connect"):
        await server.ask("GET", "/scenario/1/")
    await server.connect()
    with pytest.raises(ServerError, match="does not answer"):
        await ScenarioCalls(server).get_status(1)
    await server.disconnect()
    await server.disconnect()


async def test_another_server_is_an_error() -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, html="<p>Sign in</p>"))
    server = Server(lambda: Settings(), transport)
    await server.connect()
    with pytest.raises(ServerError, match="no Sensorium server: <p>Sign in"):
        await ScenarioCalls(server).get_status(1)
    await server.disconnect()


async def test_a_token_is_shown() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(201, json={"scenario_id": int(request.headers["authorization"] == "Bearer secret")})

    server = Server(lambda: Settings(token="secret"), httpx.MockTransport(answer))
    await server.connect()
    assert await ScenarioCalls(server).create_scenario() == 1
    await server.disconnect()


def test_where_the_server_is() -> None:
    assert load({}) == Settings("http://localhost:8000", "")
    assert load({"SENSORIUM_URL": "http://h:1", "SENSORIUM_TOKEN": "t"}) == Settings("http://h:1", "t")
    assert importlib.util.find_spec("edge_agents.scenario_client.app.db") is not None
