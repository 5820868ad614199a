"""Which chunks hold speech, when only these are to be sent. A neighbour of speech counts as speech."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edge_agents.recorder.capture import Samples

FRAME_MS = 30
# Of ten frames in a row eight must be speech: single frames are doors, coins and keys.
_WINDOW, _NEEDED = 10, 8


@dataclass(slots=True)
class SpeechEar:
    """Listens along with one capture, over chunk borders; remembers where speech was in the current chunk."""

    sample_rate: int
    aggressiveness: int
    _vad: Any = None
    _rest: Samples = field(default_factory=lambda: np.empty(0, np.int16))
    _window: list[bool] = field(default_factory=list[bool])
    _heard: int = 0
    _speech_at: list[int] = field(default_factory=list[int])

    def __post_init__(self) -> None:
        import webrtcvad

        self._vad = webrtcvad.Vad(self.aggressiveness)

    def hear(self, samples: Samples) -> bool:
        """Listen to the next samples of the chunk; whether there was speech among them."""
        frame = self.sample_rate * FRAME_MS // 1000
        held = np.concatenate((self._rest, samples))
        base = self._heard - self._rest.size
        spoke = False
        whole = held.size // frame * frame
        for at in range(0, whole, frame):
            self._window.append(self._vad.is_speech(held[at : at + frame].tobytes(), self.sample_rate))
            del self._window[:-_WINDOW]
            if sum(self._window) >= _NEEDED:
                self._speech_at.append(max(0, base + at - (_WINDOW - 1) * frame))
                self._speech_at.append(base + at + frame)
                spoke = True
        self._rest = held[whole:]
        self._heard += samples.size
        return spoke

    def end_chunk(self) -> tuple[float, float] | None:
        """Seconds from the chunk's start to its first, and from its last speech to its end; None: none at all."""
        found, length = self._speech_at, self._heard
        self._speech_at, self._heard = [], 0
        if not found:
            return None
        return max(0.0, min(found) / self.sample_rate), max(0.0, (length - max(found)) / self.sample_rate)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a finished chunk and of the one held back before it."""

    send: bool
    send_held: bool


def judge(speech: tuple[float, float] | None, *, padding_s: float, spoke_late_before: bool) -> Verdict:
    """A chunk is sent if it holds speech or follows some by `padding_s`; speech near its start sends the one before.

    `spoke_late_before`: the chunk before had speech within `padding_s` of its end.
    """
    if speech is not None:
        return Verdict(send=True, send_held=speech[0] <= padding_s)
    return Verdict(send=spoke_late_before, send_held=False)
