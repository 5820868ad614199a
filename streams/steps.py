"""What a processor sees and says: an event in, events out. Pure types, so that processors know nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Event:
    """A decoded event; `log_time_ms` is when the broker appended it, the only clock a processor may use."""

    name: str
    record: Mapping[str, Any]
    log_time_ms: int


@dataclass(frozen=True, slots=True)
class Emitted:
    """An event to append: its name, its key's bytes and its record. Its id is derived from the input's coordinates."""

    name: str
    key: bytes
    record: Mapping[str, Any]


Step: TypeAlias = Callable[[S, Event], tuple[S, Sequence[Emitted]]]
"""`event, state -> state, events`. The state is a value: never changed in place, so that a retry starts where it was.

Raises `InvalidEvent` (dead letter) or `TransientFailure` (tried again later); anything else is a bug and a dead letter.
"""
