"""Serde's fast path for EmotionPointsRecorded: whole batches of encoded posts to numpy columns at once. Pure.

It takes what our own encoder writes (one block an array) and declines everything else, which serde then decodes or
refuses; a test holds both to the same answers. Avro 1.12, "Binary Encoding".
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from schemas.catalogue import latest
from schemas.emotions import LARGEST_AFFECT

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

HEADER: Final = struct.pack(">bI", 0, latest("EmotionPointsRecorded").id)
_LONGEST_COUNT: Final = 3
"""Bytes of a block count that is read here: up to a million points a post."""
_LONGEST_VARINT: Final = 10
_SMALLEST_POINT: Final = 24
"""Bytes: a number takes one or more, and so does a text; a valence and an arousal take eight each."""
_PADDING: Final = bytes(16)  # so that reading a few bytes past the last post stays inside
_FIRST_BYTES: Final = np.array([(1 << 8 * n) - 1 & 0x7F7F7F7F7F7F7F7F for n in range(9)], np.uint64)
"""Masks that keep so many bytes of eight, without the bits that say whether a number goes on."""
_PUSHES: Final = (
    (np.uint64(0x007F007F007F007F), np.uint64(0x7F007F007F007F00), np.uint64(1)),
    (np.uint64(0x00003FFF00003FFF), np.uint64(0x3FFF00003FFF0000), np.uint64(2)),
    (np.uint64(0x000000000FFFFFFF), np.uint64(0x0FFFFFFF00000000), np.uint64(4)),
)


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts as places in one buffer of UTF-8: row i is `buffer[start[i] : start[i] + length[i]]`."""

    buffer: NDArray[np.uint8]
    start: Ints
    length: Ints

    def at(self, row: int) -> str:
        """One text."""
        begin = int(self.start[row])
        return self.buffer[begin : begin + int(self.length[row])].tobytes().decode()

    @classmethod
    def of(cls, texts: Sequence[str]) -> Texts:
        """From strings."""
        encoded = [text.encode() for text in texts]
        length = np.fromiter(map(len, encoded), np.int64, len(encoded))
        buffer = np.frombuffer(b"".join(encoded) + _PADDING, np.uint8)
        return cls(buffer, np.cumsum(length) - length, length)


@dataclass(frozen=True, slots=True)
class PointColumns:
    """Columns of many posts, one after the other; `sizes` says how many points each post has."""

    sizes: Ints
    device_id: list[str]
    session_id: list[str]
    session_person_id: Ints
    track_id: Ints
    t_ms: Ints
    absolute_time: Texts
    valence: Floats
    arousal: Floats
    boxes: tuple[Ints, ...]
    """x1, y1, x2, y2; NO_BOX where absent."""


class _Declined(Exception):
    """Not what our encoder writes, or not valid: serde has the last word."""


def decode_posts(values: Sequence[bytes | None]) -> PointColumns | None:
    """Columns of these messages in the wire format, or None when serde has to look at them one by one."""
    posts = [value for value in values if value is not None and value.startswith(HEADER)]
    if not posts or len(posts) != len(values):
        return None
    try:
        return _Reader(posts).read()
    except (_Declined, IndexError, ValueError):
        return None


