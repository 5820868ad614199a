"""A gateway without Kafka: given a log that takes or refuses, when a request comes, then see answer and events."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
from fastapi import FastAPI

from producers.asgi import compose
from producers.gateway import Gateway, GatewayOptions
from producers.publisher import Message
from schemas import serde
from schemas.envelope import KeyRing

RING = KeyRing.parse("k1 " + "ab" * 32)
TOKEN = "s3cret"


class FakeLog:
    """Stands for the publisher: keeps what it takes; `failure` is raised for what it does not."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.failure: Exception | None = None

    def send(self, message: Message, _deadline_s: float | None = None) -> asyncio.Future[tuple[int, int]]:
        future = asyncio.get_running_loop().create_future()
        if self.failure is None:
            self.messages.append(message)
            future.set_result((0, len(self.messages) - 1))
        else:
            future.set_exception(self.failure)
        return future

    @property
    def events(self) -> list[tuple[str, dict[str, Any]]]:
        """What was taken, decoded."""
        return [serde.decode(message.value) for message in self.messages]

    def topic_exists(self, _topic: str, _timeout_s: float) -> bool:
        return True

    def in_flight(self) -> int:
        return 0


class FakeReplies:
    """Stands for the reply reader: the read model's answers are said beforehand, None is a late one."""

    def __init__(self) -> None:
        self.instance_id = "0123456789abcdef0123456789abcdef"
        self.ready = True
        self.wait_s = 0.0
        self.answers: list[dict[str, Any] | None] = []
        self.expected: list[str] = []

    def expect(self, correlation_id: str) -> bool:
        self.expected.append(correlation_id)
        return self.ready

    async def reply(self, _correlation_id: str) -> dict[str, Any] | None:
        return self.answers.pop(0) if self.answers else None

    def forget(self, correlation_id: str) -> None:
        self.expected.remove(correlation_id)


def reply(inserted: int | None = None, updated: int | None = None, person_id: int | None = None) -> dict[str, Any]:
    """A Reply event as it is decoded."""
    return {"author": "x", "inserted": inserted, "updated": updated, "person_id": person_id}


class GatewayDriver:
    """A whole gateway app with fakes behind it; the client stands at `client_address`."""

    def __init__(self, client_address: str = "127.0.0.1", **options: Any) -> None:
        self.log, self.replies = FakeLog(), FakeReplies()
        chosen = GatewayOptions("nowhere:1", RING, admin_token=TOKEN, **options)
        self.gateway = Gateway(chosen, publisher=self.log, replies=self.replies)  # type: ignore[arg-type]
        self.app = compose(self.gateway, FastAPI())
        transport = httpx.ASGITransport(self.app, client=(client_address, 5))  # type: ignore[arg-type]
        self.client = httpx.AsyncClient(transport=transport, base_url="http://localhost")

    async def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        """POST a JSON value, or bytes as they are."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if isinstance(body, bytes):
            return await self.client.post(path, content=body, headers={"content-type": "application/json"} | sent)
        return await self.client.post(path, json=body, headers=sent)
