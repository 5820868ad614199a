"""Keyed marks: equal for equal texts under one key, and of no use to anybody else."""

from __future__ import annotations

from schemas.envelope import KeyRing
from streams.marks import mark_of, marks_of

K1, K2 = bytes(32), bytes([1]) * 32


def test_a_mark_stands_for_a_text_of_a_kind_under_a_key():
    assert mark_of("anna", K1) == mark_of("anna", K1, "username")
    others = {mark_of("anna", K1), mark_of("Anna", K1), mark_of("anna", K2), mark_of("anna", K1, "login")}
    assert len(others) == 4
    assert all(len(mark) == 32 for mark in others)


def test_a_text_may_be_held_under_any_key_of_the_ring():
    ring = KeyRing({"k1": K1, "k2": K2}, "k2")
    assert list(marks_of("anna", ring, "login")) == [mark_of("anna", K1, "login"), mark_of("anna", K2, "login")]


def test_marks_of_an_older_home_stay_what_they_were():
    assert mark_of("anna", K1) == "edf49a49bd3348415a2cf2151363ec33"
