from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from edge_agents.recorder.chunk_names import Stamp
from edge_agents.recorder.janitor import Janitor
from edge_agents.recorder.reports import Drops, Silences
from edge_agents.recorder.rotation import Limits
from tests.drivers.recording import DAY, SECOND, SetClock, SmallDisk, Studio, ogg_chunk

SIZE = len(ogg_chunk(1))


def chunk(studio: Studio, sequence: int, *, sent: bool = False, steady: int | None = None, boot: str = "") -> Path:
    at = studio.time.steady if steady is None else steady
    stamp = Stamp("run", sequence, boot or studio.time.boot, at, studio.time.wall, 16_000)
    folder = studio.spool.uploaded if sent else studio.spool.outbox
    path = folder / f"chunk_20260101_120000_0001_{sequence:06d}.ogg"
    path.write_bytes(ogg_chunk(1, tags=stamp.tags()))
    return path


def janitor(studio: Studio, days: int = 7, size: int = 10**9, free: int = 0) -> Janitor:
    drops = Drops(studio.spool.state / "drops.jsonl", studio.disk)
    return Janitor(studio.spool, studio.boots, drops, Limits(days, size, free))


def test_what_is_too_old_goes_and_only_the_unsent_is_told(tmp_path):
    studio = Studio(tmp_path)
    old, old_sent = chunk(studio, 0), chunk(studio, 1, sent=True)
    studio.time.pass_s(7 * 86_400 + 1)
    young = chunk(studio, 2)
    keeper = janitor(studio)
    keeper.clean()
    assert [path.exists() for path in (old, old_sent, young)] == [False, False, True]
    (drop,) = keeper.drops.rows()
    assert (drop.reason, drop.files, drop.bytes) == ("AGE", 1, pytest.approx(SIZE, abs=300))
    assert drop.oldest_us == drop.newest_us == studio.time.wall - 7 * DAY - SECOND


def test_a_forward_jump_of_the_clock_ages_nothing(tmp_path):
    studio = Studio(tmp_path, time=SetClock(wall=0))
    path = chunk(studio, 0)
    os.utime(path, (0, 0))
    studio.time.jump_s(56 * 365 * 86_400.0)
    janitor(studio).clean()
    assert path.exists()


