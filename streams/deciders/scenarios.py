"""Decider `scenarios`: their ids, their status, and who works on which, one runner at a time.

A runner claims a scenario and holds it by a lease; each of its commands carries the epoch of its assignment, and an
older one is refused. A run that fails, or falls silent, is tried again after a pause, until the attempts are used up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson

from schemas.errors import InvalidEvent
from schemas.scenarios import LARGEST_ID
from schemas.scenarios import ScenarioStatus as Status
from streams.decisions import Accepted, Command, Fact, Refused
from streams.scenario_state import ALLOWED, PAUSED, RETRIED, STOPPING, Scenario, State, evolve, longest_waiting

__all__ = ["KEY", "State", "decide", "evolve"]

KEY: Final = "scenarios"
"""Key of every command, and of every event about who does what."""
ATTEMPTS: Final = 5
"""So many attempts may fail one after another without a new frame being acknowledged."""
FIRST_PAUSE_US: Final = 1_000_000
"""Before the second attempt; doubled for each further one."""
LONGEST_LEASE_MS: Final = 600_000
EXPIRED: Final = "lease_expired"
"""Reason of a failed run whose runner fell silent."""
GIVEN_BACK: Final = "stopped"
"""Reason of a run whose runner stops: somebody else can go on."""
_RETRIES: Final = "retry_topic"
_PREDICTIONS: Final = "vision.predictions"
_STALE: Final = Refused("stale_epoch", "This run is over: the scenario was stopped or given to another runner")


def decide(state: State, command: Command) -> Accepted | Refused:
    """Give the events of a command, or why not."""
    match command.name:
        case "CreateScenario":
            return _create(state, command)
        case "ClaimScenario":
            return _claim(state, command)
        case "ReclaimScenarios":
            return _reclaim(state, command)
        case "SetScenarioStatus" | "RetryScenario" | "OverwritePredictions":
            scenario = state.scenarios.get(str(command.record["scenario_id"]))
            return _RULES[command.name](scenario, command) if scenario else _unknown(command)
        case "RenewScenarioLease" | "RecordPredictions" | "FinishScenarioRun" | "FailScenarioRun":
            scenario = state.scenarios.get(str(command.record["scenario_id"]))
            if scenario is None:
                return _unknown(command)
            return _RULES[command.name](scenario, command) if _holds(scenario, command) else _STALE
        case _:
            raise InvalidEvent(f"{command.name} is no command for scenarios.")


def _create(state: State, command: Command) -> Accepted | Refused:
    record, scenario_id = command.record, len(state.scenarios) + 1
    if record["status"] not in ALLOWED:
        return Refused("invalid_status", f"{record['status']!r} is no status of a scenario")
    if not _is_object(record["settings"]):
        return Refused("invalid_settings", "Settings are no JSON object")
    if scenario_id > LARGEST_ID:
        return Refused("no_ids_left", "There are no ids left for scenarios")
    told = {name: record[name] for name in ("status", "source", "settings", "by")}
    created = Fact("ScenarioCreated", KEY, {"scenario_id": scenario_id, **told, "at_us": command.at_us})
    return Accepted((created,), {"scenario_id": scenario_id})


def _set_status(scenario: Scenario, command: Command) -> Accepted | Refused:
    """`init_startup` and `inactive` end a run that is under way; for a shutdown its runner is told, if there is one."""
    wanted, by = command.record["status"], command.record["by"]
    if wanted == scenario.status:
        return Accepted((), _now(command, wanted))
    if wanted not in ALLOWED[scenario.status]:
        detail = f"Scenario {command.record['scenario_id']} is {scenario.status}: it cannot become {wanted}"
        return Refused("not_allowed", detail)
    changed = _changed(command, scenario.status, wanted, None, by)
    if wanted in (Status.INIT_STARTUP, Status.INACTIVE):
        return Accepted((*_ended(scenario, command, "stopped"), changed), _now(command, wanted))
    if wanted == Status.INIT_SHUTDOWN and scenario.runner_id is None:
        over = _changed(command, wanted, Status.INACTIVE, "no_runner", by)
        return Accepted((changed, over), _now(command, Status.INACTIVE))
    return Accepted((changed,), _now(command, wanted))


def _claim(state: State, command: Command) -> Accepted:
    """Give the runner what waits longest, with where to go on; an empty result: nothing waits."""
    scenario_id = longest_waiting(state)
    if scenario_id is None:
        return Accepted((), {})
    scenario = state.scenarios[str(scenario_id)]
    given = {"scenario_id": scenario_id, "epoch": scenario.epoch + 1, "attempt": scenario.failures + 1}
    given |= {"from_frame": scenario.last_frame + 1, "lease_until_us": _lease_end(command)}
    assigned = given | {"runner_id": command.record["runner_id"], "at_us": command.at_us}
    changed = _change(command, scenario_id, scenario.status, Status.INIT_STARTUP_PROCESSING, "assigned")
    more = {"source": scenario.source, "settings": scenario.settings, "summary": scenario.summary}
    return Accepted((Fact("ScenarioAssigned", KEY, assigned), changed), given | more)


def _renew(scenario: Scenario, command: Command) -> Accepted:
    record = command.record
    renewed = _renewed(command, record["frame"], record["frames"])
    return Accepted((renewed,), _orders(scenario, scenario.last_frame))


def _record_predictions(scenario: Scenario, command: Command) -> Accepted | Refused:
    """What was acknowledged before is a repeat; frames may be left out, but not told of twice."""
    record = command.record
    first, last = record["first_frame"], record["last_frame"]
    if not 0 <= first <= last or not _is_object(record["summary"]):
        return Refused("invalid_predictions", "Frames are counted from 0 on, and the summary is a JSON object")
    if last <= scenario.last_frame:
        return Accepted((), _orders(scenario, scenario.last_frame))
    if first <= scenario.last_frame:
        return Refused("frames_overlap", f"Frames up to {scenario.last_frame} are acknowledged already")
    said = ("scenario_id", "epoch", "runner_id", "first_frame", "last_frame", "video_ms", "detections", "summary")
    seen = {name: record[name] for name in said} | {"at_us": command.at_us}
    facts = [Fact("PredictionsRecorded", str(record["scenario_id"]), seen, _PREDICTIONS)]
    if 4 * (_lease_end(command) - scenario.lease_until_us) > 1000 * record["lease_ms"]:
        facts.append(_renewed(command, last, None))
    told = {name: seen[name] for name in ("scenario_id", "epoch", "runner_id", "last_frame", "summary", "at_us")}
    facts.append(Fact("ScenarioProgressed", KEY, told))
    if scenario.status == Status.INIT_STARTUP_PROCESSING:
        facts.append(_changed(command, scenario.status, Status.ACTIVE, "predictions"))
    return Accepted(facts, _orders(scenario, last))


def _finish(scenario: Scenario, command: Command) -> Accepted:
    """Through: `active` stays, as the original has it. Stopped as asked: the shutdown is carried out."""
    if scenario.status in STOPPING:
        stopped = _ended(scenario, command, "stopped")
        return Accepted((*stopped, *_shut_down(command.record["scenario_id"], scenario, command)))
    done = _ended(scenario, command, "done")
    if scenario.status == Status.INIT_STARTUP_PROCESSING:
        done = (*done, _changed(command, scenario.status, Status.ACTIVE, "done"))
    return Accepted(done)


def _fail(scenario: Scenario, command: Command) -> Accepted:
    return Accepted(_failed(command.record["scenario_id"], scenario, command, command.record["reason"]))


def _reclaim(state: State, command: Command) -> Accepted:
    """Runs whose lease is over have failed."""
    late = sorted(int(one) for one in state.held if state.scenarios[one].lease_until_us <= command.at_us)
    facts = [fact for one in late for fact in _failed(one, state.scenarios[str(one)], command, EXPIRED)]
    return Accepted(facts, {"reclaimed": late, "leases": len(state.held) - len(late)})


def _retry(scenario: Scenario, command: Command) -> Accepted:
    """A word that comes late, when the scenario waits no more for this attempt, changes nothing."""
    if not scenario.is_paused or scenario.failures != command.record["attempt"]:
        return Accepted()
    return Accepted((_changed(command, scenario.status, Status.INIT_STARTUP, RETRIED),))


def _overwrite(_scenario: Scenario, command: Command) -> Accepted | Refused:
    record = command.record
    if not _is_object(record["predict"]):
        return Refused("invalid_predictions", "Predictions are a JSON object")
    told = {name: record[name] for name in ("scenario_id", "predict", "by")} | {"at_us": command.at_us}
    return Accepted((Fact("PredictionsOverwritten", KEY, told),))


_RULES: Final[Mapping[str, Callable[[Scenario, Command], Accepted | Refused]]] = {
    "SetScenarioStatus": _set_status,
    "RetryScenario": _retry,
    "OverwritePredictions": _overwrite,
    "RenewScenarioLease": _renew,
    "RecordPredictions": _record_predictions,
    "FinishScenarioRun": _finish,
    "FailScenarioRun": _fail,
}


def _failed(scenario_id: int, scenario: Scenario, command: Command, reason: str) -> tuple[Fact, ...]:
    """End a run before its time: another attempt after a pause, unless it was to stop or they are used up.

    One that is given back by a runner which stops is no attempt, and the next one begins at once.
    """
    counts = reason != GIVEN_BACK
    attempt, stopping = scenario.failures + counts, scenario.status in STOPPING
    final = stopping or attempt >= ATTEMPTS
    whose = {"scenario_id": scenario_id, "attempt": attempt, "reason": reason, "runner_id": scenario.runner_id}
    at = {"at_us": command.at_us}
    failed = Fact("ScenarioRunFailed", KEY, whose | {"epoch": scenario.epoch, "final": final} | at)
    if stopping:
        return (failed, *_shut_down(scenario_id, scenario, command))
    if final:
        gone = _change(command, scenario_id, scenario.status, Status.INACTIVE, "attempts_used_up")
        return failed, gone
    due_us = command.at_us + (FIRST_PAUSE_US * 2 ** (attempt - 1) if counts else 0)
    retry = Fact("ScenarioRetryDue", str(scenario_id), whose | {"due_us": due_us} | at, _RETRIES)
    return failed, _change(command, scenario_id, scenario.status, Status.INIT_STARTUP, PAUSED), retry


def _shut_down(scenario_id: int, scenario: Scenario, command: Command) -> tuple[Fact, ...]:
    over = _change(command, scenario_id, Status.IN_SHUTDOWN_PROCESSING, Status.INACTIVE, "stopped")
    if scenario.status == Status.IN_SHUTDOWN_PROCESSING:
        return (over,)
    return _change(command, scenario_id, scenario.status, Status.IN_SHUTDOWN_PROCESSING, "stopped"), over


def _ended(scenario: Scenario, command: Command, outcome: str) -> tuple[Fact, ...]:
    """The run's end; none when nobody works on it."""
    if scenario.runner_id is None:
        return ()
    whose = {"scenario_id": command.record["scenario_id"], "epoch": scenario.epoch, "runner_id": scenario.runner_id}
    return (Fact("ScenarioRunFinished", KEY, whose | {"outcome": outcome, "at_us": command.at_us}),)


