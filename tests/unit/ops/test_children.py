"""A child under a clock of the test: starts, crashes, backs off. Its processes are real shells."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ops import children, processes
from ops.children import Child, backoff_s
from ops.errors import OperatorError
from ops.service import Service, cause_of_death, telling_line
from tests.drivers.waiting import eventually


class Stage:
    """A child, the clock it sees and what it said."""

    def __init__(self, directory: Path) -> None:
        self.now, self.said, self.well, self.script = 0.0, list[str](), True, "exec sleep 60"
        self.log = directory / "child.log"
        self.may_finish = False
        self.child: Child = self.make()

    def make(self) -> Child:
        service = Service("child", self.launch, lambda _: self.well, may_finish=self.may_finish, stop_patience_s=5)
        return Child(service, self.said.append, lambda: self.now)

    def launch(self) -> processes.Launch:
        if not self.script:
            raise OperatorError("It cannot be prepared.")
        return processes.Launch(["/bin/sh", "-c", self.script], self.log, {})

    def until_ended(self) -> None:
        assert self.child.process is not None
        self.child.process.wait(10)
        self.child.tick()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    stage.child.stop()


def test_backoff_doubles_up_to_half_a_minute() -> None:
    assert [backoff_s(n) for n in (0, 1, 2, 6, 60)] == [0.5, 1, 2, 30, 30]


def test_it_is_running_when_it_says_so(stage: Stage) -> None:
    stage.well = False
    stage.child.start()
    stage.child.tick()
    assert stage.child.state == "starting"
    stage.well = True
    assert stage.child.tick()
    assert stage.child.is_ready
    assert not stage.child.tick()


def test_a_crash_is_said_in_words_and_started_again_after_the_backoff(stage: Stage) -> None:
    stage.script = "echo 'FATAL: out of cheese'; exit 3"
    stage.child.start()
    stage.until_ended()
    assert "child ended (exit code 3: FATAL: out of cheese" in stage.said[0]
    assert stage.child.state == "waiting"
    stage.now = 0.4
    stage.child.tick()
    assert stage.child.process is None
    stage.now, stage.script = 0.6, "exec sleep 60"
    stage.child.tick()
    stage.child.tick()
    assert (stage.child.state, stage.child.restarts) == ("running", 1)
    assert stage.said[1] == "child runs again."


def test_backoff_grows_while_it_keeps_crashing_and_begins_again_when_it_was_well(stage: Stage) -> None:
    stage.script = "exit 1"
    for _ in range(4):
        stage.now += 100
        stage.child.start()
        stage.until_ended()
    assert [line.rsplit(" in ", 1)[1] for line in stage.said] == ["0.5 s.", "1.0 s.", "2.0 s.", "4.0 s."]
    stage.child.start()
    stage.now += children.WELL_AFTER_S + 1
    stage.until_ended()
    assert stage.said[-1].endswith(" in 0.5 s.")


def test_what_cannot_be_prepared_is_tried_again_too(stage: Stage) -> None:
    stage.script = "exit 1"
    stage.child.start()
    stage.until_ended()
    stage.script, stage.now = "", 1
    stage.child.tick()
    assert stage.said[-1] == "It cannot be prepared; starting child again in 1.0 s."


def test_one_that_never_gets_ready_is_stopped_and_started_again(stage: Stage) -> None:
    stage.well = False
    stage.child.start()
    stage.now = 61
    stage.child.tick()
    assert "child was not ready after 60 s" in stage.said[0]
    assert stage.child.process is None


def test_one_that_stops_answering_is_given_time_and_then_started_again(stage: Stage) -> None:
    stage.child.start()
    stage.child.tick()
    stage.well = False
    for stage.now in (11, 40, 80):
        stage.child.tick()
    assert stage.child.is_ready
    stage.now = children.UNHEALTHY_AFTER_S + 20
    stage.child.tick()
    assert "has not answered for 110 s" in stage.said[0]


def test_a_finished_demo_is_left_finished(stage: Stage) -> None:
    stage.may_finish, stage.script = True, "exit 0"
    stage.child = stage.make()
    stage.child.start()
    stage.until_ended()
    stage.now = 100
    stage.child.tick()
    assert (stage.child.state, stage.child.process) == ("finished", None)


def test_grandchildren_go_with_a_stopped_child(stage: Stage, tmp_path: Path) -> None:
    stage.script = f"sleep 61 & echo $! > {tmp_path}/pid; wait"
    stage.child.start()
    pid = int(eventually(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text()))
    created = processes.psutil.Process(pid).create_time()
    stage.child.stop()
    eventually(lambda: not processes.alive(pid, created))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("java.io.IOException: No space left on device", "the disk is full"),
        ("Unrecognized VM option 'X'\nError: Could not create the Java Virtual Machine.", "correct KAFKA_HEAP_OPTS or"),
        ("line\nsensorium: Port 1 is taken.\n", "Port 1 is taken"),
        ("a\nERROR first\nb\nlast", "ERROR first"),
        ("a\nlast\n\n", "last"),
        ("", "no output"),
    ],
)
def test_the_telling_line_of_a_log(text: str, words: str) -> None:
    assert words in telling_line(text)


def test_only_what_was_written_since_the_start_counts_as_cause(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_text("ERROR old\n")
    begin = log.stat().st_size
    with log.open("a") as file:
        file.write("ERROR new\n")
    assert cause_of_death(log, begin).startswith("ERROR new")
    log.write_text("ERROR after rotation")
    assert cause_of_death(log, 10_000).startswith("ERROR after rotation")


def test_an_old_pid_given_to_another_process_is_not_alive() -> None:
    me = processes.psutil.Process()
    assert processes.alive(me.pid, me.create_time())
    assert not processes.alive(me.pid, me.create_time() - 100)


def test_our_own_group_is_never_killed() -> None:
    killer: Callable[[int], None] = processes.kill_group
    killer(0)
    killer(1)
