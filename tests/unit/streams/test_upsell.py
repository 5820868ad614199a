"""Given a transcript in the log, when the analyser answers, then this is what is said of the dialogue."""

from __future__ import annotations

from dataclasses import replace

import pytest

from schemas import serde
from schemas.envelope import KeyRing, seal, unseal
from schemas.examples import load
from streams.processors.upsell import Options, Upsell
from streams.steps import Event, NoState, PreparationFailed
from tests.drivers.language_model import VERDICT

RING = KeyRing({"k1": bytes(32)}, "k1")
OTHER_RING = KeyRing({"k2": bytes(32)}, "k2")
TEXTS = ("Один капучино, пожалуйста.", "Не желаете десерт?", "Да, давайте.")
ANSWER = {
    "kind": "analysed",
    "verdict": VERDICT,
    "analyser": "openai",
    "model": "gpt-4o-mini",
    "prompt_version": "v1",
    "elapsed_s": 0.5,
    "finished_us": 7,
    "prompt_tokens": 10,
    "completion_tokens": 5,
    "cost_micros": 3,
}


def transcript(name: str = "TranscriptProduced", texts=TEXTS, **changes) -> Event:
    segments = [
        {
            "id": n, "start": 4.0 * n, "end": 4.0 * n + 3, "text": text,
            "avg_logprob": -0.2, "no_speech_prob": 0.01, "words": [],
        }
        for n, text in enumerate(texts)
    ]  # fmt: skip
    record = load(name) | {
        "words": seal(RING, "register/r", "TranscriptWords", {"text": " ".join(texts), "segments": segments}),
        "start_us": 0,
        "end_us": 20_000_000,
        **changes,
    }
    return Event(name, record, log_time_ms=1000)


@pytest.fixture
def upsell() -> Upsell:
    return Upsell(Options(RING))


def said(upsell: Upsell, event: Event):
    _, (emitted,) = upsell.step(NoState(), event)
    assert emitted.key == event.record["dialogue_id"].encode()
    return emitted.name, serde.decode(serde.encode(emitted.name, emitted.record))[1]


def test_the_analyser_is_asked_with_the_opened_transcript(upsell):
    request = upsell.request(transcript())
    assert request is not None
    assert request["text"] == " ".join(TEXTS)
    assert request["duration_s"] == 20.0
    assert request["model"] is None


def test_a_pass_that_is_not_the_last_is_left_alone(upsell):
    event = transcript(final=False)
    assert upsell.request(event) is None
    assert upsell.step(NoState(), event) == (NoState(), ())


@pytest.mark.parametrize("name", ["TranscriptionStarted", "TranscriptionFailed"])
def test_other_events_of_the_topic_are_left_alone(upsell, name):
    event = Event(name, load(name), 0)
    assert upsell.request(event) is None
    assert upsell.step(NoState(), event) == (NoState(), ())


def test_a_verdict_becomes_an_event_with_its_quotes_sealed_and_tied(upsell):
    name, record = said(upsell, replace(transcript(), prepared=ANSWER))
    assert name == "DialogueAnalysed"
    assert (record["attempted"], record["quality_score"], record["categories"]) == ("yes", 2, ["dessert"])
    assert (record["cost_micros"], record["quotes_dropped"], record["request_id"]) == (3, 0, None)
    words = unseal(RING, record["words"], "AnalysisWords")
    assert words["summary"] == VERDICT["summary"]
    assert [(quote["quote"], quote["segment_id"], quote["start_s"]) for quote in words["quotes"]] == [
        ("Не желаете десерт", 1, 4.0)
    ]
    assert "десерт" not in repr(record | {"words": None})


def test_an_invented_quote_is_dropped_and_counted(upsell):
    verdict = VERDICT | {"evidence_quotes": ["Возьмите наш торт!", "Не желаете десерт?"]}
    _, record = said(upsell, replace(transcript(), prepared=ANSWER | {"verdict": verdict}))
    assert record["quotes_dropped"] == 1
    assert len(unseal(RING, record["words"], "AnalysisWords")["quotes"]) == 1


def test_the_same_transcript_is_the_same_task_and_verdict_wherever_it_stands_in_the_log(upsell):
    first, again = transcript(), replace(transcript(), log_time_ms=9000, partition=3)
    assert upsell.request(first)["task_id"] == upsell.request(again)["task_id"]
    ids = {said(upsell, replace(event, prepared=ANSWER))[1]["analysis_id"] for event in (first, again)}
    assert len(ids) == 1
    heard_again = transcript(asr_pass="ACCURATE")
    assert first.record["asr_pass"] == "FAST"
    assert upsell.request(heard_again)["task_id"] != upsell.request(first)["task_id"]
    assert said(upsell, replace(heard_again, prepared=ANSWER))[1]["analysis_id"] not in ids
    revised = transcript(revision=2)
    assert upsell.request(revised)["task_id"] != upsell.request(first)["task_id"]


def test_a_request_for_another_model_is_a_task_of_its_own(upsell):
    event = transcript("AnalysisRequested", model="gpt-4o", request_id="q1")
    request = upsell.request(event)
    assert (request["model"], request["task_id"]) == ("gpt-4o", "analysis/q1")
    name, record = said(upsell, replace(event, prepared=ANSWER))
    assert (name, record["request_id"]) == ("DialogueAnalysed", "q1")


def test_what_the_prefilter_keeps_out_is_skipped_without_asking(upsell):
    event = transcript(texts=("Да.",))
    assert upsell.request(event) is None
    assert said(upsell, event) == (
        "AnalysisSkipped",
        {
            "dialogue_id": event.record["dialogue_id"],
            "revision": 1,
            "request_id": None,
            "reason": "transcript_too_short (3 chars)",
            "finished_us": 1_000_000,
        },
    )


def test_a_forgotten_transcript_is_skipped():
    event = transcript()
    upsell = Upsell(Options(OTHER_RING))
    assert upsell.request(event) is None
    assert said(upsell, event)[1]["reason"] == "transcript_forgotten"


def test_a_skip_of_the_analyser_is_passed_on(upsell):
    prepared = {"kind": "skipped", "reason": "daily_budget_reached (5.00 of 5.00 USD spent)", "finished_us": 9}
    name, record = said(upsell, replace(transcript(), prepared=prepared))
    assert (name, record["reason"], record["finished_us"]) == ("AnalysisSkipped", prepared["reason"], 9)


@pytest.mark.parametrize(
    ("prepared", "error"),
    [
        (PreparationFailed("It crashed.", 3), "It crashed."),
        ({"kind": "failed", "error": "Nonsense.", "model": "m", "finished_us": 5, "cost_micros": 8}, "Nonsense."),
    ],
)
def test_a_failure_is_said_with_its_cost(upsell, prepared, error):
    name, record = said(upsell, replace(transcript(), prepared=prepared))
    assert (name, record["error"]) == ("AnalysisFailed", error)
    assert record["cost_micros"] == (8 if isinstance(prepared, dict) else 0)


def test_it_is_announced_with_the_model_that_will_be_asked(upsell):
    event = transcript()
    (emitted,) = upsell.announce(event, upsell.request(event))
    assert (emitted.name, emitted.record["model"]) == ("AnalysisStarted", "rules-v1")
    serde.encode(emitted.name, emitted.record)
