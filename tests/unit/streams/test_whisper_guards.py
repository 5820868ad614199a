"""What is taken for invented, and what people really say is not."""

from __future__ import annotations

import pytest

from streams.workers.whisper_guards import Guards, compression_ratio, guard, plain


def segment(text: str, *, logprob: float = -0.2, no_speech: float = 0.05, start: float = 0.0) -> dict:
    words = [
        {"start": start + 0.5 * n, "end": start + 0.5 * n + 0.4, "word": f" {word}", "probability": 0.9}
        for n, word in enumerate(text.split())
    ]
    end = words[-1]["end"] if words else start
    return {
        "start": start, "end": end, "text": text, "avg_logprob": logprob, "no_speech_prob": no_speech, "words": words
    }  # fmt: skip


def kept(*segments: dict) -> list[str]:
    return [one["text"] for one in guard(segments, Guards()).segments]


@pytest.mark.parametrize(
    "text",
    [
        "Субтитры сделал DimaTorzok",
        "Редактор субтитров А.Семкин Корректор А.Егорова",
        "Субтитры создавал DimaTorzok",
        "Subtitles by the Amara.org community",
        "Transcription by CastingWords",
    ],
)
def test_credits_are_never_said_however_sure_the_model_is(text):
    assert kept(segment(text, logprob=-0.05)) == []


@pytest.mark.parametrize("text", ["Продолжение следует...", "Спасибо за просмотр!", "Thanks for watching!", "Музыка"])
def test_endings_of_videos_are_heard_only_when_sure(text):
    assert kept(segment(text, logprob=-0.8)) == []
    assert kept(segment(text, no_speech=0.5)) == []
    assert kept(segment(text)) == [text]


@pytest.mark.parametrize("text", ["Спасибо.", "До свидания!", "Thank you."])
def test_thanks_at_a_counter_stay_unless_there_was_hardly_speech(text):
    assert kept(segment(text, logprob=-0.65, no_speech=0.4)) == [text]
    assert kept(segment(text, no_speech=0.7)) == []


def test_a_phrase_within_a_sentence_stays():
    text = "Спасибо за просмотр нашего меню, что будете заказывать?"
    assert kept(segment(text, logprob=-0.9)) == [text]


def test_unsure_text_over_silence_goes():
    heard = guard([segment("Я не знаю.", logprob=-0.9, no_speech=0.85)], Guards())
    assert (heard.segments, heard.silences) == ((), 1)
    assert kept(segment("Один латте.", logprob=-0.3, no_speech=0.85)) == ["Один латте."]


def test_a_loop_keeps_its_first_round_with_words_and_times():
    heard = guard([segment("Хорошо. " + "я не знаю что делать " * 8)], Guards())
    (one,) = heard.segments
    assert one["text"] == "Хорошо. я не знаю что делать"
    assert len(one["words"]) == 6
    assert one["end"] == one["words"][-1]["end"] == pytest.approx(2.9)
    assert heard.repetitions == 7


def test_a_loop_within_other_words_is_cut_out_of_them():
    (text,) = kept(segment("так " + "большой капучино " * 4 + "и всё"))
    assert text == "так большой капучино и всё"


@pytest.mark.parametrize("text", ["да да да да да", "нет нет нет", "два два два капучино", "ну что ну что ну что"])
def test_people_repeat_themselves(text):
    heard = guard([segment(text)], Guards())
    assert [one["text"] for one in heard.segments] == [text]
    assert heard.repetitions == 0


def test_equal_sentences_in_a_row_are_one():
    same = [segment("Я буду большой капучино.", start=n * 5.0) for n in range(4)]
    heard = guard([segment("Здравствуйте."), *same, segment("Спасибо.", start=30.0)], Guards())
    assert [one["text"] for one in heard.segments] == ["Здравствуйте.", "Я буду большой капучино.", "Спасибо."]
    assert heard.repetitions == 3
    assert len(kept(*[segment("Спасибо.", start=n) for n in range(5)])) == 5


def test_text_that_zlib_shrinks_too_well_is_looked_at_harder():
    sentence, thrice = "совершенно невероятное предложение ресторана ", "нет нет нет"
    assert kept(segment(sentence + thrice)) == [sentence + thrice]
    looping = sentence * 2 + "нет " * 5
    assert compression_ratio(looping.strip()) > 2.4 > compression_ratio(sentence + thrice)
    assert kept(segment(looping.strip())) == [sentence + "нет"]


def test_a_segment_without_words_has_no_loops():
    assert kept({**segment("Да."), "words": []}) == ["Да."]


def test_plain_words():
    assert plain("  А.Семкин, «Корректор»!  ") == "а семкин корректор"
