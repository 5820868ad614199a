"""The table of processors agrees with the log's contract."""

from __future__ import annotations

import pytest

from schemas import examples, serde
from schemas.record import Record
from schemas.topics import TOPICS
from streams.runtime.decide import decide
from streams.topology import PROCESSORS, Processor, StateCodec
from tests.drivers.streaming import Counted


@pytest.mark.parametrize("processor", PROCESSORS, ids=lambda one: one.name)
def test_what_keeps_its_key_keeps_its_partition(processor: Processor[object]) -> None:
    before, after = TOPICS[processor.topic_in], TOPICS[processor.topic_out]
    assert before.key != after.key or before.partitions == after.partitions


@pytest.mark.parametrize("processor", PROCESSORS, ids=lambda one: one.name)
def test_the_contract_names_the_processor_as_writer(processor: Processor[object]) -> None:
    module = getattr(processor.step, "func", processor.step).__module__.rsplit(".", 1)[-1]
    assert f"streams.{module}" in TOPICS[processor.topic_out].writers


@pytest.mark.parametrize("partition", range(4))
def test_a_truncation_of_points_becomes_one_of_moments_in_the_same_partition(partition: int) -> None:
    (moments,) = (one for one in PROCESSORS if one.name == "emotion.moments")
    value = serde.encode("EmotionLogsTruncated", examples.load("EmotionLogsTruncated"))
    decision = decide(moments, moments.state.empty(), Record("emotion.points", partition, 7, 0, None, value))
    (message,) = decision.messages
    assert (message.topic, message.partition) == ("emotion.moments", partition)
    assert serde.decode(message.value)[0] == "EmotionMomentsTruncated"


def test_names_are_unique() -> None:
    assert len({one.name for one in PROCESSORS}) == len(PROCESSORS)


@pytest.mark.parametrize("processor", PROCESSORS, ids=lambda one: one.name)
def test_an_empty_state_survives_a_snapshot(processor: Processor[object]) -> None:
    codec = processor.state
    assert codec.load(codec.dump(codec.empty())) == codec.empty()


def test_a_state_of_another_version_is_not_read() -> None:
    assert StateCodec(Counted, 2).load(StateCodec(Counted, 1).dump(Counted(("a",)))) is None


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x92\x01\xc0", b"\x92\x01\x81\xa8sessions\x01"])
def test_bytes_that_are_no_state_are_not_read(data: bytes) -> None:
    assert StateCodec(Counted, 1).load(data) is None
