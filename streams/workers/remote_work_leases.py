"""Who has which task until when. Pure: the clock comes in with every call, nothing waits and nothing is sent."""

from __future__ import annotations

import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from streams.workers.remote_work_protocol import Lease
from streams.workers.transcripts import AsrPass, Task

REMEMBERED: Final = 10_000  # leases, and finished tasks, by which a repeated result is known
MOST_WORKERS: Final = 1_000  # names of workers, the last heard of


@dataclass(frozen=True, slots=True)
class Terms:
    """How long and how often.

    - `lease_s`: so long a task stays with a worker that is not heard of.
    - `losses`: so many workers may be lost with a task before the task is blamed.
    - `unable_s`: so long a task waits while there are workers, but none with a model for its pass.
    """

    lease_s: float = 60.0
    losses: int = 3
    unable_s: float = 600.0

    @property
    def heartbeat_s(self) -> float:
        """How often a worker tells that it is alive: three may be lost."""
        return self.lease_s / 4


@dataclass(slots=True)
class Entry:
    """A task that is not finished, and where it is: it waits (`lease_id` None) or somebody has it until `until_s`."""

    task: Task
    since_s: float
    epoch: int = 0
    losses: int = 0
    lease_id: str | None = None
    worker: str = ""
    until_s: float = 0.0


def _nobody() -> dict[str, tuple[float, Mapping[AsrPass, str]]]:
    return {}


@dataclass(slots=True)
class LeaseBook:
    """Tasks in the order they came, the leases on them, and the workers that asked (by name: when and for what).

    `finished` has the lease by which a task was done, `lent` the task of every lease, over or not; the last of each.
    """

    terms: Terms = field(default_factory=Terms)
    new_id: Callable[[], str] = lambda: uuid.uuid4().hex
    entries: OrderedDict[str, Entry] = field(default_factory=OrderedDict[str, Entry])
    seen: dict[str, tuple[float, Mapping[AsrPass, str]]] = field(default_factory=_nobody)
    finished: OrderedDict[str, str] = field(default_factory=OrderedDict[str, str])
    lent: OrderedDict[str, str] = field(default_factory=OrderedDict[str, str])

    def add(self, task: Task, now_s: float) -> None:
        """Let a task wait for a worker; one that was finished before counts as new."""
        self.finished.pop(task.task_id, None)
        self.entries[task.task_id] = Entry(task, now_s)

    def take(self, worker: str, models: Mapping[AsrPass, str], now_s: float) -> Lease | None:
        """Give the oldest waiting task that the worker has a model for."""
        self._see(worker, models, now_s)
        for entry in self.entries.values():
            if entry.lease_id is None and entry.task.asr_pass in models:
                entry.epoch += 1
                entry.lease_id, entry.worker = self.new_id(), worker
                entry.until_s = now_s + self.terms.lease_s
                _remember(self.lent, entry.lease_id, entry.task.task_id)
                return Lease(
                    lease_id=entry.lease_id,
                    epoch=entry.epoch,
                    lease_s=self.terms.lease_s,
                    heartbeat_s=self.terms.heartbeat_s,
                    task=entry.task,
                )
        return None

    def beat(self, lease_id: str, now_s: float) -> bool:
        """Prolong a lease; False: it is not the worker's any more."""
        entry = self._of(lease_id)
        if entry is None:
            return False
        entry.until_s = now_s + self.terms.lease_s
        known = self.seen.get(entry.worker)
        self._see(entry.worker, known[1] if known else {}, now_s)
        return True

    def give_back(self, lease_id: str) -> bool:
        """Let the task wait again, as if it had not been taken; False: it is not the worker's any more."""
        entry = self._of(lease_id)
        if entry is None:
            return False
        entry.lease_id = None
        return True

    def fail(self, lease_id: str) -> str | None:
        """Take a task out that its worker has failed; its id, or None: it is not the worker's any more."""
        entry = self._of(lease_id)
        return None if entry is None else self.entries.pop(entry.task.task_id).task.task_id

    def finish(self, task_id: str, lease_id: str) -> None:
        """Take a task out that is done, and remember by whom."""
        self.entries.pop(task_id, None)
        _remember(self.finished, task_id, lease_id)

    def drop(self, task_id: str) -> None:
        """Forget a task that nobody waits for any more."""
        self.entries.pop(task_id, None)

    def expire(self, now_s: float) -> list[Entry]:
        """Let tasks of lost workers wait again; those that were lost too often are taken out and returned."""
        blamed: list[Entry] = []
        for entry in list(self.entries.values()):
            if entry.lease_id is None or entry.until_s > now_s:
                continue
            entry.lease_id = None
            entry.losses += 1
            if entry.losses >= self.terms.losses:
                blamed.append(self.entries.pop(entry.task.task_id))
        return blamed

    def unable(self, now_s: float) -> list[Entry]:
        """Take out and return tasks that wait for a model which no worker has had for long, though workers ask."""
        recent = [models for at_s, models in self.seen.values() if at_s > now_s - self.terms.unable_s]
        able = {asr_pass for models in recent for asr_pass in models}
        if not recent:
            return []
        stuck = [
            entry
            for entry in self.entries.values()
            if entry.lease_id is None
            and entry.task.asr_pass not in able
            and entry.since_s <= now_s - self.terms.unable_s
        ]
        return [self.entries.pop(entry.task.task_id) for entry in stuck]

    def _see(self, worker: str, models: Mapping[AsrPass, str], now_s: float) -> None:
        self.seen.pop(worker, None)
        self.seen[worker] = (now_s, models)
        while len(self.seen) > MOST_WORKERS:
            del self.seen[next(iter(self.seen))]

    def _of(self, lease_id: str) -> Entry | None:
        return next((entry for entry in self.entries.values() if entry.lease_id == lease_id), None)


def _remember(notes: OrderedDict[str, str], key: str, value: str) -> None:
    notes[key] = value
    while len(notes) > REMEMBERED:
        notes.popitem(last=False)
