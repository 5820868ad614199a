"""Ogg pages (RFC 3533) with Opus in them (RFC 7845), read and mended without a decoder. Pure but for `facts_of`."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_HEADER = struct.Struct("<4sBBqIII")
_CRC_AT, _SEGMENTS_AT = 22, 26
_END_OF_STREAM = 4
_TAIL = 1 << 17
_HEAD = 1 << 16
_FIRST = 1 << 12
GRANULES_PER_S = 48_000


def _crc_table() -> tuple[int, ...]:
    table: list[int] = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = (value << 1) ^ (0x04C11DB7 if value & 0x80000000 else 0)
        table.append(value & 0xFFFFFFFF)
    return tuple(table)


_TABLE = _crc_table()


def checksum(page: bytes) -> int:
    """A page's CRC, its own field counting as zero."""
    value = 0
    for byte in page[:_CRC_AT] + b"\0\0\0\0" + page[_CRC_AT + 4 :]:
        value = ((value << 8) & 0xFFFFFFFF) ^ _TABLE[(value >> 24) ^ byte]
    return value


@dataclass(frozen=True, slots=True)
class Page:
    """One page: where it begins and ends in the bytes, its granule position (-1: no packet ends in it), its body."""

    start: int
    end: int
    granule: int
    flags: int
    body: bytes


def pages(content: bytes, start: int = 0, *, checked: bool = False) -> Iterator[Page]:
    """The whole pages from `start` until the first that is cut short or, if `checked`, damaged."""
    while start + _HEADER.size <= len(content) and content[start : start + 4] == b"OggS":
        _, _, flags, granule, _, _, crc = _HEADER.unpack_from(content, start)
        count = content[start + _SEGMENTS_AT] if start + _SEGMENTS_AT < len(content) else 0
        body_at = start + _SEGMENTS_AT + 1 + count
        end = body_at + sum(content[start + _SEGMENTS_AT + 1 : body_at])
        if end > len(content) or (checked and checksum(content[start:end]) != crc):
            return
        yield Page(start, end, granule, flags, content[body_at:end])
        start = end


@dataclass(frozen=True, slots=True)
class Facts:
    """An Ogg/Opus file's comments and its length in samples at 48 kHz."""

    tags: dict[str, str] = field(default_factory=dict[str, str])
    samples: int = 0

    @property
    def duration_us(self) -> int:
        """Length in microseconds."""
        return self.samples * 1_000_000 // GRANULES_PER_S


def facts(head: bytes, tail: bytes) -> Facts | None:
    """From a file's first and last bytes (they may overlap); None if it is no Ogg/Opus or holds no whole audio page."""
    first = list(pages(head))[:2]
    if len(first) < 2 or not first[0].body.startswith(b"OpusHead") or len(first[0].body) < 12:
        return None
    skip = int.from_bytes(first[0].body[10:12], "little")
    last = max((page.granule for page in _last_pages(tail)), default=0)
    return Facts(_comments(first[1].body), last - skip) if last > skip else None


def _last_pages(tail: bytes) -> Iterator[Page]:
    start = tail.find(b"OggS")
    while start >= 0:
        found = list(pages(tail, start))
        yield from found
        start = tail.find(b"OggS", found[-1].end if found else start + 1)


def tags_of(path: Path) -> dict[str, str]:
    """The comments of a file, from its first bytes only. Raises OSError."""
    with path.open("rb") as file:
        first = list(pages(file.read(_FIRST)))
    return _comments(first[1].body) if len(first) > 1 else {}


def facts_of(path: Path) -> Facts | None:
    """The facts of a file. Raises OSError."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
        size = file.seek(0, 2)
        file.seek(max(0, size - _TAIL))
        return facts(head, file.read())


def _comments(body: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    if not body.startswith(b"OpusTags"):
        return found
    at = 8
    try:
        at += 4 + int.from_bytes(body[at : at + 4], "little")
        (count,) = struct.unpack_from("<I", body, at)
        at += 4
        for _ in range(min(count, 256)):
            (length,) = struct.unpack_from("<I", body, at)
            name, _, value = body[at + 4 : at + 4 + length].decode("utf-8", "replace").partition("=")
            found[name.upper()] = value
            at += 4 + length
    except struct.error:
        return found
    return found


def mended(content: bytes) -> bytes | None:
    """The whole, undamaged pages, the last marked as the end; None if no audio is among them."""
    whole = list(pages(content, checked=True))
    while whole and whole[-1].granule <= 0:
        whole.pop()
    if len(whole) < 3 or facts(content[: whole[-1].end], content[: whole[-1].end]) is None:
        return None
    last = bytearray(content[whole[-1].start : whole[-1].end])
    last[5] |= _END_OF_STREAM
    last[_CRC_AT : _CRC_AT + 4] = checksum(bytes(last)).to_bytes(4, "little")
    return content[: whole[-1].start] + bytes(last)
