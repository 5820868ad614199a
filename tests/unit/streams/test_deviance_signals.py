"""Deviance signals: one commotion is one signal, however the scores waver, repeat or stop."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import examples, serde
from schemas.errors import InvalidEvent
from streams.processors import deviance_signals as signals
from streams.processors import threats
from streams.steps import Emitted, Event, NoState
from streams.topology import StateCodec
from tests.drivers.deciding import AT_US
from tests.drivers.security import SECOND, Guard

Told = list[tuple[float, float | None, float]]


def window(second: float, score: float, **changed: Any) -> Event:
    record = examples.load("DevianceScored") | {
        "camera_id": "c", "window_start_us": AT_US + round(second * SECOND),
        "window_end_us": AT_US + round((second + 1) * SECOND), "score": score,
    }  # fmt: skip
    return Event(
        "DevianceScored", serde.decode(serde.encode("DevianceScored", record | changed))[1], round(second * 1000)
    )


def run(*events: Event, state: signals.State | None = None) -> tuple[signals.State, list[Emitted]]:
    state, emitted = state or signals.State(), list[Emitted]()
    for event in events:
        state, more = signals.step(state, event)
        emitted += more
    return state, emitted


def told(emitted: list[Emitted]) -> Told:
    def seconds(us: int) -> float:
        return (us - AT_US) / SECOND

    found: Told = []
    for one in emitted:
        serde.encode(one.name, one.record)
        end = one.record["end_us"]
        found.append(
            (seconds(one.record["start_us"]), None if end is None else seconds(end), round(one.record["score"], 2))
        )
    return found


def test_it_begins_high_and_ends_low() -> None:
    scores = [0.1, 0.49, 0.5, 0.2, 0.52, 0.26, 0.24, 0.2, 0.1, 0.3]
    _, emitted = run(*(window(n, score) for n, score in enumerate(scores)))
    assert told(emitted) == [(2, None, 0.5), (2, 6, 0.52)]
    assert len({one.record["alert_id"] for one in emitted}) == 1
    assert {one.key for one in emitted} == {b"security"}


def test_it_is_told_of_again_when_it_is_louder_with_what_was_seen_then() -> None:
    loud = window(1, 0.8, frame="f" * 64, participants='[{"track_id": 1}]')
    _, emitted = run(window(0, 0.5), loud, window(2, 0.82), window(5, 0.0))
    assert told(emitted) == [(0, None, 0.5), (0, None, 0.8), (0, 3, 0.82)]
    evidence = orjson.loads(emitted[1].record["evidence"])
    assert evidence == {"device_id": "robot-1", "frame": "f" * 64, "clip": None, "participants": [{"track_id": 1}]}


def test_scores_may_carry_thresholds_of_their_own() -> None:
    own = {"deviance_on": 0.9, "deviance_off": 0.8}
    _, emitted = run(window(0, 0.7, **own), window(1, 0.95, **own), window(4, 0.79, **own))
    assert [(start, end) for start, end, _ in told(emitted)] == [(1, None), (1, 2)]


def test_a_state_with_a_signal_survives_a_snapshot() -> None:
    state, _ = run(window(0, 0.6, frame="f" * 64))
    codec = StateCodec(signals.State, 1)
    assert codec.load(codec.dump(state)) == state


def test_a_gap_ends_it() -> None:
    _, emitted = run(window(0, 0.6), window(31, 0.7))
    assert told(emitted) == [(0, None, 0.6), (0, 1, 0.6), (31, None, 0.7)]
    assert len({one.record["alert_id"] for one in emitted}) == 2


def test_a_silent_camera_ends_it_by_an_event() -> None:
    state, _ = run(window(0, 0.6))
    assert signals.idle(state, 29_999) == []
    (silence,) = signals.idle(state, 30_000)
    assert (silence.name, silence.key) == ("DevianceScored", b"c")
    heard = Event(*serde.decode(serde.encode(silence.name, silence.record)), 30_000)
    state, emitted = run(heard, heard, state=state)
    assert told(emitted) == [(0, 1, 0.6)]
    assert signals.idle(state, 90_000) == []


def test_a_camera_that_was_heard_of_meanwhile_is_not_silent() -> None:
    state, _ = run(window(0, 0.6))
    (silence,) = signals.idle(state, 30_000)
    late = Event(*serde.decode(serde.encode(silence.name, silence.record)), 30_000)
    state, _ = run(window(1, 0.6), state=state)
    assert run(late, state=state) == (state, [])


def test_a_camera_whose_clock_was_ahead_is_heard_when_it_is_set_right() -> None:
    start = AT_US // SECOND

    def heard(ahead: int, second: int, score: float) -> Event:
        told = window(ahead + second, score)
        return Event(told.name, told.record, 1000 * (start + second))

    state, emitted = run(heard(3600, 0, 0.6), heard(3600, 1, 0.6))
    assert told(emitted) == [(3600, None, 0.6)]
    state, emitted = run(heard(0, 10, 0.7), heard(0, 20, 0.1), state=state)
    assert told(emitted) == [(3600, 3602, 0.6), (10, None, 0.7), (10, 11, 0.7)]
    _, emitted = run(heard(0, 5, 0.9), state=state)
    assert emitted == [], "a late window of a clock that is right"


def test_windows_seen_before_tell_nothing() -> None:
    state, _ = run(window(0, 0.6), window(3, 0.1))
    again, emitted = run(window(0, 0.6), window(3, 0.1), window(0.5, 0.9), state=state)
    assert (again, emitted) == (state, [])


@pytest.mark.parametrize(
    "wrong",
    [{"score": 1.5}, {"score": float("nan")}, {"window_end_us": 0}, {"participants": "{", "score": 0.6}],
)
def test_no_window(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidEvent):
        run(window(0, **{"score": 0.5} | wrong))
    with pytest.raises(InvalidEvent):
        run(Event("FaceMatched", {}, 0))


def test_cameras_that_are_gone_are_forgotten() -> None:
    state, _ = run(*(window(0, 0.1, camera_id=f"c{n}") for n in range(1000)))
    state, _ = run(window(200_000, 0.1), state=state)
    assert set(state.cameras) == {"c"}


@settings(deadline=None, max_examples=80)
@given(st.lists(st.tuples(st.integers(0, 200), st.sampled_from((0.0, 0.3, 0.5, 0.7, 1.0))), max_size=40))
def test_a_replay_and_repeats_raise_nothing_twice(windows: list[tuple[int, float]]) -> None:
    events = [window(second, score) for second, score in windows]
    _, once = run(*events)
    _, twice = run(*(event for event in events for _ in range(2)))
    assert once == twice
    guard = Guard()
    for one in once:
        guard.told("RaiseAlert", **one.record)
    facts = list(guard.facts)
    alerts = [fact for fact in facts if fact.name == "AlertRaised"]
    assert len(alerts) == len({one.record["alert_id"] for one in once})
    for one in once:  # the processor began anew, and said all of it once more
        guard.told("RaiseAlert", **one.record)
    assert [fact for fact in guard.facts if fact.name == "AlertRaised"] == alerts


def matched(**changed: Any) -> Event:
    return Event("FaceMatched", examples.load("FaceMatched") | changed, 0)


def test_a_recognised_face_may_be_a_threat() -> None:
    seen = {"sighting_id": "s", "camera": "c", "user_id": "u", "distance": 0.375, "seen_us": AT_US}
    _, (asked,) = threats.step(NoState(), matched(**seen))
    serde.encode(asked.name, asked.record)
    assert (asked.name, asked.key) == ("RaiseAlert", b"security")
    told = {name: asked.record[name] for name in ("kind", "camera_id", "user_id", "start_us", "score")}
    assert told == {"kind": "threat", "camera_id": "c", "user_id": "u", "start_us": AT_US, "score": 0.625}
    assert threats.step(NoState(), matched(**seen))[1] == [asked]
    _, (another,) = threats.step(NoState(), matched(**seen | {"sighting_id": "t"}))
    assert another.record["alert_id"] != asked.record["alert_id"]


def test_a_face_that_nobody_knows_is_none() -> None:
    assert threats.step(NoState(), matched(user_id=None, distance=0.9))[1] == ()
    with pytest.raises(InvalidEvent):
        threats.step(NoState(), Event("FaceSeen", {}, 0))
