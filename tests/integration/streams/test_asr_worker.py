"""Workers in processes of their own, over real HTTP through the front's forwarder, with the real base model."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvicorn

from producers.forwarding import Forwarder
from streams.workers.journal import Journal
from streams.workers.remote_work import RemoteWorkers
from streams.workers.remote_work_app import app, refuse_stranger
from streams.workers.remote_work_leases import Terms
from streams.workers.remote_work_protocol import ROOT as PATH
from streams.workers.whisper_models import Shelf, is_at_hand, obtain
from tests.drivers.speech import JFK, MEDIA, piece, stored, task
from tests.drivers.waiting import until

ROOT = Path(__file__).resolve().parents[3]
pytestmark = [
    pytest.mark.skipif(not MEDIA.is_dir(), reason="the sample media are not beside the checkout"),
    pytest.mark.skipif(
        not is_at_hand("base", Shelf(Path("/nowhere"), download=False)),
        reason="Whisper's base weights are not installed",
    ),
]


class Front:
    """The front door as a worker sees it: leases go on to the process `asr`, audio comes from the folder."""

    def __init__(self, folder: Path, workers: Forwarder) -> None:
        self.folder, self.workers = folder, workers
        self.files: dict[str, Path] = {}
        self.fetched: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"].startswith(PATH):
            await self.workers(scope, receive, send)
            return
        refuse_stranger("secret", dict(scope["headers"]))
        chunk_id = scope["path"].split("/")[-2]
        self.fetched.append(chunk_id)
        data = self.files[chunk_id].read_bytes()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"audio/ogg")]})
        await send({"type": "http.response.body", "body": data})


class Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self):
        yield


class Site:
    """The process `asr` and the front, in the test's own loop; workers are real processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.workers = RemoteWorkers(Terms(lease_s=2.0), Journal(folder / "journal"))
        self.forwarder = Forwarder(f"unix:{folder}/asr", "asr process")
        self.front = Front(folder, self.forwarder)
        self.server = Server(uvicorn.Config(self.front, port=0, log_level="critical", lifespan="off"))
        self.behind: Server | None = None
        self.serving: list[asyncio.Task[None]] = []
        self.processes: list[subprocess.Popen[bytes]] = []

    async def start(self) -> None:
        self.serving.append(asyncio.create_task(self.server.serve()))
        await until(lambda: self.server.started)

    async def open(self) -> None:
        """Start what is behind the front."""
        config = uvicorn.Config(
            app(self.workers, "secret"), uds=f"{self.folder}/asr", log_level="critical", lifespan="off"
        )
        behind = self.behind = Server(config)
        self.serving.append(asyncio.create_task(behind.serve()))
        await until(lambda: behind.started)

    def worker(self, name: str, **environ: str) -> subprocess.Popen[bytes]:
        """A worker with nothing but the address, the token and the models."""
        port = self.server.servers[0].sockets[0].getsockname()[1]
        given = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "INGEST_INTERNAL_BASE_URL": f"http://127.0.0.1:{port}/",
            "INTERNAL_TOKEN": "secret",
            "DATABASE_URL": "postgresql+asyncpg://ingest:ingest@core-host:5432/ingest",
            "WHISPER_CACHE_DIR": str(self.folder / "models"),
            "WHISPER_MODEL_ACCURATE": "",
            "WHISPER_THREADS": "2",
            "WHISPER_DOWNLOAD": "false",
            "ASR_WORKER_NAME": name,
        }
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "streams.asr_worker"], cwd=ROOT, env=given | environ, stdout=log, stderr=log
            )
        self.processes.append(process)
        return process

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text("utf-8")

    def leased_by(self) -> set[str]:
        return {entry.worker for entry in self.workers.book.entries.values() if entry.lease_id}

    async def close(self) -> None:
        for process in self.processes:
            process.kill()
            await asyncio.to_thread(process.wait)
        await self.workers.close()
        await self.forwarder.close()
        for server in (self.server, self.behind):
            if server:
                server.should_exit = server.force_exit = True
        await asyncio.gather(*self.serving)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    obtain("base", Shelf(folder, download=False), lambda _: None)
    return folder


@pytest.fixture
async def site(tmp_path: Path, models: Path) -> AsyncGenerator[Site]:
    (tmp_path / "models").symlink_to(models)
    made = Site(tmp_path)
    await made.start()
    yield made
    await made.close()


def dialogue(site: Site, name: str) -> dict[str, Any]:
    """A task with the sample speech, in a chunk on the server's disk."""
    claim = stored(site.folder, JFK.read_bytes(), f"{name}-chunk")
    site.front.files[claim["chunk_id"]] = site.folder / claim["stored_path"]
    return task([piece(claim, 0, 10_900)], name)


async def test_a_worker_with_an_address_and_a_token_hears_a_dialogue_and_stops_when_told(site: Site) -> None:
    await site.open()
    worker = site.worker("w1")
    heard = await asyncio.wait_for(site.workers(dialogue(site, "d1")), 90)
    assert heard["text"].startswith("And so my fellow Americans")
    assert (heard["worker"], heard["model"]) == ("w1", "base")
    assert site.front.fetched == ["d1-chunk"]
    worker.terminate()
    assert await asyncio.to_thread(worker.wait, 20) == 0
    assert '"message": "stopped"' in site.log("w1")
    assert "DATABASE_URL" in site.log("w1")  # accepted, and not needed


async def test_kill_9_of_a_worker_gives_its_dialogue_to_the_next(site: Site) -> None:
    await site.open()
    doomed = site.worker("doomed")
    asked = asyncio.create_task(site.workers(dialogue(site, "d1")))
    await until(lambda: "doomed" in site.leased_by() and site.front.fetched)
    doomed.send_signal(signal.SIGKILL)
    site.worker("next")
    assert (await asyncio.wait_for(asked, 120))["worker"] == "next"
    assert Journal(site.folder / "journal").get("d1/1/FAST")["worker"] == "next"


async def test_without_the_process_asr_a_worker_waits_and_comes_back(site: Site) -> None:
    site.worker("w1")
    await until(lambda: "answers 503" in site.log("w1"))
    await site.open()
    heard = await asyncio.wait_for(site.workers(dialogue(site, "d1")), 90)
    assert np.isclose(heard["audio_s"], 10.9)
