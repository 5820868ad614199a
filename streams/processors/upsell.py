"""`speech.transcripts` -> `speech.analyses`: the verdict on every final transcript, and on those asked for again. Pure.

What costs time or money is the capability `analysis`; here is what it is asked, and what becomes of its answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from schemas.envelope import KeyRing, seal, unseal
from schemas.errors import Forgotten, TransientFailure
from schemas.identity import analysis_id, analysis_task
from streams.steps import Emitted, Event, NoState, PreparationFailed, Prepared
from streams.upsell.prefilter import Prefilter
from streams.upsell.quotes import tie

TRANSCRIPT: Final = "TranscriptProduced"
REQUESTED: Final = "AnalysisRequested"
FORGOTTEN_REASON: Final = "transcript_forgotten"


@dataclass(frozen=True, slots=True)
class Options:
    """The ring that opens transcripts and seals quotes, what is not worth an analysis, who analyses what is."""

    keyring: KeyRing | None = None
    default_model: str = "rules-v1"
    prefilter: Prefilter = field(default_factory=Prefilter)


@dataclass(frozen=True, slots=True)
class Upsell:
    """The processor's three functions over its options."""

    options: Options

    def request(self, event: Event) -> Mapping[str, Any] | None:
        """What the analyser needs to know; None for events that want no analyser."""
        words = self._words(event) if _wants_analysis(event) else None
        if words is None or self._skip_reason(event, words) is not None:
            return None
        record = event.record
        return {
            "task_id": _task_id(event),
            "text": words["text"],
            "segments": words["segments"],
            "language": record["language"],
            "duration_s": _duration_s(record),
            "point_id": record["point_id"],
            "register_id": record["register_id"],
            "model": record.get("model") if event.name == REQUESTED else None,
            "prompt_version": record.get("prompt_version"),
        }

    def announce(self, event: Event, request: Mapping[str, Any]) -> Sequence[Emitted]:
        """Say that the dialogue is being looked at."""
        fields = {"model": request["model"] or self.options.default_model, "started_us": event.log_time_ms * 1000}
        return [_emitted("AnalysisStarted", event, fields)]

    def step(self, state: NoState, event: Event) -> tuple[NoState, Sequence[Emitted]]:
        """One verdict, or why there is none."""
        if not _wants_analysis(event):
            return state, ()
        words = self._words(event)
        reason = FORGOTTEN_REASON if words is None else self._skip_reason(event, words)
        if words is None or reason is not None:
            return state, [_skipped(event, str(reason), event.log_time_ms * 1000)]
        return state, [self._outcome(event, words, event.prepared)]

    def _outcome(self, event: Event, words: Mapping[str, Any], prepared: Prepared) -> Emitted:
        if prepared is None or isinstance(prepared, PreparationFailed):
            error = prepared.error if prepared else "The analyser gave no answer."
            return _failed(event, {"error": error}, event.log_time_ms * 1000)
        if prepared["kind"] == "skipped":
            return _skipped(event, prepared["reason"], prepared["finished_us"])
        if prepared["kind"] == "failed":
            return _failed(event, prepared, prepared["finished_us"])
        return self._analysed(event, words, prepared)

    def _analysed(self, event: Event, words: Mapping[str, Any], answer: Mapping[str, Any]) -> Emitted:
        verdict = answer["verdict"]
        quotes, dropped = tie(verdict["evidence_quotes"], words["segments"], event.record["pieces"])
        subject = f"register/{event.record['register_id']}"
        sealed = seal(self._ring(), subject, "AnalysisWords", {"summary": verdict["summary"], "quotes": quotes})
        shown = ("attempted", "quality_score", "categories", "closing_question", "customer_reaction", "confidence")
        fields = {name: verdict[name] for name in shown}
        fields |= {name: answer[name] for name in ("analyser", "model", "prompt_version", "elapsed_s", "finished_us")}
        fields |= _cost(answer)
        fields |= {"analysis_id": analysis_id(_task_id(event)), "quotes_dropped": dropped, "words": sealed}
        return _emitted("DialogueAnalysed", event, fields)

    def _words(self, event: Event) -> Mapping[str, Any] | None:
        """The transcript; None when its key has been destroyed."""
        words = unseal(self._ring(), event.record["words"], "TranscriptWords")
        return None if isinstance(words, Forgotten) else words

    def _ring(self) -> KeyRing:
        if self.options.keyring is None:
            raise TransientFailure("There is no key ring to open transcripts with: give the process the site's.")
        return self.options.keyring

    def _skip_reason(self, event: Event, words: Mapping[str, Any]) -> str | None:
        return self.options.prefilter.reason(words["text"], _duration_s(event.record))


def _wants_analysis(event: Event) -> bool:
    return event.name == REQUESTED or (event.name == TRANSCRIPT and event.record["final"])


def _duration_s(record: Mapping[str, Any]) -> float:
    return (record["end_us"] - record["start_us"]) / 1e6


def _task_id(event: Event) -> str:
    """The same transcript is the same task, however often it stands in the log: it is paid for once."""
    record = event.record
    if event.name == REQUESTED:
        return f"analysis/{record['request_id']}"
    return analysis_task(record["dialogue_id"], record["revision"], record["asr_pass"])


def _emitted(name: str, event: Event, fields: Mapping[str, Any]) -> Emitted:
    record = event.record
    body = {
        "dialogue_id": record["dialogue_id"],
        "revision": record["revision"],
        "request_id": record.get("request_id"),
        **fields,
    }
    return Emitted(name, record["dialogue_id"].encode(), body)


def _skipped(event: Event, reason: str, finished_us: int) -> Emitted:
    return _emitted("AnalysisSkipped", event, {"reason": reason, "finished_us": finished_us})


def _failed(event: Event, answer: Mapping[str, Any], finished_us: int) -> Emitted:
    fields = {"error": answer["error"], "model": answer.get("model", ""), "finished_us": finished_us, **_cost(answer)}
    return _emitted("AnalysisFailed", event, fields)


def _cost(answer: Mapping[str, Any]) -> dict[str, int]:
    return {name: answer.get(name, 0) for name in ("prompt_tokens", "completion_tokens", "cost_micros")}
