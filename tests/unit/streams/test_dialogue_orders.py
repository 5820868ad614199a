"""Dialogues do not depend on the order in which chunks become known, nor on how often they do."""

from __future__ import annotations

import random
from itertools import pairwise

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from streams.steps import Event
from tests.drivers.dialogues import chunk, in_the_end, pieces, silence, unreadable


@st.composite
def recordings(draw: st.DrawFn) -> list[Event]:
    """Up to nine chunks of a minute, with some missing, silent, unreadable or overlapping the one before."""
    events: list[Event] = []
    at = 0.0
    for n in range(draw(st.integers(1, 9))):
        at += draw(st.sampled_from([0, 0, 0, -20, 0.5, 11, 12, 60, 300]))
        edges = draw(st.lists(st.integers(0, 600), max_size=10, unique=True).map(sorted))
        spans = [(one / 10, two / 10) for one, two in zip(edges[::2], edges[1::2], strict=False)]
        kind = draw(st.sampled_from(["speech"] * 8 + ["silence", "unreadable"]))
        made = {"speech": chunk(f"{n}", at, *spans), "silence": silence(at), "unreadable": unreadable(f"{n}", at)}
        events.append(made[kind])
        at += 60
    return events


@given(recordings(), st.randoms(use_true_random=False))
@settings(max_examples=300, deadline=None)
def test_any_order_and_any_repetition_end_in_the_same_dialogues(events: list[Event], rng: random.Random) -> None:
    expected = [(one["start_us"], one["end_us"], pieces(one)) for one in in_the_end(events)]
    shuffled = [*events, *rng.choices(events, k=len(events))]
    rng.shuffle(shuffled)
    assert [(one["start_us"], one["end_us"], pieces(one)) for one in in_the_end(shuffled)] == expected


@given(recordings())
@settings(max_examples=200, deadline=None)
def test_every_piece_of_speech_is_in_exactly_one_dialogue(events: list[Event]) -> None:
    spoken = [one for one in events if one.record["segment_start_ms"]]
    assume(all(one.record["end_us"] <= two.record["start_us"] for one, two in pairwise(events)))
    wanted = [
        (one.record["chunk_id"], start, end)
        for one in spoken
        for start, end in zip(one.record["segment_start_ms"], one.record["segment_end_ms"], strict=True)
    ]
    found = in_the_end(events)
    assert sorted(piece for one in found for piece in pieces(one)) == sorted(wanted)
    for before, after in pairwise(found):
        assert after["start_us"] >= before["end_us"]
    for one in found:
        assert one["end_us"] - one["start_us"] <= 120_000_000
