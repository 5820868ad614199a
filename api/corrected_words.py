"""A person's text laid over the segments that were heard, so that its words keep their times. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any, Final

Words = dict[str, Any]
"""As `TranscriptWords`: text, segments with their words."""
_BY_HAND: Final = 1.0
"""The probability of a word that a person wrote."""


def regrouped(segments: Sequence[Mapping[str, Any]], words: Sequence[Mapping[str, Any]]) -> Words:
    """Segments and their words, which are stored apart, as a transcript."""
    made: list[dict[str, Any]] = []
    for segment in segments:
        own = [
            {name: value for name, value in word.items() if name != "segment"}
            for word in words
            if word["segment"] == segment["id"]
        ]
        made.append({**segment, "words": own})
    return _joined(made)


def aligned(heard: Words, text: str) -> Words:
    """The transcript with `text` in its place: each word in the segment, and at the time, of what it stands for."""
    old = _timed(heard["segments"])
    new = text.split()
    if not old:
        span = {"start": 0.0, "end": 0.0}
        segment = {"id": 0, **span, "text": " ".join(new), "avg_logprob": None, "no_speech_prob": None, "words": []}
        return _joined([segment] if new else [])
    placed: list[tuple[int, dict[str, Any]]] = []
    # In long texts words that come all the time align nothing by themselves: without that a text of few words takes
    # minutes, and in this process devices are answered.
    matcher = SequenceMatcher(None, [_plain(word["word"]) for _, word in old], list(map(_plain, new)), autojunk=True)
    for tag, a1, a2, b1, b2 in matcher.get_opcodes():
        if tag == "equal":
            placed += [
                (old[a][0], old[a][1] | {"word": new[b]}) for a, b in zip(range(a1, a2), range(b1, b2), strict=True)
            ]
        else:
            placed += _spread(old, (a1, a2), new[b1:b2])
    return _joined([_refilled(segment, placed, n) for n, segment in enumerate(heard["segments"])])


def _timed(segments: Sequence[Mapping[str, Any]]) -> list[tuple[int, dict[str, Any]]]:
    """Every word with its segment's position; where a segment has no word times, its words share its time evenly."""
    timed: list[tuple[int, dict[str, Any]]] = []
    for n, segment in enumerate(segments):
        words = segment["words"] or _even(segment["text"].split(), segment["start"], segment["end"])
        timed += [(n, dict(word)) for word in words]
    return timed


def _even(words: Sequence[str], start: float, end: float) -> list[dict[str, Any]]:
    step = (end - start) / len(words) if words else 0.0
    return [
        {"start": start + i * step, "end": start + (i + 1) * step, "word": word, "probability": _BY_HAND}
        for i, word in enumerate(words)
    ]


def _spread(
    old: Sequence[tuple[int, dict[str, Any]]], replaced: tuple[int, int], words: Sequence[str]
) -> list[tuple[int, dict[str, Any]]]:
    """Words that stand for others share their time; inserted ones are a moment after the word before."""
    first, end = replaced
    if first == end:
        segment, word = old[max(0, first - 1)]
        at = word["end"] if first else word["start"]
        return [(segment, one) for one in _even(words, at, at)]
    segments = [segment for segment, _ in old[first:end]]
    times = _even(words, old[first][1]["start"], old[end - 1][1]["end"])
    return [(segments[i * len(segments) // len(words)], one) for i, one in enumerate(times)]


def _refilled(segment: Mapping[str, Any], placed: Sequence[tuple[int, dict[str, Any]]], n: int) -> dict[str, Any]:
    words = [word for at, word in placed if at == n]
    return {**segment, "text": " ".join(word["word"] for word in words), "words": words}


def _joined(segments: Sequence[Mapping[str, Any]]) -> Words:
    kept = [{**segment, "text": segment["text"].strip()} for segment in segments if segment["text"].strip()]
    return {"text": " ".join(segment["text"] for segment in kept), "segments": kept}


def _plain(word: str) -> str:
    return "".join(letter for letter in word.strip().lower().replace("ё", "е") if letter.isalnum())
