from __future__ import annotations

import gzip
import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agents.emotion_sensor.boxes import Box
from edge_agents.emotion_sensor.errors import AlreadyRunning, SensorError
from edge_agents.emotion_sensor.outbox import Outbox, Post
from edge_agents.emotion_sensor.points import Point, absolute_time
from edge_agents.emotion_sensor.storage import LOCK_FILE, OUTBOX_FILE, open_database, sole_sensor

NOON = datetime(2025, 12, 9, 12, 0, 0, tzinfo=UTC)
MEGABYTE = 1_000_000


def point(person: int, t_ms: int) -> Point:
    return Point(person, 10 + person, t_ms, absolute_time(t_ms), 0.1, -0.2, Box(1, 2, 3, 4))


def times(post: Post | None) -> list[str]:
    assert post is not None
    return [record["absolute_time"] for record in json.loads(gzip.decompress(post.body))["records"]]


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    box = Outbox(tmp_path, 100 * MEGABYTE)
    yield box
    box.close()


def test_a_person_s_points_become_one_post_in_their_order(outbox: Outbox) -> None:
    session = outbox.open_session("d", NOON)
    for t_ms in (1000, 2000, 3000):
        outbox.add(session, [point(1, t_ms), point(2, t_ms)])
    outbox.finish(session, 2)
    assert times(outbox.next_post()) == [absolute_time(t) for t in (1000, 2000, 3000)]
    assert outbox.backlog().posts == 1
    assert outbox.backlog().open_points == 3


def test_finishing_nobody_makes_no_post(outbox: Outbox) -> None:
    outbox.finish(outbox.open_session("d", NOON), 1)
    assert outbox.next_post() is None


def test_a_post_is_the_same_bytes_until_it_is_done(outbox: Outbox) -> None:
    session = outbox.open_session("d", NOON)
    outbox.add(session, [point(1, 1000)])
    outbox.finish(session, 1)
    first = outbox.next_post()
    outbox.add(session, [point(1, 2000)])
    outbox.finish(session, 1)
    assert outbox.next_post() == first
    assert first is not None
    outbox.done(first.post_id)
    assert times(outbox.next_post()) == [absolute_time(2000)]


def test_a_session_id_is_never_given_twice_even_when_the_clock_is_set_back(tmp_path: Path) -> None:
    given_ids: list[str] = []
    for _ in range(3):
        box = Outbox(tmp_path, MEGABYTE)
        given_ids += [box.open_session("d", NOON), box.open_session("d", NOON.replace(hour=11))]
        box.close()
    assert given_ids[0] == "20251209_120000"
    assert given_ids[2:4] == ["20251209_120000_2", "20251209_110000_2"]
    assert len(set(given_ids)) == 6


def test_visits_cut_short_are_finished_under_their_own_device_and_session(tmp_path: Path) -> None:
    before = Outbox(tmp_path, MEGABYTE)
    session = before.open_session("old name", NOON)
    before.add(session, [point(1, 1000), point(2, 1000)], flushed=False)
    before.close()
    after = Outbox(tmp_path, MEGABYTE)
    assert after.finish_all() == 2
    assert after.finish_all() == 0
    post = after.next_post()
    assert post is not None
    body = json.loads(gzip.decompress(post.body))
    assert (body["device_id"], body["session_id"]) == ("old name", session)
    after.close()


CRASH = """
import sys, os, signal
from datetime import datetime, UTC
from pathlib import Path
from edge_agents.emotion_sensor.outbox import Outbox
from edge_agents.emotion_sensor.points import Point, absolute_time
from edge_agents.emotion_sensor.boxes import Box
box = Outbox(Path(sys.argv[1]), 10**8)
session = box.open_session("d", datetime.now(UTC))
for n in range(100000):
    box.add(session, [Point(1, 1, n, absolute_time(n), 0.0, 0.0, Box(0, 0, 1, 1))], flushed=False)
    print(n, flush=True)
    if n % 7 == 6:
        box.finish(session, 1)
"""


