"""From a dialogue's pieces to one stretch of 16 kHz mono without the pauses. Fetches nothing itself.

The assembled audio has exactly the length of its pieces, so that a time in it names a chunk and a moment
(`streams.speech_times`): what a chunk lacks at its end is silence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from streams.workers import BadInput
from streams.workers.audio_decode import RATE, pcm_blocks

PER_MS: Final = RATE // 1000
MARGIN_MS: Final = 60_000  # no block of sound is as long, so a chunk that goes on after its last piece is no error

Samples = NDArray[np.float32]
Piece = Mapping[str, Any]


def assemble(pieces: Sequence[Piece], fetch: Callable[[Piece], bytes], longest_s: float) -> Samples:
    """The pieces end to end, in the order given, as float32 in -1..1; every chunk is fetched and decoded once.

    Args:
        pieces: with `chunk_id`, `start_ms`, `end_ms` (from the chunk's start) and what `fetch` needs.
        fetch: a chunk's file by one of its pieces.
        longest_s: the most that is taken.

    Raises:
        BadInput: no pieces, an impossible one, more than `longest_s`, or a chunk that cannot be decoded.
    """
    places, length = _places(pieces)
    if length > longest_s * RATE:
        raise BadInput(f"The dialogue has {length / RATE:.0f} s of speech; at most {longest_s:.0f} s are transcribed.")
    assembled = np.zeros(length, dtype=np.float32)
    for chunk in places.values():
        _cut(fetch(chunk[0][0]), chunk, assembled)
    return assembled


def _places(pieces: Sequence[Piece]) -> tuple[dict[str, list[tuple[Piece, int]]], int]:
    """By chunk: its pieces, each with its first sample in the assembled audio; and the length of that."""
    if not pieces:
        raise BadInput("The dialogue has no speech segments.")
    places: dict[str, list[tuple[Piece, int]]] = {}
    at = 0
    for piece in pieces:
        if not 0 <= piece["start_ms"] < piece["end_ms"]:
            raise BadInput(f"A piece from {piece['start_ms']} to {piece['end_ms']} ms is none.")
        places.setdefault(piece["chunk_id"], []).append((piece, at))
        at += (piece["end_ms"] - piece["start_ms"]) * PER_MS
    return places, at


def _cut(data: bytes, wanted: Sequence[tuple[Piece, int]], assembled: Samples) -> None:
    """Copy a chunk's pieces to their places while it is decoded; nothing of it is kept, nor decoded beyond the last."""
    until_ms = max(piece["end_ms"] for piece, _ in wanted)
    position = 0
    for block in _decoded(wanted[0][0], data, until_ms):
        for piece, place in wanted:
            start, end = piece["start_ms"] * PER_MS, piece["end_ms"] * PER_MS
            begin, stop = max(start, position), min(end, position + block.size)
            if begin < stop:
                assembled[place + begin - start : place + stop - start] = block[begin - position : stop - position]
        position += block.size
        if position >= until_ms * PER_MS:
            return


def _decoded(piece: Piece, data: bytes, until_ms: int) -> Iterator[Samples]:
    """Blocks of a chunk's sound from its start; the decoder is the one by which the pieces were found."""
    try:
        for block in pcm_blocks(data, until_ms + MARGIN_MS):
            yield np.frombuffer(block, dtype="<i2").astype(np.float32) / 32768.0
    except BadInput as error:
        raise BadInput(f"Chunk {piece['chunk_id']}: {error}") from error
