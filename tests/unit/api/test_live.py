"""The live hub without a database: greeting, memory, merging, and readers that are too slow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from api.live import QUEUE, Client, Hub, merge
from schemas.errors import Overloaded, TransientFailure


class Announcer:
    """Stands for PostgreSQL: says what it is told, breaks when told."""

    def __init__(self) -> None:
        self.said: asyncio.Queue[str | None] = asyncio.Queue()

    async def listen(self) -> AsyncIterator[str]:
        yield ""
        while True:
            payload = await self.said.get()
            if payload is None:
                raise TransientFailure("gone")
            yield payload


async def read(client: Client) -> tuple[str, Any, str]:
    """Event, data and id of the next frame that is one."""
    while True:
        text = (await asyncio.wait_for(client.queue.get(), 5) or b"").decode()
        fields = dict(line.split(": ", 1) for line in text.strip().splitlines())
        if "event" in fields:
            return fields["event"], orjson.loads(fields["data"]), fields["id"]


@pytest.fixture
async def announcer() -> Announcer:
    return Announcer()


@pytest.fixture
async def hub(announcer: Announcer) -> AsyncIterator[Hub]:
    made = Hub(announcer.listen, clients=3, gather_s=0.01)
    running = asyncio.create_task(made.run())
    first = made.subscribe()
    while (await read(first))[0] != "online":
        pass
    made.leave(first)
    yield made
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_every_client_hears_every_change(hub: Hub, announcer: Announcer) -> None:
    clients = [hub.subscribe() for _ in range(3)]
    await announcer.said.put('{"model": "emotion_logs", "sessions": [["a", "b"]]}')
    for client in clients:
        assert (await read(client))[0] == "online"
        event, data, _ = await read(client)
        assert (event, data) == ("change", {"changes": [{"model": "emotion_logs", "sessions": [["a", "b"]]}]})


async def test_who_comes_back_gets_what_it_missed(hub: Hub, announcer: Announcer) -> None:
    client = hub.subscribe()
    _, _, last_id = await read(client)
    hub.leave(client)
    watcher = hub.subscribe()
    await announcer.said.put('{"model": "m", "devices": ["x"]}')
    while (await read(watcher))[0] != "change":
        pass
    back = hub.subscribe(last_id)
    assert (await read(back))[0] == "change"
    assert (await read(back))[0] == "online"


@pytest.mark.parametrize("last_id", ["other-3", "nonsense", "-", ""])
async def test_who_comes_from_another_run_is_told_to_look_again(hub: Hub, last_id: str) -> None:
    assert (await read(hub.subscribe(last_id)))[0] == "reset"


async def test_a_slow_client_is_dropped_and_the_others_are_not(hub: Hub, announcer: Announcer) -> None:
    slow, quick = hub.subscribe(), hub.subscribe()
    await read(quick)
    for number in range(QUEUE + 1):
        await announcer.said.put(f'{{"model": "m{number}"}}')
        assert (await read(quick))[0] == "change"
    assert slow.dropped.is_set()
    assert not quick.dropped.is_set()


async def test_there_is_room_for_so_many_only(hub: Hub) -> None:
    clients = [hub.subscribe() for _ in range(3)]
    with pytest.raises(Overloaded):
        hub.subscribe()
    hub.leave(clients[0])
    hub.subscribe()


async def test_a_lost_database_is_said_and_then_everything_is_to_be_looked_at(hub: Hub, announcer: Announcer) -> None:
    client = hub.subscribe()
    await read(client)
    await announcer.said.put(None)
    assert [(await read(client))[0] for _ in range(3)] == ["offline", "reset", "online"]


async def test_nonsense_is_passed_over(hub: Hub, announcer: Announcer) -> None:
    client = hub.subscribe()
    await read(client)
    for payload in ("{", "3", '{"model": "m"}'):
        await announcer.said.put(payload)
    assert (await read(client))[1] == {"changes": [{"model": "m"}]}


def test_announcements_merge_by_model() -> None:
    assert merge(
        [
            {"model": "a", "sessions": [["d", "1"], ["d", "2"]]},
            {"model": "b", "devices": ["x"]},
            {"model": "a", "sessions": [["d", "2"], ["e", "1"]]},
        ]
    ) == [
        {"model": "a", "sessions": [("d", "1"), ("d", "2"), ("e", "1")]},
        {"model": "b", "devices": ["x"]},
    ]
    assert merge([{"model": "a", "many": True}, {"model": "a", "sessions": [["d", "1"]]}]) == [
        {"model": "a", "many": True}
    ]
    assert merge([{"model": "a", "sessions": [["d", str(i)] for i in range(101)]}]) == [{"model": "a", "many": True}]
