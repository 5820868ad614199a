"""Sound for tests of voice activity: a made voice, quiet rooms, files that unfold without end, detection errors."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Sequence

import av
import numpy as np

from tests.drivers.speech import MEDIA, RATE, opus

Spans = Sequence[tuple[int, int]]
"""Start and end in milliseconds."""


def quiet(seconds: float, seed: int = 2) -> np.ndarray:
    """A room with nobody in it: faint noise, int16."""
    return np.random.default_rng(seed).normal(0, 4, round(seconds * RATE)).astype(np.int16)


def voice(seconds: float, seed: int = 1) -> np.ndarray:
    """A buzzing throat with three formants and four syllables a second: WebRTC takes it for speech."""
    t = np.arange(round(seconds * RATE)) / RATE
    phase = np.cumsum(2 * np.pi * (120 + 15 * np.sin(2 * np.pi * 2.3 * t + seed)) / RATE)
    throat = sum(
        np.exp(-(((k * 120 - formant) / 180.0) ** 2)) * np.sin(k * phase)
        for k in range(1, 30)
        for formant in (600, 1200, 2500)
    )
    said = throat * (0.75 + 0.25 * np.sin(2 * np.pi * 4 * t))
    return (said / np.abs(said).max() * 9000).astype(np.int16)


def spoken(spans: Spans, length_ms: int) -> np.ndarray:
    """A quiet room with a voice at these times."""
    sound = quiet(length_ms / 1000)
    for n, (start, end) in enumerate(spans):
        sound[start * RATE // 1000 : end * RATE // 1000] += voice((end - start) / 1000, n)[
            : (end - start) * RATE // 1000
        ]
    return sound


def encoded(
    samples: np.ndarray, container: str, codec: str, rate: int = 48_000, layout: str = "mono", **settings: int
) -> bytes:
    """The sound in another format, rate and number of channels; `settings` of the codec, such as `bit_rate`."""
    out = io.BytesIO()
    with av.open(out, "w", format=container) as file:
        stream = file.add_stream(codec, rate=rate, layout=layout)
        for name, value in settings.items():
            setattr(stream, name, value)
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = RATE
        resampler = av.AudioResampler(stream.format, layout, rate, frame_size=stream.frame_size or 1024)
        for one in [*resampler.resample(frame), *resampler.resample(None)]:
            file.mux(stream.encode(one))
        file.mux(stream.encode(None))
    return out.getvalue()


def pictures_only(frames: int = 5) -> bytes:
    """A film without sound."""
    out = io.BytesIO()
    with av.open(out, "w", format="matroska") as file:
        stream = file.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for _ in range(frames):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")))
        file.mux(stream.encode(None))
    return out.getvalue()


def ogg_bomb(seconds: float) -> bytes:
    """OGG/Opus that says almost nothing for very long: one byte a packet of 120 ms (RFC 6716, code 1, no frames)."""
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, 1, 0, 48_000, 0, 0)
    tags = b"OpusTags" + struct.pack("<I", 0) + struct.pack("<I", 0)
    pages = [_page([head], 0, 0, 2), _page([tags], 1, 0, 0)]
    packets, done = round(seconds / 0.12), 0
    while done < packets:
        count = min(255, packets - done)
        done += count
        pages.append(_page([b"\x19"] * count, len(pages), done * 5760, 4 if done == packets else 0))
    return b"".join(pages)


def _page(packets: Sequence[bytes], number: int, granule: int, flags: int) -> bytes:
    lacing = bytes(len(one) for one in packets)
    head = b"OggS" + struct.pack("<BBqIII", 0, flags, granule, 7, number, 0) + bytes([len(lacing)]) + lacing
    page = head + b"".join(packets)
    return page[:22] + struct.pack("<I", _crc(page)) + page[26:]


def _table() -> list[int]:
    table: list[int] = []
    for n in range(256):
        value = n << 24
        for _ in range(8):
            value = (value << 1) ^ (0x04C11DB7 if value & 0x80000000 else 0)
        table.append(value & 0xFFFFFFFF)
    return table


_CRC = _table()


def _crc(data: bytes) -> int:
    value = 0
    for byte in data:
        value = ((value << 8) & 0xFFFFFFFF) ^ _CRC[(value >> 24) ^ byte]
    return value


def truth(recording: str) -> list[tuple[int, int]]:
    """Speech of a sample recording by its .rttm, whoever speaks."""
    lines = (MEDIA / "dialogue" / "pyannote_debug.train.rttm").read_text("utf-8").split("\n")
    turns = [line.split() for line in lines if line]
    spans = [(float(one[3]), float(one[3]) + float(one[4])) for one in turns if one[1] == recording]
    return [(round(start * 1000), round(end * 1000)) for start, end in spans]


def detection_error(found: Spans, true: Spans, total_ms: int, collar_ms: int = 0) -> dict[str, float]:
    """`missed` as a share of the true speech, `alarm` of the true silence, `error`: both times as one of the speech.

    `error` is the detection error rate of pyannote.metrics: beyond 1 where there is little speech. Time nearer than
    `collar_ms` to a true border does not count.
    """
    hears, speaks, leave_out = (np.zeros(total_ms, dtype=bool) for _ in range(3))
    _mark(hears, found)
    _mark(speaks, true)
    if collar_ms:
        _mark(leave_out, [(edge - collar_ms, edge + collar_ms) for span in true for edge in span])
    hears, speaks = hears[~leave_out], speaks[~leave_out]
    speech, silence = max(1, int(speaks.sum())), max(1, int((~speaks).sum()))
    missed, alarm = int((speaks & ~hears).sum()), int((hears & ~speaks).sum())
    return {"missed": missed / speech, "alarm": alarm / silence, "error": (missed + alarm) / speech}


def _mark(times: np.ndarray, spans: Iterable[tuple[int, int]]) -> None:
    for start, end in spans:
        times[max(0, start) : max(0, end)] = True


__all__ = ["detection_error", "encoded", "ogg_bomb", "opus", "pictures_only", "quiet", "spoken", "truth", "voice"]
