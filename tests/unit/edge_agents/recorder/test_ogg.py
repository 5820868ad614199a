from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agents.recorder import ogg
from edge_agents.recorder.chunk_names import Stamp, moment_in, name_of, order_of, run_in, stamp_of
from edge_agents.recorder.clock import local
from edge_agents.recorder.encoder import OpusEncoder
from tests.drivers.recording import NOON_US, decoded_samples, decoded_sound, ogg_chunk, tone

STAMP = Stamp("0f9d", 17, "kernel", 123_456_789, NOON_US, 16_000)
WHOLE = ogg_chunk(5, tags=STAMP.tags())


@pytest.mark.parametrize("rate", [8_000, 12_000, 16_000, 24_000, 48_000])
@pytest.mark.parametrize("extra", [0, 1, 123])
def test_as_many_samples_are_decoded_as_were_recorded(rate, extra):
    encoder = OpusEncoder(rate, 24, {})
    sound = tone(1.5, rate)[: rate + extra]
    content = b"".join(encoder.encode(part) for part in np.array_split(sound, 7)) + encoder.finish()
    assert decoded_samples(content) * rate == sound.size * 48_000
    facts = ogg.facts(content, content)
    assert facts is not None
    assert facts.samples * rate == sound.size * 48_000


def test_the_sound_is_where_it_was():
    sound = np.zeros(48_000, np.int16)
    sound[24_000:24_480] = tone(0.01, 48_000, 1000)
    encoder = OpusEncoder(48_000, 64, {})
    heard = decoded_sound(encoder.encode(sound) + encoder.finish())
    loud = np.flatnonzero(np.abs(heard.astype(int)) > 2000)
    assert 23_900 < loud[0] < 24_100


def test_the_stamp_comes_back_from_the_file():
    facts = ogg.facts(WHOLE, WHOLE)
    assert facts is not None
    assert stamp_of(facts.tags) == STAMP
    assert facts.duration_us == 5_000_000


@pytest.mark.parametrize("tags", [{}, {"RECORDER_BOOT_ID": "x"}, {**STAMP.tags(), "RECORDER_SEQUENCE": "many"}])
def test_tags_of_others_are_no_stamp(tags):
    assert stamp_of(tags) is None


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(WHOLE)))
def test_a_file_cut_anywhere_is_mended_or_left(cut):
    mended = ogg.mended(WHOLE[:cut])
    if mended is None:
        # Head, comments and the first second of sound.
        assert cut < len(WHOLE) // 3
        return
    last = list(ogg.pages(mended, checked=True))[-1]
    assert last.end == len(mended)
    assert last.flags & 4
    facts = ogg.facts(mended, mended)
    assert facts is not None
    assert facts.samples == decoded_samples(mended)
    assert facts.tags == ogg.facts(WHOLE, WHOLE).tags  # pyright: ignore[reportOptionalMemberAccess]


def test_a_power_cut_s_zeros_are_cut_off():
    half = len(WHOLE) // 2
    broken = WHOLE[:half] + bytes(len(WHOLE) - half)
    mended = ogg.mended(broken)
    assert mended is not None
    bodies = [page.body for page in ogg.pages(mended, checked=True)]
    assert bodies == [page.body for page in ogg.pages(WHOLE)][: len(bodies)]
    assert decoded_samples(mended) > 48_000


def test_a_damaged_page_ends_the_sound():
    damaged = bytearray(WHOLE)
    damaged[-200] ^= 0xFF
    mended = ogg.mended(bytes(damaged))
    assert mended is not None
    assert decoded_samples(mended) < 5 * 48_000


@pytest.mark.parametrize(
    "content",
    [b"", b"OggS", b"RIFF" + bytes(100), b"OggS" * 50, WHOLE[:100]],
    ids=["empty", "magic", "riff", "pages", "cut"],
)
def test_what_is_no_sound_has_no_facts(content):
    assert ogg.facts(content, content) is None
    assert ogg.mended(content) is None


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_read_without_a_fault(content):
    ogg.facts(b"OggS" + content, content)
    ogg.mended(b"OggS" + content)


def test_names_sort_by_run_and_number_whatever_the_clock_said():
    late, early = local(NOON_US, None), local(NOON_US - 10**12, None)
    names = [name_of(late, 1, 0), name_of(early, 1, 1), name_of(early, 2, 0), name_of(late, 12, 0)]
    shuffled = [names[n] for n in (3, 1, 0, 2)]
    assert sorted(shuffled, key=order_of) == names
    assert run_in(names[3]) == 12
    assert run_in("chunk_20260101_120000.ogg") == 0


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("chunk_20260101_120000.ogg", True),
        ("chunk_20260101_120000_0001_000007.ogg", True),
        ("chunk_20269901_120000.ogg", False),
        ("chunk_X.ogg", False),
        ("other_20260101_120000.ogg", False),
    ],
)
def test_a_name_says_when_if_its_stamp_is_possible(name, there):
    assert (moment_in(name, local(NOON_US, None).tzinfo) is not None) is there
