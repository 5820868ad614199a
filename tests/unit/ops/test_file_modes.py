"""Who may read what `sensorium up` writes, and that a change of rights is told."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops import logs, processes
from ops.embedded import privileges
from ops.embedded.postgres import Postgres
from ops.errors import OperatorError
from ops.state import own_folder
from ops.supervisor import close_home

STRANGER = (65533, 65533)


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    privileges.take_changes()
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_service_s_log_is_for_the_owner_only_also_an_old_one(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "child.log"
    for _ in range(2):
        processes.start(processes.Launch(["/bin/true"], log, {})).wait()
        assert (mode(log.parent), mode(log)) == (0o700, 0o600)
        log.chmod(0o644)
    log.write_text("x" * 100)
    (tmp_path / "logs" / "child.log.1").touch(mode=0o644)
    logs.rotate(log.parent, largest=50)
    assert mode(tmp_path / "logs" / "child.log.1") == 0o600


def test_a_home_of_ours_is_closed_with_its_folders(tmp_path: Path) -> None:
    for name in ("kafka", "logs", "run"):
        (tmp_path / name).mkdir()
    tmp_path.chmod(0o755)
    assert set(close_home(tmp_path)) == {tmp_path, *(tmp_path / name for name in ("kafka", "logs", "run"))}
    assert {mode(path) for path in (tmp_path, *tmp_path.iterdir())} == {0o700}
    assert close_home(tmp_path) == []


def test_a_home_that_lets_a_server_pass_is_left_so(tmp_path: Path) -> None:
    tmp_path.chmod(0o711)
    assert close_home(tmp_path) == []
    assert mode(tmp_path) == 0o711


def test_a_home_with_other_things_in_it_keeps_its_rights_but_not_our_folders(tmp_path: Path) -> None:
    (tmp_path / "kafka").mkdir()
    (tmp_path / "holidays").mkdir()
    tmp_path.chmod(0o755)
    assert close_home(tmp_path) == [tmp_path / "kafka"]
    assert (mode(tmp_path), mode(tmp_path / "holidays")) == (0o755, 0o755)


def test_a_way_opened_for_the_server_is_told_once_and_does_not_allow_listing(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "postgres").mkdir(parents=True)
    home.chmod(0o700)
    assert home in privileges.open_path(home / "postgres", STRANGER)
    assert mode(home) == 0o701
    (told,) = privileges.take_changes()
    assert str(home) in told
    assert privileges.open_path(home / "postgres", STRANGER) == []
    assert privileges.take_changes() == []


def test_a_system_user_that_is_created_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    root, made = pwd.getpwuid(0), list[list[str]]()

    def useradd(command: list[str], **_: object) -> None:
        made.append(command)

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr("shutil.which", lambda *_, **__: "/usr/sbin/useradd")
    monkeypatch.setattr(subprocess, "run", useradd)
    monkeypatch.setattr(privileges, "_lookup", lambda name: root if made and name == privileges.USER else None)
    privileges.server_user(Path("/nowhere/data"))
    assert made[0][-1] == privileges.USER
    assert ["was created" in told for told in privileges.take_changes()] == [True]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts PostgreSQL as another user")
def test_postgres_s_folders_are_its_user_s_own_and_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops.embedded.postgres.open_programs", lambda *_: None)
    monkeypatch.setattr(Postgres, "_init", lambda _: None)
    server = Postgres(tmp_path / "home" / "postgres", STRANGER)
    server.directory.mkdir(parents=True)
    server.directory.parent.chmod(0o700)
    server.prepare()
    assert (server.directory.stat().st_uid, mode(server.directory), mode(server.socket_dir)) == (65533, 0o700, 0o700)
    assert mode(server.directory.parent) == 0o701


def test_the_folder_of_the_asr_socket_is_nobody_elses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "sensorium" / "asr"
    own_folder(folder)
    assert mode(folder) == 0o700
    folder.chmod(0o755)
    own_folder(folder)
    assert mode(folder) == 0o700
    (tmp_path / "elsewhere").symlink_to(folder)
    with pytest.raises(OperatorError, match="another account"):
        own_folder(tmp_path / "elsewhere")
    monkeypatch.setattr(os, "getuid", lambda: 12_345)
    with pytest.raises(OperatorError, match="another account"):
        own_folder(folder)
