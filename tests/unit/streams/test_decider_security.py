"""Security's decisions: cameras, the watch list, and what people are told of: once, and not less."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import InvalidEvent
from streams import security_state
from streams.deciders.security import ALLOWED, State
from streams.topology import StateCodec
from streams.watch_hours import hours_of, is_watched
from tests.drivers.deciding import AT_US
from tests.drivers.security import CAMERA, SECOND, THIEF, Guard, sighting, signalled, watch_details

DAY_S = 86_400
OTHER = "0f9d3c1e-0000-4000-8000-0000000000f2"


@pytest.fixture
def guard() -> Guard:
    made = Guard()
    made.watch()
    return made


def test_a_person_walking_by_is_one_threat(guard: Guard) -> None:
    assert guard.seen(0) == ["AlertRaised"]
    assert [guard.seen(at) for at in (10, 65, 125)] == [["AlertUpdated"]] * 3
    assert guard.facts[-1].record["sightings"] == 4
    assert guard.facts[-1].record["end_us"] == AT_US + 125 * SECOND
    assert guard.facts[1].record["level"] == "high"
    assert guard.seen(186) == ["AlertRaised"]


def test_another_person_or_camera_is_another_threat(guard: Guard) -> None:
    guard.watch(OTHER, "low")
    assert guard.seen(0) == guard.seen(1, OTHER) == guard.seen(2, camera_id="wagon-4") == ["AlertRaised"]


def test_nobody_is_a_threat_who_is_not_watched(guard: Guard) -> None:
    assert guard.refusal("RaiseAlert", **sighting(0, OTHER)) == "not_watched"
    assert guard.told("UnwatchPerson", user_id=THIEF) == ["PersonUnwatched"]
    assert guard.told("UnwatchPerson", user_id=THIEF) == []
    assert guard.refusal("RaiseAlert", **sighting(0)) == "not_watched"


def test_a_repeat_raises_nothing_and_counts_nothing(guard: Guard) -> None:
    assert [guard.seen(at) for at in (0, 0, 30, 30, 0, 15)] == [["AlertRaised"], [], ["AlertUpdated"], [], [], []]
    assert guard.signal(0) == ["AlertRaised"]
    assert guard.signal(0) == []
    assert guard.signal(0, score=0.9) == ["AlertUpdated"]
    assert guard.signal(0, score=0.9) == []
    assert guard.signal(0, 5, 0.9) == ["AlertUpdated"]
    assert guard.signal(0, 5, 0.9) == guard.signal(0) == guard.signal(3) == []


def test_a_signal_that_is_on_takes_others_of_its_camera_into_itself(guard: Guard) -> None:
    assert guard.signal(0) == ["AlertRaised"]
    assert guard.signal(4, score=0.8) == ["AlertUpdated"]
    assert guard.facts[-1].record["alert_id"] == f"d-{AT_US}"
    assert guard.signal(4, 9) == ["AlertUpdated"]
    assert guard.facts[-1].record["score"] == pytest.approx(0.8)
    assert guard.signal(10) == ["AlertRaised"]
    assert guard.signal(11, camera_id="wagon-4", alert_id="x") == ["AlertRaised"]


def test_a_signal_never_ends_before_it_began(guard: Guard) -> None:
    guard.signal(10)
    assert guard.signal(4, 9) == ["AlertUpdated"]
    assert guard.facts[-1].record["end_us"] == AT_US + 10 * SECOND


def test_a_signal_that_never_ended_takes_no_later_one_into_itself(guard: Guard) -> None:
    guard.signal(0)
    assert guard.after(601).signal(601) == ["AlertRaised"]


def test_a_signal_of_a_clock_that_was_ahead_swallows_none_after_it(guard: Guard) -> None:
    assert guard.signal(3600) == ["AlertRaised"]
    assert guard.after(5).signal(3600, 3605) == ["AlertUpdated"]
    assert guard.signal(3602) == [], "of the same clock"
    assert guard.after(5).signal(10) == ["AlertRaised"]
    assert guard.signal(10) == guard.signal(3600) == []


def test_what_a_camera_is_not_watched_for_is_not_raised(guard: Guard) -> None:
    assert guard.camera(deviance=False) == ["CameraConfigured"]
    assert guard.refusal("RaiseAlert", **signalled(0)) == "camera_off"
    assert guard.seen(0) == ["AlertRaised"]
    guard.camera(faces=False)
    assert guard.refusal("RaiseAlert", **sighting(1000)) == "camera_off"
    assert guard.told("RemoveCamera", camera_id=CAMERA) == ["CameraRemoved"]
    assert guard.told("RemoveCamera", camera_id=CAMERA) == []
    assert guard.seen(1000) == ["AlertRaised"]


def test_a_camera_keeps_its_hours(guard: Guard) -> None:
    guard.camera(schedule='[{"days": [3], "from": "09:00", "to": "09:01", "zone": "UTC"}]')  # AT_US: Thursday 09:00
    assert guard.signal(59) == ["AlertRaised"]
    assert guard.refusal("RaiseAlert", **sighting(60)) == "camera_off"


def test_a_muted_camera_raises_in_silence(guard: Guard) -> None:
    until = guard.now_us + 60 * SECOND
    assert guard.told("MuteCamera", camera_id=CAMERA, kind="threat", until_us=until) == ["CameraMuted"]
    assert guard.told("MuteCamera", camera_id=CAMERA, kind="threat", until_us=until) == []
    guard.seen(0)
    guard.signal(0)
    guard.after(60).seen(600)
    assert [one.record["muted"] for one in guard.facts if one.name == "AlertRaised"] == [True, False, False]
    guard.told("MuteCamera", camera_id=CAMERA, kind="all", until_us=None)
    guard.after(DAY_S).seen(2000)
    assert guard.facts[-1].record["muted"]
    assert guard.told("MuteCamera", camera_id=CAMERA, kind="all", until_us=0) == ["CameraMuted"]
    assert guard.told("MuteCamera", camera_id=CAMERA, kind="all", until_us=0) == []
    guard.seen(3000)
    assert not guard.facts[-1].record["muted"]
    assert guard.refusal("MuteCamera", camera_id=CAMERA, kind="everything") == "invalid_kind"


@pytest.mark.parametrize("way", list(itertools.permutations(("acknowledged", "escalated", "resolved"))))
def test_an_alert_is_settled_in_its_order(guard: Guard, way: tuple[str, ...]) -> None:
    guard.seen(0, alert_id="a")
    status = "open"
    for verdict in way:
        allowed = verdict in ALLOWED[status]
        asked = {"alert_id": "a", "verdict": verdict}
        if allowed:
            assert guard.told("SettleAlert", **asked) == ["AlertSettled"]
            assert guard.told("SettleAlert", **asked) == []
            status = verdict
        else:
            assert guard.refusal("SettleAlert", **asked) == "not_allowed"
    assert guard.refusal("SettleAlert", alert_id="b", verdict="resolved") == "alert_not_found"


def test_what_was_dealt_with_is_forgotten_after_a_day(guard: Guard) -> None:
    guard.seen(0, alert_id="a")
    guard.seen(1000, alert_id="b")
    guard.signal(0)
    guard.told("SettleAlert", alert_id="a", verdict="resolved")
    guard.told("MuteCamera", camera_id="c", kind="all", until_us=guard.now_us + 1)
    guard.after(DAY_S).seen(DAY_S)
    assert set(guard.state.alerts) == {"b", f"d-{AT_US}", f"t-{THIEF}-{CAMERA}-{AT_US + DAY_S * SECOND}"}
    assert not guard.state.mutes
    guard.after(30 * DAY_S).signal(40 * DAY_S)
    assert len(guard.state.alerts) == 1
    assert len(guard.state.latest) == 1
    assert not guard.state.passing
    assert guard.refusal("SettleAlert", alert_id="b", verdict="resolved") == "alert_not_found"


def test_what_makes_no_sense_is_refused(guard: Guard) -> None:
    signal, threat = signalled(0), sighting(0)
    for wrong in ({"evidence": "[]"}, {"evidence": "{"}, {"end_us": 0}, {"user_id": "u"}, {"kind": "rumour"}):
        assert guard.refusal("RaiseAlert", **{**signal, **wrong}) == "invalid_alert"
    assert guard.refusal("RaiseAlert", **{**threat, "user_id": None}) == "invalid_alert"
    details = watch_details(THIEF)
    assert guard.refusal("WatchPerson", user_id=THIEF, level="huge", details=details) == "invalid_level"
    with pytest.raises(InvalidEvent):
        guard.ask("WatchPerson", user_id=OTHER, level="low", details=details)
    with pytest.raises(InvalidEvent):
        guard.ask("CreateScenario")
    for schedule in (
        "{}",
        "[",
        '[{"days": [7], "from": "09:00", "to": "10:00"}]',
        '[{"days": [], "from": "9", "to": "x"}]',
    ):
        assert guard.refusal("ConfigureCamera", camera_id=CAMERA, schedule=schedule) == "invalid_schedule"
    assert guard.refusal("ConfigureCamera", camera_id=CAMERA, deviance_on=0.2, deviance_off=0.3) == "invalid_camera"


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 600), min_size=1, max_size=40))
def test_however_sightings_come_threats_lie_apart(seconds: list[int]) -> None:
    guard = Guard()
    guard.watch()
    for at in seconds:
        guard.seen(at)
    before = len(guard.facts)
    raised = [one.record for one in guard.facts if one.name == "AlertRaised"]
    assert len({one["alert_id"] for one in raised}) == len(raised)
    alerts = sorted((one.start_us, one.last_us) for one in guard.state.alerts.values())
    for at in seconds:  # each is within an alert, or before one that it is one with
        seen = AT_US + at * SECOND
        assert any(start - security_state.MERGED_US <= seen <= last for start, last in alerts)
    for at in seconds:
        guard.seen(at)
    assert len(guard.facts) == before, "a repeat told something"


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 600), min_size=1, max_size=40))
def test_in_their_order_sightings_are_as_many_threats_as_there_were_visits(seconds: list[int]) -> None:
    guard = Guard()
    guard.watch()
    ordered = sorted(seconds)
    for at in ordered:
        guard.seen(at)
    visits = 1 + sum(later - earlier > 60 for earlier, later in itertools.pairwise(ordered))
    assert sum(one.name == "AlertRaised" for one in guard.facts) == visits
    assert sum(one.sightings for one in guard.state.alerts.values()) == len(set(ordered))


def test_the_state_survives_a_snapshot(guard: Guard) -> None:
    guard.camera()
    guard.seen(0)
    guard.seen(1)
    guard.signal(0)
    guard.told("MuteCamera", camera_id=CAMERA, kind="all", until_us=None)
    codec = StateCodec(State, 1)
    assert codec.load(codec.dump(guard.state)) == guard.state


def test_hours_past_midnight_and_of_another_zone() -> None:
    night = '[{"days": [3], "from": "22:00", "to": "06:00", "zone": "Europe/Moscow"}]'
    thursday = AT_US - 9 * 3600 * SECOND  # midnight, UTC
    hour = 3600 * SECOND
    watched = [h for h in range(48) if is_watched(night, thursday + h * hour)]
    assert watched == list(range(19, 27))
    assert is_watched("[]", 0)
    assert hours_of(night)[0].days == (3,)
    with pytest.raises(ValueError, match="more than"):
        hours_of("[" + ",".join(['{"days": [], "from": "09:00", "to": "10:00"}'] * 51) + "]")
