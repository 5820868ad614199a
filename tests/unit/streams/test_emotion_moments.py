"""The processor of emotional moments, as sentences."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import pytest
from hypothesis import given as hypothesis_given
from hypothesis import settings
from hypothesis import strategies as st

from schemas import examples, serde
from schemas.errors import InvalidEvent
from streams.processors.emotion_moments import THRESHOLDS, Person, Signal, State, Thresholds, idle, step
from streams.steps import Event
from tests.drivers.processors import Given, given

Row = tuple[int, int, float, float]
"""session_person_id, t_ms, valence, arousal."""


def points(rows: Iterable[Row], log_time_ms: int = 0, session: str = "s") -> Event:
    columns = list(zip(*rows, strict=True)) or [(), (), (), ()]
    record = examples.load("EmotionPointsRecorded") | {"device_id": "d", "session_id": session}
    named = dict(zip(("session_person_id", "t_ms", "valence", "arousal"), map(list, columns), strict=True))
    return Event("EmotionPointsRecorded", record | named, log_time_ms)


def curve(valence: Callable[[float], float], until_s: float, *, who: int = 1, from_s: float = 0.0) -> list[Row]:
    """Ten points a second of a function of time in seconds; arousal stays at 0."""
    return [
        (who, round(second * 1000), valence(second), 0.0)
        for second in (from_s + tick / 10 for tick in range(round((until_s - from_s) * 10)))
    ]


def step_at(second: float, height: float) -> Callable[[float], float]:
    return lambda t: height if t >= second else 0.0


def nobody() -> Given[State]:
    return given(step, State())


def test_a_flat_line_is_no_moment() -> None:
    nobody().when(points(curve(lambda _: 0.3, 120))).then_nothing()


def test_the_first_face_is_not_a_change_even_when_its_first_point_is_an_outlier() -> None:
    nobody().when(points(curve(lambda t: 0.65 if t == 0 else 0.0, 60))).then_nothing()


def test_a_step_is_one_sudden_moment_that_ends_when_the_baseline_has_caught_up() -> None:
    moments = nobody().when(points(curve(step_at(20, 0.6), 80)))
    moments.then(
        {"phase": "OPENED", "kind": "SUDDEN", "signal": "VALENCE", "direction": "UP", "end_ms": None},
        {"phase": "CLOSED", "kind": "SUDDEN", "signal": "VALENCE", "direction": "UP"},
    )
    opened, closed = (one.record for one in moments.emitted)
    assert opened["moment_id"] == closed["moment_id"]
    assert 20_400 <= opened["start_ms"] == closed["start_ms"] <= 21_500
    assert 35_000 <= closed["end_ms"] <= 45_000, "15 s x ln(0.6 / 0.15) = 21 s after the step"
    assert closed["peak"] == pytest.approx(0.6, abs=0.01)
    assert closed["peak"] >= opened["peak"] >= opened["value"] > opened["baseline"]


def test_a_step_down_is_a_moment_downwards() -> None:
    nobody().when(points(curve(step_at(20, -0.6), 25))).then({"phase": "OPENED", "direction": "DOWN"})


def test_arousal_is_watched_too() -> None:
    swapped = [(who, t_ms, 0.0, value) for who, t_ms, value, _ in curve(step_at(20, 0.6), 25)]
    nobody().when(points(swapped)).then({"phase": "OPENED", "signal": "AROUSAL", "kind": "SUDDEN"})


def test_a_slow_ramp_is_strong_but_not_sudden() -> None:
    ramp = curve(lambda t: min(0.9, t / 200), 300)
    nobody().when(points(ramp)).then({"phase": "OPENED", "kind": "STRONG", "direction": "UP"})


def test_a_strong_face_that_fades_closes_its_moment_once() -> None:
    fading = curve(lambda t: 0.9 if t < 60 else 0.9 - (t - 60) / 100, 150)
    nobody().when(points(fading)).then(
        {"phase": "OPENED", "kind": "STRONG"}, {"phase": "CLOSED", "kind": "STRONG", "peak": 0.9}
    )


def test_noise_around_the_opening_threshold_is_one_moment() -> None:
    drawn = random.Random(7)
    noisy = curve(lambda _: 0.7 + drawn.uniform(-0.25, 0.25), 60)
    nobody().when(points(noisy)).then({"phase": "OPENED", "kind": "STRONG"})


def test_without_hysteresis_the_same_noise_would_be_many() -> None:
    drawn = random.Random(7)
    noisy = curve(lambda _: 0.7 + drawn.uniform(-0.25, 0.25), 60)
    flimsy = Thresholds(strong_close=0.7, min_duration_ms=0, refractory_ms=0)
    given(lambda state, event: step(state, event, flimsy), State()).when(points(noisy)).then_records(
        lambda records: len(records) > 4
    )


def test_a_glitch_of_two_points_is_no_moment() -> None:
    nobody().when(points(curve(lambda t: 1.0 if 20 <= t < 20.2 else 0.0, 60))).then_nothing()


def test_a_second_moment_of_a_kind_waits_for_the_refractory_time() -> None:
    limits = Thresholds(refractory_ms=60_000)
    twice = curve(lambda t: 0.9 if 20 <= t < 30 or 40 <= t < 50 else 0.0, 70)
    strong = given(lambda state, event: step(state, event, limits), State()).when(points(twice)).emitted
    assert [one.record["phase"] for one in strong if one.record["kind"] == "STRONG"] == ["OPENED", "CLOSED"]


def test_a_pause_closes_what_is_open_at_the_last_point_before_it() -> None:
    nobody().given(points(curve(step_at(20, 0.6), 25))).when(points([(1, 60_000, 0.6, 0.0)])).then(
        {"phase": "CLOSED", "kind": "SUDDEN", "end_ms": 24_900}
    )


def test_two_persons_do_not_mix() -> None:
    happy, calm = curve(step_at(20, 0.6), 80), curve(lambda _: 0.0, 80, who=2)
    both = nobody().when(points(sorted(happy + calm, key=lambda row: row[1])))
    alone = nobody().when(points(happy))
    assert [one.record for one in both.emitted] == [one.record for one in alone.emitted]
    assert len(both.emitted) == 2


def test_the_same_person_number_in_another_session_is_somebody_else() -> None:
    nobody().given(points(curve(lambda _: 0.0, 20))).when(
        points(curve(lambda _: 0.6, 25, from_s=20), session="t")
    ).then_nothing()


def test_points_posted_again_change_nothing() -> None:
    post = points(curve(step_at(20, 0.6), 25))
    once = nobody().when(post)
    again = nobody().when(post, post)
    assert again.emitted == once.emitted
    assert again.state == once.state


def test_unordered_points_are_taken_in_the_order_of_their_time() -> None:
    rows = curve(step_at(20, 0.6), 80)
    shuffled = random.Random(1).sample(rows, len(rows))
    assert nobody().when(points(shuffled)).emitted == nobody().when(points(rows)).emitted


def test_a_truncation_forgets_everybody() -> None:
    truncated = Event("EmotionLogsTruncated", examples.load("EmotionLogsTruncated"), 0)
    after = nobody().given(points(curve(step_at(20, 0.6), 25))).when(truncated)
    assert after.state == State()
    names = [one.name for one in after.emitted]
    assert names == ["EmotionMomentsTruncated"], "the open moment is not closed: it is gone with its points"


def test_a_truncation_is_passed_on_into_its_own_partition() -> None:
    body = examples.load("EmotionLogsTruncated")
    after = nobody().when(Event("EmotionLogsTruncated", body, 0, 3))
    after.then({"truncation_id": body["truncation_id"], "requested_at_ms": body["requested_at_ms"]})
    (one,) = after.emitted
    assert (one.name, one.key, one.partition) == ("EmotionMomentsTruncated", None, 3)
    serde.encode(one.name, one.record)


def test_who_is_unheard_of_for_long_is_forgotten_and_the_open_moment_closed() -> None:
    left = nobody().given(points(curve(step_at(20, 0.6), 25), log_time_ms=1_000))
    later = 1_000 + THRESHOLDS.forget_ms
    left.when(points([(2, 1, 0.0, 0.0)], later)).then_nothing()
    left.when(points([(2, 2, 0.0, 0.0)], later + 1)).then({"phase": "CLOSED", "session_person_id": 1, "end_ms": 24_900})
    assert list(left.state.persons) == [("d", "s", 2)]


def test_the_state_is_bounded() -> None:
    limits = Thresholds(max_persons=3)
    crowd = [points([(who, 1, 0.0, 0.0)], log_time_ms=who) for who in range(10)]
    state = given(lambda state, event: step(state, event, limits), State()).when(*crowd).state
    assert [who for _, _, who in state.persons] == [7, 8, 9]


def test_an_event_of_another_topic_is_invalid() -> None:
    with pytest.raises(InvalidEvent, match="EmotionTotalsReported"):
        nobody().when(Event("EmotionTotalsReported", {}, 0))


def test_a_step_leaves_its_input_state_alone() -> None:
    before = nobody().when(points(curve(lambda _: 0.0, 20))).state
    kept = msgspec.msgpack.encode(before)
    step(before, points(curve(lambda _: 0.9, 25, from_s=20)))
    assert msgspec.msgpack.encode(before) == kept


def test_moments_fit_their_schema() -> None:
    for one in nobody().when(points(curve(step_at(20, 0.9), 80))).emitted:
        assert serde.decode(serde.encode(one.name, one.record)) == (one.name, one.record)
        assert one.key == b"d"


def test_the_state_survives_serialisation() -> None:
    state = nobody().when(points(curve(step_at(20, 0.9), 25))).state
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=State) == state
    assert Person(1, 1, 1, Signal(0.0, 0.0), Signal(0.0, 0.0)) not in state.persons.values()


STRETCH = st.tuples(
    st.integers(1, 2),
    st.integers(1, 40),
    st.sampled_from([50, 100, 400, 900, 5_001]),
    st.sampled_from([-1.0, -0.6, 0.0, 0.6, 1.0]),
    st.sampled_from([-1.0, 0.0, 1.0]),
)
WALK = st.lists(STRETCH, min_size=3, max_size=12)
"""Stretches of a held expression: person, points, milliseconds between them, valence, arousal."""


def _rows(walk: list[tuple[int, int, int, float, float]]) -> list[Row]:
    t_ms, rows = 0, list[Row]()
    for who, count, apart_ms, valence, arousal in walk:
        for _ in range(count):
            t_ms += apart_ms
            rows.append((who, t_ms, valence, arousal))
    return rows


@settings(deadline=None, max_examples=150)
@hypothesis_given(WALK, st.data())
def test_an_event_cut_in_two_anywhere_gives_the_same_moments(walk: list[Any], data: st.DataObject) -> None:
    rows = _rows(walk)
    cut = data.draw(st.integers(0, len(rows)))
    whole, parts = nobody().when(points(rows)), nobody().when(points(rows[:cut]), points(rows[cut:]))
    assert whole.emitted == parts.emitted
    assert whole.state.persons == parts.state.persons


@settings(deadline=None, max_examples=150)
@hypothesis_given(WALK)
def test_every_moment_opens_once_closes_at_most_once_and_is_finite(walk: list[Any]) -> None:
    emitted = nobody().when(points(_rows(walk))).emitted
    phases: dict[str, list[str]] = {}
    for one in emitted:
        phases.setdefault(one.record["moment_id"], []).append(one.record["phase"])
        assert all(math.isfinite(one.record[name]) for name in ("value", "baseline", "peak"))
        assert one.record["end_ms"] is None or one.record["end_ms"] >= one.record["start_ms"]
    assert all(found in (["OPENED"], ["OPENED", "CLOSED"]) for found in phases.values())


@settings(deadline=None, max_examples=50)
@hypothesis_given(WALK)
def test_a_replay_says_the_same(walk: list[Any]) -> None:
    event = points(_rows(walk))
    assert nobody().when(event).emitted == nobody().when(event).emitted


def laughing(log_time_ms: int = 0) -> Given[State]:
    """A person who laughs when the last point comes."""
    return nobody().given(points(curve(step_at(20, 0.9), 22), log_time_ms))


def silence(since_ms: int, at_ms: int, device: str = "d") -> Event:
    return Event("EmotionDeviceIdle", {"device_id": device, "idle_since_ms": since_ms}, at_ms)


def test_a_silent_device_has_no_open_moments() -> None:
    world = laughing().when(silence(0, 60_000))
    world.then({"phase": "CLOSED", "kind": "STRONG", "end_ms": 21_900}, {"phase": "CLOSED", "kind": "SUDDEN"})


def test_it_is_said_once_and_only_of_what_is_open() -> None:
    world = laughing()
    assert idle(world.state, 60_999) == [], "the clocks may differ by a second"
    (said,) = idle(world.state, 61_000)
    assert (said.name, said.key, said.record) == ("EmotionDeviceIdle", b"d", {"device_id": "d", "idle_since_ms": 0})
    serde.encode(said.name, said.record)
    world.when(Event(said.name, said.record, 61_000))
    assert idle(world.state, 10_000_000) == []
    assert idle(nobody().when(points(curve(lambda _: 0.1, 5))).state, 10_000_000) == []


def test_silence_said_twice_or_too_early_or_of_another_or_after_a_new_point_changes_nothing() -> None:
    world = laughing().given(silence(0, 60_000))
    world.when(silence(0, 60_001)).then_nothing()
    laughing().when(silence(0, 59_999)).then_nothing()
    laughing().when(silence(0, 60_000, "another")).then_nothing()
    laughing(log_time_ms=1).when(silence(0, 90_000)).then_nothing()


def test_who_comes_back_after_the_silence_is_known_still() -> None:
    world = laughing().given(silence(0, 60_000))
    world.when(points([(1, 22_000, 0.9, 0.0)], 70_000)).then_nothing()
    assert len(world.state.persons) == 1
    assert world.state.persons["d", "s", 1].first_ms == 0
    world.when(points(curve(lambda _: 0.9, 30, from_s=22.1), 70_000))
    world.then({"phase": "OPENED", "kind": "STRONG"}, {"phase": "OPENED", "kind": "SUDDEN"})


def test_a_silent_device_is_one_whose_every_person_is_silent() -> None:
    world = laughing().given(points([(2, 22_000, 0.0, 0.0)], 50_000))
    assert idle(world.state, 100_000) == []
    (said,) = idle(world.state, 111_000)
    assert said.record["idle_since_ms"] == 50_000
    world.when(Event(said.name, said.record, 111_000)).then_records(lambda all_: len(all_) == 2)
