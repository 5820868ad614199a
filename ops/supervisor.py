"""`sensorium up`: brings everything up in order, keeps it up, takes it down in reverse.

Only the main thread starts children, since they are told to die with the thread that started them.
"""

from __future__ import annotations

import os
import shutil
import signal
import stat
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType

from ops import logs, plan, ports, processes, state
from ops.children import Child
from ops.embedded import jars, postgres, privileges
from ops.errors import OperatorError
from ops.plan import Demo
from ops.service import Service
from ops.settings import Settings
from ops.terminal import Terminal

TICK_S = 0.1
LOGS_EVERY_S = 30.0
LIVE_EVERY_S = 1.0
# Kafka and PostgreSQL need about 200 MB for their first files and misbehave when a disk fills under them.
LEAST_FREE_BYTES = 400_000_000
# What this program makes in its home.
OWN_NAMES = frozenset(
    {
        "kafka", "postgres", "logs", "run", "audio_storage", "asr", "analysis", "emotion-sensor", "shop-recorder",
        "vision-demo", "admin-token", "jwt-secret", "personal-keys",
    }
)  # fmt: skip
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(Exception):
    """The operator asked to stop before everything was up."""


class StopRequest:
    """Set by a signal; polled, since an Event could deadlock when its handler runs inside wait()."""

    def __init__(self) -> None:
        self.count = 0

    def ask(self, _signal: int = 0, _frame: FrameType | None = None) -> None:
        """Ask to stop; asking again means at once."""
        self.count += 1

    @contextmanager
    def on_signals(self) -> Generator[None]:
        """While inside, SIGINT, SIGTERM and SIGHUP ask to stop."""
        before = {number: signal.signal(number, self.ask) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class Supervisor:
    """Runs one home from start to stop; `run` is everything."""

    def __init__(self, settings: Settings, demo: Demo, terminal: Terminal) -> None:
        self.settings, self.demo, self.terminal = settings, demo, terminal
        self.stop_request = StopRequest()
        self.children: list[Child] = []
        self._state = state.own_run(settings.base_url)
        self._phase_unwritten = ""

    def run(self) -> None:
        """Bring up, keep up until asked to stop, take down. OperatorError when it cannot come up.

        What this and its children write holds personal data: for this account's eyes only.
        """
        os.umask(0o077)
        with state.lock(self.settings.home), self.stop_request.on_signals():
            try:
                self._bring_up()
                self._keep_up()
            except Stopped:
                self.terminal.say("Asked to stop while starting.")
            finally:
                self._take_down()

    def _bring_up(self) -> None:
        self._write_state()
        self._preflight()
        closed = close_home(self.settings.home)
        if closed:
            self.terminal.say(f"Closed to other accounts, for the personal data in it: {', '.join(map(str, closed))}.")
        self._download()
        plan.check_given(self.settings)
        self.settings, servers = plan.stores(self.settings)
        self._start("Kafka and PostgreSQL" if len(servers) > 1 else "Embedded server", servers)
        for sentence in privileges.take_changes():
            self.terminal.say(sentence)
        self._state = replace(
            self._state, kafka_bootstrap=self.settings.kafka_bootstrap, database_url=self.settings.database_url
        )
        self._prepare_stores()
        self._start("Services", plan.rooms(self.settings))
        if self.demo.enabled:
            self._start("Demo devices", plan.devices(self.settings, self.demo))
        self._enter("running")
        self._greet()

    def _preflight(self) -> None:
        left = processes.orphans(self.settings.home)
        running = postgres.postmaster(self.settings.home / "postgres" / "data")
        if running is not None:
            left.append(running)
        if left:
            with self.terminal.step(f"Ending {len(left)} processes that a killed run left behind"):
                processes.end(left)
        check_space(self.settings)
        ports.claim(self.settings.host, self.settings.port, "SENSORIUM_PORT")
        logs.rotate(self.settings.log_dir)

    def _download(self) -> None:
        if self.settings.kafka_bootstrap is not None:
            return
        with self.terminal.download("Downloading Kafka") as bar:

            def arrived(size: int) -> None:
                if self.stop_request.count:
                    raise Stopped
                bar.arrived(size)

            jars.ensure(self.settings.cache, arrived, bar.wanted)

    def _prepare_stores(self) -> None:
        from ops import topics
        from projections import migrations
        from schemas.topics import TOPICS

        kafka, database = self.settings.kafka_bootstrap or "", self.settings.database_url or ""
        with self.terminal.step("Topics") as result:
            created = sum(topic.created for topic in topics.ensure(kafka, TOPICS))
            result(f"{created} created" if created else f"{len(TOPICS)} as agreed")
        with self.terminal.step("Migrations"):
            migrations.up(database)

    def _start(self, title: str, services: Sequence[Service]) -> None:
        with self.terminal.step(title) as result:
            children = [Child(service, self.terminal.say) for service in services]
            for child in children:
                self.children.append(child)
                child.first_start()
            self._await(children)
            result(", ".join(child.service.name for child in children))

    def _await(self, children: Sequence[Child]) -> None:
        """Until all are ready. The first start is not tried again: what is wrong then stays wrong."""
        while not all(child.is_ready or child.state == "finished" for child in children):
            if self.stop_request.count:
                raise Stopped
            for child in children:
                if child.process is not None and child.process.poll() not in (None, 0):
                    raise OperatorError(f"{child.service.name} did not start: {child.death()}.")
                child.tick()
                if child.restarts or child.state == "waiting":
                    raise OperatorError(f"{child.service.name} did not come up: see {self.settings.log_dir}.")
            self._write_state()
            time.sleep(TICK_S / 2)

    def _keep_up(self) -> None:
        from ops.counters import Counters

        counters = Counters(self.settings.database_url or "")
        next_logs = next_live = 0.0
        while not self.stop_request.count:
            changed = [child.tick() for child in self.children]
            if any(changed):
                self._write_state()
            now = time.monotonic()
            if now >= next_live and self.terminal.is_interactive:
                next_live = now + LIVE_EVERY_S
                self.terminal.live(f"{counters.line()}{self._troubles()}")
            if now >= next_logs:
                next_logs = now + LOGS_EVERY_S
                logs.rotate(self.settings.log_dir)
            time.sleep(TICK_S)
        counters.close()

    def _troubles(self) -> str:
        down = [child.service.name for child in self.children if child.state not in ("running", "finished")]
        return f" - not running: {', '.join(down)}" if down else ""

    def _take_down(self) -> None:
        self._enter("stopping")
        if any(child.process for child in self.children):
            self.terminal.say("Stopping.")
        for child in reversed(self.children):
            child.stop(0.5 if self.stop_request.count > 1 else None)
            self._write_state()
        (self.settings.run_dir / "state.json").unlink(missing_ok=True)

    def _greet(self) -> None:
        page = f"{self.settings.base_url}/ui"
        self.terminal.print()
        self.terminal.print(f"  Sensorium runs at  {page}", style="bold")
        signed = "ADMIN_TOKEN" if self.settings.admin_token_given else self.settings.admin_token_file
        self.terminal.print(f"  The shop counter at {page}/sales (sign in with {signed})")
        self.terminal.print(f"  Kafka {self.settings.kafka_bootstrap}, logs in {self.settings.log_dir}, Ctrl-C stops.")
        self.terminal.print()

    def _enter(self, phase: str) -> None:
        self._state = replace(self._state, phase=phase)
        self._write_state()

    def _write_state(self) -> None:
        services = {child.service.name: child.snapshot() for child in self.children}
        try:
            state.write(self.settings.home, replace(self._state, services=services))
        except OSError as error:  # a full disk must not take the supervisor down too
            if self._phase_unwritten != self._state.phase:
                self._phase_unwritten = self._state.phase
                self.terminal.say(f"The state of this run cannot be written: {error.strerror}.")


def close_home(home: Path) -> list[Path]:
    """Close the home's folders to other accounts, and the home too when all in it is ours; what changed.

    Run by root, PostgreSQL's user gets its way through the home back when it needs it.
    """
    there = list(home.iterdir())
    ours = [path for path in there if path.name in OWN_NAMES]
    folders = [path for path in ours if path.is_dir() and not path.is_symlink()]
    if len(ours) == len(there) and stat.S_IMODE(home.stat().st_mode) & 0o066:
        folders.append(home)
    return [path for path in folders if privileges.close_to_others(path)]


def check_space(settings: Settings) -> None:
    """OperatorError when the disk is too full, or cannot be written, for what is about to run."""
    for path, variable in ((settings.home, "SENSORIUM_HOME"), (settings.cache, "SENSORIUM_CACHE")):
        there = next(parent for parent in (path, *path.parents) if parent.exists())
        if not os.access(there, os.W_OK) or os.statvfs(there).f_flag & os.ST_RDONLY:
            raise OperatorError(f"{path} cannot be written: set {variable} to a directory that can.")
        free = shutil.disk_usage(there).free
        if free < LEAST_FREE_BYTES:
            raise OperatorError(
                f"The disk of {path} is full: {free // 1_000_000} MB are free and {LEAST_FREE_BYTES // 1_000_000} MB "
                f"are needed; free some space, or set {variable} to another disk."
            )