class _Reader:
    """Walks all posts side by side: `at` is the place in each where its next field begins.

    Places past a post's end are noticed at the latest when all fields have been read.
    """

    def __init__(self, posts: Sequence[bytes]) -> None:
        sizes = np.fromiter(map(len, posts), np.int64, len(posts))
        self._joined = b"".join(posts) + _PADDING
        self._bytes = np.frombuffer(self._joined, np.uint8)
        self._end = np.cumsum(sizes)
        self._at = self._end - sizes + len(HEADER)
        last = self._bytes < 128
        self._lasts = np.flatnonzero(last)
        """Places of the bytes that can be the last of a number."""
        self._rank = np.cumsum(last, dtype=np.int32) - last
        """How many such bytes come before a place."""

    def read(self) -> PointColumns:
        """All fields in the order of the schema."""
        device_id, session_id = self._strings(), self._strings()
        self._skip_dialect_and_zone()
        self._lay_out_rows(self._small_numbers(self._at)[0])
        person, track, t_ms = self._longs(), self._longs(), self._longs()
        texts = self._texts()
        valence, arousal = self._affect(), self._affect()
        boxes = tuple(self._ints() for _ in range(4))
        if (self._at != self._end).any():
            raise _Declined
        return PointColumns(self._sizes, device_id, session_id, person, track, t_ms, texts, valence, arousal, boxes)

    def _lay_out_rows(self, sizes: Ints) -> None:
        # Before anything is made as large as a post says it is.
        if (sizes * _SMALLEST_POINT > self._end - self._at).any():
            raise _Declined
        self._sizes, self._filled = sizes, sizes > 0
        self._first = np.cumsum(sizes) - sizes
        self._row = np.arange(int(sizes.sum()))
        self._nth = self._row - np.repeat(self._first, sizes)
        self._last_row = (self._first + sizes - 1)[self._filled]

    def _begin(self) -> None:
        """The block's count, the same for every column."""
        counts, after = self._small_numbers(self._at)
        if (counts != self._sizes).any():
            raise _Declined
        self._at = after

    def _finish(self, after: Ints) -> None:
        """An array ends with an empty block, which is all that an empty one has; `after` is for the others."""
        if self._bytes[after].any():
            raise _Declined
        self._at[self._filled] = after + 1

    def _strings(self) -> list[str]:
        length, begin = self._small_numbers(self._at)
        self._at = begin + length
        return [self._joined[a:b].decode() for a, b in zip(begin.tolist(), self._at.tolist(), strict=True)]

    def _skip_dialect_and_zone(self) -> None:
        dialect, zone = self._bytes[self._at], self._bytes[self._at + 1]
        if not (np.isin(dialect, (0, 2)).all() and np.isin(zone, (0, 2)).all()):
            raise _Declined
        self._at = self._at + 2
        length, begin = self._small_numbers(self._at)
        named = zone == 2
        after = np.where(named, begin + length, self._at)
        self._require_ascii(begin[named], after[named])
        self._at = after

    def _longs(self) -> Ints:
        self._begin()
        place = np.repeat(self._rank[self._at] - self._first, self._sizes) + self._row
        end = self._lasts[place]
        start = np.empty_like(end)
        start[1:] = end[:-1] + 1
        start[self._first[self._filled]] = self._at[self._filled]
        values = self._varints(start, end)
        self._finish(end[self._last_row] + 1)
        return values

    def _ints(self) -> Ints:
        values = self._longs()
        if len(values) and (values.min() < -(2**31) or values.max() >= 2**31):
            raise _Declined
        return values

    def _affect(self) -> Floats:
        self._begin()
        anywhere = np.ndarray((len(self._joined) - 7,), "<f8", self._joined, strides=(1,))
        values = anywhere[np.repeat(self._at, self._sizes) + 8 * self._nth]
        if not (np.abs(values) <= LARGEST_AFFECT).all():  # NaN fails as well
            raise _Declined
        self._finish((self._at + 8 * self._sizes)[self._filled])
        return values

    def _texts(self) -> Texts:
        """Texts of up to 63 bytes of ASCII; those of one post are nearly always equally long."""
        self._begin()
        prefix = self._bytes[self._at].astype(np.int64)
        place = np.repeat(self._at, self._sizes) + (np.repeat(prefix >> 1, self._sizes) + 1) * self._nth
        found = self._bytes[place].astype(np.int64)
        odd = found != np.repeat(prefix, self._sizes)
        for post in np.unique(np.repeat(np.arange(len(self._at)), self._sizes)[odd]).tolist():
            self._walk_texts(post, place)
        found = self._bytes[place].astype(np.int64)
        if (found & 129).any():  # a longer text, or a negative length
            raise _Declined
        length = found >> 1
        after = (place + 1 + length)[self._last_row]
        self._require_ascii(self._at[self._filled], after)
        self._finish(after)
        return Texts(self._bytes, place + 1, length)

    def _walk_texts(self, post: int, place: Ints) -> None:
        at, first = int(self._at[post]), int(self._first[post])
        for row in range(first, first + int(self._sizes[post])):
            place[row] = at
            at += 1 + (self._joined[at] >> 1)

    def _require_ascii(self, begin: Ints, end: Ints) -> None:
        if ((self._rank[end] - self._rank[begin]) != (end - begin)).any():
            raise _Declined

    def _small_numbers(self, at: Ints) -> tuple[Ints, Ints]:
        """The number of up to three bytes at each place, which must not be negative, and the places behind it."""
        last = self._lasts[self._rank[at]]
        values = self._varints(at, last, _LONGEST_COUNT)
        if (values < 0).any():
            raise _Declined
        return values, last + 1

    def _varints(self, start: Ints, last: Ints, longest: int = _LONGEST_VARINT) -> Ints:
        """Zigzag numbers between these places (both included)."""
        if len(start) == 0:
            return np.zeros(0, np.int64)
        width = last - start + 1
        shortest, widest = int(width.min()), int(width.max())
        if widest > longest or shortest < 1:
            raise _Declined
        value = self._groups(start, width) if widest <= 8 else self._groups_one_by_one(start, width)
        return (value >> np.uint64(1)).view(np.int64) ^ -(value & np.uint64(1)).view(np.int64)

    def _groups(self, start: Ints, width: Ints) -> NDArray[np.uint64]:
        """Up to eight groups of seven bits, little end first, pushed together: 8 x 7, 4 x 14, 2 x 28, 56 bits."""
        anywhere = np.ndarray((len(self._joined) - 7,), "<u8", self._joined, strides=(1,))
        value = anywhere[start]
        value &= _FIRST_BYTES[width]
        for low, high, shift in _PUSHES:
            moved = value & high
            moved >>= shift
            value &= low
            value |= moved
        return value

    def _groups_one_by_one(self, start: Ints, width: Ints) -> NDArray[np.uint64]:
        value = np.zeros(len(start), np.uint64)
        for k in range(int(width.max())):
            part = (self._bytes[start + k] & 127).astype(np.uint64)
            part[width <= k] = 0
            if k == _LONGEST_VARINT - 1 and part.max() > 1:  # more than 64 bits
                raise _Declined
            value |= part << np.uint64(7 * k)
        return value
