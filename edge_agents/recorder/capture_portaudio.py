"""PortAudio through `sounddevice` (extra `portaudio`, and the system's libportaudio2): where there is no ALSA."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from typing import Any

import numpy as np

from edge_agents.recorder.capture import Samples
from edge_agents.recorder.errors import CaptureLost

_STALL_S = 5.0


class PortAudioMicrophone:
    """A device of PortAudio, by name or number; "" is its default one."""

    live = True

    def __init__(self, device: str, sample_rate: int) -> None:
        self.name = f"{device or 'default input'} (sounddevice)"
        self._device = int(device) if device.isdigit() else device or None
        self._rate = sample_rate
        self._queue: queue.Queue[bytes | None] = queue.Queue()

    def blocks(self) -> Iterator[Samples]:
        """Samples until closed. Raises CaptureLost."""
        import sounddevice  # pyright: ignore[reportMissingImports]

        sound: Any = sounddevice

        def heard(data: Any, _frames: int, _time: Any, _status: Any) -> None:
            self._queue.put(bytes(data))

        try:
            with sound.RawInputStream(
                samplerate=self._rate, channels=1, dtype="int16", device=self._device, callback=heard
            ):
                while True:
                    data = self._queue.get(timeout=_STALL_S)
                    if data is None:
                        return
                    yield np.frombuffer(data, dtype=np.int16).copy()
        except queue.Empty:
            raise CaptureLost(f"{self.name} gives no sound") from None
        except (sound.PortAudioError, ValueError) as error:
            raise CaptureLost(f"{self.name} cannot be recorded from: {error}") from None

    def moment_us(self, count: int) -> int | None:
        """As it arrives."""
        return None

    def close(self) -> None:
        """Wake the reader."""
        self._queue.put(None)
