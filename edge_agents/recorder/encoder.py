"""Sound in, bytes of an OGG/Opus file out. Touches no file.

One encoder a chunk, so that exactly as many samples are decoded as were recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]
# A page a second: what a kill in mid-chunk can cost beside the encoder's own delay.
_PAGE_US = 1_000_000


class _Sink:
    """What the muxer writes to."""

    def __init__(self) -> None:
        self.held = bytearray()

    def write(self, data: bytes) -> int:
        """Keep the bytes."""
        self.held += data
        return len(data)

    def taken(self) -> bytes:
        """The bytes since the last call."""
        data = bytes(self.held)
        self.held.clear()
        return data


class OpusEncoder:
    """One chunk, mono. `encode` and `finish` give the file's next bytes (often none: a page is about a second)."""

    def __init__(self, sample_rate: int, kbps: int, tags: Mapping[str, str]) -> None:
        self._rate = sample_rate
        self._sink = _Sink()
        options = {"page_duration": str(_PAGE_US), "flush_packets": "1"}
        self._container: Any = av.open(self._sink, "w", format="ogg", options=options)
        self._stream: Any = self._container.add_stream("libopus", rate=sample_rate, layout="mono")
        self._stream.bit_rate = kbps * 1000
        self._stream.metadata.update(tags)
        self._count = 0

    def encode(self, samples: Samples) -> bytes:
        """Add samples."""
        if samples.size:
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(samples).reshape(1, -1), format="s16", layout="mono"
            )
            frame.sample_rate = self._rate
            frame.pts = self._count
            frame.time_base = Fraction(1, self._rate)
            self._count += samples.size
            self._mux(frame)
        return self._sink.taken()

    def finish(self) -> bytes:
        """The rest of the file. The encoder is of no use afterwards."""
        if self._count:
            self._mux(None)
        self._container.close()
        return self._sink.taken()

    def _mux(self, frame: Any) -> None:
        for packet in self._stream.encode(frame):
            self._container.mux(packet)
