"""A truncation empties what came before it, partition by partition; numbering starts again when nothing is left."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from schemas import serde
from schemas.identity import murmur2_partition
from tests.drivers.emotion_points import post, traffic
from tests.drivers.projecting import PARTITIONS, Site, site, wrong_sums
from tests.drivers.waiting import eventually

MODEL = "emotion_logs"


@pytest.fixture
def there(kafka_bootstrap: str, database_url: str) -> Iterator[Site]:
    with site(kafka_bootstrap, database_url, MODEL) as made:
        yield made


def test_everything_before_goes_and_numbers_restart(there: Site) -> None:
    with there.projector():
        there.post(*traffic(40, points=5, devices=9))
        there.caught_up(MODEL)
        assert there.one("SELECT max(person_id) FROM persons") > 1
        there.truncate()
        there.post(post("after"))
        there.caught_up(MODEL)
    assert there.sql("SELECT id, person_id, device_id FROM emotion_logs ORDER BY id") == [
        (1, 1, "after"), (2, 1, "after"), (3, 1, "after"),
    ]  # fmt: skip
    assert wrong_sums(there, "emotion_logs_v1") == []


def test_in_one_batch_with_what_it_undoes(there: Site) -> None:
    start = there.reader.end_offsets("replies")
    there.post(*traffic(20, points=5, devices=9))
    there.truncate(correlation_id=b"cut", reply_to=b"me")
    there.post(*traffic(6, points=5, devices=3, seed=5))
    with there.projector():
        there.caught_up(MODEL)
    assert there.one("SELECT count(*) FROM emotion_logs") == 30
    assert wrong_sums(there, "emotion_logs_v1") == []
    answers = [r for r in there.records("replies", start) if r.header("correlation-id") == b"cut"]
    assert [serde.decode(r.value)[1]["inserted"] for r in answers] == [None] * PARTITIONS


def test_one_partition_only(there: Site) -> None:
    """As after a gateway that died between two copies: each partition stands for itself."""
    bodies = list(traffic(60, points=5, devices=9))
    left = [body for body in bodies if murmur2_partition(body["device_id"].encode(), PARTITIONS) != 2]
    assert 0 < len(left) < len(bodies)
    with there.projector():
        there.post(*bodies)
        there.caught_up(MODEL)
        there.truncate([2])
        there.post(*bodies[:3])
        there.caught_up(MODEL)
    back = sum(5 for body in bodies[:3] if body not in left)
    assert there.one("SELECT count(*) FROM emotion_logs") == 5 * len(left) + back
    assert wrong_sums(there, "emotion_logs_v1") == []


def test_the_same_post_after_a_truncation_is_new(there: Site) -> None:
    with there.projector():
        for _ in range(2):
            there.post(post())
            there.caught_up(MODEL)
            there.truncate()
        there.post(post())
        there.caught_up(MODEL)
    assert there.one("SELECT count(*) FROM emotion_logs") == 3
    assert there.sql("SELECT DISTINCT person_id FROM persons") == [(1,)]


def test_readers_do_not_wait_long_behind_a_truncation_that_waits(there: Site) -> None:
    there.post(post("old"))
    with there.projector(), psycopg.connect(there.database_url) as slow:
        there.caught_up(MODEL)
        slow.execute("SELECT count(*) FROM emotion_logs_v1.emotion_points")  # a transaction that stays open
        there.truncate()
        with psycopg.connect(there.database_url, autocommit=True) as reader:
            waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'"
            eventually(lambda: there.one(waiting))
            reader.execute("SET statement_timeout TO '5s'")
            reader.execute("SELECT count(*) FROM emotion_logs_v1.emotion_points")
        slow.rollback()
        there.caught_up(MODEL)
    assert there.one("SELECT count(*) FROM emotion_logs") == 0
