"""Personal data is readable with its key only, and only where it was put."""

import pytest

from schemas.envelope import KeyRing, seal, unseal
from schemas.errors import FORGOTTEN, InvalidEvent
from schemas.examples import load


@pytest.fixture
def ring():
    return KeyRing.parse(KeyRing.fresh_text())


def test_what_was_sealed_opens(ring):
    people = load("PeopleTotals")
    assert unseal(ring, seal(ring, "jetson_1", "PeopleTotals", people), "PeopleTotals") == people


def test_the_content_shows_no_name(ring):
    people = {"people": [{"person_id": "Ivan Petrov", "happy": 1.0, "sad": 0.0, "angry": 0.0, "neutral": 0.0}]}
    assert b"Ivan" not in seal(ring, "jetson_1", "PeopleTotals", people)["content"]


def test_a_destroyed_key_forgets(ring):
    envelope = seal(ring, "jetson_1", "PeopleTotals", load("PeopleTotals"))
    other = KeyRing({"k2": bytes(32)}, "k2")
    assert unseal(other, envelope, "PeopleTotals") is FORGOTTEN


def test_another_homes_ring_forgets_rather_than_fails(ring):
    """Two homes, each with a ring of its own: the other's data is unreadable, not poison."""
    envelope = seal(ring, "jetson_1", "PeopleTotals", load("PeopleTotals"))
    assert unseal(KeyRing.parse(KeyRing.fresh_text()), envelope, "PeopleTotals") is FORGOTTEN


@pytest.mark.parametrize("change", [{"subject": "jetson_2"}, {"content": b"short"}, {"content": bytes(64)}])
def test_an_envelope_that_was_tampered_with_is_invalid(ring, change):
    envelope = seal(ring, "jetson_1", "PeopleTotals", load("PeopleTotals")) | change
    with pytest.raises(InvalidEvent):
        unseal(ring, envelope, "PeopleTotals")


def test_new_data_is_sealed_with_the_last_key_and_old_data_still_opens():
    old = KeyRing.parse("k1 " + "00" * 32)
    both = KeyRing.parse("k1 " + "00" * 32 + "\nk2 " + "11" * 32)
    people = load("PeopleTotals")
    assert seal(both, "s", "PeopleTotals", people)["key_id"] == "k2"
    assert unseal(both, seal(old, "s", "PeopleTotals", people), "PeopleTotals") == people


@pytest.mark.parametrize("text", ["", "\n\n", "k1", "k1 xyz", "k1 00ff"])
def test_a_broken_key_ring_is_refused_in_words(text):
    with pytest.raises(ValueError, match=r"[kK]ey"):
        KeyRing.parse(text)
