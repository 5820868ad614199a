"""Scenarios under test: a log of decisions, one command after another, at times of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas import examples, serde
from streams.deciders import scenarios
from streams.decisions import Accepted, Command, Fact, Refused
from streams.scenario_state import Scenario

BEGIN_US = 1_767_258_000_000_000
LEASE_MS = 10_000
SEEN = {"class": "person", "confidence": 0.5, "bbox": [1, 2, 3, 4], "track_id": None}
SUMMARY = '{"predictions":[]}'


class Office:
    """A decider with its state; `facts` is everything it ever said, `now_us` when the next command comes."""

    def __init__(self) -> None:
        self.state, self.facts, self.now_us = scenarios.State(), list[Fact](), BEGIN_US

    def ask(self, command: str, **record: Any) -> Accepted | Refused:
        """Decide a command (its example's fields unless said otherwise) and take its events in."""
        asked = examples.load(command) | {"by": None} | record
        known = serde.decode(serde.encode(command, asked))[1]
        verdict = scenarios.decide(self.state, Command(command, known, self.now_us, "c"))
        for fact in verdict.events if isinstance(verdict, Accepted) else ():
            _, read_back = serde.decode(serde.encode(fact.name, fact.record))
            self.facts.append(Fact(fact.name, fact.key, read_back, fact.topic))
            if fact.topic is None:
                self.state = scenarios.evolve(self.state, fact.name, read_back)
        return verdict

    def done(self, command: str, **record: Any) -> Mapping[str, Any]:
        """The result of a command that is accepted."""
        verdict = self.ask(command, **record)
        assert isinstance(verdict, Accepted), verdict
        return verdict.result or {}

    def refusal(self, command: str, **record: Any) -> str:
        """Why a command is refused."""
        verdict = self.ask(command, **record)
        assert isinstance(verdict, Refused), verdict
        return verdict.code

    def create(self, status: str = "init_startup", **record: Any) -> int:
        """A new scenario's id."""
        return self.done("CreateScenario", **({"status": status, "source": None, "settings": "{}"} | record))[
            "scenario_id"
        ]

    def claim(self, runner: str = "r1", lease_ms: int = LEASE_MS) -> dict[str, Any]:
        """What a runner is given, and how it signs what it says of it; empty: nothing waits."""
        given = self.done("ClaimScenario", runner_id=runner, lease_ms=lease_ms)
        return {**given, "runner_id": runner} if given else {}

    def saw(self, run: Mapping[str, Any], first: int, last: int, **record: Any) -> Accepted | Refused:
        """A runner says what it saw in frames."""
        frames = {"first_frame": first, "last_frame": last, "detections": [SEEN], "summary": SUMMARY}
        return self.ask("RecordPredictions", **signed(run), **frames, lease_ms=LEASE_MS, **record)

    def set(self, scenario_id: int, status: str) -> Accepted | Refused:
        """Somebody wants this status."""
        return self.ask("SetScenarioStatus", scenario_id=scenario_id, status=status)

    def of(self, scenario_id: int) -> Scenario:
        """How a scenario stands."""
        return self.state.scenarios[str(scenario_id)]

    def said(self, *names: str) -> list[Fact]:
        """Every fact of these names."""
        return [fact for fact in self.facts if fact.name in names]

    def way(self, scenario_id: int) -> list[str]:
        """The statuses that a scenario came to."""
        changes = [fact.record for fact in self.said("ScenarioStatusChanged")]
        return [one["new_status"] for one in changes if one["scenario_id"] == scenario_id]

    def after(self, seconds: float) -> Office:
        """Time passes."""
        self.now_us += round(seconds * 1_000_000)
        return self


def signed(run: Mapping[str, Any]) -> dict[str, Any]:
    """How a runner's command says which run it speaks of."""
    return {name: run[name] for name in ("scenario_id", "epoch", "runner_id")}
