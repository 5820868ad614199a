"""Rows of scenarios: what events come to before the database."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from projections.kept_rows import Kept
from projections.projectors.scenarios import HISTORY, PREDICTIONS, READ_MODEL, SCENARIOS, Scenarios, apply, tables
from projections.read_model import Event, Target
from projections.sales_rows import moment
from schemas import examples
from schemas.errors import InvalidEvent
from schemas.record import Record
from schemas.topics import TOPICS
from tests.drivers.scenarios import BEGIN_US, Office, signed


def events(office: Office) -> list[Event]:
    """Everything that an office said, as it comes from the log."""
    return [
        Event(Record(fact.topic or "scenarios", 0, offset, 0, None, None), fact.name, dict(fact.record))
        for offset, fact in enumerate(office.facts)
    ]


def event(name: str, **changed: Any) -> Event:
    return Event(Record("scenarios", 0, 0, 0, None, None), name, examples.load(name) | changed)


def row(office: Office, scenario_id: int = 1) -> Mapping[str, Any]:
    kept = Kept(SCENARIOS)
    for event in Scenarios(Target("s")).prepare(events(office)).changes:
        apply(kept, event)
    found = kept.get(scenario_id)
    assert found is not None
    return found


def test_what_is_in_the_log_is_read_and_the_rest_passed_over() -> None:
    names = {name for topic in READ_MODEL.topics for name in TOPICS[topic].events}
    given = [event(name) for name in sorted(names)]
    prepared = Scenarios(Target("s")).prepare(given)
    seen = {event.name for event in prepared.changes} | {one["event"] for one in prepared.history}
    assert seen == names - {"CommandSettled", "PredictionsRecorded"}
    assert (len(prepared.predictions), len(prepared.settled)) == (1, 1)
    empty = Scenarios(Target("s")).prepare([event("PlaceAdded")])
    assert (empty.changes, empty.history, empty.predictions, empty.settled) == ([], [], [], [])


def test_a_camera_s_password_is_shown_to_nobody() -> None:
    office = Office()
    office.create(source="rtsp://me:secret@cam/1?token=secret")
    history = Scenarios(Target("s")).prepare(events(office)).history
    assert row(office)["source"] == json.loads(history[0]["details"])["source"] == "rtsp://cam/1"


def test_rows_have_every_column() -> None:
    office = Office()
    office.create(source="a\x00b")
    office.saw(office.claim(), 0, 9)
    prepared = Scenarios(Target("s")).prepare(events(office))
    assert set(row(office)) == set(SCENARIOS.columns)
    assert row(office)["source"] == "a\ufffdb"
    assert all(set(one) == set(HISTORY.columns) for one in prepared.history)
    assert all(set(one) == set(PREDICTIONS.columns) for one in prepared.predictions)
    for table in (SCENARIOS, HISTORY, PREDICTIONS):
        created = tables("s").split(f"CREATE TABLE s.{table.name} (")[1].split(");")[0]
        assert all(f"{name} " in created for name in table.columns)


def test_a_run_is_followed() -> None:
    office = Office()
    office.create(settings='{"every":5}')
    run = office.after(1).claim()
    office.done("RenewScenarioLease", **signed(run), lease_ms=1000, frame=3, frames=100)
    looked = row(office)
    assert (looked["runner_id"], looked["epoch"], looked["attempt"]) == ("r1", 1, 1)
    assert (looked["frame"], looked["frames"], looked["predict"]) == (3, 100, None)
    office.after(1).saw(run, 0, 24)
    seen = row(office)
    assert (seen["frame"], seen["frames"], seen["predict"]) == (24, 100, '{"predictions":[]}')
    office.after(1).ask("FinishScenarioRun", **signed(run))
    done = row(office)
    assert (done["status"], done["runner_id"], done["frame"]) == ("active", None, 24)
    assert done["created_at"] == moment(BEGIN_US)
    assert done["settings"] == '{"every":5}'


def test_signs_of_life_change_no_time() -> None:
    office = Office()
    office.create()
    run = office.claim()
    office.after(5).done("RenewScenarioLease", **signed(run), lease_ms=1000, frame=None, frames=None)
    assert row(office)["updated_at"] == moment(BEGIN_US)
    office.saw(run, 0, 1)
    assert row(office)["updated_at"] == moment(office.now_us)


def test_why_it_failed_is_shown_until_it_goes_well() -> None:
    office = Office()
    office.create()
    office.ask("FailScenarioRun", **signed(office.claim()), reason="failed_to_read_frame")
    failed = row(office)
    assert (failed["status"], failed["reason"], failed["attempt"]) == ("init_startup", "failed_to_read_frame", 1)
    office.ask("RetryScenario", scenario_id=1, attempt=1)
    run = office.claim()
    assert (row(office)["reason"], row(office)["attempt"]) == ("failed_to_read_frame", 2)
    office.saw(run, 0, 9)
    assert row(office)["reason"] is None


def test_a_new_start_is_a_new_run_and_a_retry_is_not() -> None:
    office = Office()
    office.create()
    office.ask("FailScenarioRun", **signed(office.claim()), reason="x")
    office.ask("RetryScenario", scenario_id=1, attempt=1)
    run = office.claim()
    office.saw(run, 0, 9)
    office.done("RenewScenarioLease", **signed(run), lease_ms=1000, frame=9, frames=100)
    assert (row(office)["run_epoch"], row(office)["epoch"], row(office)["frames"]) == (1, 2, 100)
    office.set(1, "init_startup")
    again = row(office)
    assert (again["run_epoch"], again["frame"], again["frames"], again["attempt"]) == (3, None, None, 0)
    assert again["predict"] is not None, "what was seen last is shown until there is something new"


def test_people_replace_what_is_shown() -> None:
    office = Office()
    office.create()
    office.ask("OverwritePredictions", scenario_id=1, predict='{"predictions":[1]}')
    assert row(office)["predict"] == '{"predictions":[1]}'


def test_confidence_is_told_as_it_was_meant() -> None:
    detections = [{"class": "person", "confidence": 0.949999988079071, "bbox": [1, 2, 3, 4], "track_id": None}]
    one = event("PredictionsRecorded", detections=detections)
    (seen,) = Scenarios(Target("s")).prepare([one]).predictions
    assert json.loads(seen["detections"])[0]["confidence"] == 0.95


def test_the_history_tells_what_matters() -> None:
    office = Office()
    office.create()
    run = office.claim()
    office.saw(run, 0, 9)
    office.done("RenewScenarioLease", **signed(run), lease_ms=1000)
    office.ask("FailScenarioRun", **signed(run), reason="bad")
    history = Scenarios(Target("s")).prepare(events(office)).history
    assert [one["event"] for one in history] == [
        "ScenarioCreated", "ScenarioAssigned", "ScenarioStatusChanged", "ScenarioStatusChanged", "ScenarioRunFailed",
        "ScenarioStatusChanged",
    ]  # fmt: skip
    assert json.loads(history[-2]["details"]) == {
        "epoch": 1, "runner_id": "r1", "attempt": 1, "reason": "bad", "final": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    "name", ["ScenarioCreated", "ScenarioProgressed", "ScenarioLeaseRenewed", "PredictionsRecorded"]
)
def test_a_time_that_is_none_is_invalid(name: str) -> None:
    with pytest.raises(InvalidEvent):
        Scenarios(Target("s")).prepare([event(name, at_us=2**62)])
