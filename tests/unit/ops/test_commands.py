"""Pieces of the command line that need no servers."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from ops import agents, commands, ports, topics
from ops.embedded import privileges
from ops.embedded.postgres import LONGEST_SOCKET_DIR, Postgres, clear_stale_pid
from ops.errors import OperatorError
from ops.plan import Demo
from schemas.topics import TOPICS

POINTS = TOPICS["emotion.points"]


def sensorium(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ops.cli", *arguments]
    return subprocess.run(command, env=os.environ | env, capture_output=True, text=True, timeout=60, check=False)


def test_a_topic_as_agreed_has_no_differences() -> None:
    assert topics.differences(POINTS, POINTS.partitions, {POINTS.name: POINTS.configs()}) == []


def test_every_difference_of_a_topic_is_a_sentence() -> None:
    configs = {POINTS.name: POINTS.configs() | {"retention.ms": "1"}}
    assert topics.differences(POINTS, 1, configs) == [
        f"emotion.points has 1 partitions instead of {POINTS.partitions}",
        "emotion.points has retention.ms=1 instead of -1",
    ]
    assert topics.differences(POINTS, None, {}) == ["emotion.points is missing"]


def test_a_taken_port_names_its_owner_and_the_next_one_is_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(OperatorError, match=rf"process {os.getpid()}\).*set SENSORIUM_PORT"):
            ports.claim("127.0.0.1", port, "SENSORIUM_PORT")
        assert ports.next_free(port) > port
    assert ports.claim("127.0.0.1", port, "SENSORIUM_PORT") == port


def test_an_address_of_another_machine_is_refused_in_words() -> None:
    with pytest.raises(OperatorError, match="not an address of this machine"):
        ports.claim("192.0.2.1", 8000, "SENSORIUM_PORT")


def test_a_password_is_not_shown() -> None:
    assert commands.without_password("postgresql://me:secret@host:1/db") == "postgresql://me@host:1/db"
    assert commands.without_password("postgresql:///db?host=/x&user=p") == "postgresql:///db?host=/x&user=p"


def test_psql_gets_the_password_where_nobody_else_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "psql"
    program.write_text('#!/bin/sh\necho "$@"\necho "password=$PGPASSWORD"\nexit 3\n')
    program.chmod(0o700)
    monkeypatch.setattr(commands.postgres, "bin_dir", lambda: tmp_path)
    monkeypatch.setenv("SENSORIUM_HOME", str(tmp_path))
    monkeypatch.delenv("PGPASSWORD", raising=False)
    for url, password in (
        ("postgresql://me:s%40cret@db:5433/emotions?sslmode=require", "s@cret"),
        ("postgresql://me@db:5433/emotions?sslmode=require", ""),
    ):
        monkeypatch.setenv("DATABASE_URL", url)
        assert commands.psql("SELECT 1") == 3
        arguments, given = capfd.readouterr().out.splitlines()
        assert arguments == (
            "-X -v ON_ERROR_STOP=1 -P pager=off -c SELECT 1 user=me dbname=emotions host=db port=5433 sslmode=require"
        )
        assert given == f"password={password}"


@pytest.mark.parametrize(
    ("demo", "arguments"),
    [
        (Demo(), ["--demo"]),
        (Demo(video="a.mp4"), ["--video", "a.mp4", "--loop"]),
        (Demo(camera=0), ["--camera", "0"]),
    ],
)
def test_the_sensor_watches_what_up_was_told(demo: Demo, arguments: list[str]) -> None:
    assert demo.sensor_arguments() == [*arguments, "--mode", "both", "--frames"]


def test_a_detached_up_gets_the_same_flags() -> None:
    assert commands.up_arguments(Demo(enabled=False)) == ["--no-demo"]
    assert commands.up_arguments(Demo(video="a", camera=None)) == ["--video", "a"]
    assert commands.up_arguments(Demo(camera=0, audio="a.wav")) == ["--camera", "0", "--audio", "a.wav"]


def test_reset_wants_to_be_told_and_keeps_what_is_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "kafka").mkdir()
    (tmp_path / "mine").write_text("x")
    env = {"SENSORIUM_HOME": str(tmp_path), "ADMIN_TOKEN": "t"}
    refused = sensorium("reset", **env)
    assert (refused.returncode, (tmp_path / "kafka").exists()) == (1, True)
    assert sensorium("reset", "--yes", **env).returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_without_a_run_every_command_says_what_to_do(tmp_path: Path) -> None:
    env = {"SENSORIUM_HOME": str(tmp_path), "KAFKA_BOOTSTRAP_SERVERS": "", "DATABASE_URL": ""}
    assert sensorium("status", **env).returncode == 3
    for command in (["topics"], ["psql", "-c", "SELECT 1"], ["migrate", "history"]):
        refused = sensorium(*command, **env)
        assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
        assert "sensorium up" in refused.stderr


def test_help_needs_none_of_the_server_rooms() -> None:
    heavy = ("psycopg", "confluent_kafka", "psutil", "ops.settings", "schemas.topics")
    code = f"import sys, ops.cli; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_an_unknown_agent_is_refused_with_the_known_ones() -> None:
    with pytest.raises(OperatorError, match="emotion-sensor"):
        agents.run(["toaster"])
    assert agents.run([]) == 0


def test_a_long_home_gets_a_short_socket(tmp_path: Path) -> None:
    long = Postgres(tmp_path / ("x" * 90), None)
    assert len(os.fsencode(long.socket_dir)) < LONGEST_SOCKET_DIR
    assert long.socket_dir != replace(long, directory=tmp_path / ("y" * 90)).socket_dir
    assert Postgres(Path("/srv/s/postgres"), None).socket_dir == Path("/srv/s/postgres/socket")


def test_a_stale_pid_file_is_cleared_even_when_its_pid_lives_again(tmp_path: Path) -> None:
    sockets = tmp_path / "socket"
    sockets.mkdir()
    (sockets / ".s.PGSQL.5432.lock").write_text("1")
    (tmp_path / "postmaster.pid").write_text(f"{os.getpid()}\n{tmp_path}\n")
    clear_stale_pid(tmp_path, sockets)
    assert [path.name for path in tmp_path.iterdir()] == ["socket"]
    assert not list(sockets.iterdir())


def test_the_way_to_the_data_is_opened_for_passing_only(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    (closed / "inner").mkdir(parents=True)
    closed.chmod(0o700)
    stranger = (os.getuid() + 12345, os.getgid() + 12345)
    changed = privileges.open_path(closed / "inner" / "data", stranger)
    assert closed in changed
    assert stat.S_IMODE(closed.stat().st_mode) == 0o701
    assert privileges.open_path(closed / "inner" / "data", stranger) == []
