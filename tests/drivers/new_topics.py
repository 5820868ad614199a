"""Topics for tests. A broker has them, and says for a moment that it does not know them: that is waited out."""

from __future__ import annotations

from collections.abc import Mapping

from confluent_kafka.admin import AdminClient, NewTopic

from schemas.errors import TransientFailure
from streams.log_reader import LogReader
from tests.drivers.waiting import eventually


def make_topics(bootstrap: str, *names: str, partitions: int = 1, config: Mapping[str, str] | None = None) -> None:
    """Make topics whose time is the log's, and wait until they can be read."""
    settings = {"message.timestamp.type": "LogAppendTime", "retention.ms": "-1", **(config or {})}
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for made in admin.create_topics([NewTopic(name, partitions, 1, config=settings) for name in names]).values():
        made.result(20)
    with LogReader(bootstrap, "new-topics") as reader:
        for name in names:
            eventually(lambda name=name: _answers(reader, name, partitions), 20)


def _answers(reader: LogReader, topic: str, partitions: int) -> bool:
    try:
        return len(reader.end_offsets(topic)) == partitions
    except TransientFailure:
        return False
