"""Scenarios: what may become what, and one runner at a time."""

from __future__ import annotations

import pytest

from schemas.errors import InvalidEvent
from schemas.scenarios import LARGEST_ID, ScenarioStatus
from streams.deciders import scenarios
from streams.decisions import Accepted, Command, Refused
from streams.scenario_state import ALLOWED
from tests.drivers.deciding import DECIDERS
from tests.drivers.scenarios import BEGIN_US, LEASE_MS, Office, signed

SECOND_US = 1_000_000
PAUSES_S = (1, 2, 4, 8)


@pytest.fixture
def office() -> Office:
    return Office()


def names(verdict: Accepted | Refused) -> list[str]:
    assert isinstance(verdict, Accepted), verdict
    return [fact.name for fact in verdict.events]


def test_ids_are_numbers_without_gaps(office: Office):
    assert [office.create(), office.create("active"), office.create()] == [1, 2, 3]
    assert office.refusal("CreateScenario", status="sleeping") == "invalid_status"
    assert office.refusal("CreateScenario", settings="[]") == "invalid_settings"
    assert office.create() == 4


def test_there_are_as_many_ids_as_the_tables_hold(office: Office, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(scenarios, "LARGEST_ID", 1)
    assert office.create() == 1
    assert office.refusal("CreateScenario") == "no_ids_left"
    assert LARGEST_ID == 2_147_483_647


@pytest.mark.parametrize("old", ScenarioStatus)
@pytest.mark.parametrize("new", ScenarioStatus)
def test_the_table_says_what_may_become_what(office: Office, old: str, new: str):
    office.create(old)
    verdict = office.set(1, new)
    if old == new:
        assert verdict == Accepted((), {"scenario_id": 1, "status": new})
        assert len(office.facts) == 1
    elif new in ALLOWED[old]:
        over = [new, "inactive"] if new == "init_shutdown" else [new]
        assert office.way(1) == over
        assert verdict == Accepted(verdict.events, {"scenario_id": 1, "status": over[-1]})  # type: ignore[union-attr]
    else:
        assert verdict == Refused("not_allowed", f"Scenario 1 is {old}: it cannot become {new}")
        assert office.of(1).status == old


def test_every_status_is_in_the_table():
    assert set(ALLOWED) == set(ScenarioStatus)
    assert all(wanted <= set(ScenarioStatus) for wanted in ALLOWED.values())


def test_the_ways_that_the_seed_shows(office: Office):
    office.set(office.create(), "active")
    assert office.of(1).status == "active"
    office.set(office.create(), "init_startup_processing")
    assert office.of(2).status == "init_startup_processing"


def test_who_does_not_exist(office: Office):
    office.create()
    for command in ("SetScenarioStatus", "RetryScenario", "OverwritePredictions", "RenewScenarioLease"):
        assert office.refusal(command, scenario_id=2) == "scenario_not_found"


def test_the_longest_waiting_is_given_first_and_once(office: Office):
    for status in ("active", "init_startup", "init_startup"):
        office.create(status)
        office.after(1)
    office.set(1, "init_startup")
    taken = [office.claim(f"r{n}").get("scenario_id") for n in range(4)]
    assert taken == [2, 3, 1, None]


def test_a_claim_says_what_to_do(office: Office):
    office.create(source="a.mp4", settings='{"every":5}')
    assert office.claim("r1", 3_000) == {
        "scenario_id": 1,
        "epoch": 1,
        "runner_id": "r1",
        "attempt": 1,
        "from_frame": 0,
        "lease_until_us": BEGIN_US + 3_000_000,
        "source": "a.mp4",
        "settings": '{"every":5}',
        "summary": None,
    }
    assert office.way(1) == ["init_startup_processing"]


def test_no_lease_lasts_for_ever(office: Office):
    office.create()
    assert office.claim(lease_ms=10**15)["lease_until_us"] == BEGIN_US + 600 * SECOND_US
    office.create()
    assert office.claim(lease_ms=-5)["lease_until_us"] == BEGIN_US


def test_the_first_predictions_make_it_active(office: Office):
    office.create()
    run = office.claim()
    verdict = office.saw(run, 0, 24)
    assert names(verdict) == ["PredictionsRecorded", "ScenarioProgressed", "ScenarioStatusChanged"]
    assert verdict == Accepted(verdict.events, {"stop": False, "last_frame": 24})  # type: ignore[union-attr]
    assert verdict.events[0].topic == "vision.predictions"  # type: ignore[union-attr]
    assert verdict.events[0].key == "1"  # type: ignore[union-attr]
    assert names(office.saw(run, 25, 49)) == ["PredictionsRecorded", "ScenarioProgressed"]
    assert office.way(1) == ["init_startup_processing", "active"]


def test_predictions_are_a_sign_of_life_when_the_lease_grows_old(office: Office):
    office.create()
    run = office.claim()
    assert "ScenarioLeaseRenewed" not in names(office.after(2).saw(run, 0, 1))
    assert "ScenarioLeaseRenewed" in names(office.after(1).saw(run, 2, 3))
    assert office.of(1).lease_until_us == office.now_us + LEASE_MS * 1000


def test_frames_that_are_acknowledged_are_repeats(office: Office):
    office.create()
    run = office.claim()
    office.saw(run, 0, 24)
    told = {"stop": False, "last_frame": 24}
    assert office.saw(run, 0, 24) == office.saw(run, 5, 10) == Accepted((), told)
    assert office.saw(run, 20, 30) == Refused("frames_overlap", "Frames up to 24 are acknowledged already")
    assert names(office.saw(run, 30, 40))[0] == "PredictionsRecorded"
    assert office.of(1).last_frame == 40


@pytest.mark.parametrize(("first", "last"), [(-1, 3), (5, 4)])
def test_frames_are_counted_from_nought(office: Office, first: int, last: int):
    office.create()
    verdict = office.saw(office.claim(), first, last)
    assert isinstance(verdict, Refused)
    assert verdict.code == "invalid_predictions"


@pytest.mark.parametrize("text", ["", "[]", "1", "{", '{"a":NaN}'])
def test_a_summary_is_an_object(office: Office, text: str):
    office.create()
    run = office.claim()
    frames = {"first_frame": 0, "last_frame": 1}
    assert office.refusal("RecordPredictions", **signed(run), **frames, summary=text) == "invalid_predictions"
    assert office.refusal("OverwritePredictions", scenario_id=1, predict=text) == "invalid_predictions"


def test_a_heartbeat_prolongs_the_lease(office: Office):
    office.create()
    run = office.claim()
    told = office.after(5).done("RenewScenarioLease", **signed(run), lease_ms=LEASE_MS, frame=7, frames=100)
    assert told == {"stop": False, "last_frame": -1}
    assert office.facts[-1].record["frame"] == 7
    assert office.after(9.9).done("ReclaimScenarios") == {"reclaimed": [], "leases": 1}


def test_active_stays_after_a_good_run(office: Office):
    office.create()
    run = office.claim()
    office.saw(run, 0, 9)
    assert names(office.ask("FinishScenarioRun", **signed(run))) == ["ScenarioRunFinished"]
    assert office.facts[-1].record["outcome"] == "done"
    assert office.of(1).status == "active"
    assert office.claim() == {}
    assert office.refusal("FinishScenarioRun", **signed(run)) == "stale_epoch"


def test_a_video_without_frames_is_a_good_run_too(office: Office):
    office.create()
    office.ask("FinishScenarioRun", **signed(office.claim()))
    assert office.way(1) == ["init_startup_processing", "active"]


def test_a_runner_is_told_to_stop(office: Office):
    office.create()
    run = office.claim()
    office.saw(run, 0, 9)
    office.set(1, "init_shutdown")
    assert office.of(1).status == "init_shutdown"
    verdict = office.saw(run, 10, 19)
    assert names(verdict) == ["PredictionsRecorded", "ScenarioProgressed"]
    assert verdict == Accepted(verdict.events, {"stop": True, "last_frame": 19})  # type: ignore[union-attr]
    assert office.done("RenewScenarioLease", **signed(run), lease_ms=LEASE_MS)["stop"] is True
    office.ask("FinishScenarioRun", **signed(run))
    assert office.way(1)[-3:] == ["init_shutdown", "in_shutdown_processing", "inactive"]
    assert office.said("ScenarioRunFinished")[-1].record["outcome"] == "stopped"


def test_a_shutdown_may_be_said_to_be_under_way(office: Office):
    office.create()
    run = office.claim()
    for status in ("init_shutdown", "in_shutdown_processing"):
        office.set(1, status)
    assert office.done("RenewScenarioLease", **signed(run), lease_ms=LEASE_MS)["stop"] is True
    office.ask("FinishScenarioRun", **signed(run))
    assert office.way(1)[1:] == ["init_shutdown", "in_shutdown_processing", "inactive"]


@pytest.mark.parametrize("status", ["init_startup", "inactive"])
def test_who_stops_or_starts_anew_ends_the_run_at_once(office: Office, status: str):
    office.create()
    run = office.claim()
    office.saw(run, 0, 9)
    assert names(office.set(1, status)) == ["ScenarioRunFinished", "ScenarioStatusChanged"]
    assert office.saw(run, 10, 19) == Refused(
        "stale_epoch", "This run is over: the scenario was stopped or given to another runner"
    )
    again = office.claim("r2")
    assert again.get("from_frame") == (0 if status == "init_startup" else None)


def test_an_older_epoch_and_another_runner_are_refused(office: Office):
    office.create()
    run = office.claim()
    office.ask("FailScenarioRun", **signed(run), reason="x")
    office.after(1).ask("RetryScenario", scenario_id=1, attempt=1)
    second = office.claim("r1")
    assert second["epoch"] == 2
    for late in (run, {**second, "runner_id": "r2"}, {**second, "epoch": 3}):
        for command in ("RenewScenarioLease", "RecordPredictions", "FinishScenarioRun", "FailScenarioRun"):
            assert office.refusal(command, **signed(late)) == "stale_epoch"


def test_a_failed_run_is_tried_again_after_a_pause(office: Office):
    office.create()
    run = office.claim()
    office.saw(run, 0, 24)
    office.after(1).ask("FailScenarioRun", **signed(run), reason="failed_to_read_frame")
    failed, changed, due = office.facts[-3:]
    assert failed.record == {
        "scenario_id": 1, "epoch": 1, "runner_id": "r1", "attempt": 1, "reason": "failed_to_read_frame",
        "final": False, "at_us": office.now_us,
    }  # fmt: skip
    assert (changed.record["new_status"], changed.record["reason"]) == ("init_startup", "run_failed")
    assert (due.topic, due.key, due.record["due_us"]) == ("retry_topic", "1", office.now_us + SECOND_US)
    assert office.claim() == {}
    office.after(1).ask("RetryScenario", scenario_id=1, attempt=1)
    second = office.claim("r2")
    assert (second["from_frame"], second["attempt"], second["epoch"]) == (25, 2, 2)
    assert second["summary"] == '{"predictions":[]}'


def test_attempts_come_to_an_end(office: Office):
    office.create()
    for attempt, pause in enumerate(PAUSES_S, 1):
        run = office.claim()
        assert run["attempt"] == attempt
        office.ask("FailScenarioRun", **signed(run), reason="bad")
        assert office.facts[-1].record["due_us"] == office.now_us + pause * SECOND_US
        office.after(pause).ask("RetryScenario", scenario_id=1, attempt=attempt)
    office.ask("FailScenarioRun", **signed(office.claim()), reason="bad")
    assert len(office.said("ScenarioRetryDue")) == len(PAUSES_S)
    assert office.facts[-2].record["final"] is True
    assert office.facts[-1].record["reason"] == "attempts_used_up"
    assert office.of(1).status == "inactive"
    office.set(1, "init_startup")
    assert office.claim()["attempt"] == 1


def test_a_new_frame_lets_the_attempts_be_counted_anew(office: Office):
    office.create()
    office.ask("FailScenarioRun", **signed(office.claim()), reason="bad")
    office.ask("RetryScenario", scenario_id=1, attempt=1)
    run = office.claim()
    office.saw(run, 0, 0)
    office.ask("FailScenarioRun", **signed(run), reason="bad")
    assert [fact.record["attempt"] for fact in office.said("ScenarioRunFailed")] == [1, 1]


def test_what_is_given_back_is_no_attempt_and_waits_for_nothing(office: Office):
    office.create()
    office.ask("FailScenarioRun", **signed(office.claim()), reason="bad")
    office.ask("RetryScenario", scenario_id=1, attempt=1)
    office.ask("FailScenarioRun", **signed(office.claim()), reason=scenarios.GIVEN_BACK)
    due = office.said("ScenarioRetryDue")[-1].record
    assert (due["attempt"], due["due_us"]) == (1, office.now_us)
    office.ask("RetryScenario", scenario_id=1, attempt=1)
    assert office.claim()["attempt"] == 2


def test_a_silent_runner_loses_its_scenario(office: Office):
    office.create()
    office.create()
    run = office.claim("r1", 10_000)
    office.after(1).claim("r2", 10_000)
    assert office.after(8.9).done("ReclaimScenarios") == {"reclaimed": [], "leases": 2}
    assert office.after(0.1).done("ReclaimScenarios") == {"reclaimed": [1], "leases": 1}
    assert office.said("ScenarioRunFailed")[-1].record["reason"] == "lease_expired"
    assert office.refusal("RenewScenarioLease", **signed(run), lease_ms=LEASE_MS) == "stale_epoch"
    assert office.after(60).done("ReclaimScenarios") == {"reclaimed": [2], "leases": 0}
    assert names(office.ask("ReclaimScenarios")) == []


def test_a_lease_that_is_over_may_still_be_renewed_until_it_is_taken_back(office: Office):
    office.create()
    run = office.claim()
    office.after(60).done("RenewScenarioLease", **signed(run), lease_ms=LEASE_MS)
    assert office.done("ReclaimScenarios") == {"reclaimed": [], "leases": 1}


def test_who_dies_while_it_should_stop_has_stopped(office: Office):
    office.create()
    office.claim()
    office.set(1, "init_shutdown")
    office.after(60).done("ReclaimScenarios")
    assert office.way(1)[1:] == ["init_shutdown", "in_shutdown_processing", "inactive"]
    assert office.said("ScenarioRunFailed")[-1].record["final"] is True
    assert office.said("ScenarioRetryDue") == []


@pytest.mark.parametrize("status", ["init_shutdown", "active"])
def test_a_pause_that_people_end_is_over(office: Office, status: str):
    office.create()
    office.ask("FailScenarioRun", **signed(office.claim()), reason="bad")
    office.set(1, status)
    assert names(office.ask("RetryScenario", scenario_id=1, attempt=1)) == []
    office.set(1, "init_startup")
    assert office.claim()["attempt"] == 1


def test_a_word_about_another_attempt_changes_nothing(office: Office):
    office.create()
    assert names(office.ask("RetryScenario", scenario_id=1, attempt=0)) == []
    office.ask("FailScenarioRun", **signed(office.claim()), reason="bad")
    assert names(office.ask("RetryScenario", scenario_id=1, attempt=2)) == []
    assert names(office.ask("RetryScenario", scenario_id=1, attempt=1)) == ["ScenarioStatusChanged"]
    assert names(office.ask("RetryScenario", scenario_id=1, attempt=1)) == []


def test_people_may_replace_what_is_shown(office: Office):
    office.create()
    assert names(office.ask("OverwritePredictions", scenario_id=1, predict='{"predictions":[]}')) == [
        "PredictionsOverwritten"
    ]


def test_others_commands_and_events_are_none_of_scenarios(office: Office):
    with pytest.raises(InvalidEvent):
        scenarios.decide(office.state, Command("AddPlace", {}, 1, "c"))
    assert scenarios.evolve(office.state, "PlaceAdded", {}) == office.state


def test_it_is_in_the_table():
    one = DECIDERS["scenarios"]
    assert (one.commands, one.events) == ("scenarios.commands", "scenarios")
