"""Batch bodies of seed 001: what counts, what is ignored, what is sealed."""

import json
import tracemalloc
from datetime import UTC
from typing import Any

import pytest

from producers import totals
from producers.leniency import TooMuch, TotalsPost, Unacceptable, read_totals
from schemas import serde
from schemas.envelope import KeyRing, unseal

RING = KeyRing.parse(KeyRing.fresh_text())


def body(people: Any, timestamp: Any = "2025-11-14T12:34:56Z") -> bytes:
    return json.dumps({"device_id": "jetson_1", "timestamp": timestamp, "people": people}).encode()


def test_the_documented_report_becomes_a_sealed_event():
    sent = [
        {"person_id": "Анна", "cumulative": {"happy": 123.5, "sad": "20", "angry": 10, "unknown": 7}},
        {"person_id": "2", "cumulative": {}},
    ]
    post = read_totals(body(sent))
    value = totals.event(post, totals.reported_at_us(post, None, 0), RING)
    assert "Анна".encode() not in value
    name, event = serde.decode(value)
    assert (name, event["device_id"], event["reported_at_us"]) == (
        "EmotionTotalsReported",
        "jetson_1",
        1_763_123_696_000_000,
    )
    assert unseal(RING, event["people"], "PeopleTotals") == {
        "people": [
            {"person_id": "Анна", "happy": 123.5, "sad": 20.0, "angry": 10.0, "neutral": 0.0},
            {"person_id": "2", "happy": 0.0, "sad": 0.0, "angry": 0.0, "neutral": 0.0},
        ]
    }


@pytest.mark.parametrize("timestamp", ["", "yesterday", "14.11.2025", "\0"])
def test_an_unreadable_time_is_the_servers(timestamp: str):
    assert totals.reported_at_us(read_totals(body([], timestamp)), None, 77) == 77


def test_an_offset_is_taken_into_account():
    post = read_totals(body([], "2025-11-14T15:34:56.000001+03:00"))
    assert totals.reported_at_us(post, None, 0) == 1_763_123_696_000_001


@pytest.mark.parametrize(
    ("people", "timestamp", "kind"),
    [
        ([{"person_id": 1, "cumulative": {}}], "", "string_type"),
        ([{"person_id": "1", "cumulative": {"happy": None}}], "", "float_type"),
        ([{"person_id": "1", "cumulative": {"surprise": None}}], "", "float_type"),
        ([{"person_id": "1", "cumulative": {"happy": float("nan")}}], "", "finite_number"),
        ([{"person_id": "1"}], "", "missing"),
        ({}, "", "list_type"),
        ([], 5, "string_type"),
    ],
)
def test_what_the_seed_refuses_is_refused(people: Any, timestamp: Any, kind: str):
    with pytest.raises(Unacceptable) as caught:
        read_totals(body(people, timestamp))
    assert isinstance(caught.value.detail, list)
    assert [error["type"] for error in caught.value.detail] == [kind]


@pytest.mark.parametrize("timestamp", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_time_that_no_calendar_has_in_utc_counts_as_now(timestamp: str) -> None:
    """Such a report could be stored but never read again."""
    post = TotalsPost(device_id="d", timestamp=timestamp, people=[])
    assert totals.reported_at_us(post, UTC, 1_763_123_696_000_000) == 1_763_123_696_000_000


def test_more_people_than_taken_are_counted_not_read():
    with pytest.raises(TooMuch, match="A post may have 2 people, this one has 3"):
        read_totals(body([{}] * 3), 2)


def test_everybody_is_read_and_the_wrong_one_is_named():
    people: list[Any] = [{"person_id": str(n), "cumulative": {"happy": n}} for n in range(250)]
    assert [person.cumulative["happy"] for person in read_totals(body(people)).people] == list(range(250))
    people[249] = {"person_id": "x", "cumulative": {"happy": "much"}}
    with pytest.raises(Unacceptable) as caught:
        read_totals(body(people))
    assert isinstance(caught.value.detail, list)
    assert [error["loc"] for error in caught.value.detail] == [["body", "people", 249, "cumulative", "happy"]]


def test_a_person_of_very_many_emotions_is_read_and_refused_in_little_memory():
    many = {f"e{n}": 1 for n in range(250)} | {"happy": "7"}
    (person,) = read_totals(body([{"person_id": "1", "cumulative": many}])).people
    assert person.cumulative == {name: float(seconds) for name, seconds in many.items()}
    data = body([{"person_id": "1", "cumulative": {f"e{n}": None for n in range(20_000)}}])
    tracemalloc.start()
    try:
        with pytest.raises(Unacceptable) as caught:
            read_totals(data)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()
    assert isinstance(caught.value.detail, list)
    assert len(caught.value.detail) == 100
    assert caught.value.detail[7]["loc"] == ["body", "people", 0, "cumulative", "e7"]
