from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import pytest

from edge_agents.recorder.boots import Boots
from edge_agents.recorder.chunk_names import Stamp
from edge_agents.recorder.disk import Disk
from edge_agents.recorder.letters import Identifiers, Letters, NotAChunk
from tests.drivers.recording import DAY, NOON_US, SECOND, SetClock, Studio, ogg_chunk, tone

WHO = Identifiers("p", "r", "d")


def boots(tmp_path, time: SetClock) -> Boots:
    return Boots(tmp_path / "boots.json", time.clock(), Disk())


def stamp(time: SetClock, sequence: int = 0) -> Stamp:
    return Stamp("run", sequence, time.boot, time.steady, time.wall, 16_000)


def test_a_recording_of_this_boot_is_dated_by_the_clock_as_it_is_now(tmp_path):
    time = SetClock(wall=0)
    table = boots(tmp_path, time)
    recorded = stamp(time)
    time.pass_s(60)
    time.jump_s(NOON_US / 1e6)
    dated = table.dated(recorded)
    assert (dated.start_us, dated.current) == (NOON_US, True)


@pytest.mark.parametrize("jump_s", [-3600.0, 3600.0, 86_400.0 * 365])
def test_a_jump_in_mid_recording_leaves_chunks_in_a_row(tmp_path, jump_s, caplog):
    studio = Studio(tmp_path, seconds=2)
    studio.hear(tone(5))
    studio.time.jump_s(jump_s)
    studio.hear(tone(5))
    studio.cutter.end()
    letters = Letters(WHO, studio.boots, UTC)
    sent = [letters.fields(path) for path in studio.chunks()]
    for before, after in pairwise(sent):
        assert abs(seconds(after["start_ts"]) - seconds(before["end_ts"])) < 0.001
    assert seconds(sent[0]["start_ts"]) == pytest.approx(NOON_US / 1e6 + jump_s, abs=0.001)
    assert [record.message for record in caplog.records].count("clock_jumped") == 1
    assert len({path.name for path in studio.chunks()}) == 5


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def test_small_corrections_are_no_jump(tmp_path):
    time = SetClock()
    table = boots(tmp_path, time)
    before = table.anchor_us()
    for _ in range(10):
        time.jump_s(0.01)
    assert table.anchor_us() == before


def test_an_earlier_boot_s_recording_keeps_the_last_time_known_of_it(tmp_path):
    time = SetClock(wall=0)
    first = boots(tmp_path, time)
    recorded = stamp(time)
    time.pass_s(60)
    time.jump_s(NOON_US / 1e6)
    first.anchor_us()
    later = SetClock(wall=NOON_US + DAY, steady=5 * SECOND, boot="boot-2")
    dated = boots(tmp_path, later).dated(recorded)
    assert (dated.start_us, dated.current) == (NOON_US, False)


def test_the_server_s_time_corrects_an_earlier_boot(tmp_path):
    time = SetClock(wall=NOON_US - 30 * DAY)
    first = boots(tmp_path, time)
    recorded = stamp(time)
    first.heard_server(NOON_US)
    later = SetClock(wall=NOON_US + DAY, steady=5 * SECOND, boot="boot-2")
    assert boots(tmp_path, later).dated(recorded).start_us == NOON_US


def test_a_server_some_seconds_apart_corrects_nothing(tmp_path):
    time = SetClock()
    table = boots(tmp_path, time)
    table.heard_server(time.wall + 3 * SECOND)
    assert table.server_now_us() == time.wall
    time.jump_s(3600)
    assert table.server_now_us() is None


def test_nobody_knows_the_age_of_a_boot_without_a_true_clock(tmp_path):
    time = SetClock(wall=0)
    boots(tmp_path, time)
    recorded = stamp(time)
    later = SetClock(boot="boot-2")
    table = boots(tmp_path, later)
    table.heard_server(later.wall)
    assert table.age_us(recorded) is None
    mine = stamp(later)
    later.pass_s(90)
    later.jump_s(-400_000)
    assert table.age_us(mine) == 90 * SECOND


def test_notes_that_cannot_be_read_cost_no_recording(tmp_path):
    (tmp_path / "boots.json").write_text("{ broken")
    time = SetClock()
    recorded = Stamp("run", 0, "boot-0", 5, NOON_US - DAY, 16_000)
    assert boots(tmp_path, time).dated(recorded).start_us == NOON_US - DAY


def test_the_fields_stand_in_the_order_of_the_wire(tmp_path):
    studio = Studio(tmp_path, seconds=2)
    studio.hear(tone(2))
    studio.cutter.end()
    (path,) = studio.chunks()
    studio.time.pass_s(10)
    fields = Letters(WHO, studio.boots, UTC).fields(path)
    first = ["point_id", "register_id", "device_id", "start_ts", "end_ts", "codec", "sample_rate", "channels"]
    assert list(fields) == [*first, "boot_id", "sequence", "clock_ts"]
    assert fields["start_ts"] == "2026-01-01T11:00:00+00:00"
    assert fields["end_ts"] == "2026-01-01T11:00:02+00:00"
    assert fields["clock_ts"] == "2026-01-01T11:00:12+00:00"
    assert (fields["codec"], fields["sample_rate"], fields["channels"]) == ("opus", "16000", "1")
    without = Letters(WHO, studio.boots, UTC).fields(path, by_content=True)
    assert "boot_id" not in without
    assert "sequence" not in without


def test_the_original_agent_s_files_are_sent_as_it_would_have(tmp_path):
    studio = Studio(tmp_path)
    path = studio.spool.outbox / "chunk_20260101_093000.ogg"
    path.write_bytes(ogg_chunk(3))
    fields = Letters(WHO, studio.boots, UTC).fields(path)
    assert (fields["start_ts"], fields["end_ts"]) == ("2026-01-01T09:30:00+00:00", "2026-01-01T09:30:03+00:00")
    assert "boot_id" not in fields
    assert "clock_ts" not in fields


@pytest.mark.parametrize(
    ("name", "content"),
    [("chunk_X.ogg", ogg_chunk(1)), ("chunk_20269901_000000.ogg", ogg_chunk(1)), ("chunk_20260101_000000.ogg", b"no")],
)
def test_what_cannot_be_sent_says_why(tmp_path, name, content):
    studio = Studio(tmp_path)
    path = studio.spool.outbox / name
    path.write_bytes(content)
    with pytest.raises(NotAChunk):
        Letters(WHO, studio.boots, UTC).fields(path)
