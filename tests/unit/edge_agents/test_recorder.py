from __future__ import annotations

import csv
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge_agents.emotion_sensor.affect import EXPRESSIONS
from edge_agents.emotion_sensor.csv_log import CsvLimits, CsvLog
from edge_agents.emotion_sensor.outbox import Outbox
from edge_agents.emotion_sensor.recorder import Recorder, RecorderRules
from edge_agents.emotion_sensor.storage import OUTBOX_FILE
from tests.unit.edge_agents.test_outbox import NOON, point

USUAL = RecorderRules()
Make = Callable[..., Recorder]
SHARES = {name: (1.0 if name == "happy" else 0.0) for name in EXPRESSIONS}


def rows(directory: Path) -> list[dict[str, str]]:
    return [row for path in sorted(directory.glob("*.csv")) for row in csv.DictReader(path.read_text().splitlines())]


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    box = Outbox(tmp_path, 10**8)
    yield box
    box.close()


@pytest.fixture
def make(outbox: Outbox, tmp_path: Path) -> Iterator[Make]:
    log = CsvLog(tmp_path / "csv", "d", CsvLimits())
    yield lambda rules=USUAL, wake=list: Recorder(outbox, log, rules, wake)
    log.close()


def test_points_are_kept_as_they_come_and_posted_at_the_end(outbox: Outbox, make: Make, tmp_path: Path) -> None:
    session, woken = outbox.open_session("d", NOON), list[int]()
    keep = make(wake=lambda: woken.append(1))
    keep.record(session, [(point(1, 1000), SHARES), (point(2, 1000), SHARES)], 0.0)
    assert outbox.backlog().open_points == 2
    keep.end(session, [1], 0.2)
    assert (outbox.backlog().posts, outbox.backlog().open_points, woken) == (1, 1, [1])
    assert [row["happy"] for row in rows(tmp_path / "csv")] == ["1.0000", "1.0000"]


def test_a_long_visit_is_posted_in_parts_by_count_and_by_time(outbox: Outbox, make: Make, tmp_path: Path) -> None:
    session = outbox.open_session("d", NOON)
    keep = make(RecorderRules(flush_points=3, flush_s=10))
    for n in range(3):
        keep.record(session, [(point(1, n), SHARES)], n / 10)
    assert (outbox.backlog().posts, outbox.backlog().open_points) == (1, 0)
    keep.record(session, [(point(1, 4), SHARES)], 1.0)
    keep.record(session, [(point(1, 5), SHARES)], 11.0)
    assert (outbox.backlog().posts, outbox.backlog().open_points) == (2, 0)


def test_on_a_full_disk_sensing_goes_on_and_nothing_is_lost_while_memory_lasts(
    outbox: Outbox, make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    session = outbox.open_session("d", NOON)
    keep = make()
    outbox._db.execute("PRAGMA max_page_count = 1")
    for n in range(1000):
        keep.record(session, [(point(1, n), SHARES)], n / 10)
    keep.end(session, [1], 101.0)
    assert "Free disk space" in caplog.text
    assert len(caplog.records) == 2  # once a minute, not once a frame
    outbox._db.execute("PRAGMA max_page_count = 1000000")
    keep.save(102.0)
    assert (outbox.backlog().points, outbox.backlog().dropped_points) == (1000, 0)


@pytest.mark.parametrize("failing", ["add", "finish"])
def test_a_file_that_proves_damaged_is_replaced_and_what_is_held_is_kept(
    outbox: Outbox,
    make: Make,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    failing: str,
) -> None:
    session = outbox.open_session("d", NOON)
    keep = make()
    keep.record(session, [(point(1, 1), SHARES)], 0.0)
    does = getattr(outbox, failing)

    def fail(*given: object, **more: object) -> None:
        if outbox._path is not None and outbox._path.name == OUTBOX_FILE:
            raise sqlite3.DatabaseError("database disk image is malformed")
        does(*given, **more)

    monkeypatch.setattr(outbox, failing, fail)
    keep.record(session, [(point(1, 2), SHARES)], 0.1)
    keep.end(session, [1], 0.2)
    keep.record(session, [(point(2, 3), SHARES)], 0.3)
    keep.end(session, [2], 0.4)
    assert (outbox.backlog().posts, outbox.backlog().open_points) == (1 + (failing == "add"), 0)
    assert caplog.text.count("IS DAMAGED") == 1
    assert str(tmp_path / OUTBOX_FILE) in caplog.text


def test_beyond_memory_the_oldest_points_are_dropped_and_counted(
    outbox: Outbox, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_agents.emotion_sensor.recorder.HELD_IN_MEMORY", 100)
    session = outbox.open_session("d", NOON)
    keep = make()
    # The file has free pages for a while: fill them first.
    outbox._db.execute("PRAGMA max_page_count = 1")
    for n in range(1500):
        keep.record(session, [(point(1, n), SHARES)], n / 10)
    outbox._db.execute("PRAGMA max_page_count = 1000000")
    keep.end(session, [1], 151.0)
    backlog = outbox.backlog()
    assert backlog.dropped_points > 0
    assert backlog.points + backlog.dropped_points == 1500


def test_a_csv_that_cannot_be_written_does_not_touch_the_points(
    outbox: Outbox, make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "csv").write_text("a file in the way")
    session = outbox.open_session("d", NOON)
    keep = make()
    keep.record(session, [(point(1, 1), SHARES)], 0.0)
    assert outbox.backlog().open_points == 1
    assert "CSV" in caplog.text


def test_csv_files_rotate_by_size_and_the_oldest_go(tmp_path: Path) -> None:
    log = CsvLog(tmp_path, "de,vice", CsvLimits(file=2000, together=6000))
    for n in range(200):
        log.write("20251209_120000", [(point(1, n), SHARES)])
    log.close()
    files = sorted(tmp_path.glob("*.csv"))
    assert sum(path.stat().st_size for path in files) <= 6500
    assert len(files) >= 2
    found = rows(tmp_path)
    assert {row["device_id"] for row in found} == {"de,vice"}
    assert found[-1]["absolute_time"] == point(1, 199).absolute_time


def test_old_csv_files_are_removed_and_a_new_session_has_a_file_of_its_own(tmp_path: Path) -> None:
    import os

    log = CsvLog(tmp_path, "d", CsvLimits(age_s=86400))
    log.write("20240101_000000", [(point(1, 1), SHARES)])
    os.utime(tmp_path / "20240101_000000.csv", (0, 0))
    log.write("20251209_120000", [(point(1, 2), SHARES)])
    log.close()
    assert [path.name for path in tmp_path.glob("*.csv")] == ["20251209_120000.csv"]
