"""Clips are cut at pauses before Whisper's window is full, and times find their way back."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from streams.workers.transcripts import Piece
from streams.workers.whisper_clips import Clip, Cutting, clips, joints, speech

RATE = 16_000
CUTTING = Cutting()


def seconds(*spans: tuple[float, float]) -> list[tuple[int, int]]:
    return [(int(start * RATE), int(end * RATE)) for start, end in spans]


def test_what_fits_is_one_clip():
    assert clips(seconds((0, 10), (12, 20)), CUTTING) == [Clip(tuple(seconds((0, 10), (12, 20))))]


def test_the_cut_is_at_the_pause_before_it_is_full():
    made = clips(seconds((0, 10), (11, 20), (21, 31)), CUTTING)
    assert [clip.spans for clip in made] == [tuple(seconds((0, 10), (11, 20))), tuple(seconds((21, 31)))]


def test_exactly_full_fits():
    assert len(clips(seconds((0, 14), (20, 34)), CUTTING)) == 1


def test_a_span_without_pauses_is_cut_all_the_same():
    made = clips(seconds((0, 60)), CUTTING)
    assert [clip.length / RATE for clip in made] == [28, 28, 4]


def test_no_speech_no_clips():
    assert clips([], CUTTING) == []


@given(st.lists(st.tuples(st.integers(1, 40 * RATE), st.integers(0, 5 * RATE)), max_size=12))
def test_no_sample_is_lost_or_doubled_and_no_clip_is_too_long(lengths):
    spans, at = [], 0
    for length, pause in lengths:
        spans.append((at, at + length))
        at += length + pause
    made = clips(spans, CUTTING)
    assert all(clip.length <= 28 * RATE for clip in made)
    parts = [part for clip in made for part in clip.spans]
    assert sum(end - start for start, end in parts) == sum(end - start for start, end in spans)
    assert parts == sorted(parts)


def test_times_in_a_clip_are_times_of_the_whole():
    clip = Clip(tuple(seconds((10, 12), (20, 23))))
    assert clip.begins_s(0.5) == 10.5
    assert clip.begins_s(2.0) == 20.0  # what begins at a cut begins after it
    assert clip.ends_s(2.0) == 12.0  # what ends at a cut ends before it
    assert clip.ends_s(4.5) == 22.5
    assert clip.ends_s(99.0) == 23.0
    assert clip.begins_s(99.0) == 23.0


def test_the_sound_of_a_clip_is_its_spans():
    samples = np.arange(100, dtype=np.float32)
    assert Clip(((10, 12), (50, 53))).of(samples).tolist() == [10, 11, 50, 51, 52]


def piece(start_ms: int, end_ms: int, chunk_s: int = 0) -> Piece:
    claim = {"chunk_id": f"c{chunk_s}", "chunk_start_us": chunk_s * 1_000_000, "sha256": "", "stored_path": ""}
    return Piece(**claim, start_ms=start_ms, end_ms=end_ms)


def test_where_pieces_meet_some_of_the_pause_is_put_back():
    met = joints([piece(0, 1000), piece(1300, 2000), piece(9000, 60_000), piece(0, 500, chunk_s=60)], CUTTING)
    assert met == {1.0 * RATE: 0.3 * RATE, 1.7 * RATE: 0.4 * RATE}  # over the chunk's end speech just goes on


def test_a_late_piece_from_before_has_no_pause():
    assert joints([piece(5000, 6000), piece(1000, 2000)], CUTTING) == {}


def test_times_beside_a_pause_are_times_of_the_whole():
    (clip,) = clips(seconds((0, 5)), CUTTING, {2 * RATE: RATE // 2})
    assert clip.length == 5.5 * RATE
    assert (clip.ends_s(2.0), clip.ends_s(2.2), clip.ends_s(2.6)) == (2.0, 2.0, 2.1)
    assert (clip.begins_s(1.9), clip.begins_s(2.1), clip.begins_s(2.75)) == (1.9, 2.0, 2.25)
    assert (clip.begins_s(0.0), clip.ends_s(0.0), clip.ends_s(9.0)) == (0.0, 0.0, 5.0)


def test_the_sound_of_a_clip_has_its_pauses():
    samples = np.arange(1, 101, dtype=np.float32)
    assert Clip(((10, 12), (12, 14)), (3, 0)).of(samples).tolist() == [11, 12, 0, 0, 0, 13, 14]


@given(st.lists(st.tuples(st.integers(1, 9 * RATE), st.integers(1, 6400)), min_size=1, max_size=12))
def test_pauses_cost_no_sample_and_fill_no_window(lengths):
    met, at = {}, 0
    for length, pause in lengths:
        met[at] = pause
        at += length
    made = clips([(0, at)], CUTTING, met)
    assert all(clip.length <= 28 * RATE for clip in made)
    assert made[0].spans[0][0] == 0
    sound = np.concatenate([clip.of(np.ones(at, np.float32)) for clip in made])
    assert int(sound.sum()) == at


def test_silence_and_noise_hold_no_speech():
    assert speech(np.zeros(5 * RATE, dtype=np.float32), CUTTING) == []
    noise = np.random.default_rng(1).normal(0, 0.05, 5 * RATE).astype(np.float32)
    assert speech(noise, CUTTING) == []
