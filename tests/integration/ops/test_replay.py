"""Replay: the same rows beside the live ones, switched at once, rolled back without a gap; and views of the past."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

import psycopg
import pytest

from ops.errors import OperatorError
from ops.replay import Replay, Servers, Stopped, differences
from projections.emotion_rows import gather
from tests.drivers.emotion_points import post, traffic
from tests.drivers.projecting import RING, Site, site, wrong_sums
from tests.drivers.waiting import eventually

MODEL = "emotion_logs"


class Quiet:
    """Counts; stops the replay after so many reports when told to."""

    def __init__(self, stop: threading.Event | None = None, after: int = 0) -> None:
        self.phases: list[str] = []
        self.rows, self.reports, self._stop, self._after = 0, 0, stop, after

    def phase(self, name: str, total: int) -> None:
        self.phases.append(name)

    def advanced(self, rows: int, offsets: int) -> None:
        self.rows += rows
        self.reports += 1
        if self._stop and self.reports >= self._after:
            self._stop.set()


def job(made: Site, model: str = MODEL, stop: threading.Event | None = None, report: Quiet | None = None) -> Replay:
    servers = Servers(made.bootstrap, made.database_url, RING)
    return Replay(servers, made.models[model], stop or threading.Event(), report or Quiet())


@pytest.fixture
def there(kafka_bootstrap: str, database_url: str) -> Iterator[Site]:
    with site(kafka_bootstrap, database_url, MODEL, "person_emotions") as made:
        yield made


def messy_history(made: Site) -> None:
    """Repetitions, points out of order, two persons in a post, doubles in a post."""
    bodies = list(traffic(60, points=20, devices=6))
    made.post(*bodies, *bodies[10:30], *reversed(bodies[:5]))
    t = 1_772_442_000_000
    made.post(post("back", t_ms=[t + 500, t + 600]), post("back", t_ms=[t, t + 500, t + 550], seed=3))
    made.post(post("two", t_ms=[t, t + 1, t, t], session_person_id=[1, 2, 2, 1], track_id=[1, 1, 1, 1]))


def test_a_replay_gives_the_same_and_keeps_the_numbers(there: Site) -> None:
    messy_history(there)
    with there.projector():
        there.caught_up(MODEL)
        before = there.sql("SELECT person_id, device_id, session_id, session_person_id FROM persons ORDER BY 1")
        report = Quiet()
        outcome = job(there, report=report).next_version()
        assert outcome.switched
        assert outcome.differences == ()
        assert outcome.rows["emotion_points"] == there.one("SELECT count(*) FROM emotion_logs_v1.emotion_points")
        assert "sorting out repeated points" in report.phases
        assert there.live(MODEL) == "emotion_logs_v2"
        assert there.sql("SELECT person_id, device_id, session_id, session_person_id FROM persons ORDER BY 1") == before
        there.post(post("later"))
        there.caught_up(MODEL)
        there.caught_up(MODEL, schema="emotion_logs_v1")
    assert there.checksum("emotion_logs_v1", MODEL) == there.checksum("emotion_logs_v2", MODEL)
    for schema in ("emotion_logs_v1", "emotion_logs_v2"):
        assert wrong_sums(there, schema) == []
    assert there.sql("SELECT person_id FROM emotion_logs_v1.persons ORDER BY 1") == there.sql(
        "SELECT person_id FROM emotion_logs_v2.persons ORDER BY 1"
    )


def test_rollback_is_never_stale_and_retire_drops(there: Site) -> None:
    there.post(*traffic(10, points=10))
    with there.projector():
        there.caught_up(MODEL)
        job(there).next_version()
        there.post(post("after the switch"))
        assert job(there).roll_back().schema == "emotion_logs_v1"
        there.caught_up(MODEL)
        assert there.live(MODEL) == "emotion_logs_v1"
        assert there.one("SELECT count(*) FROM emotion_logs WHERE device_id = 'after the switch'") == 3
        assert job(there).retire() == ["emotion_logs_v2"]
        assert there.sql("SELECT nspname FROM pg_namespace WHERE nspname = 'emotion_logs_v2'") == []
        there.post(post("after retire"))
        there.caught_up(MODEL)
        with pytest.raises(OperatorError, match="no version to roll back to"):
            job(there).roll_back()
    assert wrong_sums(there, "emotion_logs_v1") == []


def test_under_load_readers_never_see_less(there: Site) -> None:
    done = threading.Event()
    seen: list[int] = []

    def write() -> None:
        for i in range(400):
            if done.is_set():
                return
            there.post(*traffic(4, points=25, devices=4, seed=i))

    def read() -> None:
        with psycopg.connect(there.database_url, autocommit=True, prepare_threshold=None) as connection:
            while not done.is_set():
                row = connection.execute("SELECT COALESCE(sum(n_points), 0) FROM sessions").fetchone()
                seen.append(int(row[0]) if row else 0)

    there.post(*traffic(50, points=50))
    with there.projector():
        there.caught_up(MODEL)
        threads = [threading.Thread(target=work) for work in (write, read)]
        for thread in threads:
            thread.start()
        try:
            assert job(there).next_version().switched
        finally:
            done.set()
            for thread in threads:
                thread.join()
        there.caught_up(MODEL)
    assert seen == sorted(seen)
    assert len(seen) > 5
    assert wrong_sums(there, "emotion_logs_v2") == []


def test_stopped_and_taken_up_again(there: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from ops import replay as module
    from projections.feed import Limits

    monkeypatch.setattr(module, "BATCH", Limits(records=5))
    messy_history(there)
    with there.projector():
        there.caught_up(MODEL)
        for after in (2, 3):
            stop = threading.Event()
            with pytest.raises(Stopped):
                job(there, stop=stop, report=Quiet(stop, after)).next_version()
        assert there.live(MODEL) == "emotion_logs_v1"
        outcome = job(there).next_version()
    assert (outcome.schema, outcome.switched, outcome.differences) == ("emotion_logs_v2", True, ())


def test_a_difference_is_found_and_nothing_is_switched(there: Site) -> None:
    there.post(*traffic(10, points=10))
    with there.projector():
        there.caught_up(MODEL)
        there.sql("UPDATE emotion_logs_v1.emotion_points SET valence = valence + 0.1 WHERE id = 7")
        outcome = job(there).next_version()
        assert not outcome.switched
        assert outcome.differences == ("emotion_points: 100 rows in both, but not the same",)
        assert there.live(MODEL) == "emotion_logs_v1"
        assert job(there).next_version(accept_differences=True).switched


def test_check_leaves_nothing_behind(there: Site) -> None:
    there.report("jetson_1", [("1", 1.0, 2.0, 3.0, 4.0)], at_us=5)
    with there.projector():
        there.caught_up("person_emotions")
        outcome = job(there, "person_emotions").next_version(check=True)
    assert (outcome.switched, outcome.differences) == (False, ())
    assert there.sql("SELECT schema_name FROM sensorium.models WHERE model = 'person_emotions'") == [
        ("person_emotions_v1",)
    ]


def test_truncated_before_and_during_a_replay(there: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from ops import replay as module
    from projections.feed import Limits

    monkeypatch.setattr(module, "BATCH", Limits(records=5))
    with there.projector():
        there.post(*traffic(40, points=10, devices=6))
        there.truncate()
        there.post(*traffic(40, points=10, devices=6, seed=2))
        there.caught_up(MODEL)
        stop = threading.Event()
        with pytest.raises(Stopped):
            job(there, stop=stop, report=Quiet(stop, 3)).next_version()
        there.truncate()
        there.post(*traffic(30, points=10, devices=8, seed=3))
        there.caught_up(MODEL)
        report = Quiet()
        outcome = job(there, report=report).next_version()
        assert outcome.differences == ()
        assert outcome.switched
        numbers = "SELECT person_id, device_id, session_id, session_person_id FROM {}.persons ORDER BY 1"
        assert there.sql(numbers.format("emotion_logs_v1")) == there.sql(numbers.format("emotion_logs_v2"))
    assert wrong_sums(there, "emotion_logs_v2") == []
    assert there.one("SELECT count(*) FROM emotion_logs") == 300


def test_a_view_of_the_past(there: Site) -> None:
    with there.projector():
        there.post(post("then"), post("then", t_ms=[1_772_442_000_050, 1_772_442_000_100]))
        there.caught_up(MODEL)
        until_ms = max(r.timestamp_ms for r in there.records(there.prefix + "emotion.points"))
        eventually(lambda: time.time() * 1000 > until_ms + 2)
        there.truncate()
        there.post(post("now"))
        there.caught_up(MODEL)
        outcome = job(there).past("yesterday", until_ms)
    schema = "emotion_logs_at_yesterday"
    assert outcome.schema == schema
    assert there.sql(f"SELECT device_id, count(*) FROM {schema}.emotion_logs GROUP BY 1") == [("then", 4)]
    assert there.sql("SELECT state, phase FROM sensorium.models WHERE as_of_name = 'yesterday'") == [("as_of", "done")]
    assert wrong_sums(there, schema) == []
    with pytest.raises(OperatorError, match="already"):
        job(there).past("yesterday", until_ms)
    assert job(there).retire("yesterday") == [schema]


def test_a_topic_made_anew_is_replayed_from_its_beginning(there: Site) -> None:
    topic = there.prefix + "emotion.points"
    there.post(*traffic(10, points=10))
    with there.projector():
        there.caught_up(MODEL)
    there.admin.delete_topics([topic])[topic].result()
    eventually(lambda: topic not in there.admin.list_topics(timeout=10).topics)
    there.create(topic)
    there.post(post("new world"))
    with there.projector():
        outcome = job(there).next_version()
        assert "nothing to compare with" in outcome.differences[0]
        assert job(there).next_version(accept_differences=True).switched
        there.post(post("and on"))
        there.caught_up(MODEL)
    assert there.sql("SELECT device_id FROM sessions ORDER BY 1") == [("and on",), ("new world",)]


def test_two_replays_at_once_are_refused(there: Site) -> None:
    there.post(post())
    with there.projector():
        there.caught_up(MODEL)
        with job(there)._models(MODEL), pytest.raises(OperatorError, match="Another replay"):
            job(there).next_version()


def test_no_reply_and_no_notice_from_a_replay(there: Site) -> None:
    once = there.prefix.encode()
    there.post(post(), correlation_id=once, reply_to=b"me")
    start = there.reader.beginning_offsets("replies")
    with there.projector():
        there.caught_up(MODEL)

        def answers() -> int:
            return sum(r.header("correlation-id") == once for r in there.records("replies", start))

        eventually(answers)
        before = answers()
        with psycopg.connect(there.database_url, autocommit=True) as listener:
            listener.execute("LISTEN sensorium_live")
            job(there).next_version(check=True)
            assert list(listener.notifies(timeout=0.3)) == []
        assert answers() == before == 1


def test_differences_are_sentences() -> None:
    live = {"points": {"rows": 2, "checksum": 5}, "persons": {"rows": 1, "checksum": 1}}
    built: Mapping[str, Mapping[str, int]] = {
        "points": {"rows": 3, "checksum": 6},
        "persons": {"rows": 1, "checksum": 1},
    }
    assert differences(live, built) == ["points: 2 rows live, 3 rebuilt"]
    assert differences(live, live) == []


def test_what_was_refused_is_dropped_and_built_anew(there: Site) -> None:
    there.post(*traffic(10, points=10))
    with there.projector():
        there.caught_up(MODEL)
        # Stands for a fault of the code that builds: the build differs, the live version does not.
        there.sql("UPDATE emotion_logs_v1.emotion_points SET valence = valence + 0.1 WHERE id = 7")
        assert not job(there).next_version().switched
        assert "builds anew" in there.one("SELECT problem FROM sensorium.models WHERE state = 'building'")
        there.sql("UPDATE emotion_logs_v1.emotion_points SET valence = valence - 0.1 WHERE id = 7")
        there.sql("UPDATE emotion_logs_v2.emotion_points SET valence = valence + 0.2 WHERE id = 8")
        report = Quiet()
        outcome = job(there, report=report).next_version()
        assert (outcome.switched, outcome.differences) == (True, ())
        assert report.phases[0] == "dropping emotion_logs_v2, which differed, to build it anew"


def test_a_retire_that_was_killed_is_taken_up_again(there: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    there.post(post())
    with there.projector():
        there.caught_up(MODEL)
        job(there).next_version()

        def killed(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr("projections.store_models.Models.drop", killed)
            with pytest.raises(KeyboardInterrupt):
                job(there).retire()
        assert job(there).retire() == ["emotion_logs_v1"]
        with pytest.raises(OperatorError, match="no version besides"):
            job(there).retire()
    assert there.sql("SELECT nspname FROM pg_namespace WHERE nspname = 'emotion_logs_v1'") == []


def test_nothing_is_truncated_under_the_comparison(there: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from ops import replay as module

    there.post(post())
    locked: list[bool] = []

    def checksum(connection: Any, schema: str, model: str) -> dict[str, dict[str, int]]:
        if schema == "emotion_logs_v1":
            with psycopg.connect(there.database_url) as other:
                other.execute("SET lock_timeout TO '100ms'")
                for table in there.models[MODEL].checksums:
                    with pytest.raises(psycopg.errors.LockNotAvailable), other.transaction():
                        other.execute(f"LOCK TABLE {schema}.{table} IN ACCESS EXCLUSIVE MODE")  # pyright: ignore[reportArgumentType]
                    locked.append(True)
        return real(connection, schema, model)

    real = module.checksum
    monkeypatch.setattr(module, "checksum", checksum)
    with there.projector():
        there.caught_up(MODEL)
        assert job(there).next_version().switched
    assert len(locked) == 5


def test_redriven_letters_are_no_difference(there: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from projections.projectors import emotion_logs

    def mistaken(*_: object) -> None:
        raise ValueError("a bug")

    there.post(post("unlucky"))
    with monkeypatch.context() as patch, there.projector():
        patch.setattr(emotion_logs, "gather", lambda posts, c: mistaken() if posts else gather(posts, c))
        there.caught_up(MODEL)
    there.post(post("later"))
    there.post(post("unlucky"), redrive_to=MODEL.encode())
    with there.projector():
        there.caught_up(MODEL)
        outcome = job(there).next_version()
    assert (outcome.switched, outcome.differences) == (True, ())
    redriven = "SELECT min(kafka_offset) FROM emotion_logs_v1.emotion_logs WHERE device_id = 'unlucky'"
    assert there.one(redriven) > 0
