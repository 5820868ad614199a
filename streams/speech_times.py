"""Times in a dialogue's assembled audio and where they are in its chunks and in the world. Pure, imports nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def length_s(pieces: Sequence[Mapping[str, Any]]) -> float:
    """Seconds of the assembled audio: the pieces end to end, without the pauses between them."""
    return sum(piece["end_ms"] - piece["start_ms"] for piece in pieces) / 1000


def in_chunk(pieces: Sequence[Mapping[str, Any]], at_s: float) -> tuple[str, int]:
    """The chunk and the millisecond from its start of a time in the assembled audio; the ends are clamped.

    Raises:
        ValueError: there are no pieces.
    """
    piece, ms = _place(pieces, at_s)
    return piece["chunk_id"], ms


def absolute_us(pieces: Sequence[Mapping[str, Any]], at_s: float) -> int:
    """UTC epoch microseconds of a time in the assembled audio; the ends are clamped.

    Raises:
        ValueError: there are no pieces.
    """
    piece, ms = _place(pieces, at_s)
    return piece["chunk_start_us"] + ms * 1000


def _place(pieces: Sequence[Mapping[str, Any]], at_s: float) -> tuple[Mapping[str, Any], int]:
    if not pieces:
        raise ValueError("A dialogue without pieces has no times.")
    left = max(0, round(at_s * 1000))
    for piece in pieces:
        long = piece["end_ms"] - piece["start_ms"]
        if left < long:
            return piece, piece["start_ms"] + left
        left -= long
    return pieces[-1], pieces[-1]["end_ms"]
