"""Commands of a batch become messages: their events, what else follows from these, and what settles them. Pure."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, Generic, TypeVar

from producers.commands import AWAITED
from producers.dead_letters import dead_letter
from producers.publisher import Message
from schemas import cloudevents, serde
from schemas.errors import InvalidEvent, TransientFailure
from schemas.identity import derived_id
from schemas.record import Record
from schemas.topics import TOPICS
from streams.deciding.answers import LONGEST_HEADER
from streams.deciding.ledger import CONFLICT, SETTLED, UNDECIDABLE, Answer, Ledger, remember
from streams.decisions import Accepted, Command, Decider, Refused

log = logging.getLogger(__name__)
S = TypeVar("S")

_FRAMING_BYTES: Final = 8192
_CONFLICT = Refused(CONFLICT, "This id was used for another request")
_KEPT = Refused(UNDECIDABLE, "The command cannot be decided; it is kept as a dead letter")


@dataclass(frozen=True, slots=True)
class Settled:
    """A command and its answer; `message` is the index of its CommandSettled in the batch."""

    command_id: str
    answer: Answer
    message: int
    record: Record


@dataclass(frozen=True, slots=True)
class Batch(Generic[S]):
    """What one transaction does to a partition."""

    messages: Sequence[Message]
    settled: Sequence[Settled]
    state: S
    next_command: int

    def committed(self, decider: Decider[S], ledger: Ledger[S], offsets: Sequence[int]) -> Ledger[S]:
        """Give the ledger after the commit; `offsets` are those of the messages."""
        for one in self.settled:
            remember(ledger.answers, one.command_id, one.answer, decider.remembered)
        next_event = max((offsets[one.message] + 1 for one in self.settled), default=ledger.next_event)
        return replace(ledger, state=self.state, next_command=self.next_command, next_event=next_event)


def settle(decider: Decider[S], ledger: Ledger[S], records: Sequence[Record]) -> Batch[S]:
    """Decide commands of one partition in their order. Nothing has happened until the messages are committed.

    Raises:
        TransientFailure: cannot be decided now.
    """
    state, fresh = ledger.state, dict[str, Answer]()
    messages: list[Message] = []
    settled: list[Settled] = []
    for record in records:
        if record.offset < ledger.next_command or record.is_redriven_to_another(decider.consumer):
            continue
        command_id = _id_of(decider, record)
        first = fresh.get(command_id) or ledger.answers.get(command_id)
        state, answer, made = _decide(decider, state, record, first)
        messages += made
        settled.append(Settled(command_id, answer, len(messages), record))
        messages.append(_settling(decider, record, command_id, answer, sum(_is_event(decider, one) for one in made)))
        remember(fresh, command_id, answer, len(records))
    return Batch(messages, settled, state, records[-1].offset + 1)


def _decide(decider: Decider[S], state: S, record: Record, first: Answer | None) -> tuple[S, Answer, Sequence[Message]]:
    fingerprint = _text(record, "fingerprint")
    try:
        name, body = serde.decode(record.value)
        if first is not None:
            repeats = first.asks_the_same(name, fingerprint)
            return state, first if repeats else _refusal(name, fingerprint, _CONFLICT), ()
        command = Command(name, body, record.timestamp_ms * 1000, _id_of(decider, record))
        verdict = decider.decide(state, command)
        if isinstance(verdict, Refused):
            return state, _refusal(name, fingerprint, verdict), ()
        after, messages = _apply(decider, state, record, verdict)
        return after, Answer(name, fingerprint, True, result=_json(verdict.result)), messages
    except TransientFailure:
        raise
    except Exception as error:  # noqa: BLE001 - a bug or bad data costs its command, which is kept whole, not the others
        log.warning("%s: %s becomes a dead letter: %r", decider.consumer, record.coordinates, error)
        return state, _refusal("", fingerprint, _KEPT), [dead_letter(decider.consumer, record, error)]


def _apply(decider: Decider[S], state: S, record: Record, verdict: Accepted) -> tuple[S, Sequence[Message]]:
    """Evolve, and announce what follows."""
    messages: list[Message] = []
    for fact in verdict.events:
        facts = [fact]
        if fact.topic is None:
            state = decider.evolve(state, fact.name, fact.record)
            facts += decider.announce(state, fact.name, fact.record)
        for one in facts:
            value = serde.encode(one.name, one.record)
            topic = one.topic or decider.events
            if len(value) > _largest(topic):
                raise InvalidEvent(f"{one.name} has {len(value)} bytes, more than {topic} takes.")
            headers = _headers(decider, record, one.name, len(messages))
            partition = -1 if one.topic else record.partition
            messages.append(Message(topic, one.key.encode(), value, headers, partition))
    return state, messages


def _settling(decider: Decider[Any], record: Record, command_id: str, answer: Answer, events: int) -> Message:
    """The command's last event; who waits for the command is told by read models once they have passed it."""
    body = {
        "command_id": command_id,
        "command": answer.command,
        "fingerprint": answer.fingerprint,
        "command_offset": record.offset,
        "accepted": answer.accepted,
        "refusal": answer.refusal,
        "detail": answer.detail,
        "result": answer.result,
        "events": events,
    }
    headers = _headers(decider, record, SETTLED, -1)
    for name in ("correlation-id", "reply-to", AWAITED):
        value = record.header(name)
        if value is not None and len(value) <= LONGEST_HEADER:
            headers.append((name, value))
    return Message(decider.events, record.key, serde.encode(SETTLED, body), headers, record.partition)


def _headers(decider: Decider[Any], record: Record, event: str, n: int) -> list[tuple[str, bytes]]:
    trace = _text(record, "traceparent")
    return cloudevents.headers(
        event,
        id=derived_id(decider.consumer, record.topic, record.partition, record.offset, n),
        source=f"/deciders/{decider.name}",
        time=datetime.fromtimestamp(record.timestamp_ms / 1000, UTC),
        traceparent=trace or None,
    )


def _id_of(decider: Decider[Any], record: Record) -> str:
    """The command's id; one without (or with an absurd one) is known by its place."""
    place = derived_id(decider.consumer, record.topic, record.partition, record.offset, 0)
    return _text(record, "ce_id") or place


def _text(record: Record, header: str) -> str:
    value = record.header(header) or b""
    return value.decode("utf-8", "replace") if len(value) <= LONGEST_HEADER else ""


def _refusal(name: str, fingerprint: str, refused: Refused) -> Answer:
    return Answer(name, fingerprint, False, refused.code, refused.detail)


def _json(result: Mapping[str, Any] | None) -> str | None:
    return None if result is None else json.dumps(result, separators=(",", ":"))


def _is_event(decider: Decider[Any], message: Message) -> bool:
    return message.topic == decider.events


def _largest(topic: str) -> int:
    known = TOPICS.get(topic)
    return (known.max_message_bytes if known else 1 << 20) - _FRAMING_BYTES
