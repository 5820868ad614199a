"""A time in the assembled audio names a chunk and a moment."""

from __future__ import annotations

import pytest

from streams.speech_times import absolute_us, in_chunk, length_s

PIECES = [
    {"chunk_id": "a", "chunk_start_us": 1_000_000_000, "start_ms": 500, "end_ms": 1500},
    {"chunk_id": "a", "chunk_start_us": 1_000_000_000, "start_ms": 4000, "end_ms": 6000},
    {"chunk_id": "b", "chunk_start_us": 1_060_000_000, "start_ms": 0, "end_ms": 250},
]


@pytest.mark.parametrize(
    ("at_s", "chunk", "ms"),
    [(-1, "a", 500), (0, "a", 500), (0.999, "a", 1499), (1.0, "a", 4000), (3.1, "b", 100), (99, "b", 250)],
)
def test_a_time_names_its_chunk(at_s, chunk, ms):
    assert in_chunk(PIECES, at_s) == (chunk, ms)


def test_and_the_moment_in_the_world():
    assert absolute_us(PIECES, 0.25) == 1_000_750_000
    assert absolute_us(PIECES, 3.1) == 1_060_100_000


def test_pauses_do_not_count():
    assert length_s(PIECES) == 3.25


def test_without_pieces_there_is_no_time():
    with pytest.raises(ValueError, match="without pieces"):
        absolute_us([], 0.0)
