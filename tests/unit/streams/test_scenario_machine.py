"""Scenarios under any sequence of people, runners, deaths and silences: one runner each, nothing lost, nothing odd."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from schemas.scenarios import ScenarioStatus
from streams import persistent
from streams.deciders import scenarios
from streams.decisions import Accepted, Command, Refused
from streams.scenario_state import ALLOWED
from tests.drivers.scenarios import LEASE_MS, SUMMARY, Office, signed

RUNNERS = ("r1", "r2", "r3")
RETRY = ("init_startup", "init_startup", "retry")
WORKING = {"init_startup_processing", "active", "init_shutdown", "in_shutdown_processing"}
numbers = st.integers(0, 10**6)


class ScenarioMachine(RuleBasedStateMachine):
    """The decider beside what people and runners know: which runs were ever given, and what was promised."""

    @initialize()
    def begin(self) -> None:
        self.office = Office()
        self.created = 0
        self.runs: list[dict[str, Any]] = []
        self.due: list[dict[str, Any]] = []
        self.read = 0
        self.status: dict[int, str] = {}
        self.epochs: dict[int, int] = {}
        self.acknowledged: dict[int, int] = {}
        self.told: dict[int, list[tuple[int, int]]] = {}
        self.paused: set[int] = set()
        for _ in range(2):
            self.create("init_startup")

    # What people do.

    @precondition(lambda self: self.created < 4)
    @rule(status=st.sampled_from([*ScenarioStatus, "init_startup", "init_startup"]))
    def create(self, status: str) -> None:
        self.created += 1
        assert self.office.create(status) == self.created

    @rule(n=numbers, wanted=st.sampled_from(ScenarioStatus))
    def change(self, n: int, wanted: str) -> None:
        scenario_id = n % self.created + 1
        before = self.office.of(scenario_id)
        verdict = self.office.set(scenario_id, wanted)
        allowed = wanted == before.status or wanted in ALLOWED[before.status]
        assert isinstance(verdict, Accepted) == allowed
        if wanted == "init_shutdown" and allowed and before.status != wanted:
            assert self.office.of(scenario_id).status == ("init_shutdown" if before.runner_id else "inactive")
        elif allowed:
            assert self.office.of(scenario_id).status == wanted

    # What runners do; late ones too.

    @rule(runner=st.sampled_from(RUNNERS))
    def claim(self, runner: str) -> None:
        self.hear()
        free = set(self.status) - set(self.held()) - self.paused
        waiting = {one for one in free if self.status[one] == "init_startup"}
        run = self.office.claim(runner)
        assert bool(run) == bool(waiting)
        if run:
            assert run["scenario_id"] in waiting
            self.runs.append(run)

    def speak(self, n: int, command: str, **record: Any) -> None:
        """Of any run there ever was; only of one that is under way it is heard."""
        if not self.runs:
            return
        run = self.runs[-1 - n % min(len(self.runs), 6)]
        valid = self.is_valid(run)
        verdict = self.office.ask(command, **signed(run), **record)
        assert isinstance(verdict, Refused) != valid, (verdict, run)
        assert valid or verdict.code == "stale_epoch"  # type: ignore[union-attr]

    @rule(n=numbers)
    def renew(self, n: int) -> None:
        self.speak(n, "RenewScenarioLease", lease_ms=LEASE_MS)

    @rule(n=numbers, frames=st.integers(1, 9), back=st.booleans())
    def see(self, n: int, frames: int, back: bool) -> None:
        if not self.runs:
            return
        known = self.office.of(self.runs[-1 - n % min(len(self.runs), 6)]["scenario_id"]).last_frame
        first = max(known - frames, 0) if back and known >= 0 else known + 1
        last = known if back and known >= 0 else known + frames
        told = {"first_frame": first, "last_frame": last, "detections": [], "summary": SUMMARY}
        self.speak(n, "RecordPredictions", **told, lease_ms=LEASE_MS)

    @rule(n=numbers)
    def finish(self, n: int) -> None:
        self.speak(n, "FinishScenarioRun")

    @rule(n=numbers, reason=st.sampled_from(["failed_to_read_frame", "inference_error: x", "stopped"]))
    def fail(self, n: int, reason: str) -> None:
        self.speak(n, "FailScenarioRun", reason=reason)

    @rule(n=numbers, runner=st.sampled_from(RUNNERS))
    def fail_and_go_on(self, n: int, runner: str) -> None:
        """All at once, or chance would seldom come to a third attempt."""
        self.fail(n, "unexpected_error: x")
        self.retry(-1, again=False)
        self.claim(runner)

    # What time and the orchestrator do.

    @rule(seconds=st.sampled_from([0.01, 1, 5, 10, 30]))
    def wait(self, seconds: float) -> None:
        self.office.after(seconds)

    @rule()
    def reclaim(self) -> None:
        late = [one for one in self.held() if self.office.of(one).lease_until_us <= self.office.now_us]
        assert self.office.done("ReclaimScenarios")["reclaimed"] == late
        assert all(self.office.of(one).runner_id is None for one in late)

    @rule(n=numbers, again=st.booleans())
    def retry(self, n: int, again: bool) -> None:
        """A word may come twice, and in any order."""
        self.hear()
        if self.due:
            due = self.due[n % len(self.due)] if again else self.due.pop(n % len(self.due))
            scenario_id, failures = due["scenario_id"], self.office.of(due["scenario_id"]).failures
            meant = scenario_id in self.paused and failures == due["attempt"]
            verdict = self.office.ask("RetryScenario", scenario_id=scenario_id, attempt=due["attempt"])
            assert bool(verdict.events) == meant  # type: ignore[union-attr]

    @rule()
    def restart(self) -> None:
        """From a snapshot, or from the log alone, it goes on as it was."""
        state = scenarios.State()
        for fact in self.office.facts:
            state = state if fact.topic else scenarios.evolve(state, fact.name, fact.record)
        assert state == self.office.state
        self.office.state = persistent.decode(persistent.encode(state), scenarios.State)

    # What always holds.

    @invariant()
    def nobody_works_where_somebody_else_does(self) -> None:
        valid = [run["scenario_id"] for run in self.runs if self.is_valid(run)]
        assert sorted(valid) == self.held()
        assert len(set(valid)) == len(valid)

    @invariant()
    def nothing_is_lost_and_no_state_is_odd(self) -> None:
        self.hear()
        assert sorted(self.status) == list(range(1, self.created + 1))
        for scenario_id, status in self.status.items():
            known = self.office.of(scenario_id)
            assert known.status == status
            assert known.runner_id is None or status in WORKING
            assert known.last_frame == self.acknowledged[scenario_id]
            if status == "init_startup" and not known.waits:
                assert any(self.is_of(due, scenario_id, known.failures) for due in self.due), "nobody ever takes it up"

    def teardown(self) -> None:
        """When runners are silent and pauses over, whatever is to be worked on can be had, once."""
        if not hasattr(self, "office"):
            return
        for _ in range(scenarios.ATTEMPTS):
            self.office.after(60).ask("ReclaimScenarios")
            self.hear()
            for due in self.due:
                self.office.ask("RetryScenario", scenario_id=due["scenario_id"], attempt=due["attempt"])
        assert self.held() == []
        wanted = [one for one in range(1, self.created + 1) if self.office.of(one).status == "init_startup"]
        assert sorted(self.office.claim()["scenario_id"] for _ in wanted) == wanted
        assert self.office.claim() == {}

    def held(self) -> list[int]:
        return [one for one in range(1, self.created + 1) if self.office.of(one).runner_id is not None]

    def is_valid(self, run: dict[str, Any]) -> bool:
        """Whether a sign of life of this run would be heard; nothing happens."""
        record = signed(run) | {"lease_ms": LEASE_MS, "frame": None, "frames": None}
        verdict = scenarios.decide(self.office.state, Command("RenewScenarioLease", record, self.office.now_us, "c"))
        return isinstance(verdict, Accepted)

    @staticmethod
    def is_of(due: dict[str, Any], scenario_id: int, attempt: int) -> bool:
        return (due["scenario_id"], due["attempt"]) == (scenario_id, attempt)

    def hear(self) -> None:
        """Follow the log: each change goes from where the last one led, and as the table has it."""
        news, self.read = self.office.facts[self.read :], len(self.office.facts)
        for fact in news:
            heard = getattr(self, f"on_{fact.name}", None)
            if heard:
                heard(fact.record)

    def on_ScenarioCreated(self, record: dict[str, Any]) -> None:  # noqa: N802 - the event's name
        self.status[record["scenario_id"]] = record["status"]
        self.epochs[record["scenario_id"]] = 0
        self.acknowledged[record["scenario_id"]] = -1

    def on_ScenarioStatusChanged(self, record: dict[str, Any]) -> None:  # noqa: N802
        change = record["old_status"], record["new_status"], record["reason"]
        assert self.status[record["scenario_id"]] == record["old_status"]
        assert change == RETRY or change[1] in ALLOWED[change[0]]
        self.status[record["scenario_id"]] = record["new_status"]
        if change[2] == "run_failed":
            self.paused.add(record["scenario_id"])
        else:
            self.paused.discard(record["scenario_id"])
        if change[1] == "init_startup" and change[2] is None:
            self.acknowledged[record["scenario_id"]] = -1
            self.told[record["scenario_id"]] = []

    def on_ScenarioAssigned(self, record: dict[str, Any]) -> None:  # noqa: N802
        assert record["epoch"] == self.epochs[record["scenario_id"]] + 1
        assert record["from_frame"] == self.acknowledged[record["scenario_id"]] + 1
        assert 1 <= record["attempt"] <= scenarios.ATTEMPTS
        self.epochs[record["scenario_id"]] = record["epoch"]

    def on_PredictionsRecorded(self, record: dict[str, Any]) -> None:  # noqa: N802
        frames = record["first_frame"], record["last_frame"]
        assert frames[0] > self.acknowledged[record["scenario_id"]]
        assert record["epoch"] == self.epochs[record["scenario_id"]]
        self.told.setdefault(record["scenario_id"], []).append(frames)

    def on_ScenarioProgressed(self, record: dict[str, Any]) -> None:  # noqa: N802
        assert record["last_frame"] == self.told[record["scenario_id"]][-1][1]
        assert record["last_frame"] > self.acknowledged[record["scenario_id"]]
        self.acknowledged[record["scenario_id"]] = record["last_frame"]

    def on_ScenarioRetryDue(self, record: dict[str, Any]) -> None:  # noqa: N802
        assert record["due_us"] >= record["at_us"]
        self.due.append(record)


TestScenarios = ScenarioMachine.TestCase
TestScenarios.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
