"""What both passes of speech recognition share: what is asked for, what is said about it, and the seal. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from schemas.envelope import KeyRing, seal
from schemas.errors import TransientFailure
from streams.doubts import Doubts
from streams.speech_times import length_s
from streams.steps import Emitted, Event, PreparationFailed, Prepared
from streams.workers.transcripts import AsrPass, Piece, Segment, Task, Transcript, as_mapping

CAPABILITY: Final = "asr"
PRODUCED: Final = "TranscriptProduced"
SEGMENT_FIELDS: Final = ("id", "start", "end", "text", "avg_logprob", "no_speech_prob", "words")


@dataclass(frozen=True, slots=True)
class Options:
    """What a site chooses of speech recognition.

    - `ring`: seals what was said. Without one nothing is transcribed (it waits).
    - `doubts`: when a first transcript is worth a second pass.
    - `fast`, `accurate`: the models' names, as announced before a worker says which it has taken.
    - `worker`: who announces.
    - `first_s`, `per_audio_s`: wall clock that a transcription may take: so much, and so much for a second of speech.
    """

    ring: KeyRing | None = None
    doubts: Doubts = field(default_factory=Doubts)
    fast: str = "base"
    accurate: str = "small"
    worker: str = "asr"
    first_s: float = 120.0
    per_audio_s: float = 20.0

    def model(self, asr_pass: AsrPass) -> str:
        """The name of a pass's model."""
        return {"FAST": self.fast, "ACCURATE": self.accurate}[asr_pass]


def task(event: Event, asr_pass: AsrPass, options: Options) -> Mapping[str, Any]:
    """What the capability `asr` is asked for (`transcripts.Task`). Its `task_id` is the same on every replay."""
    record = event.record
    pieces = [msgspec.convert(dict(piece), Piece) for piece in record["pieces"]]
    made = Task(
        task_id=f"{record['dialogue_id']}/{record['revision']}/{asr_pass}",
        dialogue_id=record["dialogue_id"],
        revision=record["revision"],
        asr_pass=asr_pass,
        pieces=pieces,
        limit_s=options.first_s + options.per_audio_s * length_s(record["pieces"]),
    )
    return as_mapping(made)


def started(event: Event, asr_pass: AsrPass, options: Options) -> Sequence[Emitted]:
    """Say that a pass begins. Its time is the log's: that of the event that asked for it."""
    record = {
        "dialogue_id": event.record["dialogue_id"],
        "revision": event.record["revision"],
        "asr_pass": asr_pass,
        "worker": options.worker,
        "model": options.model(asr_pass),
        "attempt": 1,
        "started_us": event.log_time_ms * 1000,
    }
    return [emitted("TranscriptionStarted", record)]


def heard(prepared: Prepared) -> Transcript | PreparationFailed:
    """What the heavy part made of it: a transcript, or why there is none."""
    if prepared is None:
        return PreparationFailed("Nobody has heard it.", 0)
    if isinstance(prepared, PreparationFailed):
        return prepared
    try:
        return msgspec.convert(dict(prepared), Transcript)
    except msgspec.ValidationError as error:
        return PreparationFailed(f"The worker's answer is no transcript: {error}", 1)


def produced(event: Event, transcript: Transcript, outcome: Mapping[str, Any], ring: KeyRing | None) -> Emitted:
    """`TranscriptProduced` of a dialogue, its words sealed. `outcome`: asr_pass, final, second_pass_reason.

    Raises:
        TransientFailure: there is no key to seal with.
    """
    if ring is None:
        raise TransientFailure("There is no key ring to seal what was said with.")
    words = {"text": transcript.text, "segments": [_segment(one) for one in transcript.segments]}
    record = {name: event.record[name] for name in ("dialogue_id", "revision", "device_id", "point_id", "register_id")}
    record |= {name: event.record[name] for name in ("start_us", "end_us", "pieces")}
    shown = ("language", "model", "audio_s", "avg_logprob", "no_speech_prob", "elapsed_s", "worker", "finished_us")
    record |= {name: getattr(transcript, name) for name in shown}
    record |= outcome
    record["words"] = seal(ring, f"register/{record['register_id']}", "TranscriptWords", words)
    return emitted(PRODUCED, record)


def _segment(segment: Segment) -> dict[str, Any]:
    plain = as_mapping(segment)
    return {name: plain[name] for name in SEGMENT_FIELDS}


def failed(event: Event, asr_pass: AsrPass, failure: PreparationFailed, options: Options) -> Emitted:
    """`TranscriptionFailed` of a dialogue, at the time of the event that asked for it."""
    record = {
        "dialogue_id": event.record["dialogue_id"],
        "revision": event.record["revision"],
        "asr_pass": asr_pass,
        "model": options.model(asr_pass),
        "error": failure.error[:1000],
        "attempts": failure.attempts,
        "worker": options.worker,
        "failed_us": event.log_time_ms * 1000,
    }
    return emitted("TranscriptionFailed", record)


def emitted(name: str, record: Mapping[str, Any]) -> Emitted:
    """An event of `speech.transcripts`, keyed by its dialogue."""
    return Emitted(name, record["dialogue_id"].encode(), record)
