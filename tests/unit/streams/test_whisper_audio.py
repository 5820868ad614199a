"""A dialogue's audio is its pieces end to end, to the sample."""

from __future__ import annotations

import numpy as np
import pytest

from streams.workers import BadInput
from streams.workers.whisper_audio import assemble
from tests.drivers.speech import opus, piece, ramp, wav

RATE = 16_000


class Files(dict):
    def __init__(self, **files: bytes) -> None:
        super().__init__(files)
        self.fetched: list[str] = []

    def fetch(self, claim) -> bytes:
        self.fetched.append(claim["chunk_id"])
        return self[claim["chunk_id"]]


def milliseconds(samples: np.ndarray) -> list[int]:
    return [int(value) for value in np.round(samples[:: RATE // 1000] * 32768)]


def test_pieces_end_to_end_without_pauses_each_chunk_fetched_once():
    files = Files(a=wav(ramp(2)), b=wav(ramp(1, 5000)))
    pieces = [
        piece({"chunk_id": "a"}, 100, 200),
        piece({"chunk_id": "a"}, 1500, 1502),
        piece({"chunk_id": "b"}, 0, 3),
        piece({"chunk_id": "a"}, 1900, 1901),
    ]
    got = assemble(pieces, files.fetch, 60)
    assert milliseconds(got) == [*range(100, 200), 1500, 1501, 5000, 5001, 5002, 1900]
    assert files.fetched == ["a", "b"]


def test_what_a_chunk_lacks_at_its_end_is_silence():
    files = Files(a=wav(ramp(1, 10)), b=wav(ramp(1, 5000)))
    got = assemble([piece({"chunk_id": "a"}, 990, 1010), piece({"chunk_id": "b"}, 0, 1)], files.fetch, 60)
    assert milliseconds(got) == [*range(1000, 1010), *([0] * 10), 5000]


def test_opus_is_as_long_as_it_was():
    tone = (np.sin(np.arange(3 * RATE) / 10) * 10_000).astype(np.int16)
    got = assemble([piece({"chunk_id": "a"}, 1000, 2000)], Files(a=opus(tone)).fetch, 60)
    assert len(got) == RATE
    assert np.sqrt(np.mean(got**2)) == pytest.approx(0.216, abs=0.02)


@pytest.mark.parametrize(
    ("pieces", "words"),
    [
        ([], "no speech segments"),
        ([piece({"chunk_id": "a"}, 5, 5)], "is none"),
        ([piece({"chunk_id": "a"}, -1, 5)], "is none"),
        ([piece({"chunk_id": "a"}, 0, 61_000)], "at most 60 s"),
        ([piece({"chunk_id": "bad"}, 0, 10)], "Chunk bad"),
        ([piece({"chunk_id": "empty"}, 0, 10)], "Chunk empty"),
    ],
)
def test_what_can_never_be_heard_is_refused(pieces, words):
    files = Files(a=wav(ramp(1)), bad=b"no sound at all", empty=b"")
    with pytest.raises(BadInput, match=words):
        assemble(pieces, files.fetch, 60)


def test_ten_hours_in_a_lie_cost_nothing():
    with pytest.raises(BadInput, match="36000 s"):
        assemble([piece({"chunk_id": "a"}, 0, 36_000_000)], Files().fetch, 3600)
