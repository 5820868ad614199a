"""Where speech is: the rule over frames, decoding of any format, and input that is no recording."""

from __future__ import annotations

import tracemalloc
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.workers import BadInput
from streams.workers.audio_decode import BYTES_PER_MS, pcm_blocks
from streams.workers.audio_speech import Rule, segments, verdicts
from streams.workers.voice import LONGEST_S, detect, limit_ms, open_worker
from tests.drivers.speech import MEDIA, opus, stored, wav
from tests.drivers.voices import encoded, ogg_bomb, pictures_only, quiet, spoken, voice

RULE = Rule()
MINUTE_MS = 60_000
SPOKEN = [(1000, 4000), (9000, 12_500)]


def flags(pattern: str) -> list[bool]:
    return [one == "x" for one in pattern]


# --- the rule -----------------------------------------------------------------------------------------------------


def test_speech_begins_with_the_first_of_three_frames_in_a_row() -> None:
    assert segments(flags("..xx.x" + "." * 20), RULE) == []
    assert segments(flags("..xxx" + "." * 20), RULE) == [(60, 150)]


def test_speech_ends_with_the_first_of_ten_silent_frames() -> None:
    assert segments(flags("xxx" + "." * 9 + "x" + "." * 10), RULE) == [(0, 390)]
    assert segments(flags("xxx" + "." * 10 + "xxx" + "." * 10), RULE) == [(0, 90), (390, 480)]


def test_who_still_speaks_at_the_end_has_spoken_until_there() -> None:
    assert segments(flags("...xxx" + "." * 9), RULE) == [(90, 450)]


@pytest.mark.parametrize(("frame_ms", "start", "end"), [(10, 10, 30), (20, 5, 15), (30, 3, 10)])
def test_shorter_frames_are_counted_out_to_the_same_times(frame_ms: int, start: int, end: int) -> None:
    rule = Rule(frame_ms=frame_ms)
    assert (rule.start_frames, rule.end_frames) == (start, end)
    assert segments(flags("x" * start + "." * end), rule) == [(0, start * frame_ms)]
    assert segments(flags("x" * (start - 1) + "." * end), rule) == []


def test_a_threshold_below_a_frame_is_one_frame() -> None:
    assert segments(flags("x.x."), Rule(start_ms=0, end_ms=0)) == [(0, 30), (60, 90)]


def test_a_window_forgives_single_frames() -> None:
    rule = Rule(window_ms=300, end_ms=600)
    assert segments(flags("xx.xx.xxxx" + "." * 20), rule) == [(0, 300)]
    assert segments(flags("xx..x.xxxx" + "." * 20), rule) == []


def test_padding_joins_what_touches_and_stays_inside_the_recording() -> None:
    pattern = "xxx" + "." * 11 + "xxx" + "." * 11
    assert segments(flags(pattern), Rule(padding_ms=100)) == [(0, 190), (320, 610)]
    assert segments(flags(pattern), Rule(padding_ms=200)) == [(0, 710)]
    assert segments(flags("...xxx"), Rule(padding_ms=500)) == [(0, 180)]


def test_shorter_speech_than_the_minimum_is_left_out() -> None:
    assert segments(flags("xxx" + "." * 10 + "xxxx" + "." * 10), Rule(minimum_ms=120)) == [(390, 510)]


@pytest.mark.parametrize("wrong", [{"aggressiveness": 4}, {"aggressiveness": -1}, {"frame_ms": 25}])
def test_what_webrtc_does_not_know_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="10, 20 or 30"):
        Rule(**wrong)


@given(st.lists(st.booleans(), max_size=200), st.sampled_from([0, 60, 300]), st.sampled_from([0, 200]))
def test_segments_are_in_order_and_apart(heard: list[bool], window_ms: int, padding_ms: int) -> None:
    found = segments(heard, Rule(window_ms=window_ms, padding_ms=padding_ms))
    edges = [0, *(ms for one in found for ms in one), len(heard) * 30]
    assert edges == sorted(edges)
    assert all(start < end for start, end in found)
    assert all(end < start for (_, end), (start, _) in pairwise(found))


