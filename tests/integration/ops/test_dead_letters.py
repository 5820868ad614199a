"""Dead letters: listed once, redriven to the consumer that failed, settled for good."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import pytest

from ops import dead_letters
from ops.dead_letters import Letter
from ops.errors import OperatorError
from producers.publisher import Message
from schemas import serde
from schemas.errors import TransientFailure
from schemas.record import Record
from streams.log_reader import TopicPartition
from tests.drivers.emotion_points import post
from tests.drivers.projecting import Site, site

MODEL = "emotion_logs"


@pytest.fixture
def there(kafka_bootstrap: str, database_url: str) -> Iterator[Site]:
    with site(kafka_bootstrap, database_url, MODEL) as made:
        yield made


def letters(made: Site) -> list[Letter]:
    """Without their bytes; see `whole`."""
    found = [x for x in dead_letters.read(made.bootstrap) if x.record.topic.startswith(made.prefix)]
    assert not any(x.is_whole or x.record.value or x.record.headers for x in found)
    return found


def whole(made: Site, letter: Letter) -> Letter:
    return dead_letters.whole(made.reader, letter)


def test_poison_is_listed_redriven_fails_again_and_is_discarded(there: Site) -> None:
    topic = there.prefix + "emotion.points"
    there.publisher.publish_all([Message(topic, b"key", b"\x00poison", [("who", b"me")], 3)])
    with there.projector():
        there.caught_up(MODEL)
        (letter,) = (whole(there, x) for x in letters(there))
        assert (letter.consumer, letter.record.value, letter.record.header("who")) == (MODEL, b"\x00poison", b"me")
        dead_letters.redrive(there.publisher, letter)
        there.caught_up(MODEL)
        again = [x for x in letters(there) if x.settled is None]
        assert [x.record.offset for x in again] == [1]  # the redriven copy failed at its own place
        dead_letters.discard(there.publisher, again[0], "never mind")
    assert {x.settled for x in letters(there)} == {"REDRIVEN", "DISCARDED"}
    copy = [r for r in there.records(topic) if r.partition == 3][1]
    assert (copy.key, copy.value, copy.header("redrive-to")) == (b"key", b"\x00poison", MODEL.encode())


def test_what_was_refused_by_mistake_is_projected_after_a_redrive(there: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from projections import emotion_rows
    from projections.projectors import emotion_logs

    def mistaken(events: object) -> object:
        raise ValueError("a bug")

    there.post(post("unlucky"))
    gather = emotion_rows.gather
    monkeypatch.setattr(emotion_logs, "gather", lambda posts, c: mistaken(posts) if posts else gather(posts, c))
    with there.projector():
        there.caught_up(MODEL)
    (letter,) = letters(there)
    assert "a bug" in letter.cause
    monkeypatch.undo()
    with pytest.raises(ValueError, match="without its bytes"):
        dead_letters.redrive(there.publisher, letter)
    with there.projector():
        dead_letters.redrive(there.publisher, whole(there, letter))
        there.caught_up(MODEL)
    assert there.sql("SELECT device_id, n_points FROM sessions") == [("unlucky", 3)]


def test_letters_reported_twice_are_one_and_choosing_is_strict(there: Site) -> None:
    topic = there.prefix + "emotion.points"
    there.publisher.publish_all([Message(topic, b"key", bytes([i]), [], 0) for i in range(3)])
    with there.projector():
        there.caught_up(MODEL)
    found = letters(there)
    assert len(found) == 3
    assert dead_letters.choose(found, [found[1].id[:12]]) == [found[1]]
    assert dead_letters.choose(found, consumer=MODEL) == found
    assert dead_letters.choose(found, consumer="somebody") == []
    with pytest.raises(OperatorError, match="Say which"):
        dead_letters.choose(found)
    with pytest.raises(OperatorError, match="No dead letter begins"):
        dead_letters.choose(found, ["zz"])
    with pytest.raises(OperatorError, match="3 open dead letters begin"):
        dead_letters.choose(found, [""])
    dead_letters.discard(there.publisher, found[0])
    raw = there.records("dead.letters")
    body = next(r for r in raw if r.key == found[0].id.encode() and serde.decode(r.value)[0] == "DeadLettered")
    there.publisher.publish_all([Message("dead.letters", body.key, body.value, list(body.headers))])
    with pytest.raises(OperatorError, match="was discarded already"):
        dead_letters.choose(letters(there), [found[0].id])
    assert len(letters(there)) == 3


def test_what_a_truncation_deleted_since_is_told_apart(there: Site) -> None:
    topic = there.prefix + "emotion.points"
    there.publisher.publish_all([Message(topic, b"key", b"poison", [], p) for p in (0, 1)])
    there.truncate(partitions=[1])
    there.publisher.publish_all([Message(topic, b"key", b"poison", [], p) for p in (0, 1)])
    with there.projector():
        there.caught_up(MODEL)
    found = letters(there)
    assert len(found) == 4
    gone = dead_letters.deleted(there.reader, found)
    assert [(x.record.partition, x.record.offset) for x in gone] == [(1, 0)]


def test_kafka_that_gives_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    where = TopicPartition("t", 0)

    class Silent:
        positions: ClassVar = {where: 0}

        def assign(self, positions: object) -> None: ...
        def poll_batch(self, max_records: int, max_bytes: int, timeout_s: float) -> list[Record]:
            return []

        def at_end(self, ends: object) -> bool:
            return False

        def beginning_offsets(self, topic: str) -> dict[int, int]:
            return {0: 0}

        def end_offsets(self, topic: str) -> dict[int, int]:
            return {0: 1}

    monkeypatch.setattr(dead_letters, "PATIENCE_S", 0.05)
    with pytest.raises(TransientFailure, match="given nothing"):
        list(dead_letters.scan(Silent(), {where: 0}))
