"""The table of processors: what is read, which step is taken, what is written. A new processor is one more line."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

import msgspec

from streams.processors import emotion_moments
from streams.steps import Step

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a processor may take: events waiting in memory, seconds for one step, events between two snapshots."""

    buffered_events: int = 32
    step_s: float = 60.0
    snapshot_events: int = 1_000


@dataclass(frozen=True, slots=True)
class StateCodec(Generic[S]):
    """How a state begins and how it lies in a snapshot (msgpack). Another `version` makes older snapshots unreadable.

    That is no loss: a state without a snapshot is folded from the log. Raise it whenever the step's results change.
    """

    type: type[S]
    version: int

    def empty(self) -> S:
        """Give the state before the first event."""
        return self.type()

    def dump(self, state: S) -> bytes:
        """Serialise a state."""
        return msgspec.msgpack.encode((self.version, state))

    def load(self, data: bytes) -> S | None:
        """Read a state back; None when it was written by another version or is no such state."""
        try:
            version, raw = msgspec.msgpack.decode(data, type=tuple[int, msgspec.Raw])
            return msgspec.msgpack.decode(raw, type=self.type) if version == self.version else None
        except (msgspec.DecodeError, msgspec.ValidationError):
            return None


@dataclass(frozen=True, slots=True)
class Processor(Generic[S]):
    """One processor. `name` is its consumer group, the consumer of its dead letters and the author of its ids."""

    name: str
    topic_in: str
    topic_out: str
    step: Step[S]
    state: StateCodec[S]
    limits: Limits = field(default_factory=Limits)


PROCESSORS: Final[tuple[Processor[Any], ...]] = (
    Processor(
        name="emotion.moments",
        topic_in="emotion.points",
        topic_out="emotion.moments",
        step=emotion_moments.step,
        state=StateCodec(emotion_moments.State, version=1),
    ),
)
