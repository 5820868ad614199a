"""A processor with a heavy part on a real Kafka, with real children: what they do costs one event at most."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.drivers.heavy_work import gate_of
from tests.drivers.processing import Processing
from tests.drivers.waiting import eventually


@pytest.fixture
def world(kafka_bootstrap: str, tmp_path: Path) -> Iterator[Processing]:
    with Processing(kafka_bootstrap, tmp_path) as processing:
        yield processing


@pytest.fixture
def marks(tmp_path: Path) -> Path:
    folder = tmp_path / "marks"
    folder.mkdir()
    return folder


def begun(marks: Path) -> Counter[str]:
    """How often each kind of work was begun."""
    return Counter(one.name.split(".")[0].rpartition("-")[2] for one in marks.iterdir())


def child_of(marks: Path) -> int:
    return int(next(marks.iterdir()).name.split(".")[1])


def test_poison_crashes_loops_and_memory_bombs_cost_their_event_only(world: Processing, marks: Path) -> None:
    world.post("echo:", "light", "bad:", "crash:", "eat:", "spin:", "echo:1")
    world.append(b"\x00\x00\x00\x00\x63poison")
    world.post("echo:2")
    world.start(step="heavy", marks=str(marks), work_s=3.0)
    world.wait_until_processed(200)
    expected = ["echo: 0", "light 0", "bad: -1", "crash: 3", "eat: 3", "spin: 3", "echo:1 0", "echo:2 0"]
    assert [said for _, said in world.outputs()] == expected, "in order, failures after three attempts, bad after one"
    assert begun(marks) == {"echo": 3, "bad": 1, "crash": 3, "eat": 3, "spin": 3}
    bad, poison = world.dead_letters()
    assert (bad["offset"], bad["cause"], poison["offset"]) == (2, "not audio", 7)
    second = [record["session_id"] for _, record in world.events(f"{world.plan.topic_out}.second")]
    assert second == ["echo:", "light", "bad:", "crash:", "eat:", "spin:", "echo:1", "echo:2"], "one process, two"


def test_an_outage_pauses_and_is_no_stall(world: Processing, marks: Path) -> None:
    world.post("later:", "echo:")
    worker = world.start(step="heavy", marks=str(marks), stall_s=1.5)
    eventually(lambda: begun(marks)["later"] >= 6, 60)
    assert worker.poll() is None
    assert world.dead_letters() == []
    assert world.outputs() == []
    assert begun(marks)["echo"] == 1, "prepared, and waiting for its turn"


def test_work_beyond_the_session_and_the_stall_costs_no_membership_and_no_restart(
    world: Processing, marks: Path
) -> None:
    world.post("light")
    worker = world.start(step="heavy", marks=str(marks), session_s=6.0, stall_s=3.0)
    world.wait_until_processed()
    members = world.members()
    world.post("wait:14", "light")
    world.wait_until_processed(60)
    assert worker.poll() is None
    assert world.members() == members
    assert begun(marks)["wait"] == 1
    assert [said for _, said in world.outputs()] == ["light 0", "wait:14 0", "light 0"]


def test_a_worker_that_is_killed_takes_its_children_along_and_nothing_is_lost(world: Processing, marks: Path) -> None:
    world.post("wait:3")
    worker = world.start(step="heavy", marks=str(marks))
    eventually(lambda: any(marks.iterdir()), 30)
    child = child_of(marks)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    eventually(lambda: not Path(f"/proc/{child}").exists())
    world.start(step="heavy", marks=str(marks))
    world.wait_until_processed()
    assert world.said() == ["wait:3 0"]
    assert begun(marks)["wait"] == 2


@pytest.mark.parametrize(("journal", "times"), [(True, 1), (False, 2)])
def test_kill_9_between_result_and_commit_costs_no_second_run_with_a_journal(
    world: Processing, marks: Path, tmp_path: Path, journal: bool, times: int
) -> None:
    plan = {"step": "heavy", "marks": str(marks), "journal": str(tmp_path / "journal") if journal else ""}
    world.post("echo:")
    crashed = world.start(**plan, kill_after_outputs=1, commit_every_s=600)
    assert crashed.wait(30) == -signal.SIGKILL
    assert world.committed() == 0
    world.start(**plan)
    world.wait_until_processed()
    assert begun(marks)["echo"] == times
    assert len(world.outputs()) == 2, "said again, under the same id"
    assert world.said() == ["echo: 0"]


def test_sigterm_in_the_middle_of_work_ends_it_cleanly(world: Processing, marks: Path) -> None:
    world.post("light", "wait:600")
    worker = world.start(step="heavy", marks=str(marks), work_s=900.0)
    eventually(lambda: begun(marks)["wait"] and world.outputs(), 30)
    child = child_of(marks)
    worker.terminate()
    assert worker.wait(20) == 0
    assert not Path(f"/proc/{child}").exists()
    assert world.committed() == 1


def test_a_rebalance_gives_up_what_is_under_way_and_the_owner_does_it(
    kafka_bootstrap: str, tmp_path: Path, marks: Path
) -> None:
    with Processing(kafka_bootstrap, tmp_path, partitions=2) as world:
        world.post("gate:0", "light", partition=0)
        world.post("gate:0", "light", partition=1)
        first = world.start(step="heavy", marks=str(marks))
        eventually(lambda: begun(marks)["gate"] == 2, 60)
        world.start(step="heavy", marks=str(marks))
        eventually(lambda: begun(marks)["gate"] >= 4, 90)
        gate_of(marks).touch()
        world.wait_until_processed(90)
        assert len(world.members()) == 2
        assert first.poll() is None
        assert Counter(said for _, said in world.outputs()) == {"gate:0 0": 2, "light 0": 2}, "nothing came of the old"


def test_a_capability_that_is_missing_is_told_at_once(world: Processing) -> None:
    from streams.runtime.worker import run
    from tests.drivers.processor_main import Plan, processors_of

    plan = Plan("127.0.0.1:1", "n", "in", "out", step="heavy")
    with pytest.raises(ValueError, match="not given: work"):
        run(plan.bootstrap, processors=processors_of(plan))
