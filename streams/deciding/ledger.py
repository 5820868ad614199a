"""What the runtime knows of a partition: the decider's state, the newest answers, where to go on. Pure.

All of it is folded from the events partition alone: the last event of every command is a `CommandSettled` that says
what was decided and which command it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Generic, TypeVar

import msgspec

from schemas.record import Record
from streams.decisions import Decider

S = TypeVar("S")
SETTLED: Final = "CommandSettled"
UNDECIDABLE: Final = "undecidable"
CONFLICT: Final = "conflict"
_NOT_REMEMBERED: Final = frozenset({UNDECIDABLE, CONFLICT})


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """What was decided about a command; `result` is JSON. The fingerprint tells another question under the same id."""

    command: str
    fingerprint: str
    accepted: bool
    refusal: str | None = None
    detail: str | None = None
    result: str | None = None

    @classmethod
    def of(cls, settled: Mapping[str, Any]) -> Answer:
        """Read it back from a CommandSettled record."""
        return cls(*(settled[field] for field in cls.__struct_fields__))

    def asks_the_same(self, command: str, fingerprint: str) -> bool:
        """Whether a command under the same id is a repeat of this one, as far as can be told."""
        return command == self.command and (not fingerprint or not self.fingerprint or fingerprint == self.fingerprint)


@dataclass(frozen=True, slots=True)
class Ledger(Generic[S]):
    """A value but for `answers`, which `remember` changes in place once a batch is committed.

    `next_command`: -1 when none was ever settled. `next_event`: first offset of the events partition not in here.
    """

    state: S
    answers: dict[str, Answer]
    next_command: int = -1
    next_event: int = 0


def empty(decider: Decider[S]) -> Ledger[S]:
    """Give what is known before the first event."""
    return Ledger(decider.state.empty(), {})


def fold(decider: Decider[S], ledger: Ledger[S], name: str, body: Mapping[str, Any], record: Record) -> Ledger[S]:
    """Take in an event of the events partition."""
    if name != SETTLED:
        return replace(ledger, state=decider.evolve(ledger.state, name, body), next_event=record.offset + 1)
    remember(ledger.answers, body["command_id"], Answer.of(body), decider.remembered)
    goes_on = max(ledger.next_command, body["command_offset"] + 1)
    return replace(ledger, next_command=goes_on, next_event=record.offset + 1)


def remember(answers: dict[str, Answer], command_id: str, answer: Answer, limit: int) -> None:
    """Keep the first answer to a command; the oldest command is forgotten for it."""
    if command_id in answers or answer.refusal in _NOT_REMEMBERED:
        return
    answers[command_id] = answer
    while len(answers) > limit:
        del answers[next(iter(answers))]


class _Kept(msgspec.Struct, frozen=True, array_like=True):
    """A ledger as it lies in a snapshot; the state in its codec's own form."""

    state: bytes
    answers: dict[str, Answer]
    next_command: int


def dump(decider: Decider[S], ledger: Ledger[S]) -> bytes:
    """Serialise for a snapshot."""
    return msgspec.msgpack.encode(_Kept(decider.state.dump(ledger.state), ledger.answers, ledger.next_command))


def load(decider: Decider[S], next_event: int, data: bytes) -> Ledger[S] | None:
    """Read a snapshot back; None when it is another version's or no such thing."""
    try:
        kept = msgspec.msgpack.decode(data, type=_Kept)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return None
    state = decider.state.load(kept.state)
    return None if state is None else Ledger(state, kept.answers, kept.next_command, next_event)
