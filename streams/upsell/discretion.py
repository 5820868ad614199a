"""What others say of a dialogue, fit for logs and open fields of events: not in the dialogue's words. Pure."""

from __future__ import annotations

import re
from typing import Final

IN_A_ROW: Final = 3
"""So many words of the transcript one after the other are a repetition, and no accident."""
LONGEST: Final = 300
_ESCAPED: Final = re.compile(r"\\u([0-9a-fA-F]{4})")


def without_echo(said: str, transcript: str) -> str:
    """A server's or a reader's words, cut to `LONGEST`; a sentence in their place where they repeat the transcript.

    Servers that refuse a request like to show what they refuse.
    """
    wanted = _words(transcript)
    run = min(IN_A_ROW, len(wanted))
    if run and _runs(wanted, run) & _runs(_words(_unescaped(said)), run):
        return "its words repeat the dialogue and are left out"
    return said[:LONGEST]


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower().replace("ё", "е"))


def _runs(words: list[str], length: int) -> set[tuple[str, ...]]:
    return {tuple(words[at : at + length]) for at in range(len(words) - length + 1)}
