"""Decodes any recording to mono 16 kHz 16 bit samples, block by block: a file that unfolds without end stays small.

For child processes. What is in the file is anybody's: only formats that carry sound themselves are read (a playlist
would make the decoder open other files and addresses).
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, Final

import av
import av.logging
from av.error import FFmpegError

from streams.workers import BadInput

RATE: Final = 16_000
BYTES_PER_MS: Final = RATE * 2 // 1000
FORMATS: Final = "ogg,wav,w64,flac,mp3,aac,aiff,amr,caf,au,matroska,webm,mov,mp4,m4a,3gp"


def pcm_blocks(data: bytes, limit_ms: int) -> Iterator[bytes]:
    """Give the sound of a file's first audio stream as little-endian 16 bit blocks, mono, 16 kHz.

    A file that breaks off or has broken packets gives what can be decoded. At most one decoded packet is in memory.

    Raises:
        BadInput: no recording, no sound in it, nothing decodable, or more than `limit_ms` of it.
    """
    whole = left = limit_ms * BYTES_PER_MS
    for block in _resampled(_frames(data)):
        left -= len(block)
        if left < 0:
            raise BadInput(f"The recording goes on beyond {limit_ms / 1000:g} s, more than it may hold.")
        yield block
    if left == whole:
        raise BadInput("The recording holds no sound: nothing in it could be decoded.")


def _frames(data: bytes) -> Iterator[av.AudioFrame]:
    if not data:
        raise BadInput("The recording is empty.")
    try:
        with av.open(io.BytesIO(data), options={"format_whitelist": FORMATS}, metadata_errors="ignore") as container:
            if not container.streams.audio:
                raise BadInput("The file holds no sound, only other streams.")
            yield from _decoded(container)
    except (FFmpegError, ValueError, EOFError) as refused:
        raise BadInput(f"The file is no recording that can be read ({refused.__class__.__name__}).") from refused


def _decoded(container: Any) -> Iterator[av.AudioFrame]:
    """What can be decoded: a broken packet is left out, a broken container ends the sound."""
    packets = container.demux(container.streams.audio[0])
    while True:
        try:
            packet = next(packets)
        except (StopIteration, FFmpegError):
            return
        try:
            yield from packet.decode()
        except FFmpegError:
            continue


def _resampled(frames: Iterator[av.AudioFrame]) -> Iterator[bytes]:
    """A stream may change its rate or channels on the way (chained Ogg): each stretch has a resampler of its own."""
    shape: tuple[str, str, int] | None = None
    resampler = av.AudioResampler("s16", "mono", RATE)
    for frame in frames:
        new = (frame.format.name, frame.layout.name, frame.sample_rate)
        if shape is not None and new != shape:
            yield from _bytes_of(resampler.resample(None))
            resampler = av.AudioResampler("s16", "mono", RATE)
        shape = new
        yield from _bytes_of(resampler.resample(frame))
    if shape is not None:
        yield from _bytes_of(resampler.resample(None))


def _bytes_of(frames: list[av.AudioFrame]) -> Iterator[bytes]:
    for frame in frames:
        if frame.samples:
            yield bytes(frame.planes[0])[: frame.samples * 2]


av.logging.set_level(None)  # the decoder's own lines name neither file nor reason; our sentences do
