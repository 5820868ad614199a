from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_agents.recorder import ogg
from edge_agents.recorder.chunk_names import Stamp, stamp_of
from edge_agents.recorder.cutter import Gate
from edge_agents.recorder.reports import Silences
from edge_agents.recorder.salvage import salvage
from edge_agents.recorder.timeline import SLEW_US, Timeline
from tests.drivers.recording import SECOND, SmallDisk, Studio, decoded_samples, decoded_sound, tone


def stamp(path: Path) -> Stamp:
    facts = ogg.facts_of(path)
    assert facts is not None
    found = stamp_of(facts.tags)
    assert found is not None
    return found


def test_chunks_follow_each_other_without_a_gap(tmp_path):
    studio = Studio(tmp_path, seconds=2, rate=48_000)
    begin = studio.time.steady
    sound = tone(7.3, 48_000)
    studio.hear(sound, block_s=0.0371)
    studio.cutter.end()
    chunks = studio.chunks()
    lengths = [decoded_samples(path) for path in chunks]
    assert lengths == [96_000, 96_000, 96_000, sum(lengths) - 288_000]
    assert sum(lengths) == sound.size
    stamps = [stamp(path) for path in chunks]
    assert [one.sequence for one in stamps] == [0, 1, 2, 3]
    assert len({one.boot_id for one in stamps}) == 1
    assert [one.steady_us - begin for one in stamps] == pytest.approx([0, 2e6, 4e6, 6e6], abs=50)


def test_the_sound_goes_on_over_a_border(tmp_path):
    studio = Studio(tmp_path, seconds=1, rate=48_000)
    sound = tone(2, 48_000, 200)
    studio.hear(sound)
    studio.cutter.end()
    heard = np.concatenate([decoded_sound(path) for path in studio.chunks()])
    around = slice(48_000 - 2400, 48_000 + 2400)
    difference = np.abs(heard[around].astype(int) - sound[around].astype(int))
    assert np.sqrt(np.mean(difference**2.0)) < 0.25 * np.sqrt(np.mean(sound[around].astype(float) ** 2))


def test_an_unfinished_chunk_is_no_ogg(tmp_path):
    studio = Studio(tmp_path, seconds=60)
    studio.hear(tone(5))
    assert studio.chunks() == []
    (part,) = studio.spool.unfinished()
    assert part.name.endswith(".ogg.part")
    assert part.stat().st_size > 1000
    studio.cutter.end()
    assert len(studio.chunks()) == 1


def test_a_killed_chunk_is_salvaged_but_for_its_last_second(tmp_path):
    studio = Studio(tmp_path, seconds=60)
    studio.hear(tone(10))
    before = stamp(studio.spool.unfinished()[0])
    saved, lost = salvage(Studio(tmp_path, run=2).spool)
    assert (saved, lost) == (1, [])
    (chunk,) = studio.chunks()
    assert stamp(chunk) == before
    assert 8.5 * 48_000 < decoded_samples(chunk) <= 10 * 48_000


def test_what_holds_no_sound_is_set_aside_and_told(tmp_path):
    studio = Studio(tmp_path)
    (studio.spool.outbox / "chunk_20260101_120000_0001_000000.ogg.part").write_bytes(b"OggS" + bytes(500))
    (studio.spool.outbox / "chunk_20260101_120001_0001_000001.ogg.part").write_bytes(b"")
    saved, lost = salvage(studio.spool)
    assert (saved, len(lost)) == (0, 2)
    assert studio.chunks() == []
    assert studio.spool.unfinished() == []
    assert [file.suffix for file in sorted(studio.spool.rejected.iterdir())] == [".broken", ".reason"]


def test_a_clock_set_back_overwrites_nothing(tmp_path):
    studio = Studio(tmp_path, seconds=1)
    studio.hear(tone(1))
    studio.time.jump_s(-1)
    studio.hear(tone(1))
    studio.cutter.end()
    studio.time.jump_s(-2)
    again = Studio(tmp_path, time=studio.time, seconds=1, run=studio.spool.next_run())
    again.hear(tone(2))
    again.cutter.end()
    names = [path.name for path in studio.chunks()]
    assert len(set(names)) == 4
    assert len({(stamp(path).boot_id, stamp(path).sequence) for path in studio.chunks()}) == 4


def test_a_full_disk_gives_way_to_new_sound_and_counts_what_went(tmp_path):
    disk = SmallDisk(tmp_path, 60_000)
    studio = Studio(tmp_path, seconds=2, disk=disk)
    gone: list[str] = []

    def make_room(_: int) -> bool:
        oldest = next(iter(studio.chunks()), None)
        if oldest:
            gone.append(oldest.name)
            oldest.unlink()
        return oldest is not None

    studio.spool.on_full = make_room
    studio.hear(tone(40))
    studio.cutter.end()
    assert gone
    assert studio.cutter.lost_samples == 0
    numbers = [stamp(path).sequence for path in studio.chunks()]
    assert numbers == list(range(len(gone), 20))
    assert all(decoded_samples(path) == 2 * 48_000 for path in studio.chunks())


