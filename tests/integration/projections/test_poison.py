"""Events that cannot become rows become dead letters; everything around them is projected."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from producers.publisher import Message
from projections import answers
from schemas import serde
from schemas.envelope import KeyRing
from tests.drivers.emotion_points import post
from tests.drivers.projecting import RING, Site, site, wrong_sums
from tests.drivers.waiting import eventually

MODEL = "emotion_logs"


@pytest.fixture
def there(kafka_bootstrap: str, database_url: str) -> Iterator[Site]:
    with site(kafka_bootstrap, database_url, MODEL, "person_emotions") as made:
        yield made


def letters(made: Site, start: dict[int, int]) -> list[dict[str, object]]:
    found = [serde.decode(record.value)[1] for record in made.records("dead.letters", start)]
    return [letter for letter in found if str(letter["topic"]).startswith(made.prefix)]


def raw(made: Site, value: bytes | None, **headers: bytes) -> None:
    named = [(name.replace("_", "-"), content) for name, content in headers.items()]
    made.publisher.publish_all([Message(made.prefix + "emotion.points", b"device", value, named, 1)])


def test_poison_bytes_between_good_posts(there: Site) -> None:
    start = there.reader.end_offsets("dead.letters")
    there.post(post("a"))
    for value in (b"", None, b"\x00\x00\x00\x00\x01", b"\x01garbage", b"\x00\x7f\xff\xff\xff"):
        raw(there, value)
    there.post(post("b"))
    with there.projector():
        there.caught_up(MODEL)
    assert there.sql("SELECT device_id, n_points FROM sessions ORDER BY 1") == [("a", 3), ("b", 3)]
    found = letters(there, start)
    assert [letter["value"] for letter in found] == [
        b"", None, b"\x00\x00\x00\x00\x01", b"\x01garbage", b"\x00\x7f\xff\xff\xff",
    ]  # fmt: skip
    assert {letter["consumer"] for letter in found} == {MODEL}


def test_data_that_postgresql_refuses_is_found_by_halves(there: Site) -> None:
    start = there.reader.end_offsets("dead.letters")
    good = [post(f"d{i}") for i in range(7)]
    bad = post("nul\x00byte")
    huge = post("huge", person=2, valence=[1e4] * 3, t_ms=[2**62, 1, 2])
    there.post(*good[:3], bad, *good[3:5], huge, *good[5:])
    with there.projector():
        there.caught_up(MODEL)
    assert there.one("SELECT count(*) FROM emotion_logs") == 21
    assert sorted(str(serde.decode(x["value"])[1]["device_id"]) for x in letters(there, start)) == [  # type: ignore[arg-type]
        "huge", "nul\x00byte",
    ]  # fmt: skip
    assert wrong_sums(there, "emotion_logs_v1") == []


def test_what_is_redriven_to_another_consumer_is_skipped(there: Site) -> None:
    there.post(post("mine"), redrive_to=MODEL.encode())
    there.post(post("theirs"), redrive_to=b"emotion.moments")
    with there.projector():
        there.caught_up(MODEL)
    assert there.sql("SELECT device_id FROM sessions") == [("mine",)]


def test_an_altered_envelope_is_a_dead_letter_a_forgotten_one_is_skipped(there: Site) -> None:
    start = there.reader.end_offsets("dead.letters")
    forgotten = KeyRing({"k0": bytes(32)}, "k0")
    there.report("jetson_1", [("1", 1.0, 2.0, 3.0, 4.0)], at_us=1_763_123_696_000_000, ring=forgotten)
    there.report(
        "jetson_1", [("1", 1.0, 2.0, 3.0, 4.0)], at_us=1_763_123_696_000_000, ring=KeyRing({"k1": bytes(32)}, "k1")
    )
    there.report("jetson_1", [("1", 1.5, 2.0, 3.0, 4.0)], at_us=1_763_123_696_000_001)
    with there.projector(ring=RING):
        there.caught_up("person_emotions")
    assert there.sql("SELECT person_id, time_happy FROM person_emotions") == [("1", 1.5)]
    assert there.sql("SELECT device_id, key_id FROM skipped_reports") == [("jetson_1", "k0")]
    assert [letter["error"] for letter in letters(there, start)] == ["InvalidEvent"]


def test_a_topic_made_anew_stops_the_model_with_a_sentence(there: Site) -> None:
    topic = there.prefix + "emotion.points"
    there.post(post())
    with there.projector():
        there.caught_up(MODEL)
    there.admin.delete_topics([topic])[topic].result()
    eventually(lambda: topic not in there.admin.list_topics(timeout=10).topics)
    there.create(topic)
    with there.projector():
        problem = eventually(
            lambda: there.one("SELECT problem FROM sensorium.models WHERE schema_name = 'emotion_logs_v1'"), 20
        )
        there.report("jetson_1", [("1", 1.0, 2.0, 3.0, 4.0)], at_us=1)
        there.caught_up("person_emotions")  # the others go on
    assert "was deleted and made again" in problem
    assert "sensorium replay emotion_logs" in problem
    assert there.one("SELECT count(*) FROM emotion_logs") == 3


def test_a_reply_that_cannot_be_sent_holds_nothing_up(there: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "LONGEST_HEADER", 1 << 30)
    there.post(post("a"), correlation_id=os.urandom(1_200_000), reply_to=b"me")
    there.post(post("b"), correlation_id=there.prefix.encode(), reply_to=b"me")
    for _ in range(2):  # the second one sends what it may owe again, first of all
        with there.projector():
            there.caught_up(MODEL)
            there.post(post("c"))
            there.caught_up(MODEL)
    assert there.sql("SELECT device_id FROM sessions ORDER BY 1") == [("a",), ("b",), ("c",)]
