"""What one record leads to: a new state and messages, or a dead letter. Pure; used live and when a state is rebuilt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeAlias, TypeVar

from producers.dead_letters import dead_letter
from producers.publisher import Message
from schemas import cloudevents, serde
from schemas.errors import InvalidEvent, Overloaded, TransientFailure
from schemas.identity import derived_id
from schemas.record import Record
from streams.steps import Emitted, Event, PreparationFailed, Prepared
from streams.topology import Processor

S = TypeVar("S")
Preparation: TypeAlias = Prepared | Exception
"""What the step will see, or the failure that comes before any step (undecodable, a bug)."""


@dataclass(frozen=True, slots=True)
class Decision(Generic[S]):
    """The state after a record and what must be in the log before the record counts as processed.

    `failure` is why the record became a dead letter (the last message then; a step that raised leaves the state as it
    was, and the other messages are what it said all the same).
    """

    state: S
    messages: Sequence[Message] = ()
    failure: Exception | None = None

    @property
    def speaks_of_a_partition(self) -> bool:
        """Whether its messages' place among the others matters: they have to be delivered by themselves."""
        return any(message.partition >= 0 for message in self.messages)


@dataclass(frozen=True, slots=True)
class Requested:
    """What a heavy part is to do for a record, and what is told when it begins."""

    request: Mapping[str, Any]
    announced: Sequence[Message]


def request_of(processor: Processor[Any], record: Record) -> Requested | Exception | None:
    """The heavy part of a record, None where there is none. A failure is one for `decide`, which makes it a letter."""
    if processor.request is None or record.is_redriven_to_another(processor.name):
        return None
    try:
        event = _event(record)
        request = processor.request(event)
        if request is None:
            return None
        emitted = processor.announce(event, request) if processor.announce else ()
        return Requested(request, _messages(processor, record, emitted, f"{processor.name}/announced"))
    except Exception as failure:  # noqa: BLE001 - as below: what is wrong with an event costs that event
        return failure


def decide(processor: Processor[S], state: S, record: Record, prepared: Preparation = None) -> Decision[S]:
    """Take the processor's step on a record as it came from the log.

    Raises:
        TransientFailure, Overloaded: the step cannot be taken now; nothing has happened.
    """
    if record.is_redriven_to_another(processor.name):
        return Decision(state)
    try:
        return _step(processor, state, record, prepared)
    except (TransientFailure, Overloaded):
        raise
    except Exception as bug:  # noqa: BLE001 - a step's bug costs its event, which is kept whole, not the stream
        return Decision(state, [dead_letter(processor.name, record, bug)], bug)


def _step(processor: Processor[S], state: S, record: Record, prepared: Preparation) -> Decision[S]:
    failure: InvalidEvent | None = None
    try:
        if isinstance(prepared, Exception):
            raise prepared
        after, emitted = processor.step(state, _event(record, prepared))
        if isinstance(prepared, PreparationFailed) and prepared.hopeless:
            failure = InvalidEvent(prepared.error)
    except InvalidEvent as invalid:
        failure, after, emitted = invalid, state, invalid.outputs
    messages = _messages(processor, record, emitted, processor.name)
    if failure is not None:
        messages.append(dead_letter(processor.name, record, failure))
    return Decision(after, messages, failure)


def _event(record: Record, prepared: Prepared = None) -> Event:
    name, body = serde.decode(record.value)
    return Event(name, body, record.timestamp_ms, record.partition, prepared)


def _messages(processor: Processor[Any], record: Record, emitted: Sequence[Emitted], author: str) -> list[Message]:
    return [
        message_of(
            processor,
            one,
            processor.topic_out,
            id=derived_id(author, record.topic, record.partition, record.offset, n),
            time_ms=record.timestamp_ms,
            traceparent=(record.header("traceparent") or b"").decode("ascii", "replace") or None,
        )
        for n, one in enumerate(emitted)
    ]


def message_of(
    processor: Processor[Any],
    emitted: Emitted,
    topic: str,
    *,
    id: str,  # noqa: A002 - CloudEvents' own name for it
    time_ms: int,
    traceparent: str | None = None,
) -> Message:
    """What a processor emits, as it goes into a topic."""
    headers = cloudevents.headers(
        emitted.name,
        id=id,
        source=f"/processors/{processor.name}",
        time=datetime.fromtimestamp(time_ms / 1000, UTC),
        traceparent=traceparent,
    )
    partition = -1 if emitted.partition is None else emitted.partition
    return Message(topic, emitted.key, serde.encode(emitted.name, emitted.record), headers, partition)
