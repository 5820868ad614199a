"""A supervised child: how it starts, when it counts as ready, how it is stopped, what its log says when it dies."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from ops import processes
from ops.errors import OperatorError

# With less than this left, programs cannot even say why they end.
NEARLY_FULL_BYTES = 5_000_000

# What the command line puts before an operator's sentence.
OWN = "sensorium: "

# What a dying server's log says, and what that means to an operator.
CAUSES = (
    ("No space left on device", "the disk is full: free some space, or set SENSORIUM_HOME to another disk"),
    ("Disk quota exceeded", "the disk quota is used up: free some space, or set SENSORIUM_HOME to another disk"),
    ("Read-only file system", "its disk is read-only: set SENSORIUM_HOME to one that can be written"),
    ("Address already in use", "its port was taken by another program while it started: start again"),
    ("Cannot allocate memory", "the machine has not enough free memory"),
    ("OutOfMemoryError", "Java ran out of memory"),
    ("could not map anonymous shared memory", "the machine has not enough free memory"),
    ("Could not reserve enough space", "the machine has not enough free memory"),
    (
        "Could not create the Java Virtual Machine",
        "Java refuses an option: correct KAFKA_HEAP_OPTS or KAFKA_JVM_PERFORMANCE_OPTS",
    ),
)


@dataclass(frozen=True, slots=True)
class Service:
    """One child of the supervisor. `launch` prepares what it needs and may raise OperatorError; `ready` gets the pid.

    A service that may finish is not started again when it ends with exit code 0.
    """

    name: str
    launch: Callable[[], processes.Launch]
    ready: Callable[[int], bool]
    still_well: Callable[[int], bool] | None = None
    may_finish: bool = False
    stop_signal: signal.Signals = signal.SIGTERM
    stop_patience_s: float = 15.0
    start_patience_s: float = 60.0

    def healthy(self, pid: int) -> bool:
        """Whether the running process still does its work; what made it ready is asked again unless said otherwise."""
        return (self.still_well or self.ready)(pid)


def bring_up(service: Service) -> subprocess.Popen[bytes]:
    """Start a service and wait until it is ready. OperatorError says why it did not come up."""
    launch = service.launch()
    begin = launch.log.stat().st_size if launch.log.exists() else 0
    process = processes.start(launch)
    with ExitStack() as undo:
        undo.callback(processes.stop, process, service.stop_signal, service.stop_patience_s)
        await_ready(service, process, (launch.log, begin))
        undo.pop_all()
    return process


def await_ready(service: Service, process: subprocess.Popen[bytes], log: tuple[Path, int]) -> None:
    """Poll until ready. OperatorError when it died or took too long."""
    until = time.monotonic() + service.start_patience_s
    while not service.ready(process.pid):
        time.sleep(0.05)
        if process.poll() is not None:
            raise OperatorError(f"{service.name} did not start: {cause_of_death(*log)}.")
        if time.monotonic() > until:
            raise OperatorError(
                f"{service.name} was not ready after {service.start_patience_s:.0f} s: look into {log[0]}."
            )


def cause_of_death(log: Path, begin: int = 0) -> str:
    """Why a child ended, in words, from what it wrote since `begin`; else where to look."""
    size = log.stat().st_size
    with log.open("rb") as file:
        file.seek(max(begin if begin <= size else 0, size - 200_000))  # smaller than before: it was rotated
        text = file.read().decode(errors="replace")
    if not text.strip() and shutil.disk_usage(log.parent).free < NEARLY_FULL_BYTES:
        return CAUSES[0][1]
    return f"{telling_line(text)} (see {log})"


def telling_line(text: str) -> str:
    """The part of a program's output that says why it failed: a known cause in words, else its first error."""
    known = next((words for sign, words in CAUSES if sign in text), None)
    if known:
        return known
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    own = next((line for line in reversed(lines) if line.startswith(OWN)), "")
    errors = (line for line in lines if "FATAL" in line or "ERROR" in line or "error:" in line)
    return (own.removeprefix(OWN).rstrip(".") or next(errors, lines[-1] if lines else "no output"))[:300]
