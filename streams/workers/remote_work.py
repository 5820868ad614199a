"""Work for asr workers elsewhere: tasks wait here, workers lease them over HTTP. Belongs to one event loop.

`RemoteWorkers` is a heavy part like a pool of children, `app` is the ASGI app that the workers speak to. A result is in
the journal before its worker hears that it has arrived.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from schemas.errors import InvalidEvent, TransientFailure
from streams.steps import WorkFailed
from streams.workers.journal import Journal
from streams.workers.remote_work_leases import Entry, LeaseBook, Terms
from streams.workers.remote_work_protocol import Failure, Lease, LeaseRequest, Result
from streams.workers.transcripts import Task, as_mapping

log = logging.getLogger(__name__)
SWEEP_S: Final = 1.0
LONELY_S: Final = 60.0


class NotYours(Exception):
    """The lease has gone to another worker, or its task is finished."""


class NotKept(Exception):
    """A result could not be written to the journal; it may be sent again."""


class RemoteWorkers:
    """A `streams.steps.Heavy` whose hands are workers that ask over HTTP.

    A task whose worker is not heard of for `terms.lease_s` goes to the next. A late result is taken if nobody else has
    finished the task: it is as good as another one, and the work is not done twice.
    """

    def __init__(
        self,
        terms: Terms | None = None,
        journal: Journal | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sweep_s: float = SWEEP_S,
    ) -> None:
        self.book = LeaseBook(terms or Terms())
        self.progress = 0
        self._journal, self._clock, self._sweep_s = journal, clock, sweep_s
        self._waiting: dict[str, asyncio.Future[Mapping[str, Any]]] = {}
        self._keeping: set[str] = set()
        self._news = asyncio.Event()
        self._sweeping: asyncio.Task[None] | None = None
        self._told_s = clock()

    async def __call__(self, request: Mapping[str, Any], /) -> Mapping[str, Any]:
        """Wait until a worker has done it. Raises as `streams.steps.Heavy` says."""
        task = _task(request)
        self.start()
        future = self._waiting.get(task.task_id)
        if future is None:
            future = self._waiting[task.task_id] = asyncio.get_running_loop().create_future()
            self.book.add(task, self._clock())
            self._wake()
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            self.book.drop(task.task_id)
            self._waiting.pop(task.task_id, None)
            raise

    def start(self) -> None:
        """Begin to look after the leases, in the running event loop."""
        if self._sweeping is None or self._sweeping.done():
            self._sweeping = asyncio.create_task(self._sweep())

    async def close(self) -> None:
        """Stop looking after the leases; what waits is told that it is over for now."""
        if self._sweeping:
            self._sweeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sweeping
        for task_id in list(self._waiting):
            self._settle(task_id, TransientFailure("The asr process stops."))

    async def lease(self, wanted: LeaseRequest) -> Lease | None:
        """A task for a worker, waiting for one as long as it asked to; None: there is none."""
        until_s = self._clock() + wanted.wait_s
        while True:
            news = self._news
            lease = self.book.take(wanted.worker, wanted.models, self._clock())
            left_s = until_s - self._clock()
            if lease is not None:
                await self._note(lease)
            if lease is not None or left_s <= 0:
                return lease
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(news.wait(), left_s)

    def heartbeat(self, lease_id: str) -> None:
        """Prolong a lease. Raises NotYours."""
        if not self.book.beat(lease_id, self._clock()):
            raise NotYours

    async def result(self, lease_id: str, result: Result) -> None:
        """Keep a result and give it to whoever waits for it; sent again by the same worker it changes nothing.

        Raises:
            NotYours: another worker has finished the task, or the lease was never one on it. NotKept: try again.
        """
        task_id = result.task_id
        if self.book.finished.get(task_id) == lease_id:
            return
        if not await self._was_lent(lease_id, task_id):
            raise NotYours
        if task_id in self.book.finished or task_id in self._keeping or await self._is_kept(task_id):
            raise NotYours
        made = {**as_mapping(result.transcript), "finished_us": time.time_ns() // 1000}
        self._keeping.add(task_id)
        try:
            if self._journal is not None:
                await asyncio.to_thread(self._journal.put, task_id, made)
        except OSError as error:
            raise NotKept(str(error)) from error
        finally:
            self._keeping.discard(task_id)
        self.book.finish(task_id, lease_id)
        self._settle(task_id, made)

    def failure(self, lease_id: str, failure: Failure) -> None:
        """Say that a task was not done. Raises NotYours."""
        if failure.kind == "given_back":
            if not self.book.give_back(lease_id):
                raise NotYours
            self._wake()
            return
        task_id = self.book.fail(lease_id)
        if task_id is None:
            raise NotYours
        self._settle(task_id, _verdict(failure))

    def status(self) -> dict[str, Any]:
        """How many tasks wait and are worked on, and which workers were heard of in the last minute."""
        leased = sum(entry.lease_id is not None for entry in self.book.entries.values())
        since_s = self._clock() - LONELY_S
        workers = {name: dict(models) for name, (at_s, models) in self.book.seen.items() if at_s > since_s}
        return {"waiting": len(self.book.entries) - leased, "leased": leased, "workers": workers}

    async def _note(self, lease: Lease) -> None:
        """Write a lease down, so that its result is taken after a restart, too."""
        if self._journal is None:
            return
        try:
            await asyncio.to_thread(self._journal.put, _note_of(lease.lease_id), {"task_id": lease.task.task_id})
        except OSError as error:
            log.warning("a lease on %s is not in the journal, a restart would forget it: %s", lease.task.task_id, error)

    async def _was_lent(self, lease_id: str, task_id: str) -> bool:
        lent = self.book.lent.get(lease_id)
        if lent is None and self._journal is not None:
            lent = (await asyncio.to_thread(self._journal.get, _note_of(lease_id)) or {}).get("task_id")
        return lent == task_id

    async def _is_kept(self, task_id: str) -> bool:
        return self._journal is not None and await asyncio.to_thread(self._journal.get, task_id) is not None

    def _settle(self, task_id: str, outcome: Mapping[str, Any] | Exception) -> None:
        future = self._waiting.pop(task_id, None)
        if future is None or future.done():
            return
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
            future.exception()  # looked at: who waited may have been cancelled
        else:
            future.set_result(outcome)

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def _sweep(self) -> None:
        while True:
            self.progress += 1
            now_s = self._clock()
            waited = self._waits()
            for entry in self.book.expire(now_s):
                self._settle(entry.task.task_id, WorkFailed(_lost(entry)))
            for entry in self.book.unable(now_s):
                words = f"No asr worker has a model for the {entry.task.asr_pass} pass."
                self._settle(entry.task.task_id, InvalidEvent(words))
            if self._waits() > waited:
                self._wake()
            self._tell_if_lonely(now_s)
            await asyncio.sleep(self._sweep_s)

    def _waits(self) -> int:
        return sum(entry.lease_id is None for entry in self.book.entries.values())

    def _tell_if_lonely(self, now_s: float) -> None:
        if now_s - self._told_s < LONELY_S or not self._waits():
            return
        self._told_s = now_s
        if not any(at_s > now_s - LONELY_S for at_s, _ in self.book.seen.values()):
            log.warning("%d dialogues wait, and no asr worker has asked for work for a minute", self._waits())


def _note_of(lease_id: str) -> str:
    return f"lease/{lease_id}"


def _task(request: Mapping[str, Any]) -> Task:
    try:
        return msgspec.convert(dict(request), Task)
    except msgspec.ValidationError as error:
        raise InvalidEvent(f"This is no transcription task: {error}") from error


def _lost(entry: Entry) -> str:
    return f"{entry.losses} asr workers were lost with it, the last was {entry.worker}."


def _verdict(failure: Failure) -> Exception:
    error = failure.error[:1000] or "The asr worker gave no reason."
    match failure.kind:
        case "bad_input":
            return InvalidEvent(error)
        case "not_now":
            return TransientFailure(error)
        case _:
            return WorkFailed(error)
