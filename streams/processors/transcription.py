"""`speech.dialogues` -> `speech.transcripts`: the first, fast transcript of every closed dialogue. Pure.

The hearing is the capability `asr`. A revision that has been superseded since may still be heard once: nobody knows the
log's future, and its transcript carries its revision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from schemas.errors import InvalidEvent
from streams import doubts, speech
from streams.speech import Options
from streams.steps import Emitted, Event, NoState, PreparationFailed
from streams.workers.transcripts import AsrPass, Transcript

REVISED: Final = "DialogueRevised"
FAST: Final[AsrPass] = "FAST"


@dataclass(frozen=True, slots=True)
class Transcription:
    """The processor's three functions over its options."""

    options: Options

    def request(self, event: Event) -> Mapping[str, Any] | None:
        """Ask for the transcript of a closed dialogue; of nothing else."""
        return speech.task(event, FAST, self.options) if _is_closed(event) else None

    def announce(self, event: Event, _: Mapping[str, Any]) -> Sequence[Emitted]:
        """Say that the dialogue is being heard."""
        return speech.started(event, FAST, self.options)

    def step(self, state: NoState, event: Event) -> tuple[NoState, Sequence[Emitted]]:
        """The transcript, final unless a better model is there and worth asking.

        Raises:
            InvalidEvent: all attempts have failed (`TranscriptionFailed` is appended; redriving tries again), or the
                event does not belong on `speech.dialogues`.
        """
        if event.name != REVISED:
            raise InvalidEvent(f"{event.name} is not an event of speech.dialogues.")
        if not _is_closed(event):
            return state, ()
        heard = speech.heard(event.prepared)
        if isinstance(heard, PreparationFailed):
            outputs = [speech.failed(event, FAST, heard, self.options)]
            raise InvalidEvent(f"The dialogue cannot be transcribed: {heard.error}", outputs=outputs)
        reason = self._second_pass_reason(heard)
        outcome = {"asr_pass": FAST, "final": reason is None, "second_pass_reason": reason}
        return state, [speech.produced(event, heard, outcome, self.options.ring)]

    def _second_pass_reason(self, heard: Transcript) -> str | None:
        if not heard.accurate_available:
            return None
        impression = doubts.Impression(
            heard.text, heard.audio_s, heard.avg_logprob, heard.no_speech_prob, heard.repetitions
        )
        return doubts.reason(impression, self.options.doubts)


def _is_closed(event: Event) -> bool:
    return event.name == REVISED and event.record["status"] == "CLOSED"
