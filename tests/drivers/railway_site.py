"""The whole railway on a real Kafka and PostgreSQL, in this process: deciders, projector, three servers."""

from __future__ import annotations

import base64
import threading
import time
import uuid
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import replace
from typing import Any

from fastapi import HTTPException, Request

from api.passwords import Passwords
from api.railway.face_desk import Described, FaceDesk, FaceOptions
from api.railway.parts import Railway
from producers.commands import Writer
from producers.publisher import Publisher
from producers.replies import ReplyReader
from projections import runner
from projections.queries.database import Database
from projections.registry import READ_MODELS
from schemas.errors import InvalidEvent
from tests.drivers.deciding import RING, DecidingSite
from tests.drivers.faces import vector
from tests.drivers.waiting import until

TOPICS = (
    "railway.commands", "railway.events", "railway.purchases",
    "faces.commands", "faces.events", "faces.gallery", "faces.accesses", "security.matches",
)  # fmt: skip
MODELS = ("railway_passengers", "railway_places", "railway_access", "railway_stores", "railway_accounts", "faces")
PERSON = "X-Person"


class Tokens:
    """In place of sessions: a token is `STORE/<id>` or `ROBOT/<id>`. Signing in has tests of its own."""

    async def component(self, request: Request, client_type: str) -> str:
        kind, _, one = request.headers.get("authorization", "").removeprefix("Bearer ").partition("/")
        if kind != client_type:
            raise HTTPException(401, "Invalid credentials")
        return one


@contextmanager
def at_work(bootstrap: str, database_url: str) -> Generator[DecidingSite]:
    """Deciders and a projector at work on topics of their own."""
    with (
        closing(DecidingSite(bootstrap, *TOPICS)) as site,
        site.deciding("railway", "faces"),
        _projecting(site, database_url),
    ):
        yield site


@contextmanager
def _projecting(site: DecidingSite, database_url: str) -> Generator[None]:
    models = {
        name: replace(READ_MODELS[name], topics=tuple(site.topics[topic] for topic in READ_MODELS[name].topics))
        for name in MODELS
    }
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
async def served(site: DecidingSite, database_url: str, **changed: Any) -> AsyncGenerator[Railway]:
    """What the servers answer from; everybody is administrator, and a passenger says who he is in a header."""
    publisher = Publisher(site.bootstrap, client_id="front", linger_ms=0)
    replies = ReplyReader(site.bootstrap, uuid.uuid4().hex)
    database = Database(database_url)
    writer = Writer(publisher, replies, deadline_s=20, model_wait_s=20, topic_of=site.topic_of)
    faces = FaceDesk(database, writer, RING, _describe, lambda: time.time_ns() // 1000, FaceOptions(0.5))
    told: dict[str, Any] = {"admin": _anybody, "person": _person, "faces": faces}
    await replies.start()
    await database.open()
    try:
        await until(lambda: replies.ready)
        extra = {"passwords": Passwords(memory_kib=8, passes=1)}
        yield Railway(database, writer, RING, **(told | {"extra": extra} | changed))
    finally:
        await replies.stop()
        await database.close()
        publisher.close()


def picture(*seeds: int) -> str:
    """A picture of these faces, for the servers of this module."""
    return base64.b64encode(" ".join(map(str, seeds)).encode()).decode()


async def _describe(data: bytes, _purpose: str, /) -> Sequence[Described]:
    try:
        seeds = [int(word) for word in data.decode().split()]
    except ValueError as error:
        raise InvalidEvent("Not an image") from error
    return [Described(vector(seed).tobytes(), 1.0) for seed in seeds if 0 <= seed < 2**31]


async def _anybody() -> str | None:
    return None


async def _person(request: Request) -> str:
    return request.headers.get(PERSON, "")
