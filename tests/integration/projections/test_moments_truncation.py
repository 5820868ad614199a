"""A truncation empties the moments of its partition, live and in a replay."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator

import psycopg
import pytest

from ops.replay import Replay, Servers
from producers.publisher import Message
from schemas import cloudevents, examples, serde
from tests.drivers.projecting import PARTITIONS, RING, Site, site

MODEL = "emotion_moments"
DEVICES = ("a", "b", "c", "d", "e", "f")


@pytest.fixture
def there(kafka_bootstrap: str, database_url: str) -> Iterator[Site]:
    with site(kafka_bootstrap, database_url, MODEL) as made:
        yield made


def moments(there: Site, *devices: str) -> None:
    """Append an open moment of each device, each in a partition of its key."""
    body = examples.load("EmotionMomentDetected") | {"phase": "OPENED", "end_ms": None}
    made = [
        there.message("EmotionMomentDetected", body | {"device_id": device, "moment_id": str(uuid.uuid4())})
        for device in devices
    ]
    there.publisher.publish_all(made)


def truncate(there: Site, *partitions: int) -> None:
    headers = cloudevents.headers("EmotionMomentsTruncated", id=str(uuid.uuid4()), source="/tests")
    value = serde.encode("EmotionMomentsTruncated", examples.load("EmotionMomentsTruncated"))
    topic = there.prefix + "emotion.moments"
    there.publisher.publish_all([Message(topic, None, value, headers, partition) for partition in partitions])


def left(there: Site) -> list[str]:
    return [device for (device,) in there.sql("SELECT device_id FROM emotion_moments ORDER BY 1")]


def test_moments_before_it_go_and_those_after_it_stay(there: Site) -> None:
    with there.projector():
        moments(there, *DEVICES)
        there.caught_up(MODEL)
        assert left(there) == list(DEVICES)
        truncate(there, *range(PARTITIONS))
        there.caught_up(MODEL)
        assert left(there) == []
        moments(there, "a")
        there.caught_up(MODEL)
    assert left(there) == ["a"]


def test_each_partition_stands_for_itself(there: Site) -> None:
    with there.projector():
        moments(there, *DEVICES)
        there.caught_up(MODEL)
        whose = there.sql("SELECT device_id, kafka_partition FROM emotion_moments ORDER BY 1")
        gone = whose[0][1]
        truncate(there, gone)
        there.caught_up(MODEL)
    stay = [device for device, partition in whose if partition != gone]
    assert left(there) == stay
    assert stay, "this proves nothing otherwise"


def test_read_at_once_it_is_the_same_and_a_replay_knows_where_to_begin(there: Site) -> None:
    moments(there, *DEVICES)
    truncate(there, *range(PARTITIONS))
    moments(there, "z")
    with there.projector():
        there.caught_up(MODEL)
    assert left(there) == ["z"]
    cuts = there.sql("SELECT partition, truncated_at FROM sensorium.checkpoints ORDER BY 1")
    counts = dict.fromkeys(range(PARTITIONS), 0)
    for record in there.records(there.prefix + "emotion.moments"):
        if serde.decode(record.value or b"")[0] == "EmotionMomentsTruncated":
            counts[record.partition] = record.offset
    assert dict(cuts) == counts


class Silent:
    """Reports of a replay that nobody reads."""

    def phase(self, name: str, total: int) -> None: ...

    def advanced(self, rows: int, offsets: int) -> None: ...


def test_a_replay_gives_the_same(there: Site) -> None:
    with there.projector():
        moments(there, *DEVICES)
        truncate(there, 0, 1)
        moments(there, *DEVICES)
        truncate(there, 2)
        there.caught_up(MODEL)
        before = there.sql("SELECT * FROM emotion_moments ORDER BY moment_id")
        servers = Servers(there.bootstrap, there.database_url, RING)
        outcome = Replay(servers, there.models[MODEL], threading.Event(), Silent()).next_version()
        assert outcome.differences == ()
        assert there.sql("SELECT * FROM emotion_moments_v2.emotion_moments ORDER BY moment_id") == before
    assert before


def test_pages_are_told(there: Site, database_url: str) -> None:
    with there.projector(), psycopg.connect(database_url, autocommit=True) as connection:
        there.caught_up(MODEL)
        connection.execute("LISTEN sensorium_live")
        truncate(there, 0)
        (notice,) = connection.notifies(timeout=20, stop_after=1)
    assert json.loads(notice.payload) == {"model": MODEL, "many": True}
