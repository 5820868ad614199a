"""A worker elsewhere: leases, hears, hands in; through absent servers, lost leases and stops."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import pytest

from schemas.errors import InvalidEvent, TransientFailure
from streams.asr_worker import logs, settings
from streams.asr_worker.agent import Agent, Pace
from streams.asr_worker.client import Client
from streams.asr_worker.settings import SettingsError
from streams.steps import WorkFailed
from streams.workers.remote_work import RemoteWorkers
from streams.workers.remote_work_app import app
from streams.workers.remote_work_leases import Terms
from tests.drivers.speech import task, transcript
from tests.drivers.waiting import until

ROOT = Path(__file__).resolve().parents[3]
PIECE = {"chunk_id": "c", "chunk_start_us": 0, "sha256": "s", "stored_path": "p", "start_ms": 0, "end_ms": 9}
PACE = Pace(poll_s=0.05, first_s=0.001, longest_s=0.005, grace_s=0.05)


class Cable(httpx.AsyncBaseTransport):
    """A network to the server that can be cut, and counts what goes over it."""

    def __init__(self, server: httpx.AsyncBaseTransport) -> None:
        self.server, self.cut, self.paths, self.failures = server, False, list[str](), 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.cut:
            self.failures += 1
            raise httpx.ConnectError("cut")
        self.paths.append(request.url.path.rpartition("/")[2])
        return await self.server.handle_async_request(request)


class Elsewhere:
    """A worker over a cable; what it hears is decided by `hear`."""

    def __init__(self, lease_s: float = 60.0) -> None:
        self.server = RemoteWorkers(Terms(lease_s=lease_s), sweep_s=0.005)
        self.cable = Cable(httpx.ASGITransport(app(self.server, "secret")))
        self.stop = asyncio.Event()
        self.heard: list[str] = []
        self.cancelled: list[str] = []
        self.go_on = asyncio.Event()
        self.verdict: Exception | None = None
        client = Client("http://server", "secret", transport=self.cable)
        self.client = client
        self.agent = Agent(client, self.hear, lambda: {"FAST": "base"}, "w1", self.stop, PACE)
        self.running: asyncio.Task[None] | None = None

    async def hear(self, request: Any, /) -> Any:
        self.heard.append(request["task_id"])
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.cancelled.append(request["task_id"])
            raise
        if self.verdict:
            raise self.verdict
        return transcript("Да.", worker="w1")

    def begin(self, name: str = "d") -> asyncio.Task[Any]:
        self.running = self.running or asyncio.create_task(self.agent.run())
        return asyncio.create_task(self.server(task([PIECE], name)))

    async def close(self) -> None:
        self.stop.set()
        self.go_on.set()
        self.cable.cut = False
        if self.running:
            await self.running
        await self.server.close()
        await self.client.close()


@pytest.fixture
async def place() -> AsyncGenerator[Elsewhere]:
    made = Elsewhere()
    yield made
    await made.close()


async def test_it_leases_hears_and_hands_in(place):
    asked = [place.begin("d1"), place.begin("d2")]
    place.go_on.set()
    assert [(await one)["text"] for one in asked] == ["Да.", "Да."]
    assert place.heard == ["d1/1/FAST", "d2/1/FAST"]
    await until(lambda: place.agent.tally.done == 2)
    assert place.agent.tally.audio_s == 40.0


async def test_slow_work_keeps_its_lease():
    place = Elsewhere(lease_s=0.2)
    asked = place.begin()
    await until(lambda: place.cable.paths.count("heartbeat") >= 8)  # 8 x 0.05 s: twice the lease
    place.go_on.set()
    assert (await asked)["text"] == "Да."
    assert place.heard == ["d/1/FAST"]
    await place.close()


async def test_what_was_heard_while_the_server_was_away_is_handed_in_when_it_is_back():
    place = Elsewhere(lease_s=0.1)
    asked = place.begin()
    await until(lambda: place.heard)
    place.cable.cut = True
    place.go_on.set()
    await until(lambda: place.cable.failures > 3 and place.server.book.entries["d/1/FAST"].losses)
    place.cable.cut = False
    assert (await asked)["text"] == "Да."
    assert place.heard == ["d/1/FAST"]  # the lease was over, the result was good all the same
    await place.close()


async def test_an_absent_server_is_asked_again_and_again(place):
    place.cable.cut = True
    asked = place.begin()
    await until(lambda: place.cable.failures > 3)
    place.go_on.set()
    place.cable.cut = False
    assert await asked


async def test_a_lost_lease_stops_the_work():
    place = Elsewhere(lease_s=0.2)
    asked = place.begin()
    await until(lambda: place.heard)
    place.server.book.entries["d/1/FAST"].lease_id = "another's"
    await until(lambda: place.cancelled)
    assert place.cancelled == ["d/1/FAST"]
    asked.cancel()
    await place.close()


@pytest.mark.parametrize("verdict", [InvalidEvent("hopeless"), TransientFailure("later"), WorkFailed("crashed")])
async def test_a_failure_is_told_as_what_it_is(place, verdict):
    place.verdict = verdict
    place.go_on.set()
    with pytest.raises(type(verdict), match=str(verdict)):
        await place.begin()
    await until(lambda: place.agent.tally.failed == 1)


async def test_a_stop_lets_the_work_finish(place):
    place.agent.pace = Pace(poll_s=0.05, grace_s=10)
    asked = place.begin()
    await until(lambda: place.heard)
    place.stop.set()
    place.go_on.set()
    assert (await asked)["text"] == "Да."
    await place.running


async def test_a_stop_gives_back_what_takes_too_long(place):
    asked = place.begin()
    await until(lambda: place.heard)
    place.stop.set()
    await place.running
    assert place.cancelled == ["d/1/FAST"]
    entry = place.server.book.entries["d/1/FAST"]
    assert (entry.lease_id, entry.losses) == (None, 0)
    asked.cancel()


async def test_a_stop_does_not_wait_for_work_that_may_come(place):
    place.agent.pace = Pace(poll_s=30)
    place.running = asyncio.create_task(place.agent.run())
    await until(lambda: place.cable.paths)
    place.stop.set()
    async with asyncio.timeout(5):
        await place.running


async def test_a_wrong_token_is_told_and_tried_again(place, caplog):
    stranger = Client("http://server", "other", transport=place.cable)
    agent = Agent(stranger, place.hear, lambda: {"FAST": "base"}, "w1", place.stop, PACE)
    place.running = asyncio.create_task(agent.run())
    await until(lambda: caplog.text.count("Invalid internal token") > 1)
    place.stop.set()
    await place.running
    await stranger.close()


def test_settings_by_the_names_of_the_system_it_replaces():
    given = settings.load(
        {
            "INTERNAL_TOKEN": "secret",
            "INGEST_INTERNAL_BASE_URL": "http://core-host:8000",
            "DATABASE_URL": "postgresql+asyncpg://ingest:ingest@core-host:5432/ingest",
            "WHISPER_MODEL_FAST": "tiny",
            "WHISPER_MODEL_ACCURATE": "medium",
            "WHISPER_COMPUTE_TYPE": "float32",
            "WHISPER_THREADS": "3",
            "WHISPER_CACHE_DIR": "/models",
            "BEAM_SIZE": "1",
            "LANGUAGE": "ru",
            "HTTP_TIMEOUT_SEC": "5",
            "POLL_INTERVAL_SEC": "5.0",
            "HTTPS_PROXY": "http://proxy:3128",
            "LOG_LEVEL": "debug",
        }
    )
    expected = {
        "fast": "tiny", "accurate": "medium", "compute_type": "float32", "cache": "/models", "beam": 1,
        "language": "ru", "threads": 3, "timeout_s": 5.0, "base_url": "http://core-host:8000",
        "internal_token": "secret", "network": {"HTTPS_PROXY": "http://proxy:3128"},
    }  # fmt: skip
    assert {name: given.whisper[name] for name in expected} == expected
    assert given.passed_over == ("DATABASE_URL", "POLL_INTERVAL_SEC")
    assert given.log_level == "DEBUG"
    assert "secret" not in repr(given)


@pytest.mark.parametrize(
    ("variables", "language"),
    [
        ({}, None),
        ({"WHISPER_LANGUAGE": "sr"}, "sr"),
        ({"WHISPER_LANGUAGE": "auto", "LANGUAGE": "ru"}, None),
        ({"LANGUAGE": "RU"}, "ru"),
        ({"LANGUAGE": "en_GB:en"}, None),
    ],
)
def test_the_language_is_set_or_heard(variables, language):
    assert settings.language(variables) == language


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"INTERNAL_TOKEN": " "}, "INTERNAL_TOKEN is not set"),
        ({"INGEST_INTERNAL_BASE_URL": "core-host:8000"}, "no http:// or https:// address"),
        ({"WHISPER_THREADS": "many"}, "WHISPER_THREADS=many is no number"),
        ({"BEAM_SIZE": "0"}, "not above zero"),
    ],
)
def test_settings_that_cannot_be(variables, words):
    with pytest.raises(SettingsError, match=words):
        settings.load({"INTERNAL_TOKEN": "secret"} | variables)


def test_a_log_line_is_one_json_object():
    record = logging.makeLogRecord(
        {"name": "asr", "levelname": "INFO", "msg": "%d done", "args": (2,), "model": "base"}
    )
    line = json.loads(logs.JsonLines().format(record))
    assert {name: line[name] for name in ("level", "logger", "message", "model")} == {
        "level": "INFO", "logger": "asr", "message": "2 done", "model": "base"
    }  # fmt: skip
    assert line["timestamp"].endswith("+00:00")


def test_without_a_token_it_exits_with_a_sentence():
    done = subprocess.run(
        [sys.executable, "-m", "streams.asr_worker"], cwd=ROOT, env={}, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert "INTERNAL_TOKEN is not set" in json.loads(done.stdout.splitlines()[-1])["message"]


BLOCKED = (
    "aiokafka", "confluent_kafka", "cryptography", "fastapi", "fastavro", "faust", "openai", "psycopg", "pydantic",
    "starlette", "uvicorn", "webrtcvad", "yaml",
)  # fmt: skip


def test_it_needs_nothing_of_the_log():
    """What is imported on a machine with the extra `asr` alone: everything else is blocked."""
    code = f"""
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {BLOCKED!r}:
            raise ImportError(name + " is not in the extra asr")

sys.meta_path.insert(0, Blocked())
import streams.asr_worker.__main__, streams.workers.child, streams.workers.whisper, streams.workers.whisper_models
import faster_whisper
try:
    import fastavro
except ImportError:
    print("blocked")
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "blocked\n"), done.stderr
