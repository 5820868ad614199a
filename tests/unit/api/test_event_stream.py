"""The stream's end: a reader that takes no byte, one that leaves, and a hub that closes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from api.live import QUEUE, Hub
from api.routes import live
from api.routes.live import EventStream


async def never() -> Any:
    """Neither a message nor the end."""
    await asyncio.Event().wait()


class Reader:
    """Takes the first `appetite` messages, then none."""

    def __init__(self, appetite: int) -> None:
        self.taken: list[Any] = []
        self.full = asyncio.Event()
        self._appetite = appetite

    async def send(self, message: Any) -> None:
        if len(self.taken) >= self._appetite:
            self.full.set()
            await asyncio.Event().wait()
        self.taken.append(message)


async def _nobody() -> Any:
    await asyncio.Event().wait()
    yield ""


@pytest.fixture
async def hub() -> Hub:
    return Hub(_nobody)


async def test_a_reader_that_takes_nothing_is_let_go(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "PATIENCE_S", 0.05)
    reader = Reader(appetite=2)
    await asyncio.wait_for(EventStream(hub, hub.subscribe())({}, never, reader.send), 5)
    assert len(reader.taken) == 2


async def test_a_reader_whose_queue_is_full_is_let_go(hub: Hub) -> None:
    reader = Reader(appetite=2)
    stream = asyncio.create_task(EventStream(hub, hub.subscribe())({}, never, reader.send))
    await asyncio.wait_for(reader.full.wait(), 5)
    for number in range(QUEUE + 1):
        hub._publish("change", {"n": number})
    await asyncio.wait_for(stream, 5)


async def test_a_reader_that_leaves_makes_room(hub: Hub) -> None:
    small = Hub(_nobody, clients=1)
    left = asyncio.Event()

    async def receive() -> Any:
        await left.wait()
        return {"type": "http.disconnect"}

    reader = Reader(appetite=100)
    stream = asyncio.create_task(EventStream(small, small.subscribe())({}, receive, reader.send))
    left.set()
    await asyncio.wait_for(stream, 5)
    small.subscribe()


async def test_a_closing_hub_ends_its_streams(hub: Hub) -> None:
    reader = Reader(appetite=100)
    stream = asyncio.create_task(EventStream(hub, hub.subscribe())({}, never, reader.send))
    while not reader.taken:
        await asyncio.wait({stream}, timeout=0.01)
    hub.close()
    await asyncio.wait_for(stream, 5)
    assert reader.taken[-1] == {"type": "http.response.body", "body": b"", "more_body": False}


async def test_a_silent_stream_has_heartbeats(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "HEARTBEAT_S", 0.02)
    reader = Reader(appetite=5)
    stream = asyncio.create_task(EventStream(hub, hub.subscribe())({}, never, reader.send))
    await asyncio.wait_for(reader.full.wait(), 5)
    assert reader.taken[-1]["body"] == b": still here\n\n"
    stream.cancel()
    await asyncio.gather(stream, return_exceptions=True)
