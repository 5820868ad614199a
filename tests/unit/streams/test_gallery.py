"""The gallery in memory: who is in it, who is found, and how it follows the topic."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest

from schemas import serde
from schemas.envelope import KeyRing
from schemas.errors import InvalidEvent, TransientFailure
from schemas.record import Record
from streams.gallery import TOPIC, FollowedGallery, Gallery, Match
from streams.log_reader import LogReader, PositionLost, TopicPartition
from tests.drivers.deciding import RING
from tests.drivers.faces import ANNA, BORIS, Vector, face, vector
from tests.drivers.waiting import eventually

AWAY = 0.5


def record_of(user_id: str, numbers: Vector | None, **how: Any) -> bytes:
    sealed = None if numbers is None else face(user_id, numbers, **how)
    return serde.encode("GalleryFaceSet", {"user_id": user_id, "face": sealed, "at_us": 1})


def gallery(**people: Vector) -> Gallery:
    made = Gallery(RING, AWAY)
    for name, numbers in people.items():
        made.apply(name.encode(), record_of(name, numbers))
    return made


def test_nobody_is_known_to_an_empty_gallery() -> None:
    assert gallery().match(vector(1).tobytes()) == Match(None, None)


def test_the_nearest_face_is_found_up_to_the_threshold() -> None:
    known = gallery(anna=vector(1), boris=vector(2))
    near = known.match(vector(1, near=0.4).tobytes())
    assert near.user_id == "anna"
    assert near.distance == pytest.approx(0.4, abs=1e-4)
    far = known.match(vector(2, near=0.6).tobytes())
    assert far.user_id is None
    assert far.distance == pytest.approx(0.6, abs=1e-4)


def test_it_finds_what_brute_force_finds() -> None:
    people = {f"p{one}": vector(one) for one in range(300)}
    known = gallery(**people)
    stacked = np.stack(list(people.values()))
    for seed in range(1000, 1050):
        wanted = vector(seed)
        distances = np.linalg.norm(stacked - wanted, axis=1)
        assert known.match(wanted.tobytes()).distance == pytest.approx(distances.min(), abs=1e-5)


def test_a_new_face_replaces_the_old_one() -> None:
    known = gallery(anna=vector(1))
    known.apply(b"anna", record_of("anna", vector(2)))
    assert len(known) == 1
    assert known.match(vector(1).tobytes()).user_id is None
    assert known.match(vector(2).tobytes()).user_id == "anna"


@pytest.mark.parametrize("value", [None, record_of("p1", None)])
def test_a_person_without_face_or_value_is_gone_and_the_others_stay(value: bytes | None) -> None:
    known = gallery(p0=vector(0), p1=vector(1), p2=vector(2))
    known.apply(b"p1", value)
    known.apply(b"unknown", None)
    assert [known.match(vector(one).tobytes()).user_id for one in range(3)] == ["p0", None, "p2"]
    known.apply(b"p1", record_of("p1", vector(1)))
    assert [known.match(vector(one).tobytes()).user_id for one in range(3)] == ["p0", "p1", "p2"]


def test_who_takes_the_place_of_somebody_gone_is_found_among_many() -> None:
    people = {f"p{one}": vector(one) * (30 - one) for one in range(30)}
    known = gallery(**people)
    for gone in range(0, 20, 2):
        known.apply(f"p{gone}".encode(), None)
    left = [one for one in range(30) if one % 2 or one >= 20]
    assert [known.match(people[f"p{one}"].tobytes()).user_id for one in left] == [f"p{one}" for one in left]


def test_faces_of_all_keys_of_the_ring_are_compared_and_those_of_lost_ones_forgotten() -> None:
    old, new = KeyRing({"k0": bytes(32)}, "k0"), KeyRing({**RING.keys, "k2": b"2" * 32}, "k2")
    known = Gallery(new, AWAY)
    known.apply(b"anna", record_of("anna", vector(1), ring=RING))
    known.apply(b"boris", record_of("boris", vector(2), ring=new))
    known.apply(b"lost", record_of("lost", vector(3), ring=old))
    assert [known.match(vector(one).tobytes()).user_id for one in (1, 2, 3)] == ["anna", "boris", None]


def test_what_is_no_face_is_refused_and_takes_the_one_before_with_it() -> None:
    foreign = serde.encode("GalleryFaceSet", {"user_id": BORIS, "face": face(ANNA, vector(2)), "at_us": 1})
    for value in (record_of(BORIS, vector(1)[:64]), record_of(BORIS, vector(1) * np.nan), b"poison", foreign):
        known = gallery(**{BORIS: vector(1)})
        with pytest.raises(InvalidEvent):
            known.apply(BORIS.encode(), value)
        assert len(known) == 0
    with pytest.raises(InvalidEvent, match="3 bytes"):
        gallery().match(b"abc")


class Log:
    """A reader of one partition in memory; `trouble` is raised by the next poll."""

    def __init__(self, *records: tuple[str, bytes | None]) -> None:
        self.records = [Record(TOPIC, 0, at, 0, key.encode(), value) for at, (key, value) in enumerate(records)]
        self.trouble: Exception | None = None
        self.away = False
        self.position = 0

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held."""

    def beginning_offsets(self, _: str) -> dict[int, int]:
        if self.away:
            raise TransientFailure("away")
        return {0: 0}

    def end_offsets(self, _: str) -> dict[int, int]:
        return {0: len(self.records)}

    def assign(self, positions: dict[TopicPartition, int]) -> None:
        (self.position,) = positions.values()

    def poll_batch(self, timeout_s: float) -> list[Record]:
        if self.trouble:
            self.trouble, trouble = None, self.trouble
            raise trouble
        found = self.records[self.position : self.position + 1]
        self.position += len(found)
        return found

    def at_end(self, ends: dict[TopicPartition, int]) -> bool:
        return self.position >= max(ends.values())


async def test_a_followed_gallery_answers_once_it_was_read_and_follows_changes() -> None:
    log = Log(("anna", record_of("anna", vector(1))), ("boris", b"poison"), ("boris", record_of("boris", vector(2))))
    log.away = True
    followed = FollowedGallery("", Gallery(RING, AWAY), reader=lambda: cast("LogReader", log))
    wanted = {"vector": vector(2).tobytes()}
    followed.start()
    try:
        with pytest.raises(TransientFailure):
            await followed(wanted)
        log.away = False
        eventually(lambda: followed.ready)
        found = await followed(wanted)
        assert found["user_id"] == "boris"
        log.trouble = PositionLost(TopicPartition(TOPIC, 0), 3, 4, 5)
        log.records = [Record(TOPIC, 0, 0, 0, b"anna", record_of("anna", vector(2)))]
        eventually(lambda: followed.ready and followed.gallery.match(vector(2).tobytes()).user_id == "anna")
        assert len(followed.gallery) == 1
    finally:
        await followed.close()
