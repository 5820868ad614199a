"""A whole `sensorium up` in a home of its own, with controls to kill, pause and stop what runs in it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from ops import settings, state
from ops.embedded import postgres
from ops.embedded.kafka import QUICK
from ops.embedded.servers import free_port
from tests.drivers.waiting import eventually

ROOT = Path(__file__).resolve().parent.parent.parent
OWN_VARIABLES = ("KAFKA_BOOTSTRAP_SERVERS", "DATABASE_URL", "ADMIN_TOKEN", "SENSORIUM_HOST", "TRUSTED_NETWORKS")


@dataclass
class Stack:
    """A running `sensorium up`; services are named as `sensorium status` names them."""

    home: Path
    environ: dict[str, str]
    process: subprocess.Popen[bytes]

    @classmethod
    def start(
        cls,
        home: Path,
        env: Mapping[str, str] | None = None,
        arguments: Sequence[str] = ("--no-demo",),
        timeout: float = 120,
    ) -> Stack:
        """Start on free ports and wait until everything runs; AssertionError with what was said when it does not."""
        environ = {name: value for name, value in os.environ.items() if name not in OWN_VARIABLES}
        environ |= {"SENSORIUM_HOME": str(home), "SENSORIUM_PORT": str(free_port()), "KAFKA_PORT": str(free_port())}
        environ |= {"KAFKA_JVM_PERFORMANCE_OPTS": " ".join(QUICK)}
        environ |= {"SENSORIUM_CACHE": str(settings.load().cache), "PYTHONPATH": str(ROOT), **(env or {})}
        stack = cls(home, environ, run_up(home, environ, arguments))
        stack.wait_running(timeout)
        return stack

    def wait_running(self, timeout: float = 120) -> None:
        """Until this run says that everything runs."""
        eventually(lambda: self.process.poll() is not None or self._phase() == "running", timeout=timeout)
        assert self.process.poll() is None, f"sensorium up ended with {self.process.returncode}:\n{self.output()}"

    def _phase(self) -> str:
        now = state.read(self.home)
        return now.phase if now is not None and now.pid == self.process.pid else "none"

    def state(self) -> state.RunState:
        """What state.json says now."""
        now = state.read(self.home)
        assert now is not None, self.output()
        return now

    @property
    def base_url(self) -> str:
        """Address of the front door."""
        return self.state().base_url

    @property
    def admin_token(self) -> str:
        """The token of the administrator."""
        return self.environ.get("ADMIN_TOKEN") or (self.home / "admin-token").read_text().strip()

    @property
    def database_url(self) -> str:
        """Address of the read models."""
        return self.state().database_url or ""

    @property
    def kafka_bootstrap(self) -> str:
        """Address of the log."""
        return self.state().kafka_bootstrap or ""

    def output(self) -> str:
        """Everything that `up` and its services have written."""
        files = sorted((self.home / "logs").glob("*.log"))
        return "\n".join(f"--- {file.name}\n{file.read_text(errors='replace')[-4000:]}" for file in files)

    def pid(self, name: str) -> int:
        """Process id of a service, 0 while it does not run; of the supervisor for `up`."""
        return self.process.pid if name == "up" else self.state().services[name].pid

    def kill(self, name: str, how: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal to a service and return the pid it had. SIGKILL does not wait for the restart."""
        pid = eventually(lambda: self.pid(name))
        os.kill(pid, how)
        return pid

    def wait_restarted(self, name: str, old_pid: int, timeout: float = 60) -> int:
        """Until the supervisor has the service running again under another pid; that pid."""

        def again() -> int:
            service = self.state().services[name]
            return service.pid if service.state == "running" and service.pid not in (0, old_pid) else 0

        return eventually(again, timeout=timeout)

    def crash(self, name: str) -> int:
        """SIGKILL a service and wait until it runs again; the new pid."""
        return self.wait_restarted(name, self.kill(name))

    @contextmanager
    def paused(self, name: str) -> Generator[None]:
        """SIGSTOP a service (with all it started) while inside, then let it go on."""
        family = _family(self.pid(name))
        for process in family:
            process.suspend()
        try:
            yield
        finally:
            for process in family:
                if process.is_running():
                    process.resume()

    def restart(self) -> None:
        """Stop cleanly and start again on the same home and ports."""
        self.stop()
        self.start_again()

    def start_again(self) -> None:
        """Start on the same home and ports after a stop or a kill."""
        self.process = run_up(self.home, self.environ, ("--no-demo",))
        self.wait_running()

    def stop(self, timeout: float = 90) -> int:
        """Ask everything to stop as Ctrl-C does; the exit code. AssertionError when something is left behind."""
        if self.process.poll() is not None:
            return self.process.returncode
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(timeout)
        assert not leftovers(self.home), f"left behind: {leftovers(self.home)}"
        return code

    def command(self, *arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Run `sensorium ARGUMENTS` on this home."""
        command = [sys.executable, "-m", "ops.cli", *arguments]
        return subprocess.run(command, env=self.environ, capture_output=True, text=True, timeout=timeout, check=False)


def run_up(home: Path, environ: Mapping[str, str], arguments: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start `sensorium up`; what it says goes to logs/up.log."""
    log = home / "logs" / "up.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "ops.cli", "up", *arguments]
    with log.open("ab") as output:
        return subprocess.Popen(
            command, env=dict(environ), stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )


def leftovers(home: Path) -> list[psutil.Process]:
    """Processes that carry the mark of this home."""
    from ops import processes

    server = postgres.postmaster(home / "postgres" / "data")
    return [*processes.orphans(home), *([server] if server else [])]


@contextmanager
def fresh_stack(env: Mapping[str, str] | None = None, arguments: Sequence[str] = ("--no-demo",)) -> Generator[Stack]:
    """A stack in a temporary home, stopped and deleted afterwards."""
    home = Path(tempfile.mkdtemp(prefix="sensorium-up-"))
    stack: Stack | None = None
    try:
        stack = Stack.start(home, env, arguments)
        yield stack
    finally:
        if stack is not None:
            stack.stop()
        _end_all(home)
        shutil.rmtree(home, ignore_errors=True)


def _family(pid: int) -> list[psutil.Process]:
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


def _end_all(home: Path) -> None:
    from ops import processes

    processes.end(leftovers(home), patience_s=5)
