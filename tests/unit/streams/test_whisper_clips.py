"""Clips are cut at pauses before Whisper's window is full, and times find their way back."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from streams.workers.whisper_clips import Clip, Cutting, clips, speech

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


def test_silence_and_noise_hold_no_speech():
    assert speech(np.zeros(5 * RATE, dtype=np.float32), CUTTING) == []
    noise = np.random.default_rng(1).normal(0, 0.05, 5 * RATE).astype(np.float32)
    assert speech(noise, CUTTING) == []
