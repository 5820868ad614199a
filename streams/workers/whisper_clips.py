"""Where speech is in a stretch of audio and how it is cut into clips at pauses. Pure but for the detector's model.

Whisper looks at 30 s at once and invents tails when a window is nearly full: clips end at a pause before that. Speech
without the pauses it was said with loses it whole sentences: where pieces meet, some silence is put back.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np

from streams.workers.transcripts import Piece
from streams.workers.whisper_audio import PER_MS, RATE, Samples

Span = tuple[int, int]
"""First sample and the one after the last."""
Joints = Mapping[int, int]
"""Samples of silence to put back before a sample of the assembled audio."""


@dataclass(frozen=True, slots=True)
class Cutting:
    """How speech is found and cut. Silences of 500 ms and more are left out but for 200 ms at each side.

    `clip_s` 28: invented tails were seen in 29-32 s clips far more often than in shorter ones. `pause_ms`: so much
    is heard of a pause between pieces, as much as the detector leaves of a silence.
    """

    min_silence_ms: int = 500
    pause_ms: int = 400
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


def joints(pieces: Sequence[Piece], cutting: Cutting) -> Joints:
    """Where in the assembled audio pieces meet that were said with a pause between them, and how much of it is heard.

    Speech that goes on over a chunk's end has none.
    """
    found: dict[int, int] = {}
    at = 0
    for before, after in pairwise(pieces):
        at += (before.end_ms - before.start_ms) * PER_MS
        away_ms = (after.chunk_start_us - before.chunk_start_us) // 1000 + after.start_ms - before.end_ms
        if away_ms > 0:
            found[at] = min(away_ms, cutting.pause_ms) * PER_MS
    return found


@dataclass(frozen=True, slots=True)
class Clip:
    """Spans of speech that are heard together, without what is between them; `pauses`: samples of silence after each.

    Pauses stand between spans only: the last one's is none.
    """

    spans: tuple[Span, ...]
    pauses: tuple[int, ...] = ()

    @property
    def length(self) -> int:
        """Samples."""
        return sum(end - start for start, end in self.spans) + sum(self.pauses)

    def of(self, samples: Samples) -> Samples:
        """The clip's sound."""
        sound = np.zeros(self.length, samples.dtype)
        for (start, end), at in zip(self.spans, self._begins(), strict=True):
            sound[at : at + end - start] = samples[start:end]
        return sound

    def begins_s(self, at_s: float) -> float:
        """A time in the clip at which something begins, as a time in the whole: at a cut, after it."""
        ends = [at + end - start for (start, end), at in zip(self.spans, self._begins(), strict=True)]
        return self._place(min(bisect_right(ends, round(at_s * RATE)), len(ends) - 1), at_s)

    def ends_s(self, at_s: float) -> float:
        """A time in the clip at which something ends, as a time in the whole: at a cut, before it."""
        return self._place(max(0, bisect_left(self._begins(), round(at_s * RATE)) - 1), at_s)

    def _begins(self) -> list[int]:
        sizes = (end - start for start, end in self.spans)
        pauses = self.pauses or (0,) * len(self.spans)
        return [0, *accumulate(size + pause for size, pause in zip(sizes, pauses, strict=True))][:-1]

    def _place(self, index: int, at_s: float) -> float:
        start, end = self.spans[index]
        return round(float(min(end, max(start, start + at_s * RATE - self._begins()[index]))) / RATE, 3)


def clips(spans: Sequence[Span], cutting: Cutting, joints: Joints | None = None) -> list[Clip]:
    """Spans in clips of at most `clip_s`, each as full as pauses allow; a longer span is cut where it has to be."""
    longest, silences = int(cutting.clip_s * RATE), joints or {}
    made: list[list[Span]] = []
    room = 0
    for span in (part for one in _at_joints(spans, silences) for part in _parts(one, longest)):
        size, pause = span[1] - span[0], silences.get(span[0], 0)
        if size + pause > room or not made:
            made.append([])
            room, pause = longest, 0
        made[-1].append(span)
        room -= size + pause
    return [_clip(one, silences) for one in made]


def _clip(spans: Sequence[Span], silences: Joints) -> Clip:
    pauses = tuple(silences.get(start, 0) for start, _ in spans[1:])
    return Clip(tuple(spans), (*pauses, 0) if any(pauses) else ())


def _at_joints(spans: Sequence[Span], silences: Joints) -> list[Span]:
    cut = sorted(silences)
    parts: list[Span] = []
    for start, end in spans:
        inside = cut[bisect_right(cut, start) : bisect_left(cut, end)]
        parts += pairwise([start, *inside, end])
    return parts


def _parts(span: Span, longest: int) -> list[Span]:
    start, end = span
    return [(at, min(at + longest, end)) for at in range(start, end, longest)]
