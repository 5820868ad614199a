from __future__ import annotations

import pytest

from schemas.envelope import KeyRing
from schemas.errors import InvalidEvent
from streams.deciders import faces
from streams.decisions import Accepted
from tests.drivers.deciding import AT_US
from tests.drivers.faces import ANNA, BORIS, DECIDER, MODEL, face, given, vector

BY = {"by": "token"}
AT = {"at_us": AT_US} | BY
FACE = face(ANNA, vector(1))
ENROL = {"user_id": ANNA, "face": FACE} | BY
ENROLLED = ("FaceEnrolled", {"user_id": ANNA, "model": MODEL, "replaced": False} | AT)
SET = ("GalleryFaceSet", {"user_id": ANNA, "face": FACE, "at_us": AT_US})
REMOVED = ("FaceRemoved", {"user_id": ANNA} | AT)
EMPTIED = ("GalleryFaceSet", {"user_id": ANNA, "face": None, "at_us": AT_US})


def test_a_face_is_enrolled_and_lies_in_the_gallery_only():
    case = given().when("EnrolFace", ENROL)
    assert isinstance(case.verdict, Accepted)
    assert [(one.topic, one.key) for one in case.verdict.events] == [(None, ANNA), ("faces.gallery", ANNA)]
    case.then(ENROLLED, SET, result={"replaced": False})


def test_another_face_replaces_the_first():
    other = face(ANNA, vector(2))
    replaced = ("FaceEnrolled", {"user_id": ANNA, "model": MODEL, "replaced": True} | AT)
    given(ENROLLED).when("EnrolFace", ENROL | {"face": other}).then(
        replaced, ("GalleryFaceSet", {"user_id": ANNA, "face": other, "at_us": AT_US})
    )


def test_a_removed_face_leaves_an_empty_place_in_the_gallery():
    case = given(ENROLLED).when("RemoveFace", {"user_id": ANNA} | BY)
    case.then(REMOVED, EMPTIED)
    case.when("RemoveFace", {"user_id": ANNA} | BY).then()


def test_a_face_after_a_removed_one_is_a_new_one():
    given(ENROLLED, REMOVED).when("EnrolFace", ENROL).then(ENROLLED, SET)


def test_removing_whom_nobody_knows_is_done_already():
    given(ENROLLED).when("RemoveFace", {"user_id": BORIS} | BY).then()


def test_a_face_whose_key_is_gone_is_refused():
    lost = face(ANNA, vector(1), ring=KeyRing({"k9": bytes(32)}, "k9"))
    given().when("EnrolFace", ENROL | {"face": lost}).refused("unreadable", "The face cannot be read: its key is gone")


def test_a_face_of_another_model_or_length_is_refused():
    sentence = "The face was described in a way that is not known here"
    given().when("EnrolFace", ENROL | {"face": face(ANNA, vector(1), model="other")}).refused("unknown_model", sentence)
    given().when("EnrolFace", ENROL | {"face": face(ANNA, vector(1)[:64])}).refused("unknown_model", sentence)


def test_an_envelope_of_somebody_else_is_a_dead_letter():
    with pytest.raises(InvalidEvent, match="somebody else"):
        given().when("EnrolFace", ENROL | {"face": face(BORIS, vector(1))})


def test_the_state_survives_a_snapshot():
    state = given(ENROLLED).state
    assert DECIDER.state.load(DECIDER.state.dump(state)) == state
    assert faces.evolve(state, *REMOVED) == faces.State()


def test_who_has_no_face_any_more_is_not_watched_for() -> None:
    removed = {"user_id": "u1", "at_us": 1, "by": None}
    (fact,) = faces.announce(faces.State(), "FaceRemoved", removed)
    assert (fact.name, fact.key, fact.topic) == ("UnwatchPerson", "security", "security.commands")
    assert fact.record == {"user_id": "u1", "by": None}
    assert faces.announce(faces.State(), "FaceEnrolled", removed) == ()