def test_a_disk_full_of_other_things_loses_sound_aloud_and_recording_goes_on_after_it(tmp_path, caplog):
    disk = SmallDisk(tmp_path, 1_000_000)
    studio = Studio(tmp_path, seconds=4, disk=disk)
    studio.hear(tone(6))
    disk.others = 1_000_000
    studio.hear(tone(6))
    disk.others = 0
    studio.hear(tone(6))
    studio.cutter.end()
    assert 0 < studio.cutter.lost_samples <= 8 * studio.rate
    assert [record.message for record in caplog.records].count("recording_lost") == 1
    chunks = studio.chunks()
    assert studio.spool.unfinished() == []
    heard_s = sum(decoded_samples(path) for path in chunks) / 48_000
    assert heard_s == pytest.approx(18 - studio.cutter.lost_samples / studio.rate, abs=0.05)
    # What came after is dated after what was lost.
    assert stamp(chunks[-1]).steady_us + 1 >= stamp(chunks[0]).steady_us + 12 * SECOND


def speech(rate: int, seconds: float) -> np.ndarray:
    """Something WebRTC's detector takes for speech: a buzz with formants, in syllables."""
    moments = np.arange(round(rate * seconds)) / rate
    buzz = sum(np.sin(2 * np.pi * 120 * n * moments) / n for n in range(1, 25))
    return (buzz * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * moments)) * 6000).astype(np.int16)


def gated(tmp_path: Path, *parts: float) -> tuple[Studio, Silences]:
    """Seconds of silence, of speech, of silence ... in chunks of 2 s with a padding of 0.5 s."""
    studio = Studio(tmp_path)
    silences = Silences(tmp_path / "state" / "silences.jsonl", studio.disk)
    studio = Studio(tmp_path, time=studio.time, gate=Gate(silences, 2, 0.5))
    for n, seconds in enumerate(parts):
        studio.hear(speech(16_000, seconds) if n % 2 else np.zeros(round(16_000 * seconds), np.int16))
    studio.cutter.end()
    return studio, silences


def test_silent_chunks_are_not_sent_but_told(tmp_path):
    studio, silences = gated(tmp_path, 8.9, 0.4, 6.7)
    assert [stamp(path).sequence for path in studio.chunks()] == [4]
    before, after = silences.rows()
    assert (before.sequence, round(before.duration_us / 1e6)) == (0, 8)
    assert (after.sequence, round(after.duration_us / 1e6)) == (5, 6)
    assert studio.spool.unfinished() == []


def test_what_lies_near_speech_is_sent_too(tmp_path):
    early, _ = gated(tmp_path / "early", 4.1, 1.0, 4.9)
    assert [stamp(path).sequence for path in early.chunks()] == [1, 2]
    late, _ = gated(tmp_path / "late", 4.5, 1.4, 4.1)
    assert [stamp(path).sequence for path in late.chunks()] == [2, 3]


def test_a_held_chunk_outlives_a_kill(tmp_path):
    studio = Studio(tmp_path)
    studio = Studio(tmp_path, gate=Gate(Silences(tmp_path / "state" / "s.jsonl", studio.disk), 2, 0.5))
    studio.hear(np.zeros(16_000 * 3, np.int16))
    assert [path.suffix for path in studio.spool.unfinished()] == [".part", ".quiet"][::-1]
    salvage(studio.spool)
    assert len(studio.chunks()) >= 1


def test_the_timeline_follows_a_drifting_card_slowly():
    timeline, rate = Timeline(1000), 1000
    starts = []
    for chunk in range(5):
        for block in range(60):
            count = chunk * 60 * rate + block * rate
            # A card that is 100 ppm slow, heard up to 40 ms late.
            timeline.observe(count, count * 1e6 / rate * 1.0001 + (block % 3) * 20_000)
        starts.append(timeline.start_us(chunk * 60 * rate))
    assert starts[-1] == pytest.approx(4 * 60e6 * 1.0001, abs=SLEW_US)
    assert timeline.lost_us == 0


def test_the_timeline_steps_over_lost_sound():
    timeline = Timeline(1000)
    timeline.observe(0, 0)
    assert timeline.start_us(0) == 0
    timeline.observe(1000, 3_000_000)
    timeline.observe(2000, 4_000_000)
    assert timeline.start_us(2000) == 4_000_000
    assert timeline.lost_us == 2_000_000
