"""Build the message that keeps an event a consumer could not take: original bytes, coordinates and cause."""

from __future__ import annotations

import traceback

from producers.publisher import Message
from schemas import cloudevents, serde
from schemas.errors import InvalidEvent
from schemas.identity import derived_id
from schemas.record import Record

TOPIC = "dead.letters"
TRACEBACK_CHARACTERS = 4000


def dead_letter_id(consumer: str, record: Record) -> str:
    """The same failure of the same consumer on the same record has the same id, however often it is reported."""
    return derived_id(f"dead-letter:{consumer}", record.topic, record.partition, record.offset, 0)


def dead_letter(consumer: str, record: Record, error: BaseException) -> Message:
    """The `DeadLettered` message for `dead.letters`: why `consumer` could not take `record`, which goes in whole."""
    letter_id = dead_letter_id(consumer, record)
    event = {
        "dead_letter_id": letter_id,
        "consumer": consumer,
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp_ms": record.timestamp_ms,
        "key": record.key,
        "value": record.value,
        "headers": [{"name": name, "value": value} for name, value in record.headers],
        "error": type(error).__name__,
        "cause": str(error) or type(error).__name__,
        "traceback": _tail(error),
    }
    headers = cloudevents.headers("DeadLettered", id=letter_id, source=f"/consumers/{consumer}")
    return Message(TOPIC, letter_id.encode(), serde.encode("DeadLettered", event), headers)


def _tail(error: BaseException) -> str:
    """The traceback's last lines; nothing for an invalid event, whose cause says it all."""
    if isinstance(error, InvalidEvent):
        return ""
    return "".join(traceback.format_exception(error))[-TRACEBACK_CHARACTERS:]
