"""The log reader on a real Kafka: positions, committed records only, batches, and a sentence for a lost position."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

import pytest
from confluent_kafka import Producer
from confluent_kafka import TopicPartition as KafkaPartition
from confluent_kafka.admin import AdminClient, NewTopic

from schemas.errors import TransientFailure
from schemas.record import Record
from streams.log_reader import LogReader, PositionLost, TopicPartition
from tests.drivers.new_topics import make_topics
from tests.drivers.waiting import eventually


@pytest.fixture
def admin(kafka_bootstrap: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": kafka_bootstrap})


@pytest.fixture
def reader(kafka_bootstrap: str) -> Iterator[LogReader]:
    with LogReader(kafka_bootstrap, "test") as one:
        yield one


@pytest.fixture
def topic(kafka_bootstrap: str) -> str:
    name = f"t{uuid.uuid4().hex[:10]}"
    make_topics(kafka_bootstrap, name, partitions=2)
    return name


@pytest.fixture
def append(kafka_bootstrap: str, topic: str) -> Callable[..., None]:
    producer = Producer({"bootstrap.servers": kafka_bootstrap})

    def write(*values: bytes, partition: int = 0) -> None:
        for value in values:
            producer.produce(topic, value, b"key", partition, headers=[("name", b"content")])
        assert producer.flush(10) == 0

    return write


def read(reader: LogReader, count: int) -> list[Record]:
    found: list[Record] = []

    def enough() -> bool:
        found.extend(reader.poll_batch(timeout_s=0.2))
        return len(found) >= count

    eventually(enough)
    return found


def test_records_come_whole_and_in_order(reader: LogReader, topic: str, append: Callable[..., None]) -> None:
    append(b"a", b"b", b"c")
    reader.assign({TopicPartition(topic, 0): 1})
    first, second = read(reader, 2)
    assert (first.topic, first.partition, first.offset, first.value) == (topic, 0, 1, b"b")
    assert (first.key, first.headers) == (b"key", (("name", b"content"),))
    assert first.timestamp_ms > 1_500_000_000_000
    assert second.coordinates == f"{topic}/0@2"
    assert reader.positions == {TopicPartition(topic, 0): 3}


def test_a_batch_keeps_to_its_size_and_its_bytes(reader: LogReader, topic: str, append: Callable[..., None]) -> None:
    append(*(b"x" * 97 for _ in range(10)))
    reader.assign({TopicPartition(topic, 0): 0})
    assert len(eventually(lambda: reader.poll_batch(max_records=4, timeout_s=0.2))) <= 4
    reader.assign({TopicPartition(topic, 0): 0})
    batches = [eventually(lambda: reader.poll_batch(max_bytes=250, timeout_s=0.2)) for _ in range(3)]
    assert all(1 <= len(batch) <= 2 for batch in batches)
    reader.assign({TopicPartition(topic, 0): 0})
    assert len(eventually(lambda: reader.poll_batch(max_bytes=10, timeout_s=0.2))) == 1


def test_nothing_new_is_an_empty_batch(reader: LogReader, topic: str) -> None:
    reader.assign({TopicPartition(topic, 0): 0})
    assert reader.poll_batch(timeout_s=0.1) == []


def test_only_committed_records_are_read_and_markers_count_as_passed(
    reader: LogReader, topic: str, kafka_bootstrap: str
) -> None:
    producer = Producer({"bootstrap.servers": kafka_bootstrap, "transactional.id": topic})
    producer.init_transactions(20)
    for value, end in ((b"kept", producer.commit_transaction), (b"gone", producer.abort_transaction)):
        producer.begin_transaction()
        producer.produce(topic, value, partition=0)
        producer.flush(10)
        end(20)
    eventually(lambda: reader.end_offsets(topic)[0] == 4)
    ends = {TopicPartition(topic, 0): 4}
    reader.assign({TopicPartition(topic, 0): 0})
    assert [one.value for one in read(reader, 1)] == [b"kept"]
    eventually(lambda: not reader.poll_batch(timeout_s=0.1) and reader.at_end(ends))


def test_an_open_transaction_holds_the_end_back(reader: LogReader, topic: str, kafka_bootstrap: str) -> None:
    producer = Producer({"bootstrap.servers": kafka_bootstrap, "transactional.id": topic})
    producer.init_transactions(20)
    producer.begin_transaction()
    producer.produce(topic, b"open", partition=0)
    producer.flush(10)
    assert reader.end_offsets(topic)[0] == 0
    producer.commit_transaction(20)
    eventually(lambda: reader.end_offsets(topic)[0] == 2)


@pytest.mark.parametrize("asked", [1, 99])
def test_a_lost_position_is_told_in_numbers_until_somebody_decides(
    reader: LogReader, topic: str, append: Callable[..., None], admin: AdminClient, asked: int
) -> None:
    append(*(b"x" for _ in range(5)))
    where = KafkaPartition(topic, 0, 3)
    admin.delete_records([where])[where].result(20)
    reader.assign({TopicPartition(topic, 0): asked})
    for _ in range(2):
        with pytest.raises(PositionLost, match=f"{topic}, partition 0: offset {asked} .* offsets 3 to 5"):
            eventually(lambda: reader.poll_batch(timeout_s=1))
    reader.assign({TopicPartition(topic, 0): 3})
    assert len(read(reader, 2)) == 2


def test_offsets_of_a_topic(reader: LogReader, topic: str, append: Callable[..., None]) -> None:
    append(b"a", b"b")
    reader.assign({TopicPartition(topic, 0): 0})
    last = read(reader, 2)[-1]
    assert reader.partitions(topic) == [0, 1]
    assert reader.beginning_offsets(topic) == {0: 0, 1: 0}
    assert reader.end_offsets(topic) == {0: 2, 1: 0}
    assert reader.offsets_for_time(topic, 0) == {0: 0, 1: 0}
    assert reader.offsets_for_time(topic, last.timestamp_ms + 1) == {0: 2, 1: 0}


def test_a_topic_made_anew_has_another_id(reader: LogReader, topic: str, admin: AdminClient) -> None:
    first = reader.topic_id(topic)
    assert first == reader.topic_id(topic)
    admin.delete_topics([topic])[topic].result(20)

    def again() -> bool:
        return admin.create_topics([NewTopic(topic, 1, 1)])[topic].exception(20) is None

    def now() -> str | None:
        try:
            return reader.topic_id(topic)
        except TransientFailure:  # the broker asked has not heard of it yet
            return None

    eventually(again)
    assert eventually(now) != first


def test_a_missing_topic_is_a_transient_failure(reader: LogReader) -> None:
    for ask in (reader.partitions, reader.end_offsets, reader.topic_id):
        with pytest.raises(TransientFailure, match="Unknown topic"):
            ask("no.such.topic")


def test_an_absent_kafka_is_an_empty_batch_and_a_transient_failure() -> None:
    with LogReader("127.0.0.1:9", "test", timeout_s=0.5) as reader:
        reader.assign({TopicPartition("any", 0): 0})
        assert reader.poll_batch(timeout_s=0.3) == []
        with pytest.raises(TransientFailure):
            reader.end_offsets("any")
