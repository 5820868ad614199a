"""A synthesiser's voices: espeak-ng from the package `espeakng-loader`, called directly. Not thread-safe."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from edge_agents.recorder.capture import Samples
from edge_agents.recorder.errors import RecorderError

# From espeak-ng's speak_lib.h.
_SYNCHRONOUS, _CHARACTERS, _UTF8, _RATE, _PITCH = 2, 1, 1, 1, 3
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
VOICES = {
    ("ru", "seller"): ("ru+m3", 50),
    ("ru", "customer"): ("ru+m3", 25),
    ("en", "seller"): ("en-us+f2", 55),
    ("en", "customer"): ("en-us", 35),
}
_WORDS_A_MINUTE = 160
# Quieter than this at a line's ends is not speech: pauses are the script's, not the synthesiser's.
_QUIET = 60


class Synthesiser:
    """espeak-ng, loaded once in a process. `sample_rate` is what it speaks at."""

    def __init__(self) -> None:
        """Raises RecorderError when the package is missing or the library does not start."""
        try:
            import espeakng_loader
        except ImportError:
            raise RecorderError("the demo speaks with espeakng-loader: install sensorium's extra `voice`") from None
        self._library: Any = ctypes.CDLL(espeakng_loader.get_library_path())
        data = str(espeakng_loader.get_data_path()).encode()
        self.sample_rate = int(self._library.espeak_Initialize(_SYNCHRONOUS, 0, data, 0))
        if self.sample_rate <= 0:
            raise RecorderError(f"espeak-ng does not start with the data in {data.decode()}")
        self._heard: list[Samples] = []
        self._callback = _CALLBACK(self._hear)
        self._library.espeak_SetSynthCallback(self._callback)

    def say(self, text: str, language: str, speaker: str) -> Samples:
        """A line as mono samples at `sample_rate`, without the silence around it."""
        name, pitch = VOICES[language, speaker]
        if self._library.espeak_SetVoiceByName(name.encode()) != 0:
            raise RecorderError(f"espeak-ng has no voice {name!r}")
        self._library.espeak_SetParameter(_RATE, _WORDS_A_MINUTE, 0)
        self._library.espeak_SetParameter(_PITCH, pitch, 0)
        content = text.encode() + b"\0"
        self._heard = []
        if self._library.espeak_Synth(content, len(content), 0, _CHARACTERS, 0, _UTF8, None, None) != 0:
            raise RecorderError(f"espeak-ng cannot say {text!r}")
        self._library.espeak_Synchronize()
        return trimmed(np.concatenate(self._heard)) if self._heard else np.empty(0, np.int16)

    def _hear(self, wave: Any, count: int, _events: Any) -> int:
        if wave and count > 0:
            self._heard.append(np.ctypeslib.as_array(wave, (count,)).astype(np.int16))
        return 0


def trimmed(samples: Samples) -> Samples:
    """Without the quiet at both ends."""
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > _QUIET)
    return samples[loud[0] : loud[-1] + 1] if loud.size else samples[:0]
