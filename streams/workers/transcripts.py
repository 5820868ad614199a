"""What a transcription is asked for and what it answers, in a child, over HTTP and in a journal alike. Pure."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

AsrPass = Literal["FAST", "ACCURATE"]


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of a chunk with speech in it; `sha256` and `stored_path` are of the chunk's file."""

    chunk_id: str
    chunk_start_us: int
    sha256: str
    stored_path: str
    start_ms: int
    end_ms: int


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """A dialogue's revision to be heard by one pass. Two tasks with one `task_id` are the same work.

    `limit_s`: after so many seconds of wall clock a child with it counts as stuck.
    """

    task_id: str
    dialogue_id: str
    revision: int
    asr_pass: AsrPass
    pieces: list[Piece]
    limit_s: float


class Word(msgspec.Struct, frozen=True, kw_only=True):
    """A word with its blank and punctuation; times in seconds of the assembled audio."""

    start: float
    end: float
    word: str
    probability: float


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """A sentence or what Whisper takes for one; times in seconds of the assembled audio."""

    id: int
    start: float
    end: float
    text: str
    avg_logprob: float | None
    no_speech_prob: float | None
    words: list[Word]


class Transcript(msgspec.Struct, frozen=True, kw_only=True):
    """What was heard: `text` is the segments' texts joined by one blank, the probabilities are their means.

    - `accurate_available`: whether a second pass could follow where this one was done.
    - `repetitions`, `phantoms`, `silences`: what was taken away for being invented.
    - `finished_us`: UTC epoch microseconds.
    """

    text: str
    segments: list[Segment]
    language: str
    language_probability: float
    model: str
    audio_s: float
    avg_logprob: float | None
    no_speech_prob: float | None
    elapsed_s: float
    worker: str
    finished_us: int
    accurate_available: bool
    repetitions: int = 0
    phantoms: int = 0
    silences: int = 0


def as_mapping(value: msgspec.Struct) -> dict[str, Any]:
    """Plain dictionaries and lists, as msgpack and JSON have them."""
    return msgspec.to_builtins(value)
