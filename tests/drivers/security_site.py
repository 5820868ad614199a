"""Security on a real Kafka and PostgreSQL: deciders and a projector in this process, processors in one of their own."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import uuid
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import orjson
from fastapi import FastAPI, HTTPException, Request

from api.live import Hub
from api.railway.face_desk import Describe, FaceDesk, FaceOptions
from api.railway.parts import Railway
from api.routes import security_alerts, security_cameras, security_devices, security_people
from api.security import Security
from api.security_feed import Feed
from producers.commands import Writer
from producers.pictures import Pictures
from producers.publisher import Publisher
from producers.replies import ReplyReader
from projections import runner
from projections.queries.changes import listen
from projections.queries.database import Database
from projections.read_model import ReadModel
from projections.registry import READ_MODELS
from tests.drivers.deciding import RING, ROOT, DecidingSite
from tests.drivers.waiting import eventually, until

TOPICS = (
    "railway.commands", "railway.events", "faces.commands", "faces.events", "faces.gallery", "faces.accesses",
    "security.commands", "security.threats", "security.deviance", "security.faces", "security.matches",
)  # fmt: skip
MODELS = ("railway_passengers", "faces", "security")
TOKEN = {"Authorization": "Bearer token"}


async def with_token(request: Request) -> str:
    """Lets in who has the token."""
    if request.headers.get("authorization") != TOKEN["Authorization"]:
        raise HTTPException(401, "Not authenticated")
    return "token"


async def anybody() -> str | None:
    """Lets everybody in."""
    return None


def app_of(security: Security) -> FastAPI:
    """An app of security's routes."""
    app = FastAPI()
    for routes in (security_devices, security_cameras, security_people, security_alerts):
        app.include_router(routes.build(security))
    return app


def model_at(site: DecidingSite, name: str) -> ReadModel:
    """A read model on the site's topics."""
    model = READ_MODELS[name]
    return replace(model, topics=tuple(site.topics[topic] for topic in model.topics))


@contextmanager
def at_work(bootstrap: str, database_url: str, folder: Path) -> Generator[DecidingSite]:
    """Deciders, a projector and processors at work on topics of their own."""
    with (
        closing(DecidingSite(bootstrap, *TOPICS)) as site,
        processing(site, folder),
        site.deciding("railway", "faces", "security"),
        _projecting(site, database_url),
    ):
        yield site


@contextmanager
def processing(site: DecidingSite, folder: Path) -> Generator[None]:
    """The processors' process; it is at work when the block begins."""
    plan = json.dumps({"bootstrap": site.bootstrap, "prefix": site.prefix})
    log = folder / "security.log"
    with log.open("wb") as output:
        command = [sys.executable, str(ROOT / "tests/drivers/security_main.py"), plan]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        eventually(lambda: b"\nready" in b"\n" + log.read_bytes(), 40)
        yield
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def _projecting(site: DecidingSite, database_url: str) -> Generator[None]:
    models = {name: model_at(site, name) for name in MODELS}
    stop, ready = threading.Event(), threading.Event()
    arguments = (site.bootstrap, database_url, RING, "t", stop, models, ready.set)
    thread = threading.Thread(target=runner.run, args=arguments, name="projector")
    thread.start()
    try:
        assert ready.wait(30), "the projector did not get ready"
        yield
    finally:
        stop.set()
        thread.join()


@asynccontextmanager
async def served(
    site: DecidingSite, database_url: str, folder: Path, describe: Describe | None = None
) -> AsyncGenerator[tuple[Security, Railway]]:
    """What the routes answer from, and the railway's faces beside it."""
    publisher = Publisher(site.bootstrap, client_id="front", linger_ms=0)
    replies = ReplyReader(site.bootstrap, uuid.uuid4().hex)
    database = Database(database_url)
    writer = Writer(publisher, replies, deadline_s=20, model_wait_s=20, topic_of=site.topic_of)
    hub = Hub(partial(listen, database_url))
    await replies.start()
    await database.open()
    listening = asyncio.create_task(hub.run())
    security = Security(
        database, writer, RING, Feed(database, hub), anybody, anybody, with_token, describe, Pictures(folder / "kept")
    )
    try:
        await until(lambda: replies.ready and hub.listening)
        desk = None if describe is None else FaceDesk(database, writer, RING, describe, lambda: 0, FaceOptions(0.5))
        yield security, Railway(database, writer, RING, admin=anybody, biometrics=with_token, faces=desk)
    finally:
        await security.close()
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        await replies.stop()
        await database.close()
        publisher.close()


class Terminal:
    """A reader of the live feed, over the routes' own generator; `got` is what it was sent."""

    def __init__(self, security: Security) -> None:
        self._security = security
        self.got: list[tuple[str, str, dict[str, Any]]] = []
        self._task: asyncio.Task[None] | None = None

    async def open(self, after: int | None = None) -> None:
        """Begin; returns when the server has said that it is there."""
        before = len(self.got)
        self._task = asyncio.create_task(self._read(after))
        await until(lambda: len(self.got) > before)

    async def close(self) -> None:
        """Go away."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def last_id(self) -> int:
        """The id seen last."""
        return int(self.got[-1][0])

    def alerts(self, kind: str | None = None) -> list[dict[str, Any]]:
        """What it was told of alerts."""
        return [data for _, event, data in self.got if event == "alert" and kind in (None, data["kind"])]

    async def _read(self, after: int | None) -> None:
        async for item in self._security.feed.frames(after):
            for block in item.decode().split("\n\n"):
                fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
                if "event" in fields:
                    self.got.append((fields["id"], fields["event"], orjson.loads(fields["data"])))


def client_of(security: Security, **headers: str) -> httpx.AsyncClient:
    """A client of the routes, with the token unless `headers` says otherwise."""
    transport = httpx.ASGITransport(app_of(security))
    return httpx.AsyncClient(transport=transport, base_url="http://t", headers=headers or TOKEN, timeout=30)
