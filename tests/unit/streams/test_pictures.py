"""Pictures from anybody: what is taken, and what is refused before it is unfolded."""

from __future__ import annotations

import contextlib
import struct
import time
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.workers import BadInput
from streams.workers.pictures import (
    ANIMATED,
    CUT_OFF,
    MOST_SCANS,
    NO_PICTURE,
    TOO_BIG,
    TOO_SMALL,
    Bounds,
    Header,
    Picture,
    check,
    header_of,
    pixels_of,
)

CORNER = np.zeros((90, 160, 3), np.uint8)
CORNER[:30, :40] = (0, 0, 255)
"""160 x 90, red in the upper left corner."""


def file(kind: str, picture: Picture = CORNER, *options: int) -> bytes:
    return bytes(cv2.imencode(kind, picture, list(options))[1])


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *more: bytes, colour: int = 0, pixels: bytes = b"") -> bytes:
    start = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(pixels)) if pixels else b""
    return b"\x89PNG\r\n\x1a\n" + start + b"".join(more) + body + chunk(b"IEND", b"")


def with_orientation(jpeg: bytes, turn: int) -> bytes:
    """A JPEG that says by EXIF how it has to be turned."""
    tiff = b"MM\x00*\x00\x00\x00\x08\x00\x01" + struct.pack(">HHIHH", 0x0112, 3, 1, turn, 0) + bytes(4)
    segment = b"Exif\x00\x00" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + jpeg[2:]


def seen(data: bytes, longest: int = 2_000) -> Picture:
    return pixels_of(data, header_of(data), longest)