@given(st.lists(st.integers(1, 3000), max_size=8))
def test_blocks_of_any_size_give_the_same_frames_and_an_incomplete_last_one_is_dropped(sizes: list[int]) -> None:
    sound = spoken([(100, 400)], 700).tobytes()
    cuts = [0, *sorted({2 * (one % (len(sound) // 2)) for one in sizes}), len(sound)]
    blocks = [sound[a:b] for a, b in pairwise(cuts)]
    assert list(verdicts(blocks, RULE)) == list(verdicts([sound], RULE))
    assert len(list(verdicts([sound], RULE))) == 700 // 30


# --- decoding -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("container", "codec", "rate", "layout"),
    [
        ("ogg", "libopus", 48_000, "mono"),
        ("ogg", "libopus", 48_000, "stereo"),
        ("flac", "flac", 44_100, "stereo"),
        ("wav", "pcm_s16le", 22_050, "mono"),
        ("mp3", "libmp3lame", 44_100, "mono"),
        ("adts", "aac", 48_000, "mono"),
        ("webm", "libopus", 48_000, "mono"),
    ],
)
def test_any_codec_rate_and_number_of_channels(container: str, codec: str, rate: int, layout: str) -> None:
    found = detect(encoded(spoken(SPOKEN, 15_000), container, codec, rate, layout), RULE, MINUTE_MS)
    assert found["audio_ms"] == pytest.approx(15_000, abs=60)
    assert np.ravel([*zip(found["start_ms"], found["end_ms"], strict=True)]) == pytest.approx(np.ravel(SPOKEN), abs=150)


def test_a_stereo_recording_is_heard_on_both_sides() -> None:
    if not MEDIA.is_dir():
        pytest.skip("the sample media are not here")
    found = detect((MEDIA / "dialogue" / "stereo_diarization.wav").read_bytes(), RULE, MINUTE_MS)
    assert found["audio_ms"] == 5000
    assert sum(found["end_ms"]) - sum(found["start_ms"]) > 4000


def test_silence_has_no_speech() -> None:
    assert detect(opus(quiet(10)), RULE, MINUTE_MS)["start_ms"] == []


def test_a_file_that_breaks_off_gives_what_was_there() -> None:
    whole = opus(spoken(SPOKEN, 15_000))
    found = detect(whole[: len(whole) // 2], RULE, MINUTE_MS)
    assert 3000 < found["audio_ms"] < 12_000
    assert found["start_ms"][0] == pytest.approx(1000, abs=60)


def test_a_file_with_a_hole_gives_what_is_around_it() -> None:
    whole = opus(spoken(SPOKEN, 15_000))
    third = len(whole) // 3
    found = detect(whole[:third] + bytes(2000) + whole[third + 2000 :], RULE, MINUTE_MS)
    assert 12_000 < found["audio_ms"] <= 15_000


def test_a_chained_file_that_changes_its_rate_is_read_to_its_end() -> None:
    one, two = (encoded(voice(2), "flac", "flac", rate) for rate in (16_000, 44_100))
    assert detect(opus(voice(2)) + opus(voice(3)), RULE, MINUTE_MS)["audio_ms"] == pytest.approx(5000, abs=50)
    assert detect(one + two, RULE, MINUTE_MS)["audio_ms"] >= 2000


# --- what is no recording -----------------------------------------------------------------------------------------

PLAYLIST = f"#EXTM3U\n#EXTINF:10,\n{MEDIA}/speech/en_jfk.flac\n#EXT-X-ENDLIST\n".encode()
BAD = {
    "nothing": (b"", "empty"),
    "noise": (bytes(range(256)) * 40, "no recording that can be read"),
    "zeros": (bytes(4096), "no recording that can be read"),
    "a text": ("Это не звук. ".encode() * 100, "no recording that can be read"),
    "a header only": (opus(voice(1))[:60], "no recording that can be read"),
    "no samples": (wav(quiet(0)), "holds no sound"),
    "pictures": (pictures_only(), "only other streams"),
    "a playlist": (PLAYLIST, "no recording that can be read"),
    "a list of files": (f"ffconcat version 1.0\nfile '{MEDIA}/speech/en_jfk.flac'\n".encode(), "no recording"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_recording_is_refused_with_a_sentence(name: str) -> None:
    data, sentence = BAD[name]
    with pytest.raises(BadInput, match=sentence):
        detect(data, RULE, MINUTE_MS)


def test_a_bomb_is_stopped_at_its_limit_and_never_lies_in_memory() -> None:
    ten_hours = ogg_bomb(36_000)
    assert len(ten_hours) < 1 << 20
    tracemalloc.start()
    try:
        with pytest.raises(BadInput, match="beyond 120 s"):
            detect(ten_hours, RULE, limit_ms(MINUTE_MS))
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_a_chunk_may_hold_some_more_than_it_claims_but_not_whatever_it_claims() -> None:
    assert limit_ms(MINUTE_MS) == 2 * MINUTE_MS
    assert limit_ms(0) == MINUTE_MS
    assert limit_ms(36_000_000) == LONGEST_S * 1000
    data = wav(quiet(2))
    assert detect(data, RULE, 2000)["audio_ms"] == 2000
    with pytest.raises(BadInput, match=r"beyond 1\.9 s"):
        detect(data, RULE, 1900)


def test_less_than_a_frame_is_a_recording_without_speech() -> None:
    assert detect(wav(voice(0.02)), RULE, MINUTE_MS) == {"audio_ms": 20, "start_ms": [], "end_ms": []}


@given(st.binary(max_size=300), st.integers(0, 600), st.integers(1, 4))
def test_hostile_bytes_end_in_an_answer_or_a_verdict(noise: bytes, at: int, repeat: int) -> None:
    data = BROKEN[:at] + noise * repeat + BROKEN[at + len(noise) :]
    with suppress(BadInput):
        assert detect(data, RULE, 5000)["audio_ms"] <= 5000


BROKEN = opus(voice(0.5))


# --- the worker ---------------------------------------------------------------------------------------------------


def test_the_worker_fetches_the_claim_and_listens(tmp_path: Path) -> None:
    claim = stored(tmp_path, opus(spoken(SPOKEN, 15_000)), "c")
    work = open_worker({"folder": str(tmp_path), "aggressiveness": 3, "padding_ms": 0})
    found = work({**claim, "claimed_ms": MINUTE_MS})
    assert found["audio_ms"] == pytest.approx(15_000, abs=10)
    assert len(found["start_ms"]) == len(found["end_ms"]) == 2
    with pytest.raises(BadInput, match="SHA-256"):
        work({**claim, "claimed_ms": MINUTE_MS, "sha256": "0" * 64})
    with pytest.raises(BadInput, match="beyond 10 s"):
        open_worker({"folder": str(tmp_path), "longest_s": 10})({**claim, "claimed_ms": MINUTE_MS})


def test_blocks_stay_small() -> None:
    assert max(map(len, pcm_blocks(opus(voice(5)), MINUTE_MS))) <= 200 * BYTES_PER_MS
