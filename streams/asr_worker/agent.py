"""The worker's loop: lease, hear in a child, heartbeat, hand in. Outlives the server, the network and its children."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

import msgspec

from schemas.errors import InvalidEvent, TransientFailure
from streams.asr_worker.client import Client, LeaseOver, Refused, Unreachable
from streams.steps import Heavy, WorkFailed
from streams.workers.remote_work_protocol import Failure, FailureKind, Lease, Result
from streams.workers.transcripts import AsrPass, Transcript, as_mapping

log = logging.getLogger(__name__)
T = TypeVar("T")
POLL_S: Final = 25.0


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds: of a long poll, between attempts at an absent server (doubling, with jitter), to finish when stopped."""

    poll_s: float = POLL_S
    first_s: float = 1.0
    longest_s: float = 60.0
    grace_s: float = 25.0


@dataclass(slots=True)
class Tally:
    """What has been done since the last metrics line."""

    done: int = 0
    failed: int = 0
    audio_s: float = 0.0
    work_s: float = 0.0


@dataclass(slots=True)
class Agent:
    """Works on one lease at a time. `models` says which passes it can do just now, by their models' names."""

    client: Client
    heavy: Heavy
    models: Callable[[], Mapping[AsrPass, str]]
    name: str
    stop: asyncio.Event
    pace: Pace = field(default_factory=Pace)
    tally: Tally = field(default_factory=Tally)

    async def run(self) -> None:
        """Work until `stop` is set and what was leased is handed in or given back."""
        while not self.stop.is_set():
            lease = await self._lease()
            if lease is not None:
                await self._work(lease)

    async def _lease(self) -> Lease | None:
        """The next task; None when there is none yet, or when it is time to stop."""
        asking = asyncio.create_task(
            self._insist(lambda: self.client.lease(self.name, self.models(), self.pace.poll_s), "Asking for work")
        )
        stopping = asyncio.create_task(self.stop.wait())
        await asyncio.wait((asking, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not asking.done():
            asking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asking
            return None
        return asking.result()

    async def _work(self, lease: Lease) -> None:
        log.info("transcribing", extra=_of(lease) | {"speech_s": _speech_s(lease)})
        began = time.monotonic()
        hearing = asyncio.create_task(self._hear(lease))
        try:
            outcome = await self._keeping(lease, hearing, began)
        except LeaseOver as over:
            log.warning("lease lost: %s", over, extra=_of(lease))
            return
        finally:
            hearing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await hearing
        await self._hand_in(lease, outcome, time.monotonic() - began)

    async def _hear(self, lease: Lease) -> Transcript | Failure:
        try:
            return msgspec.convert(dict(await self.heavy(as_mapping(lease.task))), Transcript)
        except InvalidEvent as error:
            return _failure("bad_input", error)
        except TransientFailure as error:
            return _failure("not_now", error)
        except (WorkFailed, msgspec.ValidationError) as error:
            return _failure("failed", error)

    async def _keeping(
        self, lease: Lease, hearing: asyncio.Task[Transcript | Failure], began: float
    ) -> Transcript | Failure:
        """Await the work with a heartbeat every so often. Raises LeaseOver. When stopped, it has `grace_s` left."""
        until: float | None = None
        while not hearing.done():
            if self.stop.is_set() and until is None:
                until = time.monotonic() + self.pace.grace_s
            if until is not None and time.monotonic() >= until:
                return Failure(kind="given_back", error="The worker stops.")
            await self._wait(hearing, lease.heartbeat_s if until is None else min(1.0, self.pace.grace_s))
            if not hearing.done():
                with contextlib.suppress(Unreachable):  # the work goes on without the server
                    await self.client.heartbeat(lease, time.monotonic() - began)
        return hearing.result()

    async def _wait(self, hearing: asyncio.Task[Transcript | Failure], seconds: float) -> None:
        stopping = asyncio.create_task(self.stop.wait())
        waited = (hearing,) if self.stop.is_set() else (hearing, stopping)
        await asyncio.wait(waited, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()

    async def _hand_in(self, lease: Lease, outcome: Transcript | Failure, work_s: float) -> None:
        """Tell the server, as long as it takes; a stopping worker tries for `grace_s`."""
        try:
            if isinstance(outcome, Failure):
                await self._insist_or_stop(lambda: self.client.failure(lease, outcome))
                self.tally.failed += outcome.kind != "given_back"
                log.warning("not transcribed", extra=_of(lease) | {"kind": outcome.kind, "error": outcome.error})
            else:
                result = Result(task_id=lease.task.task_id, transcript=outcome)
                await self._insist_or_stop(lambda: self.client.result(lease, result))
                self.tally.done += 1
                self.tally.audio_s += outcome.audio_s
                self.tally.work_s += work_s
                log.info("transcribed", extra=_of(lease) | {"model": outcome.model, "elapsed_s": round(work_s, 2)})
        except (LeaseOver, Refused, TimeoutError) as over:
            log.warning("not handed in: %s", over or "no time left", extra=_of(lease))

    async def _insist_or_stop(self, attempt: Callable[[], Awaitable[None]]) -> None:
        """Insist, but for `grace_s` only once it is time to stop. Raises TimeoutError."""
        insisting = asyncio.create_task(self._insist(attempt, "Handing in"))
        stopping = asyncio.create_task(self.stop.wait())
        await asyncio.wait((insisting, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        await asyncio.wait_for(insisting, self.pace.grace_s)

    async def _insist(self, attempt: Callable[[], Awaitable[T]], what: str) -> T:
        """Try until the server answers, ever more slowly."""
        pause_s = self.pace.first_s
        while True:
            try:
                return await attempt()
            except Unreachable as absent:
                wait_s = max(absent.retry_after_s or 0.0, pause_s * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load
                log.error("%s: %s (again in %.1f s)", what, absent, wait_s)  # noqa: TRY400
                await asyncio.sleep(wait_s)
                pause_s = min(2 * pause_s, self.pace.longest_s)


def _failure(kind: FailureKind, error: Exception) -> Failure:
    return Failure(kind=kind, error=str(error)[:1000])


def _speech_s(lease: Lease) -> float:
    return sum(piece.end_ms - piece.start_ms for piece in lease.task.pieces) / 1000


def _of(lease: Lease) -> dict[str, str | int]:
    task = lease.task
    return {"dialogue_id": task.dialogue_id, "revision": task.revision, "asr_pass": task.asr_pass, "epoch": lease.epoch}