def test_sent_goes_before_unsent_and_the_oldest_first(tmp_path):
    studio = Studio(tmp_path)
    unsent = [chunk(studio, n) for n in range(3)]
    sent = [chunk(studio, n, sent=True) for n in range(3, 6)]
    each = unsent[0].stat().st_size
    keeper = janitor(studio, size=4 * each + each // 2)
    keeper.clean()
    assert [path.exists() for path in sent] == [False, False, True]
    assert all(path.exists() for path in unsent)
    assert keeper.drops.rows() == ()
    keeper.limits = Limits(7, each + each // 2)
    keeper.clean()
    assert [path.exists() for path in (*unsent, *sent)] == [False, False, True, False, False, False]
    (drop,) = keeper.drops.rows()
    assert (drop.reason, drop.files) == ("SIZE", 2)


def test_nothing_goes_within_the_limits(tmp_path):
    studio = Studio(tmp_path)
    paths = [chunk(studio, n, sent=n < 2) for n in range(4)]
    janitor(studio, size=sum(path.stat().st_size for path in paths)).clean()
    assert all(path.exists() for path in paths)


def test_a_disk_nearly_full_of_other_things_is_kept_open(tmp_path):
    studio = Studio(tmp_path, disk=SmallDisk(tmp_path, 1_000_000))
    paths = [chunk(studio, n, sent=True) for n in range(4)]
    keeper = janitor(studio, free=900_000)
    keeper.clean()
    assert all(path.exists() for path in paths)
    studio.disk.others = 100_000  # type: ignore[attr-defined]
    keeper.clean()
    assert not any(path.exists() for path in paths)


def test_the_chunk_being_sent_stays(tmp_path):
    studio = Studio(tmp_path)
    path = chunk(studio, 0)
    studio.spool.in_flight = path
    keeper = janitor(studio)
    assert keeper.make_room(1) is False
    assert path.exists()
    studio.spool.in_flight = None
    assert keeper.make_room(1) is True
    assert not path.exists()


def test_what_was_refused_is_dropped_before_what_waits(tmp_path):
    studio = Studio(tmp_path)
    waiting, refused = chunk(studio, 0), chunk(studio, 1)
    studio.spool.set_aside(refused, "413 too large")
    keeper = janitor(studio, size=round(1.5 * SIZE))
    keeper.clean()
    assert waiting.exists()
    assert list(studio.spool.rejected.iterdir()) == []
    assert keeper.drops.rows()[0].files == 1


def test_an_unknown_age_is_no_age_for_what_was_not_sent(tmp_path):
    studio = Studio(tmp_path)
    waiting, sent = chunk(studio, 0, boot="long ago"), chunk(studio, 1, sent=True, boot="long ago")
    for path in (waiting, sent):
        os.utime(path, (0, 0))
    janitor(studio).clean()
    assert (waiting.exists(), sent.exists()) == (True, False)


def test_reports_are_kept_over_a_restart_and_joined(tmp_path):
    studio = Studio(tmp_path)
    path = tmp_path / "drops.jsonl"
    drops = Drops(path, studio.disk)
    drops.add("SIZE", [10, 20], [5, None])
    drops.add("SIZE", [30], [9])
    drops.add("AGE", [1], [None])
    again = Drops(path, studio.disk)
    first, second = again.rows()
    assert (first.files, first.bytes, first.oldest_us, first.newest_us) == (3, 60, 5, 9)
    assert (second.reason, second.files, second.oldest_us) == ("AGE", 1, None)
    assert again.first() == first
    again.told(first)
    assert Drops(path, studio.disk).rows() == (second,)


def test_a_report_on_its_way_does_not_change(tmp_path):
    drops = Drops(tmp_path / "drops.jsonl", Studio(tmp_path).disk)
    drops.add("SIZE", [10], [1])
    sent = drops.first()
    drops.add("SIZE", [20], [2])
    assert sent is not None
    drops.told(sent)
    (left,) = drops.rows()
    assert (left.files, left.bytes) == (1, 20)
    assert left.report_id != sent.report_id


def test_silences_join_over_borders_but_not_over_speech(tmp_path):
    studio = Studio(tmp_path)
    silences = Silences(tmp_path / "s.jsonl", studio.disk)
    for sequence, at in ((0, 0), (1, 60), (3, 180)):
        assert silences.add(Stamp("run", sequence, "boot", at * SECOND, 0, 1), 60 * SECOND)
    assert [(row.sequence, row.duration_us) for row in silences.rows()] == [(0, 120 * SECOND), (3, 60 * SECOND)]


def test_a_run_s_number_grows_even_without_its_note(tmp_path):
    studio = Studio(tmp_path)
    assert (studio.spool.next_run(), studio.spool.next_run()) == (1, 2)
    (studio.spool.state / "runs.json").unlink()
    (studio.spool.outbox / "chunk_20260101_120000_0041_000007.ogg").write_bytes(b"x")
    assert studio.spool.next_run() == 42


def test_files_are_for_the_owner_s_eyes_only(tmp_path):
    studio = Studio(tmp_path / "spool")
    studio.spool.next_run()
    for path in (tmp_path / "spool").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_an_outbox_on_another_disk_is_emptied_by_copying(tmp_path, monkeypatch):
    studio = Studio(tmp_path)
    path = chunk(studio, 0)
    content = path.read_bytes()
    real = Path.replace

    def replace(self: Path, target: Path) -> Path:
        if self.parent != Path(target).parent:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    studio.spool.mark_sent(path)
    assert not path.exists()
    assert (studio.spool.uploaded / path.name).read_bytes() == content
