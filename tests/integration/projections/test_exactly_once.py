"""Every acknowledged point is in the table exactly once, whatever dies in between."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from projections import projection as projecting
from projections.projection import Projection, starts_of
from projections.read_model import Target
from projections.store import Fenced, Store
from projections.store_models import Models
from schemas import serde
from streams.log_reader import LogReader, TopicPartition
from tests.drivers.emotion_points import post, traffic
from tests.drivers.projecting import RING, Site, site, wrong_sums
from tests.drivers.waiting import eventually

MODEL = "emotion_logs"


@pytest.fixture
def there(kafka_bootstrap: str, database_url: str) -> Iterator[Site]:
    with site(kafka_bootstrap, database_url, MODEL) as made:
        yield made


def replies_after(made: Site, start: dict[int, int], correlation: bytes) -> list[dict[str, Any]]:
    found = [r for r in made.records("replies", start) if r.header("correlation-id") == correlation]
    return [serde.decode(record.value)[1] for record in found]


def test_points_and_aggregates_of_traffic(there: Site) -> None:
    there.post(*traffic(60, points=50, devices=7))
    with there.projector():
        there.caught_up(MODEL)
    assert there.one("SELECT count(*) FROM emotion_logs") == 3000
    assert wrong_sums(there, "emotion_logs_v1") == []


def test_a_repeated_post_inserts_nothing_and_the_first_point_stays(there: Site) -> None:
    first = post(t_ms=[1_772_442_000_000, 1_772_442_000_100])
    other = first | {"valence": [0.9, 0.9]}
    longer = post(t_ms=[1_772_442_000_050, 1_772_442_000_100, 1_772_442_000_200])
    replies = there.reader.end_offsets("replies")
    with there.projector():
        for number, body in enumerate((first, first, other, longer)):
            there.post(body, correlation_id=b"c%d" % number, reply_to=b"me")
            there.caught_up(MODEL)
    answers = [replies_after(there, replies, b"c%d" % n) for n in range(4)]
    assert [answer[0]["inserted"] for answer in answers] == [2, 0, 0, 2]
    assert {answer[0]["person_id"] for answer in answers} == {1}
    assert there.sql("SELECT valence FROM emotion_logs WHERE t_ms = 1772442000000") == [(first["valence"][0],)]
    assert wrong_sums(there, "emotion_logs_v1") == []


def test_doubles_within_a_post_and_a_batch(there: Site) -> None:
    t = 1_772_442_000_000
    body = post(t_ms=[t, t, t + 5, t], track_id=[1, 2, 1, 1], valence=[0.1, 0.2, 0.3, 0.9])
    there.post(body, body, post("another", t_ms=[t]))
    with there.projector():
        there.caught_up(MODEL)
    rows = there.sql("SELECT track_id, t_ms, valence FROM emotion_logs WHERE device_id <> 'another' ORDER BY 2, 1")
    assert rows == [(1, t, 0.1), (2, t, 0.2), (1, t + 5, 0.3)]
    assert wrong_sums(there, "emotion_logs_v1") == []


def test_times_without_fraction_absent_boxes_and_absurd_dates(there: Site) -> None:
    from schemas.emotions import NO_BOX

    t = 1_772_442_000_000
    body = post(
        t_ms=[t, t + 1, -62_000_000_000_000, 250_000_000_000_000],
        absolute_time=["2026-03-02T12:00:00+03:00", "20260302T090000.001Z", "0005-04-24", "ночь"],
        bbox_x1=[1, NO_BOX, 3, 4],
        bbox_y2=[NO_BOX, NO_BOX, 5, 6],
    )
    there.post(body)
    with there.projector():
        there.caught_up(MODEL)
    rows = there.sql("SELECT t_ms, absolute_time, bbox_x1, bbox_y2 FROM emotion_logs")
    expected = zip(body["t_ms"], body["absolute_time"], [1, None, 3, 4], [None, None, 5, 6], strict=True)
    assert sorted(rows) == sorted(expected)
    parts = there.sql(
        "SELECT tableoid::regclass::text, count(*) FROM emotion_logs_v1.emotion_points GROUP BY 1 ORDER BY 1"
    )
    assert [(name.rpartition(".")[2], n) for name, n in parts] == [
        ("points_future", 1), ("points_past", 1), ("points_y2026m03", 2),
    ]  # fmt: skip
    assert wrong_sums(there, "emotion_logs_v1") == []


def test_a_crash_between_commit_and_reply_sends_the_reply_at_the_next_start(
    there: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    replies = there.reader.end_offsets("replies")
    made = by_hand(there)

    def crash(*_: object) -> None:
        raise SystemExit

    monkeypatch.setattr(Projection, "_answer", crash)
    there.post(post(), correlation_id=b"late", reply_to=b"me")
    with pytest.raises(SystemExit):
        made.advance_to(ends(there), _Never())
    made.store.close()
    made.reader.close()
    assert replies_after(there, replies, b"late") == []
    monkeypatch.undo()
    with there.projector():
        eventually(lambda: replies_after(there, replies, b"late"), 20)
    assert replies_after(there, replies, b"late")[0]["inserted"] == 3
    assert there.one("SELECT count(*) FROM emotion_logs") == 3


def test_a_crash_before_commit_leaves_nothing(there: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    made = by_hand(there)
    there.post(*traffic(20, points=10))
    monkeypatch.setattr(projecting, "notice", _raise)
    with pytest.raises(SystemExit):
        made.advance_to(ends(there), _Never())
    made.store.close()
    made.reader.close()
    monkeypatch.undo()
    assert there.one("SELECT count(*) FROM emotion_logs") == 0
    with there.projector():
        there.caught_up(MODEL)
    assert there.one("SELECT count(*) FROM emotion_logs") == 200
    assert wrong_sums(there, "emotion_logs_v1") == []


def test_a_zombie_writes_nothing(there: Site) -> None:
    zombie, heir = by_hand(there), by_hand(there)
    there.post(*traffic(20, points=10))
    assert heir.advance_to(ends(there), _Never())
    before = there.checksum("emotion_logs_v1", MODEL)
    with pytest.raises(Fenced):
        zombie.advance_to(ends(there), _Never())
    assert there.checksum("emotion_logs_v1", MODEL) == before
    there.post(*traffic(20, points=10, seed=2))
    with pytest.raises(Fenced):
        zombie.advance_to(ends(there), _Never())
    assert there.checksum("emotion_logs_v1", MODEL) == before
    for made in (zombie, heir):
        made.store.close()
        made.reader.close()


def test_two_projectors_at_once_write_everything_once(there: Site) -> None:
    with there.projector("a"), there.projector("b"):
        for seed in range(5):
            there.post(*traffic(40, points=20, devices=5, seed=seed))
        there.caught_up(MODEL, timeout=60)
    posted = {
        (b["device_id"], b["session_id"], p, tr, t)
        for seed in range(5)
        for b in traffic(40, points=20, devices=5, seed=seed)
        for p, tr, t in zip(b["session_person_id"], b["track_id"], b["t_ms"], strict=True)
    }
    assert there.one("SELECT count(*) FROM emotion_logs") == len(posted)
    assert wrong_sums(there, "emotion_logs_v1") == []


def test_a_lost_connection_is_taken_up_from_the_stored_checkpoint(there: Site) -> None:
    with there.projector():
        for seed in range(6):
            there.post(*traffic(30, points=20, devices=5, seed=seed))
            there.sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'sensorium%%'"
                " AND datname = current_database()"
            )
        there.caught_up(MODEL, timeout=60)
    assert there.one("SELECT count(*) FROM emotion_logs") == there.one("SELECT sum(n_points) FROM persons") > 0
    assert wrong_sums(there, "emotion_logs_v1") == []


def by_hand(made: Site) -> Projection:
    """A projection of the live version, to be driven by the test."""
    from projections import migrations

    migrations.up(made.database_url)
    with Models(made.database_url) as models, LogReader(made.bootstrap, "by-hand") as reader:
        version = models.ensure_live(made.models[MODEL], starts_of(made.models[MODEL], reader))
    store, reader = Store(made.database_url, version.schema), LogReader(made.bootstrap, "by-hand")
    target = Target(version.schema, None, RING)
    return Projection(made.models[MODEL], target, store=store, reader=reader, publisher=made.publisher)


def ends(made: Site) -> dict[TopicPartition, int]:
    topic = made.prefix + "emotion.points"
    return {TopicPartition(topic, p): o for p, o in made.reader.end_offsets(topic).items()}


class _Never:
    """An event that is never set."""

    def is_set(self) -> bool:
        return False


def _raise(*_: object) -> None:
    raise SystemExit


def test_points_of_an_older_home_make_way_for_points_of_sale(there: Site) -> None:
    """Before the second migration the emotion points were called `points`, in their schema and in public."""
    from projections import migrations

    there.post(post())
    with there.projector():
        there.caught_up(MODEL)
    before = there.sql("SELECT * FROM emotion_logs ORDER BY id")
    assert before
    assert [migrations.down(there.database_url) for _ in range(2)] == ["0003_sales_users", "0002_emotion_points"]
    assert there.one("SELECT count(*) FROM emotion_logs_v1.points") == len(before)
    assert migrations.up(there.database_url) == ["0002_emotion_points", "0003_sales_users"]
    assert there.one("SELECT count(*) FROM public.emotion_points") == len(before)
    there.post(post("another"))
    with there.projector():
        there.caught_up(MODEL)
    assert there.one("SELECT count(*) FROM emotion_logs") > len(before)
    assert there.sql("SELECT * FROM emotion_logs WHERE device_id <> 'another' ORDER BY id") == before