KINDS = {
    "jpeg": file(".jpg"),
    "progressive": file(".jpg", CORNER, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "png": file(".png"),
    "webp": file(".webp", CORNER, cv2.IMWRITE_WEBP_QUALITY, 80),
    "lossless": file(".webp", CORNER, cv2.IMWRITE_WEBP_QUALITY, 101),
    "bmp": file(".bmp"),
}


@pytest.mark.parametrize("name", KINDS)
def test_the_usual_formats_are_taken_and_their_headers_tell_their_size(name: str) -> None:
    header = header_of(KINDS[name])
    assert (header.width, header.height) == (160, 90)
    picture = seen(KINDS[name])
    assert picture.shape == (90, 160, 3)
    assert picture[10, 10, 2] > 200 > 100 > picture[80, 150, 2], "the red corner"


@pytest.mark.parametrize("name", ["jpeg", "progressive", "png", "webp", "lossless"])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_what_is_cut_off_is_refused(name: str, part: float) -> None:
    whole = KINDS[name]
    with pytest.raises(BadInput, match=CUT_OFF):
        header_of(whole[: round(len(whole) * part)])


@pytest.mark.parametrize("data", [b"", b"x", b"%PDF-1.7", b"<svg/>", bytes(1000), b"RIFF\x00\x00\x00\x00WAVEfmt "])
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(BadInput, match=NO_PICTURE):
        header_of(data)


def test_animations_are_refused() -> None:
    frames = chunk(b"acTL", struct.pack(">II", 2, 0))
    webp = b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X" + struct.pack("<I", 10) + b"\x02" + bytes(9)
    for data in (b"GIF89a" + bytes(20), png(9, 9, frames), webp):
        with pytest.raises(BadInput, match=ANIMATED):
            header_of(data)


def test_fifty_megapixels_and_bombs_cost_nothing() -> None:
    begin = time.process_time()
    sizes = [(8_660, 5_774), (65_000, 65_000), (10_001, 10), (2**31 - 1, 2**31 - 1)]
    for width, height in sizes:
        with pytest.raises(BadInput, match=TOO_BIG):
            check(header_of(png(width, height)), Bounds())
    assert time.process_time() - begin < 0.1
    check(Header("jpeg", 7_000, 5_000), Bounds())


def test_sides_have_bounds() -> None:
    portrait = Bounds(least_side=100)
    check(Header("png", 100, 10_000), Bounds(least_side=100, most_pixels=10**8))
    for width, height in ((99, 500), (500, 99), (0, 10)):
        with pytest.raises(BadInput, match=TOO_SMALL):
            check(Header("png", width, height), portrait)
    check(Header("png", 99, 99), Bounds())
    with pytest.raises(BadInput, match=TOO_SMALL):
        check(Header("png", 0, 5), Bounds())


def test_a_jpeg_of_many_scans_is_refused() -> None:
    jpeg = KINDS["progressive"]
    scan = jpeg.index(b"\xff\xda")
    assert header_of(jpeg)
    with pytest.raises(BadInput, match="too many scans"):
        header_of(jpeg[:scan] + b"\xff\xda\x00\x02" * MOST_SCANS + jpeg[scan:])


@pytest.mark.parametrize(
    ("turn", "shape", "red"), [(1, (90, 160), (10, 10)), (3, (90, 160), (80, 150)), (6, (160, 90), (10, 80))]
)
def test_a_picture_is_turned_as_its_exif_says(turn: int, shape: tuple[int, int], red: tuple[int, int]) -> None:
    picture = seen(with_orientation(KINDS["jpeg"], turn))
    assert picture.shape[:2] == shape
    assert picture[red][2] > 200


def test_grey_transparent_and_deep_pictures_come_out_in_colour() -> None:
    grey = file(".png", CORNER[:, :, 2])
    deep = bytes(cv2.imencode(".png", CORNER.astype(np.uint16) * 257)[1])
    clear = file(".png", np.dstack([CORNER, np.zeros(CORNER.shape[:2], np.uint8)]))
    for data in (grey, deep, clear):
        picture = seen(data)
        assert (picture.shape, picture.dtype) == ((90, 160, 3), np.uint8)
        assert picture[10, 10, 2] == 255


def test_a_cmyk_jpeg_is_taken() -> None:
    """Four components: only libjpeg makes one, so this one is written by hand from four grey scans."""
    grey = file(".jpg", np.full((16, 16), 128, np.uint8))
    scan = grey.index(b"\xff\xda")
    frame = grey.index(b"\xff\xc0")
    tables = grey[2:frame] + grey[frame + 2 + struct.unpack(">H", grey[frame + 2 : frame + 4])[0] : scan]
    parts = b"".join(bytes([one, 0x11, 0]) for one in range(1, 5))
    sof = b"\xff\xc0" + struct.pack(">HBHHB", 8 + 12, 8, 16, 16, 4) + parts
    data = grey[scan + 2 + struct.unpack(">H", grey[scan + 2 : scan + 4])[0] : -2]
    scans = b"".join(
        b"\xff\xda" + struct.pack(">HB", 8, 1) + bytes([one, 0]) + b"\x00\x3f\x00" + data for one in range(1, 5)
    )
    cmyk = b"\xff\xd8" + tables + sof + scans + b"\xff\xd9"
    assert (header_of(cmyk).width, seen(cmyk).shape) == (16, (16, 16, 3))


def test_a_big_picture_is_unfolded_smaller() -> None:
    big = file(".jpg", np.zeros((3000, 4000, 3), np.uint8))
    assert seen(big, 2_000).shape == (1500, 2000, 3)
    assert seen(big, 900).shape[1] == 900
    assert seen(KINDS["jpeg"], 2_000).shape == (90, 160, 3), "and a small one as it is"


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(KINDS)), st.data())
def test_damaged_files_are_refused_or_seen_and_never_crash(name: str, data: st.DataObject) -> None:
    damaged = bytearray(KINDS[name])
    for _ in range(data.draw(st.integers(1, 6))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        header = header_of(bytes(damaged))
        check(header, Bounds(most_side=1_000))
        picture = pixels_of(bytes(damaged), header, 500)
    except BadInput:
        return
    assert picture.ndim == 3
    assert max(picture.shape[:2]) <= 500


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF", b"BM", b""]), st.binary(max_size=200))
def test_any_bytes_have_a_header_or_are_refused(signature: bytes, rest: bytes) -> None:
    with contextlib.suppress(BadInput):
        assert header_of(signature + rest).format in ("jpeg", "png", "webp", "bmp")
