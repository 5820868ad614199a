from __future__ import annotations

import uuid
from dataclasses import replace

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from ops import topics
from ops.errors import OperatorError
from schemas.topics import TOPICS
from tests.drivers.waiting import eventually

BEFORE = {"cleanup.policy": "compact", "max.message.bytes": "8388608", "message.timestamp.type": "LogAppendTime"}


def mine() -> dict[str, topics.Topic]:
    """The contract under names of our own, so that the shared broker stays as it is."""
    prefix = uuid.uuid4().hex[:8]
    return {f"{prefix}.{name}": replace(topic, name=f"{prefix}.{name}") for name, topic in TOPICS.items()}


def test_missing_topics_are_created_once_and_then_found_right(kafka_bootstrap: str) -> None:
    contract = mine()
    assert all(state.created for state in topics.ensure(kafka_bootstrap, contract))
    assert not any(state.created or state.differences for state in topics.ensure(kafka_bootstrap, contract))


def test_another_number_of_partitions_or_another_setting_is_told(kafka_bootstrap: str) -> None:
    contract = mine()
    topics.ensure(kafka_bootstrap, contract)
    name = next(name for name in contract if name.endswith("emotion.points"))
    changed = contract | {name: replace(contract[name], partitions=9, max_message_bytes=123)}
    with pytest.raises(OperatorError, match=r"4 partitions instead of 9; .* max.message.bytes=\d+ instead of 123"):
        topics.ensure(kafka_bootstrap, changed)


def test_a_missing_topic_is_told_when_nothing_may_be_created(kafka_bootstrap: str) -> None:
    states = topics.check(kafka_bootstrap, mine())
    assert all(state.differences == (f"{state.name} is missing",) for state in states)


def test_how_the_broker_tidies_up_is_set_on_topics_made_before(kafka_bootstrap: str) -> None:
    contract = {name: topic for name, topic in mine().items() if name.endswith("streams.snapshots")}
    (name,) = contract
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap})
    admin.create_topics([NewTopic(name, 1, 1, config=BEFORE)])[name].result(20)
    # It may be missing for a moment.
    eventually(lambda: len(topics.check(kafka_bootstrap, contract)[0].differences) == 3)
    assert topics.ensure(kafka_bootstrap, contract)[0].differences == ()
    eventually(lambda: not topics.check(kafka_bootstrap, contract)[0].differences)
