"""A broker that freezes and dies under posts: every post ends in time, every 2xx is in the log, and it goes on."""

import asyncio
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from confluent_kafka import Consumer, TopicPartition
from fastapi import FastAPI

from ops import topics
from producers.asgi import compose
from producers.gateway import Gateway, GatewayOptions
from schemas import serde
from schemas.envelope import KeyRing
from schemas.topics import TOPICS
from tests.drivers.broker import Broker

DEADLINE_S = 2.0
RING = KeyRing.parse(KeyRing.fresh_text())


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    home = Path(tempfile.mkdtemp(prefix="sensorium-gateway-"))
    broker = Broker(home)
    topics.ensure(broker.bootstrap, TOPICS)
    yield broker
    broker.stop()
    shutil.rmtree(home, ignore_errors=True)


def body(device: str, number: int) -> dict[str, Any]:
    point = {"absolute_time": "2025-12-09T17:15:34+03:00", "valence": 0.1, "arousal": 0.2}
    return {"device_id": device, "session_id": "s", "records": [point | {"session_person_id": 1, "track_id": number}]}


def tracks_in_log(bootstrap: str, device: str) -> list[int]:
    """The track numbers of a device's points, in the order of the log."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "none", "enable.partition.eof": False})
    partitions = [TopicPartition("emotion.points", n, 0) for n in range(4)]
    ends = sum(consumer.get_watermark_offsets(partition, 10)[1] for partition in partitions)
    consumer.assign(partitions)
    found: list[int] = []
    seen = 0
    deadline = time.monotonic() + 20
    while seen < ends and time.monotonic() < deadline:
        for message in consumer.consume(1000, 0.2):
            seen += 1
            _, event = serde.decode(message.value())
            found += event["track_id"] if event["device_id"] == device else []
    consumer.close()
    return found


class Posting:
    """Posts one numbered point after another, again until it is taken, and keeps how long each try took."""

    def __init__(self, client: httpx.AsyncClient, device: str) -> None:
        self.client, self.device = client, device
        self.taken: list[int] = []
        self.refused = 0
        self.longest = 0.0

    async def post(self, number: int) -> int:
        started = time.monotonic()
        answer = await self.client.post(
            "/v1/logs/bulk", json=body(self.device, number), headers={"prefer": "respond-async"}
        )
        self.longest = max(self.longest, time.monotonic() - started)
        assert answer.status_code in {202, 503}
        if answer.status_code == 202:
            self.taken.append(number)
        else:
            self.refused += 1
        return answer.status_code

    async def until_taken(self, number: int) -> None:
        for _ in range(60):
            if await self.post(number) == 202:
                return
        raise AssertionError("never taken")


@pytest.mark.parametrize("how", ["freeze", "kill"])
async def test_posts_end_in_time_and_nothing_acknowledged_is_lost(broker: Broker, how: str):
    gateway = Gateway(GatewayOptions(broker.bootstrap, RING, kafka_deadline_s=DEADLINE_S))
    await gateway.start()
    transport = httpx.ASGITransport(compose(gateway, FastAPI()))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=60) as client:
        posting = Posting(client, f"{how}-{uuid.uuid4()}")
        for number in range(20):
            await posting.until_taken(number)
        await asyncio.to_thread(broker.freeze if how == "freeze" else broker.kill)
        assert await posting.post(20) == 503
        started = time.monotonic()
        together = await asyncio.gather(*[posting.post(number) for number in range(21, 60)])
        assert set(together) == {503}
        assert time.monotonic() - started < DEADLINE_S - 0.5, "who comes after the first is told sooner"
        await asyncio.to_thread(broker.thaw if how == "freeze" else broker.start)
        for number in range(20, 80):
            await posting.until_taken(number)
        assert posting.longest < DEADLINE_S + 1.5
    await gateway.stop()
    log = await asyncio.to_thread(tracks_in_log, broker.bootstrap, posting.device)
    assert set(posting.taken) == set(range(80))
    assert set(log) >= set(posting.taken)