@pytest.mark.parametrize("kill_after", [1, 6, 20])
def test_what_was_kept_survives_kill_9_exactly_once(tmp_path: Path, kill_after: int) -> None:
    root = str(Path(__file__).resolve().parents[3])
    with subprocess.Popen([sys.executable, "-c", CRASH, str(tmp_path)], stdout=subprocess.PIPE, cwd=root) as child:
        assert child.stdout is not None
        told = [int(child.stdout.readline()) for _ in range(kill_after)]
        child.kill()
        told += [int(line) for line in child.stdout.read().split()]
    box = Outbox(tmp_path, 100 * MEGABYTE)
    box.finish_all()
    found: list[str] = []
    while (post := box.next_post()) is not None:
        found += times(post)
        box.done(post.post_id)
    box.close()
    # One more may have been kept than was told: the child died between the two.
    assert found in ([absolute_time(n) for n in told], [absolute_time(n) for n in range(len(told) + 1)])


def test_a_refused_post_is_set_aside_and_can_be_put_back(outbox: Outbox) -> None:
    session = outbox.open_session("d", NOON)
    for person in (1, 2):
        outbox.add(session, [point(person, 1000)])
        outbox.finish(session, person)
    first = outbox.next_post()
    assert first is not None
    outbox.refuse(first.post_id, 422, "records.0: no")
    assert outbox.next_post() != first
    assert [(row[0], row[1], row[3], row[4]) for row in outbox.refusals()] == [(first.post_id, 1, 422, "records.0: no")]
    assert outbox.backlog().refused == 1
    assert outbox.retry_refused() == 1
    assert outbox.next_post() == first
    assert outbox.refusals() == []


def test_a_post_the_server_fails_at_lets_the_others_go_first(outbox: Outbox) -> None:
    session = outbox.open_session("d", NOON)
    for person in (1, 2):
        outbox.add(session, [point(person, 1000)])
        outbox.finish(session, person)
    first = outbox.next_post()
    assert first is not None
    outbox.pass_over(first.post_id)
    assert outbox.next_post() != first
    assert outbox.next_post(passing_over=[2]) == first


def test_beyond_its_limit_the_oldest_posts_go_and_are_counted(tmp_path: Path) -> None:
    box = Outbox(tmp_path, 300_000)
    session = box.open_session("d", NOON)
    for person in range(1, 1501):
        box.add(session, [point(person, 1000 * person)], flushed=False)
        box.finish(session, person)
    backlog = box.backlog()
    assert backlog.used <= 300_000
    assert backlog.dropped_points > 0
    assert backlog.points + backlog.dropped_points == 1500
    assert times(box.next_post()) == [absolute_time(1000 * (backlog.dropped_points + 1))]
    box.close()


def test_the_hours_left_follow_from_rate_and_room(outbox: Outbox) -> None:
    assert outbox.backlog().hours_left is None
    outbox.note_rate(6.0)
    hours = outbox.backlog().hours_left
    assert hours is not None
    assert hours == pytest.approx(100 * MEGABYTE / 30 / 6 / 3600, rel=0.05)


def test_a_full_disk_keeps_none_of_the_points_and_says_so(tmp_path: Path) -> None:
    box = Outbox(tmp_path, MEGABYTE)
    session = box.open_session("d", NOON)
    pages = box._db.execute("PRAGMA page_count").fetchone()[0]
    box._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        box.add(session, [point(1, n) for n in range(1000)])
    assert box.backlog().open_points == 0
    box.close()


def test_a_damaged_file_is_put_aside_and_a_new_one_begun(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / OUTBOX_FILE).write_bytes(b"not a database" * 1000)
    open_database(tmp_path).close()
    assert [path for path in tmp_path.iterdir() if "damaged" in path.name]
    assert "DAMAGED" in caplog.text


def test_a_file_damaged_behind_its_first_pages_is_put_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    box = Outbox(tmp_path, 100 * MEGABYTE)
    session = box.open_session("d", NOON)
    box.add(session, [point(1, n) for n in range(5000)])
    box.close()
    path = tmp_path / OUTBOX_FILE
    content = bytearray(path.read_bytes())
    content[20 * 4096 :] = b"\xa5" * (len(content) - 20 * 4096)
    path.write_bytes(content)
    with pytest.raises(sqlite3.DatabaseError):
        open_database(tmp_path, may_mend=False)
    again = Outbox(tmp_path, MEGABYTE)
    assert again.finish_all() == 0
    again.close()
    assert path.read_bytes() == content, "what is put aside stays as it was"
    assert f"{path} IS DAMAGED" in caplog.text
    assert str(tmp_path / "outbox.2.sqlite") in caplog.text


