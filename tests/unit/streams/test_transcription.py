"""Given a closed dialogue and what was heard, when the pass is taken, then this is said. Both passes."""

from __future__ import annotations

import pytest

from schemas import serde
from schemas.envelope import KeyRing, unseal
from schemas.errors import InvalidEvent, TransientFailure
from schemas.examples import load
from streams.processors.second_pass import SecondPass
from streams.processors.transcription import Transcription
from streams.speech import Options
from streams.steps import Event, NoState, PreparationFailed
from tests.drivers.speech import transcript

RING = KeyRing({"k1": bytes(32)}, "k1")
FAST, ACCURATE = Transcription(Options(RING)), SecondPass(Options(RING))
DOUBTFUL = {"avg_logprob": -1.2, "accurate_available": True}


def dialogue(prepared=None, **changes) -> Event:
    return Event("DialogueRevised", load("DialogueRevised") | {"status": "CLOSED"} | changes, 1000, prepared=prepared)


def first(prepared=None, **changes) -> Event:
    """A first transcript in the log, as the fast pass has said it."""
    (emitted,) = FAST.step(NoState(), dialogue(transcript(**DOUBTFUL)))[1]
    return Event("TranscriptProduced", dict(emitted.record) | changes, 2000, prepared=prepared)


def said(processor, event: Event) -> dict:
    _, (emitted,) = processor.step(NoState(), event)
    assert emitted.key == event.record["dialogue_id"].encode()
    assert emitted.name == "TranscriptProduced"
    return serde.decode(serde.encode(emitted.name, emitted.record))[1]


def refused(processor, event: Event) -> tuple[str, str, dict]:
    with pytest.raises(InvalidEvent) as refusal:
        processor.step(NoState(), event)
    (emitted,) = refusal.value.outputs
    return str(refusal.value), emitted.name, serde.decode(serde.encode(emitted.name, emitted.record))[1]


@pytest.mark.parametrize("status", ["OPEN", "WITHDRAWN"])
def test_only_closed_dialogues_are_heard(status):
    assert FAST.request(dialogue(status=status)) is None
    assert FAST.step(NoState(), dialogue(status=status)) == (NoState(), ())


def test_what_is_asked_for_is_the_same_on_every_replay():
    asked, again = FAST.request(dialogue()), FAST.request(dialogue())
    assert asked == again
    assert asked["task_id"] == f"{load('DialogueRevised')['dialogue_id']}/1/FAST"
    assert asked["pieces"] == load("DialogueRevised")["pieces"]
    assert asked["limit_s"] == pytest.approx(120 + 20 * 3.6)


def test_that_it_begins_is_announced():
    (emitted,) = FAST.announce(dialogue(), FAST.request(dialogue()))
    assert serde.decode(serde.encode(emitted.name, emitted.record))[1] == {
        "dialogue_id": load("DialogueRevised")["dialogue_id"],
        "revision": 1,
        "asr_pass": "FAST",
        "worker": "asr",
        "model": "base",
        "attempt": 1,
        "started_us": 1_000_000,
    }


def test_a_good_transcript_is_final_and_its_words_are_sealed():
    record = said(FAST, dialogue(transcript(accurate_available=True)))
    assert (record["asr_pass"], record["final"], record["second_pass_reason"]) == ("FAST", True, None)
    assert (record["model"], record["worker"], record["finished_us"]) == ("base", "w", 7)
    assert record["pieces"] == load("DialogueRevised")["pieces"]
    assert record["words"]["subject"] == f"register/{record['register_id']}"
    words = unseal(RING, record["words"], "TranscriptWords")
    assert words["text"] == "Один капучино."
    assert words["segments"][0]["words"][0]["probability"] == 0.9
    assert "капучино" not in str({**record, "words": None})


def test_silence_is_a_transcript_too():
    record = said(FAST, dialogue(transcript("", audio_s=3.0)))
    assert (record["avg_logprob"], record["final"]) == (None, True)
    assert unseal(RING, record["words"], "TranscriptWords") == {"text": "", "segments": []}


def test_a_doubtful_one_waits_for_the_second_pass():
    record = said(FAST, dialogue(transcript(**DOUBTFUL)))
    assert record["final"] is False
    assert "confidence" in record["second_pass_reason"]


def test_without_a_better_model_a_doubtful_one_is_final_at_once():
    record = said(FAST, dialogue(transcript(**DOUBTFUL | {"accurate_available": False})))
    assert (record["final"], record["second_pass_reason"]) == (True, None)


def test_a_dialogue_nobody_could_hear_has_failed_and_can_be_redriven():
    why, name, record = refused(FAST, dialogue(PreparationFailed("The child died.", 3)))
    assert "The child died." in why
    assert name == "TranscriptionFailed"
    assert (record["asr_pass"], record["error"], record["attempts"]) == ("FAST", "The child died.", 3)


def test_an_answer_that_is_none_has_failed_too():
    _, name, record = refused(FAST, dialogue({"text": "only this"}))
    assert (name, "no transcript" in record["error"]) == ("TranscriptionFailed", True)


def test_other_events_do_not_belong_here():
    with pytest.raises(InvalidEvent, match="not an event of"):
        FAST.step(NoState(), Event("DeviceSeen", load("DeviceSeen"), 0))


def test_without_a_key_it_waits():
    with pytest.raises(TransientFailure, match="key ring"):
        Transcription(Options()).step(NoState(), dialogue(transcript()))


def test_the_second_pass_hears_what_the_first_doubts():
    asked = ACCURATE.request(first())
    assert asked["task_id"].endswith("/1/ACCURATE")
    assert asked["pieces"] == load("DialogueRevised")["pieces"]
    (announced,) = ACCURATE.announce(first(), asked)
    assert (announced.record["asr_pass"], announced.record["model"]) == ("ACCURATE", "small")


@pytest.mark.parametrize("name", ["TranscriptionStarted", "TranscriptionFailed", "AnalysisRequested"])
def test_other_events_of_its_topic_are_passed_over(name):
    event = Event(name, load(name), 0)
    assert ACCURATE.request(event) is None
    assert ACCURATE.step(NoState(), event) == (NoState(), ())


def test_a_final_transcript_is_not_heard_again():
    assert ACCURATE.request(first(final=True)) is None
    assert ACCURATE.step(NoState(), first(final=True)) == (NoState(), ())


def test_the_second_hearing_supersedes_the_first():
    record = said(ACCURATE, first(transcript("Один капучино и круассан.", model="small")))
    assert (record["asr_pass"], record["final"], record["model"]) == ("ACCURATE", True, "small")
    assert "confidence" in record["second_pass_reason"]
    assert unseal(RING, record["words"], "TranscriptWords")["text"] == "Один капучино и круассан."


def test_when_the_second_hearing_fails_the_first_one_is_final():
    event = first(PreparationFailed("No memory.", 3))
    _, name, record = refused(ACCURATE, event)
    assert name == "TranscriptProduced"
    assert (record["asr_pass"], record["final"], record["words"]) == ("FAST", True, event.record["words"])
    assert "confidence" in record["second_pass_reason"]
    assert "failed after 3 attempts: No memory." in record["second_pass_reason"]
