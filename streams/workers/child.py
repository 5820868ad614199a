"""The inside of a child process: confines itself, loads its target, then answers one request after the other.

`python -m streams.workers.child PARENT_PID NAME`, speaking with its parent over stdin and stdout: four bytes of length,
then msgpack. First comes the order (`Order`); the answers are pairs of a `Verdict` and what belongs to it. What the
target prints goes to stderr. Imports nothing heavy but the target.
"""

from __future__ import annotations

import ctypes
import importlib
import logging
import math
import os
import resource
import select
import signal
import struct
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, BinaryIO, Final, TypeAlias

import msgspec

from streams.workers import BadInput, NotNow

HEADER: Final = struct.Struct(">I")
Work: TypeAlias = Callable[[Mapping[str, Any]], Mapping[str, Any]]
_PR_SET_PDEATHSIG: Final = 1
_LONGEST_TEXT: Final = 4_000


class Verdict(StrEnum):
    """What became of loading or of a request."""

    READY = "ready"
    DONE = "done"
    BAD = "bad"
    LATER = "later"
    FAILED = "failed"
    MEMORY = "memory"
    """As FAILED, and the child ends: after a failed allocation nobody knows what else is broken."""


class Order(msgspec.Struct, frozen=True):
    """What the parent wants of the child; see `pool.ChildLimits`."""

    target: str
    options: dict[str, Any]
    memory_bytes: int
    message_bytes: int
    nice: int


class Request(msgspec.Struct, frozen=True):
    """One piece of work and how long it may take."""

    limit_s: float
    body: dict[str, Any]


def framed(value: object) -> bytes:
    """A message as it goes through the pipe. Raises TypeError for what msgpack cannot say."""
    body = msgspec.msgpack.encode(value)
    return HEADER.pack(len(body)) + body


def main(parent: int) -> int:
    """Serve until the parent closes the pipe or dies."""
    incoming, outgoing = _take_pipes()
    _die_with(parent, incoming.fileno())
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")
    logging.getLogger("streams").setLevel(logging.INFO)
    order = _read(incoming, Order)
    if order is None:
        return 0
    _confine(order)
    verdict, work = _load(order)
    _write(outgoing, verdict, order.message_bytes)
    if work is None:
        return 1
    while (request := _read(incoming, Request)) is not None:
        _limit_cpu(request.limit_s)
        answer = _do(work, request.body)
        _write(outgoing, answer, order.message_bytes)
        if answer[0] is Verdict.MEMORY:
            return 1
    return 0


def _take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Keep the two pipes for ourselves: libraries print to descriptor 1, and some read 0."""
    incoming, outgoing = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return os.fdopen(incoming, "rb"), os.fdopen(outgoing, "wb")


def _die_with(parent: int, pipe: int) -> None:
    """End when the parent does, however it does: by the kernel's signal where there is one, by the pipe's end else."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)

    def watch() -> None:
        poll = select.poll()
        poll.register(pipe, 0)  # only what is always told: the other end is closed
        poll.poll()
        os._exit(0)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def _confine(order: Order) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    wanted = order.memory_bytes if most == resource.RLIM_INFINITY else min(order.memory_bytes, most)
    try:
        resource.setrlimit(resource.RLIMIT_AS, (wanted, most))
    except (OSError, ValueError) as error:  # macOS takes no such limit
        logging.getLogger(__name__).warning("memory is not limited: %s", error)
    os.nice(order.nice)


def _limit_cpu(limit_s: float) -> None:
    """A second net under the parent's clock: all cores for as long as the request may take, and some more."""
    used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    wanted = math.ceil(used + (limit_s + 10) * (os.cpu_count() or 1))
    resource.setrlimit(resource.RLIMIT_CPU, (wanted if most == resource.RLIM_INFINITY else min(wanted, most), most))


def _load(order: Order) -> tuple[tuple[Verdict, Any], Work | None]:
    module, _, function = order.target.partition(":")
    started = time.monotonic()
    try:
        work: Work = getattr(importlib.import_module(module), function)(order.options)
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent has to hear of it
        if not isinstance(error, (NotNow, BadInput)):
            traceback.print_exc()
        return (Verdict.LATER, _words(error)), None
    return (Verdict.READY, time.monotonic() - started), work


def _do(work: Work, request: Mapping[str, Any]) -> tuple[Verdict, Any]:
    try:
        return Verdict.DONE, work(request)
    except BadInput as bad:
        return Verdict.BAD, str(bad)[:_LONGEST_TEXT]
    except NotNow as later:
        return Verdict.LATER, str(later)[:_LONGEST_TEXT]
    except MemoryError as error:
        return Verdict.MEMORY, _words(error)
    except Exception as bug:  # noqa: BLE001 - the process's outermost loop: told to the parent, which decides
        traceback.print_exc()
        return Verdict.FAILED, _words(bug)


def _words(error: BaseException) -> str:
    return f"{type(error).__name__} {error}".strip()[:_LONGEST_TEXT]


def _read(pipe: BinaryIO, kind: type[Any]) -> Any:
    header = pipe.read(HEADER.size)
    if len(header) < HEADER.size:
        return None
    (length,) = HEADER.unpack(header)
    return msgspec.msgpack.decode(pipe.read(length), type=kind)


def _write(pipe: BinaryIO, answer: tuple[Verdict, Any], most: int) -> None:
    try:
        message = framed(answer)
        if len(message) > most:
            message = framed((Verdict.FAILED, f"the result has {len(message)} bytes, more than {most}"))
    except (TypeError, ValueError, OverflowError) as error:
        message = framed((Verdict.FAILED, f"the result cannot be told: {_words(error)}"))
    except MemoryError:
        message = framed((Verdict.FAILED, "the result does not fit into memory"))
    pipe.write(message)
    pipe.flush()


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
