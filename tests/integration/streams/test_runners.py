"""Runners killed, frozen and cut off while the orchestrator dies between its steps: one at a time, every frame once."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from tests.drivers.runners import Footage, holders
from tests.drivers.waiting import eventually

POINTS = (
    "orchestrator.started",
    "orchestrator.opened",
    "orchestrator.noted",
    "orchestrator.unasked",
    "orchestrator.asked",
    "orchestrator.done",
)
FRAMES = 1000


class Crew:
    """Three runners by name, and what is done to them."""

    def __init__(self, footage: Footage, home: Path) -> None:
        self.footage, self.cuts = footage, {name: home / f"{name}.cut" for name in ("r1", "r2", "r3")}
        self.runners = {name: footage.runner(name, pause_s=0.05, cut=str(cut)) for name, cut in self.cuts.items()}

    def works(self, scenario_id: int, *, beyond: int) -> str:
        """Wait until somebody has told frames beyond this one; who it is."""
        eventually(lambda: max(self.footage.frames(scenario_id), default=-1) > beyond, 20, 0.1)
        return eventually(lambda: self.footage.holder(scenario_id), 20, 0.1)

    def passed_on(self, scenario_id: int, name: str) -> str:
        """Wait until somebody else has it; who."""
        return eventually(lambda: {self.footage.holder(scenario_id), name} - {None, name}, 20, 0.1).pop()

    def gave_up(self, name: str, scenario_id: int) -> bool:
        """Whether a runner has said that a run is over for it."""
        return any(
            f"scenario {scenario_id} " in line and "is over at frame" in line
            for line in self.footage.log_of(self.runners[name]).splitlines()
        )


@pytest.fixture(scope="module")
def footage(kafka_bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Footage]:
    with closing(Footage(kafka_bootstrap, tmp_path_factory.mktemp("runners"))) as made, made.site.deciding("scenarios"):
        yield made


@pytest.fixture(scope="module")
def deaths(footage: Footage) -> Iterator[list[str]]:
    with footage.undying_orchestrator(POINTS) as died:
        yield died


@pytest.fixture(scope="module")
def hopeless(footage: Footage, deaths: list[str]) -> int:
    """A scenario that always fails; its pauses pass while the others are tested."""
    del deaths
    return footage.create("broken")


@pytest.fixture(scope="module")
def crew(footage: Footage, tmp_path_factory: pytest.TempPathFactory) -> Crew:
    return Crew(footage, tmp_path_factory.mktemp("crew"))


def freeze(child: subprocess.Popen[bytes]) -> None:
    os.kill(child.pid, signal.SIGSTOP)
    eventually(lambda: psutil.Process(child.pid).status() == psutil.STATUS_STOPPED)


def test_runners_that_die_hang_or_are_cut_off_lose_their_scenario_and_nothing_else(
    footage: Footage, crew: Crew, hopeless: int, database_url: str
) -> None:
    del hopeless  # fails beside it
    one = footage.create(f"frames/{FRAMES}")
    with footage.projected(database_url) as rows:
        cut_off = crew.works(one, beyond=100)
        crew.cuts[cut_off].touch()
        frozen = crew.passed_on(one, cut_off)
        crew.works(one, beyond=max(footage.frames(one)))
        freeze(crew.runners[frozen])
        killed = crew.passed_on(one, frozen)
        crew.works(one, beyond=max(footage.frames(one)))
        crew.cuts[cut_off].unlink()  # what it said before comes now
        crew.runners[killed].kill()
        os.kill(crew.runners[frozen].pid, signal.SIGCONT)
        eventually(lambda: footage.is_through(one), 30, 0.1)

        assert footage.status(one) == "active"
        holders(footage.told(one))  # never two at once
        assert footage.frames(one) == list(range(FRAMES))
        eventually(lambda: crew.gave_up(cut_off, one) and crew.gave_up(frozen, one))
        assert "stale_epoch" in footage.refusals()
        told = f"SELECT first_frame, last_frame FROM scenario_predictions WHERE scenario_id = {one} ORDER BY 1"
        every = [(first, first + 9) for first in range(0, FRAMES, 10)]
        assert eventually(lambda: found if len(found := rows(told)) == len(every) else None) == every
        done = f"SELECT status::text, runner_id, predict ->> 'frames' FROM scenarios WHERE id = {one}"
        assert eventually(lambda: [row for row in rows(done) if row[1] is None]) == [("active", None, str(FRAMES))]


def test_a_scenario_that_always_fails_ends_visibly_after_its_pauses(
    footage: Footage, hopeless: int, deaths: list[str]
) -> None:
    eventually(lambda: footage.status(hopeless) == "inactive", 30, 0.1)

    told = footage.told(hopeless)
    failed = [body for name, body in told if name == "ScenarioRunFailed"]
    begun = [body["at_us"] for name, body in told if name == "ScenarioAssigned"]
    assert [(body["attempt"], body["final"]) for body in failed] == [(n, n == 5) for n in range(1, 6)]
    assert failed[-1]["reason"] == "failed_to_read_frame: the file is damaged"
    pauses = [after - body["at_us"] for body, after in zip(failed, begun[1:], strict=False)]
    assert all(pause >= 2**n * 1_000_000 for n, pause in enumerate(pauses)), pauses
    assert told[-1][1]["reason"] == "attempts_used_up"
    holders(told)
    assert deaths == list(POINTS)


def test_a_runner_that_ends_gives_its_scenario_back_and_one_that_is_told_stops(
    footage: Footage, crew: Crew, deaths: list[str]
) -> None:
    del deaths  # there is an orchestrator
    runners = {name: child for name, child in crew.runners.items() if child.poll() is None}
    assert len(runners) == 2  # who was frozen and who was cut off
    camera = footage.create("live")
    eventually(lambda: len(footage.frames(camera)) > 50, 20, 0.1)
    first = footage.holder(camera)
    assert first
    runners[first].terminate()
    assert runners[first].wait(10) == 0
    seen = len(footage.frames(camera))
    eventually(lambda: len(footage.frames(camera)) > seen, 20, 0.1)

    stopped = footage.ask("SetScenarioStatus", scenario_id=camera, status="init_shutdown", by=None)
    assert stopped["accepted"]
    eventually(lambda: footage.status(camera) == "inactive", 20, 0.1)
    told = footage.told(camera)
    assert holders(told)[-1] is None
    failed = [body for name, body in told if name == "ScenarioRunFailed"]
    assert (first, "stopped", 0) in [(body["runner_id"], body["reason"], body["attempt"]) for body in failed]
    assert [body["outcome"] for name, body in told if name == "ScenarioRunFinished"] == ["stopped"]
    frames = footage.frames(camera)
    assert frames == list(range(len(frames)))
    for child in runners.values():
        child.terminate()
        assert child.wait(10) == 0
