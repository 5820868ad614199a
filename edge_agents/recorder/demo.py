"""The demo: the scripted dialogues are spoken, recorded as if by a microphone, and sent to a server."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from edge_agents.recorder.agent import Surroundings
from edge_agents.recorder.capture import Samples, mono
from edge_agents.recorder.capture_file import Playing, SoundMicrophone
from edge_agents.recorder.clock import Clock
from edge_agents.recorder.dialogues import BETWEEN_SCENES_S, Scene, scenes
from edge_agents.recorder.errors import ConfigError, RecorderError
from edge_agents.recorder.settings import Settings
from edge_agents.recorder.voices import Synthesiser

log = logging.getLogger(__name__)
LEAD_IN_S = 1.0


@dataclass(frozen=True, slots=True)
class Cue:
    """A line as it was spoken: seconds from the beginning."""

    scene: str
    speaker: str
    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Spoken:
    """Mono samples and what is where in them."""

    samples: Samples
    sample_rate: int
    cues: tuple[Cue, ...]

    @property
    def length_s(self) -> float:
        """Seconds."""
        return self.samples.size / self.sample_rate

    def span_s(self, scene: str) -> tuple[float, float]:
        """Where a scene begins and ends."""
        cues = [cue for cue in self.cues if cue.scene == scene]
        return cues[0].start_s, cues[-1].end_s


def speak(script: Sequence[Scene], sample_rate: int = 48_000) -> Spoken:
    """Speak scenes one after the other, with the script's pauses to the sample. Raises RecorderError."""
    synthesiser = Synthesiser()
    parts: list[Samples] = [_silence(LEAD_IN_S, sample_rate)]
    cues: list[Cue] = []
    count = parts[0].size
    for scene in script:
        for line in scene.lines:
            said = resampled(
                synthesiser.say(line.text, scene.language, line.speaker), synthesiser.sample_rate, sample_rate
            )
            pause = _silence(line.pause_s, sample_rate)
            start, count = count + pause.size, count + pause.size + said.size
            cues.append(Cue(scene.name, line.speaker, line.text, start / sample_rate, count / sample_rate))
            parts += [pause, said]
        # The last scene too: a recorder goes on after the customer has left.
        parts.append(_silence(BETWEEN_SCENES_S, sample_rate))
        count += parts[-1].size
    return Spoken(np.concatenate(parts), sample_rate, tuple(cues))


def resampled(samples: Samples, given: int, wanted: int) -> Samples:
    """Mono samples at another rate."""
    if given == wanted or not samples.size:
        return samples
    import av

    frame: Any = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
    frame.sample_rate = given
    frame.time_base = Fraction(1, given)
    frame.pts = 0
    resampler: Any = av.AudioResampler(format="s16", layout="mono", rate=wanted)
    return np.concatenate([mono(part) for given_frame in (frame, None) for part in resampler.resample(given_frame)])


def write_sound(spoken: Spoken, path: Path) -> None:
    """Keep what was spoken as a WAV file."""
    import wave

    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(spoken.sample_rate)
        file.writeframes(spoken.samples.astype("<i2").tobytes())


def surroundings(languages: Sequence[str], settings: Settings) -> Surroundings:
    """An agent's surroundings in which the microphone hears the dialogues once. Raises RecorderError, ConfigError."""
    script = scenes([language.strip() for language in languages])
    if not script:
        raise ConfigError(f"there is no dialogue in {', '.join(languages)}: say ru, en or ru,en")
    spoken = speak(script, settings.sample_rate)
    log.info("demo_spoken", extra={"scenes": [scene.name for scene in script], "seconds": round(spoken.length_s, 1)})
    clock = Clock()

    def microphone() -> SoundMicrophone:
        return SoundMicrophone(
            lambda: iter([spoken.samples]),
            spoken.sample_rate,
            clock.steady_us,
            Playing(settings.speed, length_s=spoken.length_s),
            "the demo's voices",
        )

    return Surroundings(clock=clock, sound=microphone, until_sent=True)


def _silence(seconds: float, sample_rate: int) -> Samples:
    if seconds < 0:
        raise RecorderError("a pause cannot be negative")
    return np.zeros(round(seconds * sample_rate), np.int16)
