"""What a processor sees and says: an event in, events out. Pure types, so that processors know nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Event:
    """A decoded event and its partition; `log_time_ms`: the broker appended it then, a processor's only clock."""

    name: str
    record: Mapping[str, Any]
    log_time_ms: int
    partition: int = 0


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

Raises `InvalidEvent` (dead letter) or `TransientFailure` (tried again later); anything else is a bug and a dead letter.
"""
