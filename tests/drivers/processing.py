"""A processor in its own process on a real Kafka: post events, start, kill, and read what came out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Self

from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from ops.topics import ensure
from producers.publisher import Message, Publisher
from schemas import serde
from schemas.errors import TransientFailure
from schemas.record import Record
from schemas.topics import TOPICS
from streams.log_reader import LogReader, TopicPartition
from streams.runtime.past import GroupPositions
from tests.drivers.new_topics import make_topics
from tests.drivers.processor_main import Plan
from tests.drivers.streaming import points
from tests.drivers.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]


class Processing:
    """A processor of its own name with topics of its own; processes are killed at the end."""

    def __init__(self, bootstrap: str, folder: Path, *, partitions: int = 1, out: dict[str, str] | None = None) -> None:
        name = f"t{uuid.uuid4().hex[:10]}"
        self.plan = Plan(bootstrap, name, f"{name}.in", f"{name}.out")
        self._folder, self._partitions = folder, partitions
        self._admin = AdminClient({"bootstrap.servers": bootstrap})
        ensure(bootstrap, TOPICS)
        self._create(self.plan.topic_in, {})
        self._create(self.plan.topic_out, out or {})
        self._create(f"{self.plan.topic_out}.second", {})
        self._publisher = Publisher(bootstrap, client_id=name)
        self.reader = LogReader(bootstrap, name)
        self._group = GroupPositions(bootstrap, name)
        self.processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
        self._publisher.close()
        self._group.close()
        self.reader.close()

    def start(self, **changes: Any) -> subprocess.Popen[bytes]:
        """Start a worker; `changes` are fields of the plan."""
        plan = replace(self.plan, **changes)
        main = ROOT / "tests" / "drivers" / "processor_main.py"
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, str(main), json.dumps(asdict(plan))],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | {"PYTHONPATH": str(ROOT)},
            )
        self.processes.append(process)
        return process

    def post(self, *sessions: str, partition: int = 0) -> None:
        """Append an event per session."""
        self.append(*(points(one) for one in sessions), partition=partition)

    def append(self, *values: bytes, partition: int = 0, headers: Sequence[tuple[str, bytes]] = ()) -> None:
        """Append raw values."""
        self._publisher.publish_all(
            [Message(self.plan.topic_in, b"d", value, list(headers), partition) for value in values]
        )

    def committed(self) -> int:
        """Events processed, by the group's word; -1 while Kafka does not say."""
        return sum(self.positions().values() or [-1])

    def positions(self) -> dict[int, int]:
        """The same by partition; nothing while Kafka does not say."""
        try:
            return self._group.committed(self.plan.topic_in, list(range(self._partitions)))
        except TransientFailure:
            return {}

    def posted(self) -> int:
        """Events in the input topic; waits for a broker that has just started."""

        def ask() -> list[int] | None:
            try:
                return list(self.reader.end_offsets(self.plan.topic_in).values())
            except TransientFailure:
                return None

        return sum(eventually(ask, 30))

    def wait_until_processed(self, timeout: float = 60.0) -> None:
        """Wait until the group has committed everything that was posted."""
        wanted = self.posted()
        eventually(lambda: self.committed() == wanted, timeout)

    def wait_for_log(self, words: str, timeout: float = 30.0) -> None:
        """Wait until the workers' log holds these words."""
        eventually(lambda: words in self.log, timeout)

    @property
    def log(self) -> str:
        """What the workers have logged."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def events(self, topic: str) -> list[tuple[str, dict[str, Any]]]:
        """Names and records of all events of a topic, by partition."""
        return [serde.decode(one.value) for one in self.records(topic)]

    def records(self, topic: str) -> list[Record]:
        """All records of a topic, by partition."""
        ends = {TopicPartition(topic, one): offset for one, offset in self.reader.end_offsets(topic).items()}
        firsts = self.reader.beginning_offsets(topic)
        self.reader.assign({where: firsts[where.partition] for where in ends})
        found: list[Record] = []
        while not self.reader.at_end(ends):
            found += self.reader.poll_batch(timeout_s=0.2)
        return sorted(found, key=lambda one: (one.partition, one.offset))

    def outputs(self) -> list[tuple[str, str]]:
        """(id, `session number`) of all outputs as they lie in the log, repetitions included."""
        return [(_id(one), _said(one)) for one in self.records(self.plan.topic_out)]

    def said(self) -> list[str]:
        """`session number` of the outputs, once per id, in order; same ids must say the same."""
        first: dict[str, str] = {}
        for made_id, said in self.outputs():
            assert first.setdefault(made_id, said) == said, "one id, two contents"
        return list(first.values())

    def dead_letters(self) -> list[dict[str, Any]]:
        """Dead letters of this processor."""
        letters = [serde.decode(one.value)[1] for one in self.records("dead.letters")]
        return [one for one in letters if one.get("consumer") == self.plan.name]

    def members(self) -> set[str]:
        """Ids of the group's members."""
        group = self._admin.describe_consumer_groups([self.plan.name])[self.plan.name].result(10)
        return {member.member_id for member in group.members}

    def configure(self, topic: str, name: str, value: str) -> None:
        """Change a topic's setting."""
        entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
        self._admin.incremental_alter_configs([resource])[resource].result(10)

    def drop_before(self, offset: int, partition: int = 0) -> None:
        """Delete the input's records below an offset."""
        from confluent_kafka import TopicPartition as KafkaPartition

        where = KafkaPartition(self.plan.topic_in, partition, offset)
        self._admin.delete_records([where])[where].result(10)

    @property
    def _log(self) -> Path:
        return self._folder / f"{self.plan.name}.log"

    def _create(self, topic: str, config: dict[str, str]) -> None:
        make_topics(self.plan.bootstrap, topic, partitions=self._partitions, config=config)


def _id(record: Record) -> str:
    return (record.header("ce_id") or b"").decode()


def _said(record: Record) -> str:
    moment = serde.decode(record.value)[1]
    return f"{moment['session_id']} {moment['start_ms']}"
