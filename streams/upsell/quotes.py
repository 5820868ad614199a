"""Finds quotes in a transcript and ties them to its segments and times. What is not there is no evidence. Pure."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

SHORTEST_LETTERS: Final = 4
"""A shorter "quote" is found in any text by accident."""


@dataclass(frozen=True, slots=True)
class Found:
    """A quote as it stands in the text: character position and length."""

    position: int
    length: int


def locate(quote: str, text: str) -> Found | None:
    """Where a quote stands; case, punctuation, blanks and ё/е may differ, words may not. It never begins inside a word.

    None when it is not there.
    """
    wanted = "".join(letter for letter, _ in _letters(quote)).strip()
    if sum(letter.isalnum() for letter in wanted) < SHORTEST_LETTERS:
        return None
    kept = list(_letters(text))
    plain = "".join(letter for letter, _ in kept)
    start = plain.find(wanted)
    while start >= 0:
        end = start + len(wanted)
        if (start == 0 or plain[start - 1] == " ") and (end == len(plain) or plain[end] == " "):
            first, last = kept[start][1], kept[end - 1][1]
            return Found(first, last - first + 1)
        start = plain.find(wanted, start + 1)
    return None


def _letters(text: str) -> Iterator[tuple[str, int]]:
    """Letters and digits in lower case with their places, any run of others as one blank."""
    blank = True
    for place, character in enumerate(text):
        if character.isalnum():
            # Some letters are two in lower case; each stands where the one did.
            for letter in character.lower().replace("ё", "е"):
                yield letter, place
            blank = False
        elif not blank and character not in "'’":
            yield " ", place
            blank = True


def tie(
    quotes: Sequence[str], segments: Sequence[Mapping[str, Any]], pieces: Sequence[Mapping[str, Any]]
) -> tuple[list[dict[str, Any]], int]:
    """The quotes that the transcript has, as `AnalysisWords.quotes`, and how many it does not have.

    `segments` are `TranscriptWords.segments`, the text being theirs, stripped, joined by one blank; `pieces` say which
    stretch of which chunk each part of the assembled audio is.
    """
    texts = [str(segment["text"]).strip() for segment in segments]
    text = " ".join(texts)
    tied: list[dict[str, Any]] = []
    seen: set[tuple[int, int]] = set()
    dropped = 0
    for quote in quotes:
        found = locate(quote, text)
        if found is None:
            dropped += 1
        elif (found.position, found.length) not in seen:
            seen.add((found.position, found.length))
            tied.append(_tied(found, text, segments, texts, pieces))
    return tied, dropped


def _tied(
    found: Found,
    text: str,
    segments: Sequence[Mapping[str, Any]],
    texts: Sequence[str],
    pieces: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    starts = _starts(texts)
    first = bisect.bisect_right(starts, found.position) - 1
    last = bisect.bisect_right(starts, found.position + found.length - 1) - 1
    start_s = _time(segments[first], found.position - starts[first], "start")
    end_s = _time(segments[last], found.position + found.length - 1 - starts[last], "end")
    return {
        "quote": text[found.position : found.position + found.length],
        "position": found.position,
        "length": found.length,
        "segment_id": segments[first]["id"],
        "start_s": start_s,
        "end_s": end_s,
        "start_us": absolute_us(start_s, pieces),
    }


def _starts(texts: Sequence[str]) -> list[int]:
    starts, position = [], 0
    for text in texts:
        starts.append(position)
        position += len(text) + 1
    return starts


def _time(segment: Mapping[str, Any], place: int, edge: str) -> float:
    """The time of a character of a segment: its word's, where the words are known, else the segment's."""
    position = -(len(str(segment["text"])) - len(str(segment["text"]).lstrip()))
    for word in segment.get("words") or ():
        position += len(word["word"])
        if place < position:
            return float(word[edge])
    return float(segment[edge])


def absolute_us(second: float, pieces: Sequence[Mapping[str, Any]]) -> int | None:
    """When a moment of the assembled audio was, in UTC epoch microseconds; None beyond its end."""
    passed_ms, asked_ms = 0, second * 1000
    for piece in pieces:
        length_ms = piece["end_ms"] - piece["start_ms"]
        if asked_ms < passed_ms + length_ms:
            inside_ms = piece["start_ms"] + asked_ms - passed_ms
            return int(piece["chunk_start_us"] + inside_ms * 1000)
        passed_ms += length_ms
    return None
