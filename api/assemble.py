"""Put pieces of recordings end to end into one Ogg/Opus file: `python -m api.assemble`, a process with limits.

What is in a recording is anybody's, so it is decoded here and not where requests are answered. Reads its task as JSON
from standard input; exit code 0, or 2 with a sentence on standard error.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import av
import av.logging
import numpy as np
import numpy.typing as npt
from av.error import FFmpegError

from producers import sound

RATE: Final = 48_000
BIT_RATE: Final = 32_000
PER_MS: Final = RATE // 1000
MEMORY_BYTES: Final = 1 << 30
CPU_S: Final = 120
Samples = npt.NDArray[np.int16]


class Piece(NamedTuple):
    """A stretch of a file: milliseconds from its start."""

    path: str
    start_ms: int
    end_ms: int


def assemble(pieces: Sequence[Piece], target: str) -> None:
    """Write the pieces end to end; each takes exactly its length, silence where the file is shorter.

    At most one decoded packet is in memory. Raises FFmpegError, OSError, ValueError.
    """
    with av.open(target, "w", format="ogg") as out:
        stream: Any = out.add_stream("libopus", RATE)
        stream.layout = "mono"
        stream.bit_rate = BIT_RATE
        at = 0
        for piece in pieces:
            for block in cut(piece):
                frame = av.AudioFrame.from_ndarray(block.reshape(1, -1), "s16", "mono")
                frame.sample_rate, frame.pts = RATE, at
                at += block.size
                out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def cut(piece: Piece) -> Iterator[Samples]:
    """A piece's samples, block by block. Raises FFmpegError, OSError, ValueError."""
    start, end = piece.start_ms * PER_MS, piece.end_ms * PER_MS
    if not 0 <= start < end:
        raise ValueError(f"A piece from {piece.start_ms} to {piece.end_ms} ms is none.")
    position = start
    seen = 0
    for block in decoded(piece.path):
        part = block[max(0, start - seen) : max(0, end - seen)]
        seen += block.size
        if part.size:
            position += part.size
            yield part
        if seen >= end:
            break
    missing = end - position
    while missing > 0:
        silence = np.zeros(min(missing, RATE), dtype=np.int16)
        missing -= silence.size
        yield silence


def decoded(path: str) -> Iterator[Samples]:
    """All sound of a file, mono at `RATE`; broken packets are left out, a broken container ends it."""
    with av.open(path, **sound.OPENING) as container:
        if not container.streams.audio:
            raise ValueError("The file holds no sound.")
        for frame in sound.resampled(sound.frames(container), RATE):
            yield frame.to_ndarray().reshape(-1).astype(np.int16, copy=False)


def main() -> None:
    """Do the task of standard input: `{"pieces": [[path, start_ms, end_ms], ...], "target": path}`."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    av.logging.set_level(None)
    task = json.load(sys.stdin)
    try:
        assemble([Piece(*piece) for piece in task["pieces"]], task["target"])
    except (FFmpegError, OSError, ValueError, MemoryError) as error:
        Path(task["target"]).unlink(missing_ok=True)
        sys.stderr.write(f"{type(error).__name__}: {error}")
        sys.exit(2)


if __name__ == "__main__":
    main()