def test_the_file_that_replaced_a_damaged_one_stays_in_use(tmp_path: Path) -> None:
    for _ in range(3):
        box = Outbox(tmp_path, MEGABYTE)
        box.add(box.open_session("d", NOON), [point(1, 1000)])
        if not (tmp_path / "outbox.2.sqlite").exists():
            assert box.mend(sqlite3.DatabaseError("malformed"))
        box.close()
    box = Outbox(tmp_path, MEGABYTE)
    assert box.backlog().open_points == 2
    box.close()


def test_only_the_owner_can_read_the_outbox(tmp_path: Path) -> None:
    (tmp_path / OUTBOX_FILE).touch(mode=0o644)
    box = Outbox(tmp_path, MEGABYTE)
    box.open_session("d", NOON)
    assert {path.name: path.stat().st_mode & 0o077 for path in tmp_path.iterdir()} == {
        f"{OUTBOX_FILE}{ending}": 0 for ending in ("", "-wal", "-shm")
    }
    box.close()


def test_a_full_disk_keeps_nobody_from_the_lock_of_a_home_that_was_used_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sole_sensor(tmp_path):
        pass
    connect = sqlite3.connect

    def on_a_full_disk(*given: Any, **more: Any) -> sqlite3.Connection:
        connection = connect(*given, **more)
        with suppress(sqlite3.OperationalError):  # held by the first
            connection.execute("PRAGMA max_page_count = 1")
        return connection

    monkeypatch.setattr(sqlite3, "connect", on_a_full_disk)
    size = (tmp_path / LOCK_FILE).stat().st_size
    with sole_sensor(tmp_path), pytest.raises(AlreadyRunning), sole_sensor(tmp_path):
        pass
    assert (tmp_path / LOCK_FILE).stat().st_size == size > 0


def test_a_damaged_lock_keeps_nobody_out(tmp_path: Path) -> None:
    (tmp_path / LOCK_FILE).write_bytes(b"not a database" * 1000)
    with sole_sensor(tmp_path), pytest.raises(AlreadyRunning), sole_sensor(tmp_path):
        pass


def test_a_home_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SensorError, match="cannot be opened"):
        open_database(tmp_path / "file" / "home")


def test_a_second_sensor_is_kept_out_until_the_first_has_gone(tmp_path: Path) -> None:
    with sole_sensor(tmp_path), pytest.raises(AlreadyRunning, match="another sensor"), sole_sensor(tmp_path):
        pass
    with sole_sensor(tmp_path):
        pass


operations = st.lists(st.sampled_from(["see 1", "see 2", "end 1", "end 2", "send", "crash"]), max_size=40)


@settings(max_examples=40, deadline=None)
@given(operations)
def test_whatever_happens_every_point_is_sent_exactly_once(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str]
) -> None:
    """The outbox against a list: points go in, crashes (a new connection) and sends come at any time."""
    directory = tmp_path_factory.mktemp("outbox")
    box = Outbox(directory, MEGABYTE)
    session = box.open_session("d", NOON)
    kept: list[str] = []
    sent: list[str] = []

    def send_one() -> bool:
        post = box.next_post()
        if post is not None:
            sent.extend(times(post))
            box.done(post.post_id)
        return post is not None

    for n, step in enumerate(steps):
        match step.split():
            case ["see", person]:
                box.add(session, [point(int(person), n)], flushed=False)
                kept.append(absolute_time(n))
            case ["end", person]:
                box.finish(session, int(person))
            case ["crash"]:
                box.close()
                box = Outbox(directory, MEGABYTE)
                box.finish_all()
                session = box.open_session("d", NOON)
            case _:
                send_one()
    box.finish_all()
    while send_one():
        pass
    box.close()
    assert sorted(sent) == sorted(kept)
