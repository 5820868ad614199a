"""Child processes that never outlive their parent: start, stop and find again after a crash."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from ops import settings

# Every child carries the home it belongs to, so that orphans of a killed run are found at the next start.
HOME_MARK = "SENSORIUM_RUN_HOME"
PR_SET_PDEATHSIG = 1

_libc: ctypes.CDLL | None = ctypes.CDLL(None) if sys.platform.startswith("linux") else None


@dataclass(frozen=True, slots=True)
class Launch:
    """How a child is started: its command, the file its output goes to, environment and unprivileged user."""

    command: Sequence[str]
    log: Path
    environ: Mapping[str, str]
    death_signal: signal.Signals = signal.SIGTERM
    user: tuple[int, int] | None = None
    cwd: Path | None = None


def start(launch: Launch) -> subprocess.Popen[bytes]:
    """Start a child in its own process group; it gets death_signal when the starting thread dies (Linux)."""
    launch.log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    uid, gid = launch.user or (None, None)
    # Logs tell of people: for the owner only, whatever the umask.
    with open(launch.log, "ab", opener=lambda path, flags: os.open(path, flags, 0o600)) as log:
        os.fchmod(log.fileno(), 0o600)
        return subprocess.Popen(
            [str(part) for part in launch.command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=settings.child_environment(launch.environ),
            cwd=launch.cwd,
            start_new_session=True,
            preexec_fn=_die_with_parent(launch.death_signal, os.getpid()),  # noqa: PLW1509 - before any thread of ours
            user=uid,
            group=gid,
            extra_groups=[] if launch.user else None,
        )


def _die_with_parent(death_signal: signal.Signals, parent: int) -> Callable[[], None] | None:
    if _libc is None:
        return None
    prctl, number = _libc.prctl, int(death_signal)

    def before_exec() -> None:
        prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return before_exec


def stop(process: subprocess.Popen[bytes], how: signal.Signals, patience_s: float) -> bool:
    """Ask a child to end and wait; then kill its whole group. Returns whether it ended when asked."""
    clean = True
    if process.poll() is None:
        process.send_signal(how)
        try:
            process.wait(patience_s)
        except subprocess.TimeoutExpired:
            clean = False
    kill_group(process.pid)
    process.wait()
    return clean


def kill_group(pid: int) -> None:
    """SIGKILL whatever is left in the process group of a child that we started."""
    if pid <= 1:  # 0 would be our own group
        return
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def orphans(home: Path) -> list[psutil.Process]:
    """Processes that a killed run of this home left behind (never this process or its ancestors)."""
    family = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    return [process for process in psutil.process_iter() if process.pid not in family and _belongs(process, home)]


def _belongs(process: psutil.Process, home: Path) -> bool:
    try:
        return process.environ().get(HOME_MARK) == str(home)
    except (psutil.Error, OSError):
        return False


def end(processes: Iterable[psutil.Process], patience_s: float = 10.0) -> None:
    """Ask foreign processes to end, wait, and kill the rest."""
    left = list(processes)
    for ask in (psutil.Process.terminate, psutil.Process.kill):
        for process in left:
            try:
                ask(process)
                process.resume()  # a paused process would not hear that it should end
            except psutil.NoSuchProcess:
                continue
        _, left = psutil.wait_procs(left, timeout=patience_s)
        if not left:
            return


def alive(pid: int, created: float) -> bool:
    """Whether the process that was started as `pid` at time `created` still runs (a reused pid does not count)."""
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - created) < 1.0 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
