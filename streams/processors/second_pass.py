"""`speech.transcripts` -> `speech.transcripts`: doubtful first transcripts, heard again by the accurate model. Pure.

Whatever becomes of the second hearing, a final transcript follows: at worst the first one again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from schemas.errors import InvalidEvent
from streams import speech
from streams.speech import Options
from streams.steps import Emitted, Event, NoState, PreparationFailed
from streams.workers.transcripts import AsrPass

ACCURATE: Final[AsrPass] = "ACCURATE"


@dataclass(frozen=True, slots=True)
class SecondPass:
    """The processor's three functions over its options."""

    options: Options

    def request(self, event: Event) -> Mapping[str, Any] | None:
        """Ask for a second hearing of a transcript that is not final; of nothing else."""
        return speech.task(event, ACCURATE, self.options) if _is_wanted(event) else None

    def announce(self, event: Event, _: Mapping[str, Any]) -> Sequence[Emitted]:
        """Say that the dialogue is being heard again."""
        return speech.started(event, ACCURATE, self.options)

    def step(self, state: NoState, event: Event) -> tuple[NoState, Sequence[Emitted]]:
        """The accurate transcript, which supersedes the fast one.

        Raises:
            InvalidEvent: all attempts have failed: the fast one is appended as final, redriving tries again.
        """
        if not _is_wanted(event):
            return state, ()
        heard = speech.heard(event.prepared)
        if isinstance(heard, PreparationFailed):
            raise InvalidEvent(f"The second pass has failed: {heard.error}", outputs=[_as_it_was(event, heard)])
        reason = event.record["second_pass_reason"]
        outcome = {"asr_pass": ACCURATE, "final": True, "second_pass_reason": reason}
        return state, [speech.produced(event, heard, outcome, self.options.ring)]


def _is_wanted(event: Event) -> bool:
    return event.name == speech.PRODUCED and not event.record["final"]


def _as_it_was(event: Event, failure: PreparationFailed) -> Emitted:
    """The first transcript once more, now final; its words stay in the envelope they came in."""
    why = f"{event.record['second_pass_reason']}; failed after {failure.attempts} attempts: {failure.error}"
    return speech.emitted(speech.PRODUCED, {**event.record, "final": True, "second_pass_reason": why[:1000]})