def _changed(command: Command, old: str, new: str, reason: str | None, by: str | None = None) -> Fact:
    return _change(command, command.record["scenario_id"], old, new, reason, by)


def _change(command: Command, scenario_id: int, old: str, new: str, reason: str | None, by: str | None = None) -> Fact:
    what = {"scenario_id": scenario_id, "old_status": str(old), "new_status": str(new)}
    return Fact("ScenarioStatusChanged", KEY, what | {"reason": reason, "at_us": command.at_us, "by": by})


def _renewed(command: Command, frame: int | None, frames: int | None) -> Fact:
    whose = {name: command.record[name] for name in ("scenario_id", "epoch", "runner_id")}
    until = {"lease_until_us": _lease_end(command), "frame": frame, "frames": frames, "at_us": command.at_us}
    return Fact("ScenarioLeaseRenewed", KEY, whose | until)


def _lease_end(command: Command) -> int:
    return command.at_us + 1000 * min(max(command.record["lease_ms"], 0), LONGEST_LEASE_MS)


def _holds(scenario: Scenario, command: Command) -> bool:
    return scenario.runner_id == command.record["runner_id"] and scenario.epoch == command.record["epoch"]


def _orders(scenario: Scenario, last_frame: int) -> dict[str, Any]:
    """What a runner is told: whether to stop, and how far it is acknowledged."""
    return {"stop": scenario.status in STOPPING, "last_frame": last_frame}


def _now(command: Command, status: str) -> dict[str, Any]:
    return {"scenario_id": command.record["scenario_id"], "status": str(status)}


def _unknown(command: Command) -> Refused:
    return Refused("scenario_not_found", f"There is no scenario {command.record['scenario_id']}")


def _is_object(text: str) -> bool:
    try:
        return isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        return False
