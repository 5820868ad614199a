"""Holds the broker to the topics' contract: creates what is missing, sets how it tidies up, tells what else differs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,  # pyright: ignore[reportPrivateImportUsage]
    ConfigEntry,  # pyright: ignore[reportPrivateImportUsage]
    ConfigResource,  # pyright: ignore[reportPrivateImportUsage]
)
from confluent_kafka.cimpl import NewTopic

from ops.errors import OperatorError
from schemas.topics import TIDYING

if TYPE_CHECKING:
    from schemas.topics import Topic

TIMEOUT_S = 20


@dataclass(frozen=True, slots=True)
class TopicState:
    """One topic as the contract wants it and as the broker has it; `differences` are sentences, empty when equal."""

    name: str
    partitions: int
    created: bool
    differences: tuple[str, ...]


def ensure(bootstrap: str, topics: Mapping[str, Topic]) -> list[TopicState]:
    """Create the missing topics and compare all. OperatorError when the broker refuses or a topic differs."""
    states = check(bootstrap, topics, create=True)
    wrong = [difference for state in states for difference in state.differences]
    if wrong:
        raise OperatorError(f"The topics at {bootstrap} break their contract: {'; '.join(wrong)}.")
    return states


def check(bootstrap: str, topics: Mapping[str, Topic], *, create: bool = False) -> list[TopicState]:
    """Compare the broker's topics with their contract, creating the missing ones and setting `TIDYING` if asked."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    try:
        there = _partitions(admin)
        absent = [topic for name, topic in topics.items() if name not in there]
        created = _create(admin, absent, len(admin.list_topics(timeout=TIMEOUT_S).brokers)) if create else set[str]()
        _await_leaders(admin, created)
        there = _partitions(admin) | {topic.name: topic.partitions for topic in absent if topic.name in created}
        configs = _configs(admin, [name for name in topics if name in there])
        if create:
            _tidy(admin, topics, configs)
    except KafkaException as error:
        raise OperatorError(f"The Kafka at {bootstrap} refused: {error.args[0].str()}.") from error
    return [
        TopicState(name, topic.partitions, name in created, tuple(differences(topic, there.get(name), configs)))
        for name, topic in topics.items()
    ]


def differences(topic: Topic, partitions: int | None, configs: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Sentences about what differs between a topic's contract and the broker (partitions None: it is missing)."""
    if partitions is None:
        return [f"{topic.name} is missing"]
    wrong: list[str] = []
    if partitions != topic.partitions:
        wrong.append(f"{topic.name} has {partitions} partitions instead of {topic.partitions}")
    have = configs.get(topic.name, {})
    return wrong + [
        f"{topic.name} has {name}={have[name]} instead of {value}"
        for name, value in topic.configs().items()
        if name in have and have[name] != value
    ]


def _partitions(admin: AdminClient) -> dict[str, int]:
    """Partitions per topic; a topic still being made has none yet and does not count."""
    topics = admin.list_topics(timeout=TIMEOUT_S).topics
    return {name: len(topic.partitions) for name, topic in topics.items() if topic.partitions}


def _create(admin: AdminClient, absent: list[Topic], brokers: int) -> set[str]:
    replicas = min(3, brokers)
    extra = {"min.insync.replicas": str(max(1, replicas - 1))}
    new = [
        NewTopic(
            topic.name, num_partitions=topic.partitions, replication_factor=replicas, config=topic.configs() | extra
        )
        for topic in absent
    ]
    created: set[str] = set()
    for name, future in admin.create_topics(new, operation_timeout=TIMEOUT_S).items() if new else ():
        try:
            future.result(TIMEOUT_S)
            created.add(name)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise
    return created


def _tidy(admin: AdminClient, topics: Mapping[str, Topic], configs: dict[str, dict[str, str]]) -> None:
    """Bring older topics into line where only the broker's own housekeeping depends on it, no record."""
    for name, have in list(configs.items()):
        wanted = topics[name].configs()
        late = {one: wanted[one] for one in TIDYING if one in wanted and have.get(one) != wanted[one]}
        if late:
            entries = [
                ConfigEntry(one, value, incremental_operation=AlterConfigOpType.SET) for one, value in late.items()
            ]
            resource = ConfigResource(ConfigResource.Type.TOPIC, name, incremental_configs=entries)
            for future in admin.incremental_alter_configs([resource], request_timeout=TIMEOUT_S).values():
                future.result(TIMEOUT_S)
            configs[name] = have | late


def _await_leaders(admin: AdminClient, created: set[str]) -> None:
    """A topic just made is described, read and written only once every partition has its leader."""
    until = time.monotonic() + TIMEOUT_S
    while time.monotonic() < until:
        topics = admin.list_topics(timeout=TIMEOUT_S).topics
        made = [topics[name].partitions for name in created if name in topics]
        if len(made) == len(created) and all(one.leader >= 0 for part in made for one in part.values()):
            return
        time.sleep(0.05)


def _configs(admin: AdminClient, names: list[str]) -> dict[str, dict[str, str]]:
    resources = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in names]
    futures = admin.describe_configs(resources, request_timeout=TIMEOUT_S) if resources else {}
    return {
        resource.name: {name: entry.value for name, entry in future.result(TIMEOUT_S).items()}
        for resource, future in futures.items()
    }
