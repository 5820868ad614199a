"""Why a first transcript is not good enough and a better model is asked. Pure, imports nothing of ours."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Doubts:
    """From where on a transcript is doubted; `longer_than_s`: a shorter dialogue is not worth a second pass."""

    longer_than_s: float = 15.0
    avg_logprob: float = -0.7
    characters_per_s: float = 0.5
    garbage: float = 0.3
    no_speech_prob: float = 0.7
    worth_a_doubt: int = 10


@dataclass(frozen=True, slots=True)
class Impression:
    """What a pass left: its text, the means over its segments, and how many repeated rounds were taken out."""

    text: str
    audio_s: float
    avg_logprob: float | None
    no_speech_prob: float | None
    repetitions: int = 0


def reason(heard: Impression, doubts: Doubts) -> str | None:
    """Why a second pass is wanted (texts with `confidence`, `short`, `garbage`, `no_speech`), or None."""
    if heard.audio_s < doubts.longer_than_s:
        return None
    found: list[str] = []
    if heard.avg_logprob is not None and heard.avg_logprob < doubts.avg_logprob:
        found.append(f"low confidence ({heard.avg_logprob:.2f} < {doubts.avg_logprob})")
    if len(heard.text) < heard.audio_s * doubts.characters_per_s:
        found.append(f"text too short ({len(heard.text)} characters in {heard.audio_s:.1f} s)")
    if (score := garbage(heard.text)) > doubts.garbage:
        found.append(f"garbage ({score:.2f} > {doubts.garbage})")
    if heard.repetitions:
        found.append(f"garbage (a loop repeated itself {heard.repetitions} times)")
    no_speech = heard.no_speech_prob or 0.0
    if no_speech > doubts.no_speech_prob and len(heard.text) > doubts.worth_a_doubt:
        found.append(f"no_speech probability ({no_speech:.2f} > {doubts.no_speech_prob})")
    return "; ".join(found) or None


_RUNS = re.compile(r"(.)\1{2,}", re.DOTALL)
_STOPS = re.compile(r"[.?!]{3,}")


def garbage(text: str) -> float:
    """How much a text looks like no language, 0..1: mean of four signs; 0 below 10 characters."""
    if len(text) < 10:
        return 0.0
    words = text.lower().split()
    repeated = 1 - len(set(words)) / len(words) if len(words) > 3 else 0.0
    signs = (
        min(1.0, 3 * len(_RUNS.findall(text)) / len(text)),
        repeated if repeated > 0.5 else 0.0,
        min(1.0, 0.2 * len(_STOPS.findall(text))),
        min(1.0, 0.3 * sum(len(word) > 30 for word in words)),
    )
    return sum(signs) / len(signs)
