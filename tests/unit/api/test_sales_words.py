"""Quotes in a text, found words in a snippet, a person's text over what was heard."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from api.corrected_words import aligned, regrouped
from api.sales_quotes import placed, snippet
from tests.drivers import sales

HIT = ("\x01", "\x02")
PHRASE = st.text(alphabet="абв ё!", max_size=40)


def quote(text: str, position: int) -> dict[str, object]:
    return {"quote": text, "position": position, "length": len(text), "start_s": 1.0}


def test_a_quote_stays_where_the_analyser_found_it() -> None:
    assert placed([quote("да", 6)], "да да да")[0]["position"] == 6
    assert placed([quote("да", 3)], "да, да да")[0]["position"] == 0


def test_a_quote_is_found_again_whatever_its_case_or_said_to_be_nowhere() -> None:
    (found,) = placed([quote("Десерт", 50)], "хотите десерт?")
    assert (found["position"], found["length"], found["start_s"]) == (7, 6, 1.0)
    for nowhere in (quote("сироп", 0), quote("", 0)):
        assert placed([nowhere], "хотите десерт?")[0]["position"] is None


def test_a_snippet_shows_the_words_with_their_surroundings() -> None:
    text = "а" * 200 + " десерт " + "б" * 200 + " Ещё " + "в" * 10
    marked = text.replace("десерт", "\x01десерт\x02").replace("Ещё", "\x01Еще\x02")
    items = snippet(text, marked, HIT)
    assert [item["text"] for item in items if item["hit"]] == ["десерт", "Ещё"]
    assert items[0]["text"] == "… "
    assert items[-1]["text"].endswith("в" * 10)
    assert len("".join(item["text"] for item in items)) < 280


def test_a_snippet_of_nothing_found() -> None:
    assert snippet("", "", HIT) == []
    assert snippet("коротко", "коротко", HIT) == [{"text": "коротко", "hit": False}]
    assert snippet("а" * 500, "а" * 500, HIT)[0]["text"].endswith("…")


def test_parts_stored_apart_are_a_transcript_again() -> None:
    whole = sales.words()
    apart = [{name: value for name, value in one.items() if name != "words"} for one in whole["segments"]]
    words = [{"segment": one["id"], **word} for one in whole["segments"] for word in one["words"]]
    assert regrouped(apart, words) == whole


def test_a_corrected_word_takes_the_time_of_what_it_stands_for() -> None:
    heard = sales.words("Один какао пожалуйста! Десерт к кофе?")
    right = aligned(heard, "Один капучино, пожалуйста! Ещё десерт к кофе?")
    assert right["text"] == "Один капучино, пожалуйста! Ещё десерт к кофе?"
    first, second = right["segments"]
    assert (first["text"], first["words"][1]["word"]) == ("Один капучино, пожалуйста! Ещё", "капучино,")
    assert first["words"][1]["start"] == heard["segments"][0]["words"][1]["start"]
    assert second["words"][0] == heard["segments"][1]["words"][0] | {"word": "десерт"}


def test_a_segment_without_word_times_shares_its_time() -> None:
    heard = sales.words("Раз два!")
    heard["segments"][0]["words"] = []
    assert [word["start"] for word in aligned(heard, "раз два")["segments"][0]["words"]] == [0.0, 1.0]


def test_a_text_where_nothing_was_heard_and_no_text() -> None:
    assert aligned({"text": "", "segments": []}, "всё же")["text"] == "всё же"
    assert aligned({"text": "", "segments": []}, "")["segments"] == []
    assert aligned(sales.words(), "")["text"] == ""


@given(PHRASE, PHRASE)
def test_whatever_is_written_is_the_text(heard: str, written: str) -> None:
    right = aligned(sales.words(heard), written)
    assert right["text"] == " ".join(written.split())
    for segment in right["segments"]:
        assert segment["text"] == " ".join(word["word"] for word in segment["words"]) or not segment["words"]


def test_a_long_text_of_few_words_is_laid_over_another_in_no_time() -> None:
    words = [
        {"start": n, "end": n + 1, "word": f" {('да', 'нет', 'ну')[n % 3]}", "probability": 1.0} for n in range(900)
    ]
    said = "".join(str(word["word"]) for word in words)
    segment = {"id": 0, "start": 0.0, "end": 900.0, "text": said, "avg_logprob": None, "no_speech_prob": None}
    written = " ".join(["нет", "да"] * 2000)
    began = time.process_time()
    right = aligned({"text": said, "segments": [{**segment, "words": words}]}, written)
    assert right["text"] == written
    assert time.process_time() - began < 2  # without a bound it is half a minute
