"""What a decider sees and says: a command in, events or a refusal out. Pure types: deciders know nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeAlias, TypeVar

from streams.topology import StateCodec

S = TypeVar("S")

REMEMBERED: Final = 10_000
"""So many newest commands of a partition are remembered with their answers: a repeat gets the first one."""


@dataclass(frozen=True, slots=True)
class Command:
    """A decoded command; `at_us`: the broker appended it then (UTC epoch microseconds), a decider's only clock."""

    name: str
    record: Mapping[str, Any]
    at_us: int
    command_id: str


@dataclass(frozen=True, slots=True)
class Fact:
    """An event to append: its name, its key and its record. With a `topic` it goes there and changes no state."""

    name: str
    key: str
    record: Mapping[str, Any]
    topic: str | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """These events happen (none: it was so already); `result` is what the caller wants to know, JSON."""

    events: Sequence[Fact] = ()
    result: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing happens: a word for programs and a sentence for people."""

    code: str
    detail: str


Decide: TypeAlias = Callable[[S, Command], Accepted | Refused]
"""`state, command -> events or refusal`. May raise `InvalidEvent`: the command becomes a dead letter."""
Evolve: TypeAlias = Callable[[S, str, Mapping[str, Any]], S]
"""`state, event name, record -> state`. The state is a value: never changed in place, for a batch may be taken back."""
Announce: TypeAlias = Callable[[S, str, Mapping[str, Any]], Sequence[Fact]]
"""`state after, event name, record -> facts for other topics`, which go into the same transaction."""


def nothing_more(_state: Any, _name: str, _record: Mapping[str, Any]) -> Sequence[Fact]:
    """Announce nothing."""
    return ()


@dataclass(frozen=True, slots=True)
class Decider(Generic[S]):
    """One decider. `name` makes its consumer group, its transactional ids and the consumer of its dead letters.

    `commands` and `events` are topics with the same number of partitions. A snapshot is laid down every
    `snapshot_events` events.
    """

    name: str
    commands: str
    events: str
    decide: Decide[S]
    evolve: Evolve[S]
    state: StateCodec[S]
    announce: Announce[S] = nothing_more
    remembered: int = REMEMBERED
    snapshot_events: int = 1_000

    @property
    def consumer(self) -> str:
        """Name of the group and in dead letters and snapshots."""
        return f"deciders.{self.name}"
