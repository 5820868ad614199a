"""When is a first transcript doubted, and by which words."""

from __future__ import annotations

import pytest

from streams.doubts import Doubts, Impression, garbage, reason

GOOD = "Здравствуйте, один капучино, пожалуйста, и круассан с миндалём."


def impression(**changes) -> Impression:
    return Impression(**({"text": GOOD, "audio_s": 20.0, "avg_logprob": -0.3, "no_speech_prob": 0.1} | changes))


def test_a_good_transcript_is_believed():
    assert reason(impression(), Doubts()) is None


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"avg_logprob": -0.71}, "confidence"),
        ({"text": "Да."}, "short"),
        ({"text": ""}, "short"),
        ({"text": "ааа ооо ууу ыыы эээ... ююю??? яяя!!! еее... ёёё... иии..."}, "garbage"),
        ({"repetitions": 3}, "garbage"),
        ({"no_speech_prob": 0.71}, "no_speech"),
    ],
)
def test_each_doubt_has_its_word(changes, word):
    assert word in (reason(impression(**changes), Doubts()) or "")


@pytest.mark.parametrize(
    "changes",
    [
        {"avg_logprob": -0.7},
        {"no_speech_prob": 0.7},
        {"audio_s": 14.99, "avg_logprob": -3.0},
        {"avg_logprob": None, "no_speech_prob": None},
        {"text": "Да, нет, ну", "no_speech_prob": 0.69},
    ],
)
def test_at_the_threshold_there_is_no_doubt(changes):
    assert reason(impression(**changes), Doubts()) is None


def test_few_characters_are_no_evidence_against_speech():
    found = reason(impression(text="Да, да, да", no_speech_prob=0.9), Doubts())
    assert found is None or "no_speech" not in found


def test_several_doubts_are_all_told():
    found = reason(impression(avg_logprob=-1.0, no_speech_prob=0.9), Doubts())
    assert "confidence" in found
    assert "no_speech" in found


def test_garbage_is_the_mean_of_four_signs():
    assert garbage("ааа") == 0.0  # below ten characters
    assert garbage(GOOD) == 0.0
    assert garbage("да да да да да да да да") == pytest.approx((1 - 1 / 8) / 4)
    assert garbage("х" * 40) == pytest.approx((3 / 40 + 0.3) / 4)
    assert garbage("Что?.. Да!!! Нет...") == pytest.approx((3 * 2 / 19 + 0.2 * 3) / 4)
