"""`sensorium up` on a private home: what happens when its parts, or it, or its neighbours fail."""

from __future__ import annotations

import os
import shutil
import signal
import socket
from collections.abc import Iterator

import httpx
import psycopg
import pytest

from ops import settings
from ops.errors import OperatorError
from ops.supervisor import check_space
from tests.drivers.stack import Stack, fresh_stack, leftovers
from tests.drivers.waiting import eventually

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with fresh_stack() as running:
        yield running


def health(stack: Stack) -> int:
    return httpx.get(f"{stack.base_url}/health", timeout=5).status_code


def test_everything_runs_and_answers(stack: Stack) -> None:
    assert {service.state for service in stack.state().services.values()} == {"running"}
    rooms = ["front", "projector", "processors", "deciders", "orchestrator", "cameras", "asr"]
    assert list(stack.state().services) == ["kafka", "postgres", *rooms]
    assert health(stack) == 200


def test_status_psql_and_topics_find_the_running_servers(stack: Stack) -> None:
    assert "running" in stack.command("status").stdout
    answer = stack.command("psql", "-c", "SELECT count(*) AS n FROM sessions")
    assert (answer.returncode, "(1 row)" in answer.stdout) == (0, True), answer.stderr
    assert stack.command("psql", "-c", "SELECT nonsense").returncode != 0
    assert stack.command("topics").returncode == 0


def test_a_second_up_on_the_same_home_is_one_sentence(stack: Stack) -> None:
    second = stack.command("up")
    assert second.returncode == 1
    assert second.stderr.count("\n") == 1
    assert f"already runs on {stack.home} (process {stack.process.pid})" in second.stderr


def test_reset_is_refused_while_it_runs(stack: Stack) -> None:
    assert "already runs" in stack.command("reset", "--yes").stderr


def test_secrets_are_for_the_owner_only(stack: Stack) -> None:
    for name in ("admin-token", "run/state.json"):
        assert (stack.home / name).stat().st_mode & 0o077 == 0


def test_nothing_in_the_home_can_be_read_by_other_accounts(stack: Stack) -> None:
    assert stack.home.stat().st_mode & 0o066 == 0, "passing through at most, for PostgreSQL's own user"
    open_ones = [path for path in stack.home.iterdir() if path.stat().st_mode & 0o077]
    assert not open_ones
    written = [path for path in (stack.home / "logs").iterdir() if path.name != "up.log"]
    assert written
    assert not [path for path in [*written, *stack.home.glob("kafka/data/*")] if path.stat().st_mode & 0o077]
    assert "Closed to other accounts" in stack.output()


@pytest.mark.parametrize("name", ["front", "projector", "processors", "postgres", "kafka"])
def test_a_killed_service_is_started_again(stack: Stack, name: str) -> None:
    before = stack.state().services[name].restarts
    stack.crash(name)
    assert stack.state().services[name].restarts == before + 1
    assert f"{name} ended (signal 9: killed); starting {name} again" in stack.output()
    eventually(lambda: health(stack) == 200, timeout=30)


def test_rows_survive_a_restart(stack: Stack) -> None:
    with psycopg.connect(stack.database_url) as connection:
        connection.execute("CREATE TABLE mine AS SELECT 42 AS n")
    stack.restart()
    with psycopg.connect(stack.database_url) as connection:
        assert connection.execute("SELECT n FROM mine").fetchone() == (42,)


def test_children_die_with_a_killed_supervisor_and_up_starts_again(stack: Stack) -> None:
    os.kill(stack.process.pid, signal.SIGKILL)
    stack.process.wait()
    stack.start_again()
    assert health(stack) == 200


def test_orphans_of_a_killed_run_are_ended_at_the_next_start(stack: Stack) -> None:
    with stack.paused("kafka"), stack.paused("projector"):  # they cannot obey the signal that their parent's end sends
        orphan = stack.pid("kafka")
        os.kill(stack.process.pid, signal.SIGKILL)
        stack.process.wait()
        assert orphan in {process.pid for process in leftovers(stack.home)}
        stack.start_again()
    assert health(stack) == 200


def test_down_stops_everything(stack: Stack) -> None:
    assert stack.command("down").returncode == 0
    stack.process.wait(10)
    assert not leftovers(stack.home)
    assert stack.command("status").returncode == 3
    assert stack.command("psql", "-c", "SELECT 1").returncode == 1


def test_a_taken_port_is_one_sentence_that_names_who_has_it(stack: Stack) -> None:
    stack.stop()
    with socket.create_server(("127.0.0.1", int(stack.environ["SENSORIUM_PORT"]))):
        refused = stack.command("up")
    assert refused.returncode == 1
    assert f"(process {os.getpid()}): stop that, or set SENSORIUM_PORT to another port." in refused.stderr


def test_a_full_disk_is_one_sentence(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    stack.stop()
    usage = shutil.disk_usage(stack.home)._replace(free=1_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(OperatorError, match=r"full: 1 MB are free .* set SENSORIUM_HOME"):
        check_space(settings.load({"SENSORIUM_HOME": str(stack.home)}, None))


def test_reset_deletes_the_state_when_told_to(stack: Stack) -> None:
    stack.stop()
    (stack.home / "foreign").write_text("not ours")
    assert "--yes" in stack.command("reset").stderr
    assert stack.command("reset", "--yes").returncode == 0
    assert [path.name for path in stack.home.iterdir()] == ["foreign"]
