"""Snapshots as they are read back from a real Kafka."""

from __future__ import annotations

from pathlib import Path

from producers.publisher import Publisher
from streams.runtime.past import KafkaPast, snapshot_message
from tests.drivers.processing import Processing


def test_the_newest_snapshots_come_back_and_the_reading_is_told(kafka_bootstrap: str, tmp_path: Path) -> None:
    with Processing(kafka_bootstrap, tmp_path) as world:
        name, topic = world.plan.name, world.plan.topic_in
        publisher = Publisher(kafka_bootstrap, client_id=name)
        publisher.publish_all([snapshot_message(name, topic, 0, offset, b"%d" % offset) for offset in range(1, 6)])
        publisher.close()
        read: list[int] = []
        past = KafkaPast(kafka_bootstrap, name, topic)
        assert past.snapshots(0, 4, lambda: read.append(1)) == [(4, b"4"), (3, b"3"), (2, b"2")]
        past.close()
    assert len(read) >= 5
