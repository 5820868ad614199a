"""Recorders' routes without Kafka: given devices and a log that takes or refuses, when a chunk comes, then see."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
from fastapi import FastAPI

from producers.appending import Appender
from producers.asgi import Dispatcher
from producers.cors import Cors
from producers.device_tokens import Device, TokenTable
from producers.recorder_limits import RecorderOptions
from producers.recorders import Recorders
from schemas.serde import encode
from tests.drivers.gateway import FakeLog, FakeReplies

POINT, REGISTER, DEVICE = (f"0f9d3c1e-0000-4000-8000-00000000000{n}" for n in (1, 2, 3))
TOKEN = "correct-horse-battery"
SOUND = b"OggS" + bytes(range(256)) * 40


def device(device_id: str = DEVICE, token: str = TOKEN, *, enabled: bool = True, **other: str) -> Device:
    """A registered device."""
    known = Device(device_id, POINT, REGISTER, sha256(token.encode()).hexdigest(), enabled)
    return replace(known, **other)


def token_set(one: Device) -> bytes:
    """Its record in `devices.tokens`."""
    record = {name: getattr(one, name) for name in ("device_id", "point_id", "register_id", "token_sha256", "enabled")}
    return encode("DeviceTokenSet", record)


class FakeDirectory:
    """Stands for the topic of tokens: `registered` is seen after a catch-up, which works while `reachable`."""

    def __init__(self, *devices: Device) -> None:
        self.table = TokenTable()
        self.registered: list[Device] = list(devices)
        self.ready = True
        self.reachable = True
        self.caught_up = 0

    def find(self, token: bytes) -> tuple[Device, ...]:
        return self.table.find(token)

    async def catch_up(self) -> bool:
        self.caught_up += 1
        if self.reachable:
            for one in self.registered:
                self.table.apply(one.device_id.encode(), token_set(one))
            self.registered.clear()
        return self.reachable

    def start(self) -> None:
        self.started = True

    async def stop(self) -> None:
        self.started = False


def form(**changed: Any) -> dict[str, str]:
    """The text fields of a good chunk; None leaves one out."""
    fields = {"point_id": POINT, "register_id": REGISTER, "device_id": DEVICE}
    fields |= {"start_ts": "2026-01-01T09:00:00", "end_ts": "2026-01-01T09:01:00", "codec": "opus"}
    fields |= {"sample_rate": "48000", "channels": "1"}
    return {name: str(value) for name, value in (fields | changed).items() if value is not None}


class RecorderDriver:
    """The routes in an app, with fakes for log and tokens and a real folder."""

    def __init__(self, folder: Path, *devices: Device, zone: str = "UTC", **options: Any) -> None:
        self.folder = folder
        self.log = FakeLog()
        self.directory = FakeDirectory(*(devices or (device(),)))
        appender = Appender(self.log, FakeReplies())  # type: ignore[arg-type]
        chosen = RecorderOptions(folder, **({"min_free_bytes": 0} | options))
        self.recorders = Recorders(chosen, self.directory, appender, Cors(), (ZoneInfo(zone), zone))

        @asynccontextmanager
        async def lifespan(_app: FastAPI) -> AsyncGenerator[None]:
            async with self.running():
                yield

        fastapi = FastAPI(lifespan=lifespan)  # for who serves it; the client below needs `running`
        fastapi.include_router(self.recorders.router())
        self.app = Dispatcher(self.recorders.hot_routes, fastapi)
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://localhost")

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[RecorderDriver]:
        """Started, with its folder open."""
        self.recorders.start()
        await self.recorders._under_way[0]
        try:
            yield self
        finally:
            await self.recorders.stop()
            await self.client.aclose()

    async def chunk(self, sound: bytes | None = SOUND, token: str | None = TOKEN, **changed: Any) -> httpx.Response:
        """Post a chunk."""
        files = None if sound is None else {"chunk_file": ("chunk.ogg", sound, "audio/ogg")}
        if files is None:
            files = {"not_the_file": ("x", b"")}
        return await self.client.post("/api/v1/chunks", data=form(**changed), files=files, headers=bearer(token))

    async def tell(self, path: str, content: Any, token: str | None = TOKEN) -> httpx.Response:
        """Post a JSON report."""
        return await self.client.post(path, json=content, headers=bearer(token))

    def events(self, name: str = "AudioChunkUploaded") -> list[dict[str, Any]]:
        """What is in the log, of one kind."""
        return [event for kind, event in self.log.events if kind == name]

    def kept(self) -> list[Path]:
        """All files of sound."""
        return sorted((self.folder / "audio" / "sha256").glob("*/*"))

    def unfinished(self) -> list[Path]:
        """All that would be an orphan."""
        return sorted((self.folder / "audio" / "incoming").glob("*/*"))


def bearer(token: str | None) -> dict[str, str]:
    """The header of a token."""
    return {} if token is None else {"authorization": f"Bearer {token}"}


def new_id() -> str:
    """A UUID that nobody has."""
    return str(uuid.uuid4())
