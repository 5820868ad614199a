"""Decodes any recording to mono 16 kHz 16 bit samples, block by block: a file that unfolds without end stays small.

For child processes. What is in the file is anybody's.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Final

import av
import av.logging
from av.error import FFmpegError

from producers import sound
from streams.workers import BadInput

RATE: Final = 16_000
BYTES_PER_MS: Final = RATE * 2 // 1000


def pcm_blocks(data: bytes, limit_ms: int) -> Iterator[bytes]:
    """Give the sound of a file's first audio stream as little-endian 16 bit blocks, mono, 16 kHz.

    A file that breaks off or has broken packets gives what can be decoded. At most one decoded packet is in memory.

    Raises:
        BadInput: no recording, no sound in it, nothing decodable, or more than `limit_ms` of it.
    """
    whole = left = limit_ms * BYTES_PER_MS
    for frame in sound.resampled(_frames(data), RATE):
        block = bytes(frame.planes[0])[: frame.samples * 2]
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
        with av.open(io.BytesIO(data), **sound.OPENING) as container:
            if not container.streams.audio:
                raise BadInput("The file holds no sound, only other streams.")
            yield from sound.frames(container)
    except (FFmpegError, ValueError, EOFError) as refused:
        raise BadInput(f"The file is no recording that can be read ({refused.__class__.__name__}).") from refused


av.logging.set_level(None)  # the decoder's own lines name neither file nor reason; our sentences do
