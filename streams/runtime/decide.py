"""What one record leads to: a new state and messages, or a dead letter. Pure; used live and when a state is rebuilt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from producers.dead_letters import dead_letter
from producers.publisher import Message
from schemas import cloudevents, serde
from schemas.errors import InvalidEvent, Overloaded, TransientFailure
from schemas.identity import derived_id
from schemas.record import Record
from streams.steps import Emitted, Event
from streams.topology import Processor

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Decision(Generic[S]):
    """The state after a record and what must be in the log before the record counts as processed.

    `failure` is why the record became a dead letter (the only message then, and the state is the one before).
    """

    state: S
    messages: Sequence[Message] = ()
    failure: Exception | None = None

    @property
    def speaks_of_a_partition(self) -> bool:
        """Whether its messages' place among the others matters: they have to be delivered by themselves."""
        return any(message.partition >= 0 for message in self.messages)


def decide(processor: Processor[S], state: S, record: Record) -> Decision[S]:
    """Take the processor's step on a record as it came from the log.

    Raises:
        TransientFailure, Overloaded: the step cannot be taken now; nothing has happened.
    """
    if record.is_redriven_to_another(processor.name):
        return Decision(state)
    try:
        name, body = serde.decode(record.value)
        after, emitted = processor.step(state, Event(name, body, record.timestamp_ms, record.partition))
        return Decision(after, [_message(processor, record, n, one) for n, one in enumerate(emitted)])
    except (TransientFailure, Overloaded):
        raise
    except InvalidEvent as invalid:
        return Decision(state, [dead_letter(processor.name, record, invalid)], invalid)
    except Exception as bug:  # noqa: BLE001 - a step's bug costs its event, which is kept whole, not the stream
        return Decision(state, [dead_letter(processor.name, record, bug)], bug)


def _message(processor: Processor[Any], record: Record, n: int, emitted: Emitted) -> Message:
    headers = cloudevents.headers(
        emitted.name,
        id=derived_id(processor.name, record.topic, record.partition, record.offset, n),
        source=f"/processors/{processor.name}",
        time=datetime.fromtimestamp(record.timestamp_ms / 1000, UTC),
        traceparent=(record.header("traceparent") or b"").decode("ascii", "replace") or None,
    )
    partition = -1 if emitted.partition is None else emitted.partition
    return Message(processor.topic_out, emitted.key, serde.encode(emitted.name, emitted.record), headers, partition)
