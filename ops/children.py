"""One supervised child: watches it, restarts it with backoff, and says so in words."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from ops import processes
from ops.errors import OperatorError
from ops.service import Service, cause_of_death
from ops.state import ServiceState

LONGEST_BACKOFF_S = 30.0
FIRST_BACKOFF_S = 0.5
# A child that ran this long is well: the next crash starts with the shortest backoff again.
WELL_AFTER_S = 60.0
HEALTH_EVERY_S = 10.0
# Longer than a debugger's or a laptop's short pause.
UNHEALTHY_AFTER_S = 90.0


def backoff_s(failures: int) -> float:
    """Seconds to wait before start number failures + 1."""
    return min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2 ** min(failures, 10))


class Child:
    """A service and its process. `say` gets a sentence about everything that an operator should know."""

    def __init__(
        self, service: Service, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.service = service
        self.process: subprocess.Popen[bytes] | None = None
        self.state = "waiting"
        self.restarts = 0
        self._say, self._clock = say, clock
        self._failures = 0
        self._started = self._seen_well = self._next_health = self._next_start = 0.0
        self._created = self._since = 0.0
        self._log: tuple[Path, int] | None = None

    @property
    def is_ready(self) -> bool:
        """Whether it runs and has said so."""
        return self.state == "running"

    def snapshot(self) -> ServiceState:
        """For state.json."""
        pid = self.process.pid if self.process else 0
        return ServiceState(pid, self._created, self.state, self.restarts, self._since)

    def start(self) -> None:
        """Start the process. OperatorError when what it needs cannot be prepared."""
        launch = self.service.launch()
        self._log = (launch.log, launch.log.stat().st_size if launch.log.exists() else 0)
        self.process = processes.start(launch)
        self._created = psutil.Process(self.process.pid).create_time()
        self._started = self._seen_well = self._clock()
        self._enter("starting")

    def first_start(self) -> None:
        """Start the process. OperatorError, in words, whatever the reason."""
        try:
            self.start()
        except OSError as error:
            raise OperatorError(
                f"{self.service.name} could not be started: {error.strerror} ({error.filename}); free some disk space, "
                "or set SENSORIUM_HOME to a directory that can be written."
            ) from error

    def tick(self) -> bool:
        """Look after the child once; never raises for what it does. Returns whether its state changed."""
        before = (self.state, self.restarts)
        now = self._clock()
        if self.process is None:
            if self.state == "waiting" and now >= self._next_start:
                self._restart()
        elif self.process.poll() is not None:
            self._ended(self.process.returncode)
        elif self.state == "starting":
            self._watch_start(now)
        elif now >= self._next_health:
            self._watch_health(now)
        return before != (self.state, self.restarts)

    def death(self) -> str:
        """Why the process ended, in words."""
        code = self.process.returncode if self.process else None
        how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        words = cause_of_death(*self._log) if self._log and code != -9 else "killed"
        return f"{how}: {words}"

    def stop(self, patience_s: float | None = None) -> None:
        """End the process and whatever it started."""
        if self.process is None:
            return
        name, patience = self.service.name, self.service.stop_patience_s if patience_s is None else patience_s
        if not processes.stop(self.process, self.service.stop_signal, patience):
            self._say(f"{name} did not stop within {patience:.0f} s and was killed.")
        self.process = None
        self._enter("stopped")

    def _enter(self, state: str) -> None:
        self.state, self._since = state, time.time()

    def _restart(self) -> None:
        self.restarts += 1
        try:
            self.first_start()
        except OperatorError as error:
            self._fail(str(error))

    def _ended(self, code: int) -> None:
        processes.kill_group(self.process.pid if self.process else 0)
        if code == 0 and self.service.may_finish:
            self.process = None
            self._enter("finished")
            self._say(f"{self.service.name} has finished.")
            return
        words = self.death()
        if self._clock() - self._started > WELL_AFTER_S:
            self._failures = 0
        self.process = None
        self._fail(f"{self.service.name} ended ({words})")

    def _fail(self, what: str) -> None:
        pause = backoff_s(self._failures)
        self._failures += 1
        self._next_start = self._clock() + pause
        self._enter("waiting")
        self._say(f"{what.rstrip('.')}; starting {self.service.name} again in {pause:.1f} s.")

    def _watch_start(self, now: float) -> None:
        if self.service.ready(self._pid):
            self._seen_well, self._next_health = now, now + HEALTH_EVERY_S
            self._enter("running")
            if self.restarts:
                self._say(f"{self.service.name} runs again.")
        elif now - self._started > self.service.start_patience_s:
            self._kill(f"{self.service.name} was not ready after {self.service.start_patience_s:.0f} s")

    def _watch_health(self, now: float) -> None:
        self._next_health = now + HEALTH_EVERY_S
        if self.service.healthy(self._pid):
            self._seen_well = now
        elif now - self._seen_well > UNHEALTHY_AFTER_S:
            self._kill(f"{self.service.name} has not answered for {now - self._seen_well:.0f} s")

    def _kill(self, why: str) -> None:
        if self.process is not None:
            processes.stop(self.process, self.service.stop_signal, self.service.stop_patience_s)
        self.process = None
        self._fail(why)

    @property
    def _pid(self) -> int:
        return self.process.pid if self.process else 0
