"""What a processor sees and says: an event in, events out. Pure types, so that processors know nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, TypeVar

import msgspec

from schemas.errors import SensoriumError

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class PreparationFailed:
    """The heavy part did not manage this event: why, and how often it was tried.

    `hopeless`: it said that it never can (`InvalidEvent`, `workers.BadInput`). A dead letter is kept then in any case,
    beside whatever the step returns.
    """

    error: str
    attempts: int
    hopeless: bool = False


Prepared: TypeAlias = Mapping[str, Any] | PreparationFailed | None
"""What the heavy part made of an event's request; None where nothing was requested."""


@dataclass(frozen=True, slots=True)
class Event:
    """A decoded event and its partition; `log_time_ms`: the broker appended it then, a processor's only clock."""

    name: str
    record: Mapping[str, Any]
    log_time_ms: int
    partition: int = 0
    prepared: Prepared = None


@dataclass(frozen=True, slots=True)
class Emitted:
    """An event to append: its name, its key's bytes and its record. Its id is derived from the input's coordinates.

    With a `partition` it speaks of that whole partition, whatever its key: all outputs before it are in the log before
    it, all outputs after it come after it.
    """

    name: str
    key: bytes | None
    record: Mapping[str, Any]
    partition: int | None = None


Step: TypeAlias = Callable[[S, Event], tuple[S, Sequence[Emitted]]]
"""`event, state -> state, events`. The state is a value: never changed in place, so that a retry starts where it was.

Raises `InvalidEvent` (dead letter, and its `outputs` are appended) or `TransientFailure` (tried again later); anything
else is a bug and a dead letter.
"""


class NoState(msgspec.Struct, frozen=True):
    """The state of a processor that remembers nothing: it is neither folded from the log nor laid down."""


class WorkFailed(SensoriumError):
    """A heavy part crashed, or took more time or memory than it may; another attempt can end otherwise."""


class Heavy(Protocol):
    """A heavy part: a child process, a service. What goes in and comes out can be said in msgpack.

    It may have a number `progress` that changes while it works as it should. Without one, it has
    `topology.Limits.prepare_s` before it counts as hanging.
    """

    async def __call__(self, request: Mapping[str, Any], /) -> Mapping[str, Any]:
        """Do the work.

        Raises:
            InvalidEvent: the request can never be done (no retry). TransientFailure: not now (an outage; tried until it
            works). WorkFailed: it went wrong this time (tried `topology.Limits.attempts` times).
        """
        ...
