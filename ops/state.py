"""What a running `sensorium up` tells other commands, in files under home/run: lock, addresses, processes."""

from __future__ import annotations

import fcntl
import json
import os
import stat
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil

from ops.errors import OperatorError
from ops.processes import alive
from ops.settings import Settings


@dataclass(frozen=True, slots=True)
class ServiceState:
    """One service as the supervisor last saw it; pid is 0 while it does not run."""

    pid: int = 0
    created: float = 0.0
    state: str = "waiting"
    restarts: int = 0
    since: float = 0.0


@dataclass(frozen=True, slots=True)
class RunState:
    """The whole of state.json. `phase` is starting, running or stopping."""

    pid: int
    created: float
    phase: str
    base_url: str
    kafka_bootstrap: str | None = None
    database_url: str | None = None
    services: dict[str, ServiceState] = field(default_factory=dict[str, ServiceState])

    @property
    def is_alive(self) -> bool:
        """Whether the supervisor that wrote this still runs."""
        return alive(self.pid, self.created)


def own_run(base_url: str) -> RunState:
    """The state of a run that this process begins."""
    return RunState(os.getpid(), psutil.Process().create_time(), "starting", base_url)


@contextmanager
def lock(home: Path) -> Generator[None]:
    """Hold the home: only one supervisor at a time. The lock goes with the process, however it ends."""
    path = home / "run" / "lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+")
    except OSError as error:
        raise OperatorError(f"{home} cannot be used ({error.strerror}): set SENSORIUM_HOME to another one.") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise OperatorError(
                f"Sensorium already runs on {home} (process {file.read().strip() or 'unknown'}): see "
                "`sensorium status`, stop it with `sensorium down`, or set SENSORIUM_HOME to another directory."
            ) from error
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def write(home: Path, state: RunState) -> None:
    """Put state.json in place whole; its database address may carry a password, so it is for the owner only."""
    path = home / "run" / "state.json"
    draft = path.with_suffix(".new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(asdict(state), file, indent=1)
    draft.replace(path)


def read(home: Path) -> RunState | None:
    """The last state written, whether its supervisor lives or not; None when there is none."""
    try:
        values: dict[str, Any] = json.loads((home / "run" / "state.json").read_text(encoding="utf-8"))
        services = {name: ServiceState(**service) for name, service in values.pop("services").items()}
        return RunState(**values, services=services)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def connected(settings: Settings) -> Settings:
    """Fill in the addresses of the embedded servers of a running `sensorium up`. OperatorError when none runs."""
    return replace(settings, kafka_bootstrap=connected_kafka(settings), database_url=connected_database(settings))


def connected_kafka(settings: Settings) -> str:
    """Address of the Kafka: the given one, else the running embedded one."""
    return settings.kafka_bootstrap or _found(_running(settings, "KAFKA_BOOTSTRAP_SERVERS").kafka_bootstrap)


def connected_database(settings: Settings) -> str:
    """Address of the database: the given one, else the running embedded one."""
    return settings.database_url or _found(_running(settings, "DATABASE_URL").database_url)


def _running(settings: Settings, variable: str) -> RunState:
    state = read(settings.home)
    if state is None or not state.is_alive:
        raise OperatorError(f"Nothing runs on {settings.home}: start it with `sensorium up`, or set {variable}.")
    return state


def _found(address: str | None) -> str:
    if not address:
        raise OperatorError("Sensorium is still starting: try again when `sensorium status` says running.")
    return address


def mark_ready(home: Path, name: str) -> None:
    """Called by a service's process when it works; the supervisor waits for it."""
    path = home / "run" / f"{name}.ready"
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{os.getpid()}\n")


def beat(home: Path, name: str) -> None:
    """Called by a service's process now and then while it makes progress; one that has begun must go on."""
    with suppress(OSError):
        (home / "run" / f"{name}.beat").write_text(f"{os.getpid()}\n")


def is_ready(home: Path, name: str, pid: int) -> bool:
    """Whether the process has called mark_ready."""
    return _signed(home / "run" / f"{name}.ready", pid)


def silence_s(home: Path, name: str, pid: int) -> float:
    """Seconds since the process's last beat; 0 when it has never given one."""
    path = home / "run" / f"{name}.beat"
    if not _signed(path, pid):
        return 0.0
    try:
        return max(0.0, time.time() - path.stat().st_mtime)
    except OSError:
        return 0.0


def _signed(path: Path, pid: int) -> bool:
    try:
        return path.read_text().strip() == str(pid)
    except OSError:
        return False


def own_folder(folder: Path) -> None:
    """Make a folder that nobody else can enter: who could put a socket of his own there would be shown the token.

    Raises:
        OperatorError: it is there and belongs to somebody else, or is no folder.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise OperatorError(f"{folder} belongs to another account: remove it, or choose a shorter SENSORIUM_HOME.")
    if found.st_mode & 0o077:
        folder.chmod(0o700)
