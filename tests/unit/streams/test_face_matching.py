"""The processor that says whose face was seen, as sentences."""

from __future__ import annotations

from typing import Any

import pytest

from schemas import examples, serde
from schemas.envelope import KeyRing
from schemas.errors import InvalidEvent, TransientFailure
from streams.processors.face_matching import FaceMatching
from streams.steps import Event, NoState, PreparationFailed
from tests.drivers.deciding import RING
from tests.drivers.faces import ANNA, face, vector
from tests.drivers.processors import Given, given

MATCHING = FaceMatching(RING)


def seen(prepared: Any = None, ring: KeyRing = RING) -> Event:
    record = examples.load("FaceSeen") | {"face": face(ANNA, vector(1), ring=ring)}
    return Event("FaceSeen", record, 0, prepared=prepared)


def matching() -> Given[NoState]:
    return given(MATCHING.step, NoState())


def test_the_gallery_is_asked_about_the_open_face() -> None:
    assert MATCHING.request(seen()) == {"vector": vector(1).tobytes()}
    assert MATCHING.request(Event("FaceMatched", examples.load("FaceMatched"), 0)) is None


@pytest.mark.parametrize("found", [{"user_id": ANNA, "distance": 0.25}, {"user_id": None, "distance": None}])
def test_what_the_gallery_found_is_said_of_the_sighting(found: dict[str, Any]) -> None:
    sighting = {name: seen().record[name] for name in ("sighting_id", "device_id", "camera", "seen_us")}
    said = matching().when(seen(found)).then(sighting | found)
    (one,) = said.emitted
    assert one.key == b"robot-1"
    assert serde.decode(serde.encode(one.name, one.record)) == (one.name, one.record)


def test_nothing_is_said_of_a_face_whose_key_is_gone() -> None:
    lost = seen(ring=KeyRing({"k9": bytes(32)}, "k9"))
    assert MATCHING.request(lost) is None
    matching().when(lost).then_nothing()


def test_a_face_that_cannot_be_compared_is_a_dead_letter() -> None:
    with pytest.raises(InvalidEvent, match="cannot be compared"):
        matching().when(seen(PreparationFailed("a face has 3 bytes", 1, hopeless=True)))
    with pytest.raises(InvalidEvent, match="not an event of"):
        matching().when(Event("FaceMatched", examples.load("FaceMatched"), 0))


def test_without_a_ring_faces_wait() -> None:
    waiting = FaceMatching(None)
    assert waiting.request(seen()) is None
    with pytest.raises(TransientFailure):
        given(waiting.step, NoState()).when(seen())
