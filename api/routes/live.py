"""GET /v1/live: server-sent events that say which sessions and devices have just changed."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Response
from starlette.types import Receive, Scope, Send

from api.answers import problem
from api.live import Client, Hub
from schemas.errors import Overloaded

HEARTBEAT_S: Final = 15.0
PATIENCE_S: Final = 10.0


class EventStream(Response):
    """Sends a client's frames until it leaves, is dropped, or takes no byte for `PATIENCE_S`."""

    media_type = "text/event-stream"

    def __init__(self, hub: Hub, client: Client) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._hub, self._client = hub, client

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Write and watch for the end, whichever comes first."""
        parts = [self._write(send), _gone(receive), self._client.dropped.wait()]
        tasks = [asyncio.ensure_future(part) for part in parts]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if self._client.dropped.is_set():
                await _say(send, b"", more=False)
        finally:
            self._hub.leave(self._client)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _write(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        while True:
            try:
                # Not wait_for: on Python 3.11 it can swallow the cancellation that ends this task.
                async with asyncio.timeout(HEARTBEAT_S):
                    item = await self._client.queue.get()
            except TimeoutError:
                item = b": still here\n\n"
            if not await _say(send, item or b"", more=True):
                return


async def _say(send: Send, data: bytes, *, more: bool) -> bool:
    """Whether the client took it in time."""
    try:
        message: Any = {"type": "http.response.body", "body": data, "more_body": more}
        async with asyncio.timeout(PATIENCE_S if more else 0.2):
            await send(message)
    except TimeoutError:
        return False
    return True


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def build(hub: Hub) -> APIRouter:
    """The route over one hub."""
    router = APIRouter(tags=["live"])

    @router.get("/v1/live", summary="What has just changed", status_code=200, response_class=EventStream)
    async def get_live(last_event_id: Annotated[str | None, Header()] = None) -> Response:
        """Events: `change`, `reset` (look at everything again), `online`, `offline` (the database is away).

        A change lists `changes`: a model with its sessions or devices, or `many`. Comments keep the connection open.
        """
        try:
            client = hub.subscribe(last_event_id)
        except Overloaded as full:
            return problem(503, "Service Unavailable", str(full), {"Retry-After": "5"})
        return EventStream(hub, client)

    return router
