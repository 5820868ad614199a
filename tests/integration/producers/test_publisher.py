"""The publisher against a real broker: acknowledged means in the log; everything ends within its deadline."""

import asyncio
import random
import socket
import threading
import time
import uuid
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from producers.publisher import Message, Publisher
from schemas.errors import InvalidEvent, Overloaded, TransientFailure
from schemas.identity import murmur2_partition
from tests.drivers.waiting import eventually


@pytest.fixture
def topic(kafka_bootstrap: str) -> str:
    name = f"test-{uuid.uuid4()}"
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap})
    for created in admin.create_topics([NewTopic(name, 4, config={"max.message.bytes": "100000"})]).values():
        created.result(20)
    return name


@pytest.fixture
def publisher(kafka_bootstrap: str) -> Iterator[Publisher]:
    publisher = Publisher(kafka_bootstrap, client_id="test", deadline_s=10)
    yield publisher
    publisher.close()


@pytest.fixture
def silent_broker() -> Iterator[str]:
    """Accepts connections and never answers, as a stopped broker does."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def read_all(
    bootstrap: str, topic: str, count: int
) -> dict[tuple[int, int], tuple[bytes | None, bytes | None, object]]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "none", "auto.offset.reset": "error"})
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(4)])
    found: dict[tuple[int, int], tuple[bytes | None, bytes | None, object]] = {}
    deadline = time.monotonic() + 20
    while len(found) < count and time.monotonic() < deadline:
        for message in consumer.consume(1000, 0.5):
            assert message.error() is None
            found[message.partition(), message.offset()] = (message.key(), message.value(), message.headers())
    consumer.close()
    return found


async def test_an_acknowledged_message_is_where_it_says(kafka_bootstrap: str, topic: str, publisher: Publisher):
    position = await publisher.publish(topic, "прибор".encode(), b"value", [("ce_id", b"1")])
    explicit = await publisher.publish(topic, None, b"everywhere", [], partition=3)
    log = read_all(kafka_bootstrap, topic, 2)
    assert log[position] == ("прибор".encode(), b"value", [("ce_id", b"1")])
    assert position[0] == murmur2_partition("прибор".encode(), 4)
    assert log[explicit][1] == b"everywhere"
    assert explicit[0] == 3


async def test_many_at_once_keep_the_order_of_their_key(kafka_bootstrap: str, topic: str, publisher: Publisher):
    sends = [publisher.send(Message(topic, b"one device", str(n).encode(), [])) for n in range(2000)]
    positions = await asyncio.gather(*sends)
    log = read_all(kafka_bootstrap, topic, 2000)
    assert [log[position][1] for position in sorted(positions)] == [str(n).encode() for n in range(2000)]


def test_publish_all_returns_when_everything_is_in_the_log(kafka_bootstrap: str, topic: str, publisher: Publisher):
    publisher.publish_all([Message(topic, None, str(n).encode(), [], n % 4) for n in range(1000)])
    assert len(read_all(kafka_bootstrap, topic, 1000)) == 1000


def test_what_is_handed_over_arrives_or_is_said_to_be_lost(kafka_bootstrap: str, topic: str, publisher: Publisher):
    lost: list[Exception] = []
    too_large = random.Random(1).randbytes(200_000)
    publisher.hand_over([Message(topic, None, b"x", [], 0), Message(topic, None, too_large, [], 1)], lost.append)

    def told() -> list[Exception]:
        publisher.hand_over([], lost.append)
        return lost

    eventually(told)
    assert [type(error) for error in lost] == [InvalidEvent]
    assert [value for _, value, _ in read_all(kafka_bootstrap, topic, 1).values()] == [b"x"]


async def test_both_ways_share_one_producer(topic: str, publisher: Publisher):
    thread = threading.Thread(target=publisher.publish_all, args=([Message(topic, None, b"x", [])] * 500,))
    thread.start()
    positions = await asyncio.gather(*(publisher.publish(topic, b"k", b"y", []) for _ in range(500)))
    await asyncio.to_thread(thread.join)
    assert len(set(positions)) == 500


async def test_a_message_the_broker_never_takes_is_invalid(topic: str, publisher: Publisher):
    with pytest.raises(InvalidEvent):
        await publisher.publish(topic, None, bytes(9 << 20), [])


async def test_an_unknown_topic_is_no_success(publisher: Publisher):
    with pytest.raises(TransientFailure):
        await publisher.publish(f"no-{uuid.uuid4()}", None, b"x", [], deadline_s=0.5)


async def test_without_an_answering_broker_a_send_ends_at_its_deadline(silent_broker: str):
    publisher = Publisher(silent_broker, client_id="test", deadline_s=0.5)
    started = time.monotonic()
    with pytest.raises(TransientFailure):
        await publisher.publish("t", None, b"x", [])
    assert 0.4 < time.monotonic() - started < 1.5
    publisher.close(0)


async def test_after_one_send_ran_out_of_time_the_next_ones_wait_less(silent_broker: str):
    publisher = Publisher(silent_broker, client_id="test", deadline_s=1.5)
    waits: list[float] = []
    for _ in range(2):
        started = time.monotonic()
        with pytest.raises(TransientFailure):
            await publisher.publish("t", None, b"x", [])
        waits.append(time.monotonic() - started)
    assert waits[0] > 1.4
    assert 0.4 < waits[1] < 1.0
    publisher.close(0)


async def test_an_acknowledgement_gives_the_next_sends_their_time_back(
    topic: str, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("producers.publisher.SCAN_S", 0.0)
    with pytest.raises(TransientFailure):
        await publisher.publish(f"no-{uuid.uuid4()}", None, b"x", [], deadline_s=0.2)
    await publisher.publish(topic, None, b"x", [])
    monkeypatch.setattr("producers.publisher.STALLED_S", 0.0)  # less than any acknowledgement takes
    await publisher.publish(topic, None, b"y", [])


def test_publish_all_ends_at_its_deadline_too(silent_broker: str):
    publisher = Publisher(silent_broker, client_id="test", deadline_s=0.5)
    with pytest.raises(TransientFailure):
        publisher.publish_all([Message("t", None, b"x", [])])
    publisher.close(0)


async def test_a_full_queue_is_said_at_once(silent_broker: str):
    publisher = Publisher(silent_broker, client_id="test", deadline_s=30)
    sends = (publisher.send(Message("t", None, bytes(2 << 20), [])) for _ in range(100))
    with pytest.raises(Overloaded):
        list(sends)
    publisher.close(0)


async def test_a_stuck_producer_is_replaced_and_its_sends_fail(
    kafka_bootstrap: str, topic: str, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("producers.publisher.STUCK_S", 0.0)
    waiting = publisher.send(Message(f"no-{uuid.uuid4()}", None, b"x", []), 0.2)
    with pytest.raises(TransientFailure):
        await waiting
    while not publisher.generation:
        await asyncio.wait([publisher.send(Message(topic, None, b"x", []))])
    assert await publisher.publish(topic, None, b"after", [])
