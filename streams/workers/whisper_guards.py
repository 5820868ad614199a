"""What Whisper wrote but nobody said: loops, credits of subtitles, text over silence. Pure.

Whisper learnt from subtitled films: over silence, music and noise it writes what stood at their ends, and a decoder
that loses its thread repeats itself. What is taken away is counted, so that a second pass can be asked for.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

Segment = Mapping[str, Any]
"""`start`, `end` (s), `text`, `avg_logprob`, `no_speech_prob`, `words` (each `start`, `end`, `word`, `probability`)."""


@dataclass(frozen=True, slots=True)
class Guards:
    """When text is taken for invented.

    - `silence_s`: text beside a silence of this length that looks anomalous is left out (faster-whisper's guard).
    - `no_speech` with `doubtful_logprob`: the window is probably not speech and the text is unsure: left out.
    - `compression`: zlib's ratio of a text above which it is a loop (Whisper's own threshold, 2.4).
    - `ending_logprob`, `ending_no_speech`: a phrase that ends videos counts as said only when it is surer than this.
    - `courtesy_no_speech`: thanks and goodbyes, which are said at counters, count up to this.
    """

    silence_s: float = 2.0
    no_speech: float = 0.8
    doubtful_logprob: float = -0.7
    compression: float = 2.4
    ending_logprob: float = -0.5
    ending_no_speech: float = 0.3
    courtesy_no_speech: float = 0.6


REPEATS: Final = {1: 6, 2: 4, 3: 3}
"""By number of words (longer ones as 3): repeats in a row that make a phrase a loop; people do say no three times."""
LONGEST_LOOP: Final = 12

# Nobody says these at a counter: names of subtitlers and of their sites.
CREDITS: Final = re.compile(
    r"dimatorzok|amara\s?org|субтитры (?:сделал|создавал|делал|подогнал|предоставил|добавил|и перевод)"
    r"|редактор субтитров|корректор [а-я]|subtitles by|subtitled by|captions? by|transcri(?:bed|ption) by"
    r"|castingwords|opensubtitles|www \w+ (?:com|org|ru|net)"
)
# These can be said at a counter too; where the model is unsure they are the ends of videos.
ENDINGS: Final = re.compile(
    r"(?:большое )?спасибо за (?:просмотр|внимание|подписку)|продолжение следует"
    r"|(?:ставьте|не забудьте поставить) лайк\w*.*|подписывайтесь(?: на (?:мой |наш )?канал)?|до новых встреч"
    r"|аплодисменты|(?:играет )?музыка|смех|тишина|конец(?: фильма)?"
    r"|thanks? (?:you )?(?:so much |very much )?for (?:watching|listening|your attention).*"
    r"|(?:please )?(?:like and )?subscribe.*|see you (?:in the )?next (?:time|video).*"
    r"|the end|music(?: playing)?|applause|silence"
)
# And these are said there all day: only what hardly sounds like speech is taken for a ghost.
COURTESIES: Final = re.compile(
    r"(?:большое )?спасибо(?: большое)?|до свидания|всем пока|пока(?: пока)?"
    r"|thank you(?: so much| very much)?|bye(?: bye)?|you"
)
_NOT_WORD: Final = re.compile(r"[^\w]+")


@dataclass(frozen=True, slots=True)
class Heard:
    """What remains, and how much was taken away for which reason."""

    segments: tuple[Segment, ...]
    repetitions: int = 0
    phantoms: int = 0
    silences: int = 0


def guard(segments: Sequence[Segment], guards: Guards) -> Heard:
    """Segments without what nobody said. A loop keeps its first round, with that round's words and times."""
    kept: list[Segment] = []
    repetitions = phantoms = silences = 0
    for segment in segments:
        if is_over_silence(segment, guards):
            silences += 1
        elif is_phantom(segment, guards):
            phantoms += 1
        else:
            cut, loops = without_loops(segment, guards)
            repetitions += loops
            kept.append(cut)
    kept, loops = _without_equals(kept)
    return Heard(tuple(kept), repetitions + loops, phantoms, silences)


def plain(text: str) -> str:
    """Lower case words, one blank between them."""
    return _NOT_WORD.sub(" ", text.lower()).strip()


def is_over_silence(segment: Segment, guards: Guards) -> bool:
    """Whether its window is probably no speech and its text is unsure."""
    no_speech, logprob = segment["no_speech_prob"] or 0.0, segment["avg_logprob"] or 0.0
    return no_speech > guards.no_speech and logprob < guards.doubtful_logprob


def is_phantom(segment: Segment, guards: Guards) -> bool:
    """Whether it is a subtitler's credit, or nothing but a phrase that is not surely there."""
    text = plain(segment["text"])
    if CREDITS.search(text):
        return True
    logprob, no_speech = segment["avg_logprob"] or 0.0, segment["no_speech_prob"] or 0.0
    if no_speech > guards.courtesy_no_speech and COURTESIES.fullmatch(text):
        return True
    unsure = logprob < guards.ending_logprob or no_speech > guards.ending_no_speech
    return unsure and ENDINGS.fullmatch(text) is not None


def compression_ratio(text: str) -> float:
    """How many times smaller zlib makes the text (UTF-8); Whisper's own measure of a loop."""
    data = text.encode()
    return len(data) / len(zlib.compress(data)) if data else 0.0


def without_loops(segment: Segment, guards: Guards) -> tuple[Segment, int]:
    """A segment whose repeated phrases are there once, and how many rounds were taken out."""
    words = segment["words"]
    stay, taken = _first_rounds([plain(one["word"]) for one in words], REPEATS)
    if taken == 0 and compression_ratio(segment["text"]) > guards.compression:
        stay, taken = _first_rounds([plain(one["word"]) for one in words], {1: 3, 2: 2, 3: 2})
    if not taken:
        return segment, 0
    left = [words[index] for index in stay]
    text = "".join(one["word"] for one in left).strip()
    return {**segment, "text": text, "end": left[-1]["end"], "words": left}, taken


def _first_rounds(words: Sequence[str], repeats: Mapping[int, int]) -> tuple[list[int], int]:
    """Indexes of the words that stay when phrases repeated too often keep one round; rounds taken out."""
    stay: list[int] = []
    at = taken = 0
    while at < len(words):
        size, rounds = _loop(words, at, repeats)
        if not rounds:
            stay.append(at)
            at += 1
            continue
        stay += range(at, at + size)
        taken += rounds - 1
        at += size * rounds
    return stay, taken


def _loop(words: Sequence[str], at: int, repeats: Mapping[int, int]) -> tuple[int, int]:
    """The shortest phrase that repeats from here on often enough, and how often; (0, 0) when none does."""
    for size in range(1, min(LONGEST_LOOP, (len(words) - at) // 2) + 1):
        phrase, rounds = words[at : at + size], 1
        while words[at + rounds * size : at + (rounds + 1) * size] == phrase:
            rounds += 1
        if rounds >= repeats[min(size, 3)]:
            return size, rounds
    return 0, 0


def _without_equals(segments: Sequence[Segment]) -> tuple[list[Segment], int]:
    """Segments without rows of equal ones: from three on (of one word: six) only the first is kept."""
    kept: list[Segment] = []
    taken = at = 0
    while at < len(segments):
        text, end = plain(segments[at]["text"]), at + 1
        while end < len(segments) and plain(segments[end]["text"]) == text:
            end += 1
        loop = end - at >= REPEATS[min(len(text.split()) or 1, 3)]
        kept += segments[at : at + 1] if loop else segments[at:end]
        taken += end - at - 1 if loop else 0
        at = end
    return kept, taken
