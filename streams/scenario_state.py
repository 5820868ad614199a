"""The state behind decider `scenarios`: which there are, who works on them until when, how far they are. Pure.

Who holds a scenario has its `epoch`; every assignment has a new one, so there is one holder at most.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from immutables import Map

from schemas.scenarios import ScenarioStatus as Status

ALLOWED: Final[Mapping[str, frozenset[str]]] = {
    Status.INIT_STARTUP: frozenset({Status.INIT_STARTUP_PROCESSING, Status.ACTIVE, Status.INIT_SHUTDOWN}),
    Status.INIT_STARTUP_PROCESSING: frozenset(
        {Status.ACTIVE, Status.INIT_STARTUP, Status.INIT_SHUTDOWN, Status.INACTIVE}
    ),
    Status.ACTIVE: frozenset({Status.INIT_SHUTDOWN, Status.INACTIVE, Status.INIT_STARTUP}),
    Status.INIT_SHUTDOWN: frozenset({Status.IN_SHUTDOWN_PROCESSING, Status.INACTIVE}),
    Status.IN_SHUTDOWN_PROCESSING: frozenset({Status.INACTIVE}),
    Status.INACTIVE: frozenset({Status.INIT_STARTUP}),
}
"""Status -> what it may become."""
STOPPING: Final = frozenset({Status.INIT_SHUTDOWN, Status.IN_SHUTDOWN_PROCESSING})
"""A runner that works on such a scenario is told to stop."""

PAUSED: Final = "run_failed"
"""Reason of a status: the scenario waits for its next attempt, and nobody may take it yet."""
RETRIED: Final = "retry"
"""Reason of a status: the pause is over; what was acknowledged stands."""


class Scenario(msgspec.Struct, frozen=True, array_like=True):
    """A scenario. `runner_id`: who holds it until `lease_until_us`; null: nobody.

    `last_frame` is acknowledged (-1: none), `failures` are the attempts since then, `since_us` is when it began to
    wait. `is_paused`: after a failed attempt, until the next is due. `summary` is what was seen of an unfinished run.
    """

    status: str
    source: str | None
    settings: str
    since_us: int
    epoch: int = 0
    runner_id: str | None = None
    lease_until_us: int = 0
    last_frame: int = -1
    failures: int = 0
    is_paused: bool = False
    summary: str | None = None

    @property
    def waits(self) -> bool:
        """Whether a runner may take it."""
        return self.status == Status.INIT_STARTUP and not self.is_paused and self.runner_id is None


class State(msgspec.Struct, frozen=True):
    """All scenarios by id, who waits for a runner since when, who has one in which epoch. No id is ever free again."""

    scenarios: Map[str, Scenario] = Map()
    waiting: Map[str, int] = Map()
    held: Map[str, int] = Map()


def evolve(state: State, name: str, record: Mapping[str, Any]) -> State:
    """Give the state after an event."""
    if name == "ScenarioCreated":
        created = Scenario(record["status"], record["source"], record["settings"], record["at_us"])
        return _with(state, record["scenario_id"], created)
    change = _CHANGES.get(name)
    if change is None:
        return state
    before = state.scenarios[str(record["scenario_id"])]
    return _with(state, record["scenario_id"], msgspec.structs.replace(before, **change(record)))


def longest_waiting(state: State) -> int | None:
    """The scenario that waits longest, of several the oldest; None when none waits."""
    waiting = ((since_us, int(one)) for one, since_us in state.waiting.items())
    return min(waiting, default=(0, None))[1]


def starts_anew(change: Mapping[str, Any]) -> bool:
    """Whether a ScenarioStatusChanged asks for the first frame again; after a failure the work goes on instead."""
    return change["new_status"] == Status.INIT_STARTUP and change["reason"] not in (PAUSED, RETRIED)


def _status_changed(record: Mapping[str, Any]) -> Mapping[str, Any]:
    changed = {"status": record["new_status"], "since_us": record["at_us"], "is_paused": record["reason"] == PAUSED}
    return changed | {"last_frame": -1, "failures": 0, "summary": None} if starts_anew(record) else changed


def _assigned(record: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: record[name] for name in ("runner_id", "epoch", "lease_until_us")}


def _progressed(record: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"last_frame": record["last_frame"], "summary": record["summary"], "failures": 0}


_CHANGES: Final[Mapping[str, Callable[[Mapping[str, Any]], Mapping[str, Any]]]] = {
    "ScenarioStatusChanged": _status_changed,
    "ScenarioAssigned": _assigned,
    "ScenarioLeaseRenewed": lambda record: {"lease_until_us": record["lease_until_us"]},
    "ScenarioProgressed": _progressed,
    "ScenarioRunFailed": lambda record: {"runner_id": None, "failures": record["attempt"]},
    "ScenarioRunFinished": lambda _: {"runner_id": None, "failures": 0, "summary": None},
}


def _with(state: State, scenario_id: int, scenario: Scenario) -> State:
    key = str(scenario_id)
    return State(
        state.scenarios.set(key, scenario),
        _marked(state.waiting, key, scenario.since_us if scenario.waits else None),
        _marked(state.held, key, scenario.epoch if scenario.runner_id is not None else None),
    )


def _marked(marks: Map[str, int], key: str, mark: int | None) -> Map[str, int]:
    """With this mark, or without any."""
    if marks.get(key) == mark:
        return marks
    return marks.delete(key) if mark is None else marks.set(key, mark)
