"""Runners under test: a cheap child, a log of what was decided, and processes that may be killed and frozen."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, LiteralString, cast

import psycopg

from projections import runner
from projections.registry import READ_MODELS
from tests.drivers.deciding import RING, ROOT, DecidingSite

TOPICS = ("scenarios.commands", "scenarios", "retry_topic", "vision.predictions")


class Footage:
    """A site of decider `scenarios` with runners and an orchestrator in processes of their own."""

    def __init__(self, bootstrap: str, home: Path) -> None:
        self.site = DecidingSite(bootstrap, *TOPICS)
        self._home = home
        self._children: list[subprocess.Popen[bytes]] = []
        self._numbers = itertools.count()
        self._logs: dict[int, Path] = {}

    def runner(self, name: str, **more: Any) -> subprocess.Popen[bytes]:
        """A runner's process; `pause_s` of its child, `lease_s`, and how long it tries an absent source."""
        return self._start("runner", name, more)

    def orchestrator(self, faults: Path | None = None) -> subprocess.Popen[bytes]:
        """The orchestrator's process; it dies at the points that are named in `faults`."""
        return self._start("orchestrator", "", {}, faults)

    def log_of(self, child: subprocess.Popen[bytes]) -> str:
        """What a process said."""
        return self._logs[child.pid].read_text()

    @contextmanager
    def undying_orchestrator(self, points: Sequence[str]) -> Generator[list[str]]:
        """An orchestrator that is killed at each point once, in this order, and started again; those it died at."""
        faults = self._home / "faults"
        faults.mkdir()
        died: list[str] = []
        stop = threading.Event()

        def watch() -> None:
            child = self.orchestrator(faults)
            while not stop.wait(0.02):
                if child.poll() is None:
                    continue
                assert child.returncode == -signal.SIGKILL, self.log_of(child)
                died.append(points[len(died)])
                if len(died) < len(points):
                    (faults / points[len(died)]).touch()
                child = self.orchestrator(faults)
            child.terminate()
            child.wait()

        (faults / points[0]).touch()
        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield died
        finally:
            stop.set()
            thread.join()

    @contextmanager
    def projected(self, database_url: str) -> Generator[Callable[[str], list[tuple[Any, ...]]]]:
        """The read model of this site; yields a way to ask it."""
        model = READ_MODELS["scenarios"]
        model = replace(model, topics=tuple(self.site.topics[one] for one in model.topics))
        stop = threading.Event()
        arguments = (self.site.bootstrap, database_url, RING, "scenarios", stop, {"scenarios": model})
        thread = threading.Thread(target=runner.run, args=arguments)
        thread.start()

        def rows(statement: str) -> list[tuple[Any, ...]]:
            with psycopg.connect(database_url, autocommit=True) as connection:
                return connection.execute(cast("LiteralString", statement)).fetchall()

        try:
            yield rows
        finally:
            stop.set()
            thread.join()

    def _start(
        self, kind: str, name: str, more: Mapping[str, Any], faults: Path | None = None
    ) -> subprocess.Popen[bytes]:
        plan = {"bootstrap": self.site.bootstrap, "prefix": self.site.prefix, "name": name, **more}
        path = [str(ROOT), *([str(ROOT / "tests/drivers/faults")] if faults else [])]
        environ = {"PYTHONPATH": os.pathsep.join(path), "SENSORIUM_FAULTS": str(faults or "/nonexistent")}
        command = [sys.executable, str(ROOT / "tests/drivers/runner_main.py"), json.dumps(plan), "serve", kind]
        log = self._home / f"{kind}-{name}-{next(self._numbers)}.log"
        with log.open("wb") as output:
            child = subprocess.Popen(command, env=os.environ | environ, stdout=output, stderr=output)
        self._children.append(child)
        self._logs[child.pid] = log
        return child

    def create(self, source: str | None, settings: Mapping[str, Any] | None = None) -> int:
        """A scenario that waits; its id."""
        record = {"status": "init_startup", "source": source, "settings": json.dumps(settings or {}), "by": None}
        command_id = self.site.send("CreateScenario", "scenarios", record)
        self.site.wait_settled(command_id, topic="scenarios")
        return json.loads(self.site.settled("scenarios")[command_id][0]["result"])["scenario_id"]

    def ask(self, command: str, **record: Any) -> dict[str, Any]:
        """A command and how it was settled."""
        command_id = self.site.send(command, "scenarios", record)
        self.site.wait_settled(command_id, topic="scenarios")
        return self.site.settled("scenarios")[command_id][0]

    def told(self, scenario_id: int) -> list[tuple[str, dict[str, Any]]]:
        """Everything about a scenario, in order."""
        events = self.site.events("scenarios")
        return [(name, body) for name, body in events if body.get("scenario_id") == scenario_id]

    def status(self, scenario_id: int) -> str:
        """The status that was told last."""
        words = [
            body["new_status"] if name == "ScenarioStatusChanged" else body["status"]
            for name, body in self.told(scenario_id)
            if name in ("ScenarioCreated", "ScenarioStatusChanged")
        ]
        return words[-1]

    def is_through(self, scenario_id: int) -> bool:
        """Whether its run has ended well."""
        return any(name == "ScenarioRunFinished" and body["outcome"] == "done" for name, body in self.told(scenario_id))

    def frames(self, scenario_id: int) -> list[int]:
        """Every frame that was reported, in the order of the log."""
        seen = [body for _, body in self.site.events("vision.predictions") if body["scenario_id"] == scenario_id]
        return [frame for one in seen for frame in range(one["first_frame"], one["last_frame"] + 1)]

    def holder(self, scenario_id: int) -> str | None:
        """Who works on it."""
        return holders(self.told(scenario_id))[-1] if self.told(scenario_id) else None

    def refusals(self) -> list[str]:
        """Codes of what was refused."""
        return [one["refusal"] for many in self.site.settled("scenarios").values() for one in many if one["refusal"]]

    def close(self) -> None:
        """End every process that was started here."""
        for child in self._children:
            if child.poll() is None:
                child.kill()
            child.wait()
        self.site.close()


def holders(told: list[tuple[str, dict[str, Any]]]) -> list[str | None]:
    """Who holds a scenario after each of its events. AssertionError where it is given to two."""
    holder: str | None = None
    found: list[str | None] = [None]
    for name, body in told:
        if name == "ScenarioAssigned":
            assert holder is None, f"{body['runner_id']} got what {holder} has"
            holder = body["runner_id"]
        elif name in ("ScenarioRunFinished", "ScenarioRunFailed"):
            assert holder == body["runner_id"], (holder, body)
            holder = None
        elif name in ("ScenarioProgressed", "ScenarioLeaseRenewed"):
            assert holder == body["runner_id"], f"{body['runner_id']} wrote, {holder} has it"
        found.append(holder)
    return found
