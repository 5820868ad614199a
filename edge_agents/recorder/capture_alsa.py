"""ALSA through PyAV, whose wheel brings the library: nothing else needs to be installed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

from edge_agents.recorder.capture import Samples, mono
from edge_agents.recorder.errors import CaptureLost


class AlsaMicrophone:
    """An ALSA device by PyAV's input `alsa`."""

    live = True

    def __init__(self, device: str, sample_rate: int) -> None:
        self.name = f"{device} (pyav)"
        self._device = device
        self._rate = sample_rate
        self._closed = threading.Event()

    def blocks(self) -> Iterator[Samples]:
        """Samples until closed. Raises CaptureLost when the device cannot be opened or is gone."""
        import av
        from av.error import FFmpegError

        options = {"sample_rate": str(self._rate), "channels": "1"}
        try:
            with av.open(self._device, format="alsa", options=options) as container:
                stream: Any = container.streams.audio[0]
                if stream.rate != self._rate:
                    raise CaptureLost(f"{self._device} gives {stream.rate} samples a second, not {self._rate}")
                for packet in container.demux(stream):
                    if self._closed.is_set():
                        return
                    for frame in packet.decode():
                        yield mono(frame)
        except (FFmpegError, OSError, IndexError) as error:
            raise CaptureLost(f"{self._device} cannot be recorded from: {error}") from None
        if not self._closed.is_set():
            raise CaptureLost(f"{self._device} ended")

    def moment_us(self, count: int) -> int | None:
        """As it arrives."""
        return None

    def close(self) -> None:
        """Ends with the next packet, a fraction of a second later."""
        self._closed.set()
