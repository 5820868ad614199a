"""The gateway with a real Kafka: what it acknowledges is in the log, replies reach who waits, an outage is a 503."""

import asyncio
import contextlib
import socket
import threading
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from typing import Any

import httpx
import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka import Message as Received
from fastapi import FastAPI

from ops import topics
from producers.asgi import compose
from producers.gateway import Gateway, GatewayOptions
from producers.publisher import Message, Publisher
from producers.truncation import end_offsets
from schemas import serde
from schemas.envelope import KeyRing
from schemas.identity import murmur2_partition
from schemas.topics import TOPICS
from tests.drivers.waiting import until

TOKEN = "s3cret"
RING = KeyRing.parse(KeyRing.fresh_text())
POINT = {"track_id": 72, "absolute_time": "2025-12-09T17:15:34+03:00", "valence": 0.12, "arousal": 0.67}


@pytest.fixture(scope="module")
def kafka(kafka_bootstrap: str) -> str:
    topics.ensure(kafka_bootstrap, TOPICS)
    return kafka_bootstrap


@contextlib.asynccontextmanager
async def running(bootstrap: str, **options: Any) -> AsyncGenerator[tuple[Gateway, httpx.AsyncClient]]:
    gateway = Gateway(GatewayOptions(bootstrap, RING, admin_token=TOKEN, **options))
    await gateway.start()
    transport = httpx.ASGITransport(compose(gateway, FastAPI()))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=60) as client:
        try:
            yield gateway, client
        finally:
            await gateway.stop()


class ReadModel:
    """Stands for the projectors: answers every event of one device (or every truncation) that asks for a reply."""

    def __init__(self, bootstrap: str, topic: str, answers: Callable[[dict[str, Any]], dict[str, Any] | None]) -> None:
        self.bootstrap, self.topic, self.answers = bootstrap, topic, answers
        self.consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "none", "enable.auto.commit": False})
        self.consumer.assign([TopicPartition(topic, n, end) for n, end in end_offsets(bootstrap, topic)])
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self) -> None:
        publisher = Publisher(self.bootstrap, client_id="read-model")
        while not self.over.is_set():
            replies = [self.reply(message) for message in self.consumer.consume(100, 0.05)]
            publisher.publish_all([reply for reply in replies if reply])
        publisher.close()
        self.consumer.close()

    def reply(self, message: Received) -> Message | None:
        headers: dict[str, Any] = dict(message.headers() or [])
        _, event = serde.decode(message.value())
        answer = self.answers(event)
        if answer is None or "correlation-id" not in headers:
            return None
        body = {"author": "test", "topic": self.topic, "partition": message.partition(), "offset": message.offset()}
        empty = {"inserted": None, "updated": None, "person_id": None}
        value = serde.encode("Reply", body | empty | answer)
        return Message("replies", headers["reply-to"], value, [("correlation-id", headers["correlation-id"])], 0)

    def __enter__(self) -> "ReadModel":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()


def post_of(device: str, count: int = 1) -> dict[str, Any]:
    records = [POINT | {"session_person_id": 5, "track_id": n} for n in range(count)]
    return {"device_id": device, "session_id": "s", "records": records}


def of_device(device: str) -> Callable[[dict[str, Any]], dict[str, Any] | None]:
    def answer(event: dict[str, Any]) -> dict[str, Any] | None:
        return {"inserted": len(event["t_ms"]), "person_id": 7} if event.get("device_id") == device else None

    return answer


def read(bootstrap: str, topic: str, start: list[tuple[int, int]], wanted: int) -> list[tuple[Received, Any]]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "none", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, partition, offset) for partition, offset in start])
    found: list[tuple[Received, Any]] = []
    deadline = time.monotonic() + 20
    while len(found) < wanted and time.monotonic() < deadline:
        found += [(message, serde.decode(message.value())) for message in consumer.consume(100, 0.2)]
    consumer.close()
    return found


async def test_a_post_waits_for_what_was_inserted(kafka: str):
    device = f"прибор-{uuid.uuid4()}"
    with ReadModel(kafka, "emotion.points", of_device(device)):
        async with running(kafka) as (gateway, client):
            await until(lambda: gateway.ready)
            v2 = await client.post("/v1/logs/bulk", json=post_of(device, 3))
            v3 = await client.post("/v1/logs/bulk", json={"device_id": device, "session_id": "s", "records": [POINT]})
    assert v2.json() == {"ok": True, "inserted": 3}
    assert v3.json() == {"ok": True, "inserted": 1, "person_id": 7}


