"""A dead letter keeps the original record whole and has the same identity however often it is made."""

from dataclasses import replace

import pytest

from producers.dead_letters import LARGEST_ORIGINAL, dead_letter, dead_letter_id
from schemas import serde
from schemas.errors import InvalidEvent
from schemas.record import Record
from schemas.topics import TOPICS

RECORD = Record("emotion.points", 2, 17, 1_765_289_734_000, b"cam", b"\x00poison", (("ce_id", b"x"), ("bin", b"\xff")))


def failure(error: Exception) -> Exception:
    try:
        raise error
    except type(error) as raised:
        return raised


def test_it_holds_the_original_bytes_coordinates_and_cause():
    message = dead_letter("emotion_logs", RECORD, failure(InvalidEvent("no such schema")))
    name, letter = serde.decode(message.value)
    assert (name, message.topic) == ("DeadLettered", "dead.letters")
    assert (letter["topic"], letter["partition"], letter["offset"]) == ("emotion.points", 2, 17)
    assert (letter["key"], letter["value"], letter["timestamp_ms"]) == (b"cam", b"\x00poison", 1_765_289_734_000)
    assert letter["headers"] == [{"name": "ce_id", "value": b"x"}, {"name": "bin", "value": b"\xff"}]
    assert (letter["error"], letter["cause"], letter["traceback"]) == ("InvalidEvent", "no such schema", "")


def test_an_unexpected_error_keeps_the_end_of_its_traceback():
    _, letter = serde.decode(dead_letter("emotion_logs", RECORD, failure(KeyError("x" * 9000))).value)
    assert "KeyError" in letter["error"]
    assert 1000 < len(letter["traceback"]) <= 4000


@pytest.mark.parametrize("error", [ValueError(), ValueError("other words")])
def test_the_same_failure_is_the_same_letter(error: Exception):
    message = dead_letter("emotion_logs", RECORD, error)
    assert message.key == dead_letter_id("emotion_logs", RECORD).encode()
    assert dict(message.headers)["ce_id"] == message.key
    assert message.key != dead_letter("person_emotions", RECORD, error).key


def test_a_long_cause_is_cut_and_halves_of_surrogates_are_no_obstacle():
    _, letter = serde.decode(dead_letter("emotion_logs", RECORD, failure(ValueError("\ud800" + "ж" * 9_000_000))).value)
    assert letter["cause"] == "?" + "ж" * 1996 + "..."
    assert len(letter["traceback"]) <= 4000


def test_a_letter_fits_into_its_topic_whatever_the_record():
    largest = max(topic.max_message_bytes for name, topic in TOPICS.items() if name.startswith("emotion."))
    room = TOPICS["dead.letters"].max_message_bytes
    assert largest <= LARGEST_ORIGINAL < room
    for size in (LARGEST_ORIGINAL - 1000, LARGEST_ORIGINAL + 1, 3 * room):
        record = replace(RECORD, value=b"x" * size)
        message = dead_letter("emotion_logs", record, failure(ValueError("ж" * 9000)))
        _, letter = serde.decode(message.value)
        assert len(message.value or b"") + 2000 < room
        assert (letter["value"] == record.value) == (size < LARGEST_ORIGINAL)
        assert ("are left out" in letter["cause"]) == (size > LARGEST_ORIGINAL)
