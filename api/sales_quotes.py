"""Where quotes stand in a text, and found words in a snippet of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

AROUND: Final = 60
"""Characters shown before and after found words."""
FRAGMENTS: Final = 3


def placed(quotes: Sequence[Mapping[str, Any]], text: str) -> list[dict[str, Any]]:
    """Quotes with their positions in this text; null where it does not have them, as after a correction.

    A quote keeps the position that the analyser gave while the text still has it there; else its first occurrence
    counts, whatever the case of its letters.
    """
    return [{**quote, **_found(quote["quote"], quote["position"], text)} for quote in quotes]


def _found(quote: str, position: int, text: str) -> dict[str, int | None]:
    if quote and text[position : position + len(quote)] == quote:
        return {"position": position, "length": len(quote)}
    at = text.lower().find(quote.lower()) if quote and len(text.lower()) == len(text) else text.find(quote)
    return {"position": at, "length": len(quote)} if quote and at >= 0 else {"position": None, "length": None}


def snippet(text: str, marked: str, hit: tuple[str, str]) -> list[dict[str, Any]]:
    """Fragments around the words that `marked`, the same text with `hit` around them, has found.

    Each item is `text` and whether it is a `hit`; three dots stand for what is left out.
    """
    spans = _spans(marked, hit)
    if not spans:
        return [{"text": _cut(text, 0, 2 * AROUND), "hit": False}] if text else []
    windows = _windows(spans, len(text))
    items: list[dict[str, Any]] = []
    for start, end, inside in windows:
        items.append({"text": "… " if start > 0 and not items else " … " if items else "", "hit": False})
        at = start
        for first, after in inside:
            items += [{"text": text[at:first], "hit": False}, {"text": text[first:after], "hit": True}]
            at = after
        items.append({"text": text[at:end], "hit": False})
    items.append({"text": " …" if windows[-1][1] < len(text) else "", "hit": False})
    return [item for item in items if item["text"]]


def _spans(marked: str, hit: tuple[str, str]) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    at = start = 0
    for letter in marked:
        if letter == hit[0]:
            start = at
        elif letter == hit[1]:
            spans.append((start, at))
        else:
            at += 1
    return spans


def _windows(spans: Sequence[tuple[int, int]], length: int) -> list[tuple[int, int, list[tuple[int, int]]]]:
    windows: list[tuple[int, int, list[tuple[int, int]]]] = []
    for first, after in spans:
        start, end = max(0, first - AROUND), min(length, after + AROUND)
        if windows and start <= windows[-1][1]:
            windows[-1] = (windows[-1][0], end, [*windows[-1][2], (first, after)])
        elif len(windows) < FRAGMENTS:
            windows.append((start, end, [(first, after)]))
        else:
            break
    return windows


def _cut(text: str, start: int, end: int) -> str:
    return text[start:end] + ("…" if end < len(text) else "")
