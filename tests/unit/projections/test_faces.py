"""The read model of faces: the secret rotation, what a batch becomes, and who is told when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest

from projections.face_rotation import rotated, rotation
from projections.projectors.faces import Faces
from projections.read_model import Event, Target
from projections.store import Transaction
from schemas import examples
from schemas.envelope import KeyRing
from schemas.errors import InvalidEvent
from schemas.record import Record
from tests.drivers.deciding import RING
from tests.drivers.faces import ANNA, BORIS, face, vector

KEY = RING.keys["k1"]
WAITS = (("correlation-id", b"c"), ("reply-to", b"g"))


def test_a_rotation_keeps_all_distances() -> None:
    matrix = rotation(KEY)
    assert np.abs(matrix @ matrix.T - np.eye(128)).max() < 1e-12
    faces = [vector(one) for one in range(20)]
    for one in faces:
        for other in faces:
            before, after = np.linalg.norm(one - other), np.linalg.norm(rotated(one, KEY) - rotated(other, KEY))
            assert after == pytest.approx(before, abs=1e-5)


def test_a_rotation_is_the_keys_and_moves_every_face_far_away() -> None:
    other = b"2" * 32
    assert rotated(vector(1), KEY) == pytest.approx(rotated(vector(1), bytes(range(32))))
    assert np.linalg.norm(rotated(vector(1), KEY) - rotated(vector(1), other)) > 1
    moved = [float(np.linalg.norm(rotated(vector(one), KEY) - vector(one))) for one in range(50)]
    assert min(moved) > 1.4, "farther than people are apart"


def test_a_rotation_never_changes() -> None:
    """Whoever rebuilds on another machine, with other libraries, has to come to the same."""
    assert rotation(KEY)[0, :3] == pytest.approx([0.12174970, -0.06368784, 0.03288371], abs=1e-7)


class Table(Transaction):
    """The statements of a projector; a row for everybody in `rows_of`."""

    def __init__(self) -> None:
        self.said: list[tuple[str, tuple[Any, ...]]] = []
        self.people: dict[str, int] = {}

    def run(self, statement: str, *parameters: Any) -> int:
        verb = statement.split(maxsplit=1)[0]
        self.said.append((verb, parameters))
        if "INTO faces" in statement:
            self.people[parameters[0]] = parameters[2]
        elif verb == "DELETE":
            self.people.pop(parameters[0], None)
        return 1

    def rows(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        at_us = self.people.get(parameters[0])
        newer = ">=" in statement
        shown = at_us is not None and (at_us >= parameters[1] if newer else at_us <= parameters[1])
        return [()] if shown else []


def event(name: str, body: Mapping[str, Any], offset: int = 0, **record: Any) -> Event:
    topic = {"GalleryFaceSet": "faces.gallery", "FaceAccessed": "faces.accesses"}.get(name, "faces.events")
    return Event(replace(Record(topic, 0, offset, 0, ANNA.encode(), None), **record), name, dict(body))


def enrolled(at_us: int) -> Event:
    return event("FaceEnrolled", {"user_id": ANNA, "at_us": at_us})


def removed(at_us: int) -> Event:
    return event("FaceRemoved", {"user_id": ANNA, "at_us": at_us})


def settled(events: int = 1, offset: int = 9, headers: Any = WAITS) -> Event:
    return event("CommandSettled", {"events": events}, offset, headers=headers)


def shown(at_us: int, numbers: Any = None, offset: int = 5) -> Event:
    sealed = face(ANNA, vector(1) if numbers is None else numbers)
    return event("GalleryFaceSet", {"user_id": ANNA, "face": sealed, "at_us": at_us}, offset)


def emptied(at_us: int) -> Event:
    return event("GalleryFaceSet", {"user_id": ANNA, "face": None, "at_us": at_us}, 6)


class Reading:
    """A projector and the batches it is given."""

    def __init__(self) -> None:
        self.table, self.projector = Table(), Faces(Target("s", keyring=RING))

    def reads(self, *events: Event) -> list[tuple[str, int]]:
        """(topic, offset) of whom a reply is made."""
        effects = self.projector.write(self.table, self.projector.prepare(events))
        assert all(reply.record.header("correlation-id") == b"c" for reply in effects.replies)
        return [(reply.record.topic, reply.record.offset) for reply in effects.replies]


def test_who_enrolled_is_told_when_the_face_is_there_whatever_comes_first() -> None:
    together, gallery_first, events_first = Reading(), Reading(), Reading()
    assert together.reads(shown(7), enrolled(7), settled()) == [("faces.events", 9)]
    assert gallery_first.reads(shown(7)) == []
    assert gallery_first.reads(enrolled(7), settled()) == [("faces.events", 9)]
    assert events_first.reads(enrolled(7)) == []
    assert events_first.reads(settled()) == []
    assert events_first.reads(shown(6)) == [], "an older one"
    assert events_first.reads(shown(7)) == [("faces.gallery", 5)]
    assert events_first.reads(shown(8)) == [], "once"


def test_who_removed_is_told_when_the_face_is_gone() -> None:
    reading = Reading()
    reading.reads(shown(5))
    assert reading.reads(removed(7), settled()) == []
    assert reading.reads(emptied(7)) == [("faces.gallery", 6)]
    assert reading.reads(removed(8), settled()) == [("faces.events", 9)]


def test_who_changed_nothing_is_told_at_once_and_who_does_not_wait_is_not() -> None:
    reading = Reading()
    assert reading.reads(settled(events=0)) == [("faces.events", 9)]
    assert reading.reads(enrolled(7), settled(headers=())) == []
    assert reading.reads(shown(7)) == []


def test_after_a_lost_transaction_nobody_is_told_wrongly() -> None:
    reading = Reading()
    reading.reads(enrolled(7), settled())
    reading.projector.forget()
    assert reading.reads(shown(7)) == []


def test_a_row_holds_the_sealed_face_and_a_turned_one_only() -> None:
    reading = Reading()
    reading.reads(shown(7))
    ((_, row),) = reading.table.said
    user_id, model, at_us, key_id, sealed, turned = row[:6]
    assert (user_id, model, at_us, key_id) == (ANNA, "dlib-resnet-1", 7, "k1")
    assert vector(1).tobytes()[:16] not in sealed
    assert turned == pytest.approx(rotated(vector(1), KEY).tolist())
    assert np.linalg.norm(np.array(turned) - vector(1)) > 1


def test_a_face_whose_key_is_gone_has_no_row() -> None:
    reading = Reading()
    reading.reads(shown(7))
    lost = face(ANNA, vector(2), ring=KeyRing({"k9": bytes(32)}, "k9"))
    reading.reads(event("GalleryFaceSet", {"user_id": ANNA, "face": lost, "at_us": 8}))
    assert reading.table.people == {}


def test_what_is_no_face_of_that_person_is_a_dead_letter() -> None:
    foreign = event("GalleryFaceSet", {"user_id": ANNA, "face": face(BORIS, vector(1)), "at_us": 1})
    for bad in (shown(1, vector(1)[:5]), shown(1, vector(1) * np.nan), foreign):
        with pytest.raises(InvalidEvent):
            Reading().reads(bad)
    with pytest.raises(ValueError, match="key ring"):
        Faces(Target("s")).prepare([shown(1)])


def test_accesses_are_kept_as_they_are_told() -> None:
    reading = Reading()
    body = examples.load("FaceAccessed")
    reading.reads(event("FaceAccessed", body, 3))
    ((verb, row),) = reading.table.said
    assert verb == "INSERT"
    assert row == (
        body["access_id"], body["at_us"], "search", body["user_id"], "found", 0.5, "token", "faces.accesses", 0, 3
    )  # fmt: skip
    assert cast("Any", reading.table).people == {}


def test_sightings_are_kept_as_the_stream_judged_them() -> None:
    reading = Reading()
    body = examples.load("FaceMatched")
    reading.reads(event("FaceMatched", body, 3, topic="security.matches", partition=2))
    ((_, row),) = reading.table.said
    seen = (body["sighting_id"], body["seen_us"], "robot-1", "door", body["user_id"], 0.5)
    assert row == (*seen, "security.matches", 2, 3)
