"""Where speech begins and ends: WebRTC's voice activity detection over short frames, and a rule over its verdicts.

Pure: samples in, times out. Every threshold is reasoned in docs/sales-audio-tuning.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Self

import webrtcvad

RATE: Final = 16_000


@dataclass(frozen=True, slots=True)
class Rule:
    """Verdicts to segments, all in milliseconds.

    - `aggressiveness` 0..3 and `frame_ms` 10, 20 or 30 are WebRTC's own.
    - Speech begins with the first of `start_ms` of speech in a row. With a `window_ms` it begins where `open_share`
      of such a window is speech instead, which forgives single frames.
    - It ends with the first of `end_ms` without speech in a row, or with the recording.
    - `padding_ms` is added on both sides afterwards, and what touches becomes one; shorter speech than `minimum_ms`
      (before padding) is left out.
    """

    aggressiveness: int = 2
    frame_ms: int = 30
    start_ms: int = 100
    end_ms: int = 300
    window_ms: int = 0
    open_share: float = 0.8
    padding_ms: int = 0
    minimum_ms: int = 0

    def __post_init__(self) -> None:
        if self.aggressiveness not in range(4) or self.frame_ms not in (10, 20, 30):
            raise ValueError("Voice activity detection knows aggressiveness 0..3 and frames of 10, 20 or 30 ms.")

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """Take those options that are thresholds of the rule; the others are somebody else's."""
        return cls(**{one.name: options[one.name] for one in fields(cls) if one.name in options})

    @property
    def start_frames(self) -> int:
        """Frames in a row that begin speech, at least one."""
        return max(1, self.start_ms // self.frame_ms)

    @property
    def end_frames(self) -> int:
        """Frames in a row that end speech, at least one."""
        return max(1, self.end_ms // self.frame_ms)


def verdicts(blocks: Iterable[bytes], rule: Rule) -> Iterator[bool]:
    """Say of every frame whether it is speech; an incomplete last frame is dropped. Blocks: 16 kHz, mono, 16 bit."""
    is_speech, size = webrtcvad.Vad(rule.aggressiveness).is_speech, RATE * 2 * rule.frame_ms // 1000
    rest = b""
    for block in blocks:
        rest += block
        whole = len(rest) - len(rest) % size
        for at in range(0, whole, size):
            yield is_speech(rest[at : at + size], RATE)
        rest = rest[whole:]


def segments(flags: Iterable[bool], rule: Rule) -> list[tuple[int, int]]:
    """Times of speech (start, end in ms from the first frame), in order, not touching each other."""
    heard = list(flags)
    found = [(start, end) for start, end in _stretches(heard, rule) if end - start >= rule.minimum_ms]
    return _padded(found, rule.padding_ms, len(heard) * rule.frame_ms)


def _stretches(flags: list[bool], rule: Rule) -> Iterator[tuple[int, int]]:
    opens = _opens_in_window(rule) if rule.window_ms else _opens_in_a_row(rule)
    frame, start, silent = rule.frame_ms, -1, 0
    for count, flag in enumerate(flags, 1):
        if start < 0:
            back = opens(flag)
            start, silent = (count - back if back else -1), 0
            continue
        silent = 0 if flag else silent + 1
        if silent == rule.end_frames:
            yield start * frame, (count - silent) * frame
            start = -1
    if start >= 0:
        yield start * frame, len(flags) * frame


def _opens_in_a_row(rule: Rule) -> Callable[[bool], int]:
    """Give what takes verdicts and says how many frames ago speech began; 0: it has not."""
    run = 0

    def opens(flag: bool) -> int:
        nonlocal run
        run = run + 1 if flag else 0
        if run < rule.start_frames:
            return 0
        back, run = run, 0
        return back

    return opens


def _opens_in_window(rule: Rule) -> Callable[[bool], int]:
    """As `_opens_in_a_row`, for a share of a window."""
    size = max(1, rule.window_ms // rule.frame_ms)
    window: list[bool] = []

    def opens(flag: bool) -> int:
        window.append(flag)
        del window[:-size]
        if len(window) < size or sum(window) < rule.open_share * size:
            return 0
        back = size - window.index(True)
        window.clear()
        return back

    return opens


def _padded(found: list[tuple[int, int]], padding_ms: int, total_ms: int) -> list[tuple[int, int]]:
    padded: list[tuple[int, int]] = []
    for start, end in found:
        begin, stop = max(0, start - padding_ms), min(total_ms, end + padding_ms)
        if padded and begin <= padded[-1][1]:
            padded[-1] = (padded[-1][0], stop)
        else:
            padded.append((begin, stop))
    return padded
