"""Where speech is in a stretch of audio and how it is cut into clips at pauses. Pure but for the detector's model.

Whisper looks at 30 s at once and invents tails when a window is nearly full: clips end at a pause before that.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from streams.workers.whisper_audio import RATE, Samples

Span = tuple[int, int]
"""First sample and the one after the last."""


@dataclass(frozen=True, slots=True)
class Cutting:
    """How speech is found and cut. Silences of 500 ms and more are left out but for 200 ms at each side.

    `clip_s` 28: invented tails were seen in 29-32 s clips far more often than in shorter ones.
    """

    min_silence_ms: int = 500
    pad_ms: int = 200
    clip_s: float = 28.0


def speech(samples: Samples, cutting: Cutting) -> list[Span]:
    """Where there is speech (Silero's detector, from faster-whisper); no span is longer than a clip."""
    from faster_whisper.vad import VadOptions, get_speech_timestamps

    options = VadOptions(
        min_silence_duration_ms=cutting.min_silence_ms,
        speech_pad_ms=cutting.pad_ms,
        max_speech_duration_s=cutting.clip_s,
    )
    return [(one["start"], one["end"]) for one in get_speech_timestamps(samples, options)]


@dataclass(frozen=True, slots=True)
class Clip:
    """Spans of speech that are heard together, without what is between them."""

    spans: tuple[Span, ...]

    @property
    def length(self) -> int:
        """Samples."""
        return sum(end - start for start, end in self.spans)

    def of(self, samples: Samples) -> Samples:
        """The clip's sound."""
        return np.concatenate([samples[start:end] for start, end in self.spans])

    def begins_s(self, at_s: float) -> float:
        """A time in the clip at which something begins, as a time in the whole: at a cut, after it."""
        ends = self._ends()
        return self._place(min(bisect_right(ends, round(at_s * RATE)), len(ends) - 1), at_s)

    def ends_s(self, at_s: float) -> float:
        """A time in the clip at which something ends, as a time in the whole: at a cut, before it."""
        ends = self._ends()
        return self._place(min(bisect_left(ends, round(at_s * RATE)), len(ends) - 1), at_s)

    def _ends(self) -> list[int]:
        return list(accumulate(end - start for start, end in self.spans))

    def _place(self, index: int, at_s: float) -> float:
        start, end = self.spans[index]
        before = sum(stop - begin for begin, stop in self.spans[:index])
        return round(float(min(end, max(start, start + at_s * RATE - before))) / RATE, 3)


def clips(spans: Sequence[Span], cutting: Cutting) -> list[Clip]:
    """Spans in clips of at most `clip_s`, each as full as pauses allow; a longer span is cut where it has to be."""
    longest = int(cutting.clip_s * RATE)
    made: list[list[Span]] = []
    room = 0
    for span in (part for one in spans for part in _parts(one, longest)):
        size = span[1] - span[0]
        if size > room or not made:
            made.append([])
            room = longest
        made[-1].append(span)
        room -= size
    return [Clip(tuple(one)) for one in made]


def _parts(span: Span, longest: int) -> list[Span]:
    start, end = span
    return [(at, min(at + longest, end)) for at in range(start, end, longest)]
