"""Encoded pictures that anybody may send: what their header claims, read before anything is unfolded, then pixels.

For child processes: a decoder meets hostile bytes here. The header alone refuses what is too large, animated, cut off
or no picture at all.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from streams.workers import BadInput

Picture = NDArray[np.uint8]
"""Height x width x 3, blue, green, red."""

NO_PICTURE: Final = "Not an image: a JPEG, PNG, WebP or BMP file is wanted"
CUT_OFF: Final = "Not a whole image: its end is missing"
ANIMATED: Final = "Animated images are not taken"
TOO_BIG: Final = "Image too big"
TOO_SMALL: Final = "Image too small"
MOST_SCANS: Final = 64
"""Scans of a progressive JPEG; real ones have about ten, a bomb has thousands, each as dear as a whole picture."""
_NO_SIZE: Final = frozenset({0xC4, 0xC8, 0xCC})  # DHT, JPG, DAC: among the SOF markers' numbers, but none of them
_ALONE: Final = frozenset({0x01, *range(0xD0, 0xD9)})  # TEM, RST0-7, SOI: markers without a length
_REDUCED: Final = ((8, cv2.IMREAD_REDUCED_COLOR_8), (4, cv2.IMREAD_REDUCED_COLOR_4), (2, cv2.IMREAD_REDUCED_COLOR_2))


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says of itself; width and height in pixels, before it is turned."""

    format: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Bounds:
    """How large a picture may be: pixels of each side, and of all."""

    least_side: int = 1
    most_side: int = 10_000
    most_pixels: int = 40_000_000


def header_of(data: bytes) -> Header:
    """Read the header, a few hundred bytes wherever they lie.

    Raises:
        BadInput: no JPEG, PNG, WebP or BMP, or one that is animated, cut off or made to be slow.
    """
    for signature, read in _FORMATS:
        if data.startswith(signature):
            try:
                return read(data)
            except (struct.error, IndexError) as short:
                raise BadInput(CUT_OFF) from short
    raise BadInput(ANIMATED if data.startswith((b"GIF87a", b"GIF89a")) else NO_PICTURE)


def check(header: Header, bounds: Bounds) -> None:
    """Raise BadInput for a picture outside the bounds."""
    sides = (header.width, header.height)
    if max(sides) > bounds.most_side or header.width * header.height > bounds.most_pixels:
        raise BadInput(TOO_BIG)
    if min(sides) < max(1, bounds.least_side):
        raise BadInput(TOO_SMALL)


def pixels_of(data: bytes, header: Header, longest: int) -> Picture:
    """Decode, the right way up (EXIF), with the longest side near `longest` or below: a big JPEG is unfolded smaller.

    Grey, transparent, CMYK and 16 bit pictures come out as 8 bit blue, green, red. Raises BadInput.
    """
    surplus = max(header.width, header.height) // longest
    flag = next((flag for factor, flag in _REDUCED if factor <= surplus), cv2.IMREAD_COLOR_BGR)
    try:
        picture: Any = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    except cv2.error as refused:
        raise BadInput(NO_PICTURE) from refused
    if picture is None:
        raise BadInput(NO_PICTURE)
    return scaled(np.asarray(picture, np.uint8), longest)


def scaled(picture: Picture, longest: int, most: float = 1.0) -> Picture:
    """The picture with its longest side `longest`; it is enlarged `most` times at most."""
    factor = min(most, longest / max(picture.shape[:2]))
    if factor == 1.0:
        return picture
    height, width = (max(1, round(side * factor)) for side in picture.shape[:2])
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, (width, height), interpolation=way), np.uint8)


def _jpeg(data: bytes) -> Header:
    """ITU-T T.81, annex B: segments until the frame header; a whole file has an end after its first scan."""
    found: Header | None = None
    for marker, start in _segments(data):
        if 0xC0 <= marker <= 0xCF and marker not in _NO_SIZE:
            height, width = struct.unpack_from(">HH", data, start + 1)
            found = Header("jpeg", width, height)
        elif marker == 0xDA:
            break
    else:
        raise BadInput(CUT_OFF)
    if found is None:
        raise BadInput(NO_PICTURE)
    if data.rfind(b"\xff\xd9") < start:
        raise BadInput(CUT_OFF)
    if data.count(b"\xff\xda", start) > MOST_SCANS:
        raise BadInput("The image has too many scans")
    return found


def _segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Markers and where their content starts, up to the first scan."""
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            raise BadInput(NO_PICTURE)
        marker = data[at + 1]
        if marker in _ALONE or marker == 0xFF:
            at += 1 if marker == 0xFF else 2
            continue
        yield marker, at + 4
        at += 2 + max(2, int(struct.unpack_from(">H", data, at + 2)[0]))


def _png(data: bytes) -> Header:
    """PNG specification, section 5: chunks up to IEND; acTL makes it an animation."""
    width, height = struct.unpack_from(">II", data, 16)
    at = 8
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"acTL":
            raise BadInput(ANIMATED)
        if kind == b"IEND":
            return Header("png", width, height)
        at += 12 + length
    raise BadInput(CUT_OFF)


def _webp(data: bytes) -> Header:
    """WebP container specification: VP8 (lossy), VP8L (lossless) or VP8X (extended; its second flag bit animates)."""
    length, form, kind = struct.unpack_from("<I4s4s", data, 4)
    if form != b"WEBP":
        raise BadInput(NO_PICTURE)
    if len(data) < 8 + length:
        raise BadInput(CUT_OFF)
    if kind == b"VP8X":
        if data[20] & 2:
            raise BadInput(ANIMATED)
        return Header("webp", 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little"))
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return Header("webp", 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF))
    width, height = struct.unpack_from("<HH", data, 26)
    return Header("webp", width & 0x3FFF, height & 0x3FFF)


def _bmp(data: bytes) -> Header:
    size, width, height = struct.unpack_from("<Iii", data, 14)
    if size < 40:
        raise BadInput(NO_PICTURE)
    return Header("bmp", abs(width), abs(height))


_FORMATS: Final[tuple[tuple[bytes, Callable[[bytes], Header]], ...]] = (
    (b"\xff\xd8\xff", _jpeg),
    (b"\x89PNG\r\n\x1a\n", _png),
    (b"RIFF", _webp),
    (b"BM", _bmp),
)
