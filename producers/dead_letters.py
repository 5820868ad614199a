"""Build the message that keeps an event a consumer could not take: original bytes, coordinates and cause."""

from __future__ import annotations

import traceback
from dataclasses import replace

from producers.publisher import Message
from schemas import cloudevents, serde
from schemas.errors import InvalidEvent
from schemas.identity import derived_id
from schemas.record import Record

TOPIC = "dead.letters"
CAUSE_CHARACTERS = 2000
TRACEBACK_CHARACTERS = 4000
LARGEST_ORIGINAL = 7 << 20
"""Bytes of key, value and headers that fit into `dead.letters` with all the rest; records of our topics are smaller,
unless somebody else's compressed ones are larger than they look to the broker."""


def dead_letter_id(consumer: str, record: Record) -> str:
    """The same failure of the same consumer on the same record has the same id, however often it is reported."""
    return derived_id(f"dead-letter:{consumer}", record.topic, record.partition, record.offset, 0)


def dead_letter(consumer: str, record: Record, error: BaseException) -> Message:
    """The `DeadLettered` message for `dead.letters`: why `consumer` could not take `record`, which goes in whole.

    Of a record too large for the topic only the coordinates go in; the cause says so.
    """
    letter_id = dead_letter_id(consumer, record)
    cause = _cut(str(error) or type(error).__name__, CAUSE_CHARACTERS)
    if (size := _size(record)) > LARGEST_ORIGINAL:
        record = replace(record, key=None, value=None, headers=())
        cause = f"(Its {size:,} bytes are too many for a dead letter and are left out.) {cause}"
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
        "cause": cause,
        "traceback": _tail(error),
    }
    headers = cloudevents.headers("DeadLettered", id=letter_id, source=f"/consumers/{consumer}")
    return Message(TOPIC, letter_id.encode(), serde.encode("DeadLettered", event), headers)


def _tail(error: BaseException) -> str:
    """The traceback's last lines; nothing for an invalid event, whose cause says it all."""
    if isinstance(error, InvalidEvent):
        return ""
    return _storable("".join(traceback.format_exception(error))[-TRACEBACK_CHARACTERS:])


def _cut(text: str, longest: int) -> str:
    return _storable(text if len(text) <= longest else text[: longest - 3] + "...")


def _storable(text: str) -> str:
    """Without halves of surrogate pairs, which UTF-8 cannot say."""
    return text.encode("utf-8", "replace").decode()


def _size(record: Record) -> int:
    headers = sum(len(name) * 4 + len(value) for name, value in record.headers)
    return len(record.key or b"") + len(record.value or b"") + headers