async def test_many_posts_at_once_each_get_their_own_reply(kafka: str):
    device = f"many-{uuid.uuid4()}"
    with ReadModel(kafka, "emotion.points", of_device(device)):
        async with running(kafka) as (gateway, client):
            await until(lambda: gateway.ready)
            posts: list[Awaitable[httpx.Response]] = [
                client.post("/v1/logs/bulk", json=post_of(device, n % 7 + 1)) for n in range(200)
            ]
            answers = await asyncio.gather(*posts)
    assert [answer.json()["inserted"] for answer in answers] == [n % 7 + 1 for n in range(200)]


async def test_what_is_acknowledged_stands_in_the_log_under_its_device(kafka: str):
    device = f"async-{uuid.uuid4()}"
    start = await asyncio.to_thread(end_offsets, kafka, "emotion.points")
    async with running(kafka) as (_, client):
        for n in range(1, 4):
            answer = await client.post("/v1/logs/bulk", json=post_of(device, n), headers={"prefer": "respond-async"})
            assert answer.status_code == 202
    found = await asyncio.to_thread(read, kafka, "emotion.points", start, 3)
    mine = [(message, event) for message, (_, event) in found if event.get("device_id") == device]
    assert [len(event["t_ms"]) for _, event in mine] == [1, 2, 3]
    assert {message.partition() for message, _ in mine} == {murmur2_partition(device.encode(), 4)}


async def test_a_truncation_stands_in_every_partition_and_waits_for_all(kafka: str):
    start = await asyncio.to_thread(end_offsets, kafka, "emotion.points")
    with ReadModel(kafka, "emotion.points", lambda event: {} if "truncation_id" in event else None):
        async with running(kafka) as (gateway, client):
            await until(lambda: gateway.ready)
            answer = await client.post("/admin/truncate", headers={"authorization": f"Bearer {TOKEN}"})
    assert (answer.status_code, answer.json()) == (200, {"ok": True})
    found = await asyncio.to_thread(read, kafka, "emotion.points", start, 4)
    copies = [(message.partition(), event) for message, (name, event) in found if name == "EmotionLogsTruncated"]
    assert sorted(partition for partition, _ in copies) == [0, 1, 2, 3]
    assert len({event["truncation_id"] for _, event in copies}) == 1
    assert [(end["partition"], end["offset"]) for end in copies[0][1]["end_offsets"]] == start


async def test_without_a_read_model_the_first_post_waits_and_the_next_hardly(kafka: str):
    device = f"alone-{uuid.uuid4()}"
    async with running(kafka, reply_wait_s=1.0) as (gateway, client):
        await until(lambda: gateway.ready)
        await client.post("/v1/logs/bulk", json=post_of(device), headers={"prefer": "respond-async"})
        waits: list[float] = []
        for _ in range(3):
            started = time.monotonic()
            answer = await client.post("/v1/logs/bulk", json=post_of(device))
            waits.append(time.monotonic() - started)
            assert (answer.status_code, answer.json()) == (200, {"ok": True, "inserted": None})
    assert waits[0] >= 0.9
    assert min(waits) < 0.7


async def test_a_read_model_that_comes_back_is_waited_for_again(kafka: str):
    device = f"back-{uuid.uuid4()}"
    async with running(kafka, reply_wait_s=1.0) as (gateway, client):
        await until(lambda: gateway.ready)
        await client.post("/v1/logs/bulk", json=post_of(device))
        with ReadModel(kafka, "emotion.points", of_device(device)):
            for _ in range(20):
                answer = await client.post("/v1/logs/bulk", json=post_of(device))
                if answer.json()["inserted"] == 1:
                    break
            assert answer.json() == {"ok": True, "inserted": 1}


@pytest.fixture
def silent_broker() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


async def test_a_silent_kafka_is_a_503_within_the_deadline_and_health_never_hangs(silent_broker: str):
    async with running(silent_broker, kafka_deadline_s=0.6) as (_, client):
        started = time.monotonic()
        answer = await client.post("/v1/logs/bulk", json=post_of("x"))
        assert time.monotonic() - started < 2.0
        assert answer.status_code == 503
        assert set(answer.json()) == {"detail"}
        assert "retry-after" in answer.headers
        started = time.monotonic()
        health = await client.get("/health")
        assert time.monotonic() - started < 0.5
        assert (health.status_code, health.json()["ok"], health.json()["kafka"]["reachable"]) == (503, False, False)
