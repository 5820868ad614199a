"""One child as its parent sees it: started, asked, killed. Knows the pipe's language and the clock, no policy."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import tempfile
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import msgspec

from schemas.errors import InvalidEvent, TransientFailure
from streams.steps import WorkFailed
from streams.workers.child import HEADER, Order, Request, Verdict, framed

log = logging.getLogger(__name__)
T = TypeVar("T")
BEAT_S: Final = 1.0
GONE_S: Final = 10.0
LINES: Final = 100  # of stderr, between two answers: a hostile file makes a decoder talk without end
LONGEST_LINE: Final = 1_000
_Answer = tuple[Verdict, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """How a child is made: its name in the log, what it is ordered to do, its threads and its time to load."""

    name: str
    order: Order
    threads: int
    load_s: float


class Child:
    """A process that works. `beat` is called every second while it is within its time, and when it says something."""

    def __init__(self, plan: Plan, process: Process, beat: Callable[[], None]) -> None:
        self._plan, self._process, self._beat = plan, process, beat
        self._lines, self._doomed = 0, False
        self._hearing = asyncio.create_task(self._hear())

    @classmethod
    async def start(cls, plan: Plan, beat: Callable[[], None]) -> Child:
        """Start a child and wait until it is ready. Raises `TransientFailure`: it does not load (now)."""
        arguments = (sys.executable, "-P", "-m", "streams.workers.child", str(os.getpid()), plan.name)
        try:
            process = await asyncio.create_subprocess_exec(
                *arguments, stdin=PIPE, stdout=PIPE, stderr=PIPE, start_new_session=True, env=_environment(plan.threads)
            )
        except OSError as refused:  # no memory or no process to be had now
            raise TransientFailure(f"{plan.name} does not start: {refused}") from refused
        child = cls(plan, process, beat)
        try:
            verdict, told = await child._within(plan.load_s, child._exchange(framed(plan.order)))
            if verdict is not Verdict.READY:
                raise WorkFailed(told)
        except WorkFailed as failure:
            await child.gone()
            raise TransientFailure(f"{plan.name} does not start: {failure}") from failure
        except asyncio.CancelledError:
            await child.gone()
            raise
        log.info("%s is ready after %.1f s (process %d)", plan.name, told, process.pid)
        return child

    @property
    def alive(self) -> bool:
        """Whether it can be asked."""
        return not (self._doomed or self._hearing.done())

    async def ask(self, request: Mapping[str, Any], limit_s: float) -> Mapping[str, Any]:
        """Let it do one request. Raises as `streams.steps.Heavy` does; may have ended then (`alive`)."""
        message = framed(Request(limit_s, dict(request)))
        if len(message) > self._plan.order.message_bytes:
            raise InvalidEvent(f"{self._plan.name}: the request has {len(message)} bytes.")
        self._lines = 0
        verdict, told = await self._within(limit_s, self._exchange(message))
        match verdict:
            case Verdict.DONE if isinstance(told, dict):
                return told
            case Verdict.BAD:
                raise InvalidEvent(told)
            case Verdict.LATER:
                raise TransientFailure(f"{self._plan.name}: {told}")
            case Verdict.MEMORY:
                self.kill()
                raise WorkFailed(f"{self._plan.name} ran out of its {self._plan.order.memory_bytes >> 20} MiB: {told}")
            case _:
                raise WorkFailed(f"{self._plan.name}: {told if verdict is Verdict.FAILED else 'no mapping came back'}")

    def kill(self) -> None:
        """End it and all that it started, at once."""
        self._doomed = True
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def gone(self) -> None:
        """Kill it and wait until nothing is left of it."""
        self.kill()
        ending = asyncio.create_task(self._process.wait())
        await asyncio.wait((self._hearing, ending), timeout=GONE_S)

    async def _within(self, limit_s: float, exchange: Awaitable[_Answer]) -> _Answer:
        """Await an exchange for so long; whatever else ends it ends the child, whose pipe is out of step then."""
        answering = asyncio.ensure_future(exchange)
        until = time.monotonic() + limit_s
        try:
            while not answering.done():
                left = until - time.monotonic()
                if left <= 0:
                    raise WorkFailed(f"{self._plan.name} took longer than {limit_s:g} s and was killed")
                self._beat()
                await asyncio.wait((answering,), timeout=min(BEAT_S, left))
            return answering.result()
        except BaseException:
            self.kill()
            raise
        finally:
            answering.cancel()

    async def _exchange(self, message: bytes) -> _Answer:
        incoming, outgoing = self._process.stdout, self._process.stdin
        assert incoming  # noqa: S101 - it was started with pipes
        assert outgoing  # noqa: S101
        try:
            outgoing.write(message)
            await outgoing.drain()
            (length,) = HEADER.unpack(await incoming.readexactly(HEADER.size))
            if length > self._plan.order.message_bytes:
                raise WorkFailed(f"{self._plan.name} answers {length} bytes")
            return msgspec.msgpack.decode(await incoming.readexactly(length), type=tuple[Verdict, Any])
        except (asyncio.IncompleteReadError, ConnectionError, msgspec.MsgspecError) as ended:
            self.kill()
            raise WorkFailed(f"{self._plan.name} {_ending(await self._process.wait())}") from ended

    async def _hear(self) -> None:
        """Log what it says on stderr, line by line, however long its lines are."""
        saying = self._process.stderr
        assert saying  # noqa: S101 - it was started with pipes
        rest = b""
        while part := await saying.read(8192):
            *lines, rest = (rest + part).split(b"\n")
            for line in lines:
                self._say(line)
            rest = rest[-LONGEST_LINE:]
        self._say(rest)

    def _say(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace").strip()[:LONGEST_LINE]
        if not text:
            return
        self._beat()
        self._lines += 1
        if self._lines <= LINES:
            log.info("%s[%d]: %s", self._plan.name, self._process.pid, text)
        elif self._lines == LINES + 1:
            log.warning("%s[%d] goes on talking; the rest is left out", self._plan.name, self._process.pid)


def _ending(code: int) -> str:
    if code == -signal.SIGXCPU:
        return "used up its processor time"
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"


def _environment(threads: int) -> dict[str, str]:
    """All that a child gets to know of its surroundings: no keys and no addresses, it is given what it needs."""
    counts = ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "VECLIB_MAXIMUM")
    return {f"{one}_NUM_THREADS": str(threads) for one in counts} | {
        "HOME": os.path.expanduser("~"),  # noqa: PTH111 - Path.home() fails for a user without one
        "LANG": "C.UTF-8",
        "MALLOC_ARENA_MAX": "2",  # glibc reserves 64 MiB of address space for each further one
        "PATH": os.defpath,
        "PYTHONPATH": os.pathsep.join(one for one in sys.path if one),
        "PYTHONUNBUFFERED": "1",
        "TMPDIR": tempfile.gettempdir(),
        "TOKENIZERS_PARALLELISM": "false",
    }
