"""Lock, state.json, readiness and log files of a home."""

from __future__ import annotations

import multiprocessing
import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from ops import logs, settings, state
from ops.errors import OperatorError
from ops.settings import Settings


def hold(home: Path, held: threading.Event, release: threading.Event) -> None:
    with state.lock(home):
        held.set()
        release.wait(20)


def test_only_one_process_holds_a_home(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    other = context.Process(target=hold, args=(tmp_path, held, release))
    other.start()
    assert held.wait(20)
    with pytest.raises(OperatorError, match=rf"process {other.pid}\)"), state.lock(tmp_path):
        pass
    other.kill()
    other.join()
    with state.lock(tmp_path):  # the lock went with its process
        assert (tmp_path / "run/lock").read_text().strip() == str(os.getpid())


def test_state_is_read_back_as_written(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    services = {"kafka": state.ServiceState(12, 1.5, "running", 2, 3.5)}
    run = replace(state.own_run("http://x"), kafka_bootstrap="k:1", services=services)
    state.write(tmp_path, run)
    assert state.read(tmp_path) == run
    assert run.is_alive
    assert not replace(run, created=run.created - 100).is_alive


def test_a_torn_state_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/state.json").write_text('{"pid": 1')
    assert state.read(tmp_path) is None


def home(tmp_path: Path, **env: str) -> Settings:
    (tmp_path / "run").mkdir(exist_ok=True)
    return settings.load({"SENSORIUM_HOME": str(tmp_path), "ADMIN_TOKEN": "t", **env}, None)


def test_addresses_come_from_the_environment_else_from_the_running_stack(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="sensorium up"):
        state.connected(home(tmp_path))
    state.write(tmp_path, replace(state.own_run("http://x"), kafka_bootstrap="k:1"))
    with pytest.raises(OperatorError, match="still starting"):
        state.connected(home(tmp_path))
    connected = state.connected(home(tmp_path, DATABASE_URL="postgresql://given"))
    assert (connected.kafka_bootstrap, connected.database_url) == ("k:1", "postgresql://given")


def test_addresses_of_a_killed_run_are_not_used(tmp_path: Path) -> None:
    ours = home(tmp_path)
    state.write(tmp_path, replace(state.own_run("http://x"), created=1.0, kafka_bootstrap="k:1", database_url="d"))
    with pytest.raises(OperatorError, match="Nothing runs"):
        state.connected(ours)


def test_readiness_is_signed_by_the_process(tmp_path: Path) -> None:
    assert not state.is_ready(tmp_path, "front", os.getpid())
    state.mark_ready(tmp_path, "front")
    assert state.is_ready(tmp_path, "front", os.getpid())
    assert not state.is_ready(tmp_path, "front", os.getpid() + 1)


def test_a_service_that_has_begun_to_beat_is_watched(tmp_path: Path) -> None:
    state.mark_ready(tmp_path, "projector")
    assert state.silence_s(tmp_path, "projector", os.getpid()) == 0
    state.beat(tmp_path, "projector")
    os.utime(tmp_path / "run/projector.beat", (1, 1))
    assert state.silence_s(tmp_path, "projector", os.getpid()) > 1000


def test_a_log_that_grew_too_large_is_moved_aside_and_its_writer_goes_on(tmp_path: Path) -> None:
    log, small = tmp_path / "a.log", tmp_path / "b.log"
    small.write_text("small")
    with log.open("a") as writer:
        writer.write("x" * 100)
        writer.flush()
        assert logs.rotate(tmp_path, largest=50) == [log]
        writer.write("next")
        writer.flush()
    assert (log.read_text(), (tmp_path / "a.log.1").read_text(), small.read_text()) == ("next", "x" * 100, "small")
