"""The only Avro code: events to and from Confluent's wire format (0, 4-byte schema id, body). Pure."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from functools import cache
from io import BytesIO
from typing import Any, Final

from fastavro import schemaless_reader, schemaless_writer

from schemas.catalogue import SCHEMAS, Schema, latest
from schemas.emotions import check_points
from schemas.errors import InvalidEvent

_CHECKS: Final[Mapping[str, Callable[[Mapping[str, Any]], None]]] = {"EmotionPointsRecorded": check_points}
_HEADER: Final = struct.Struct(">bI")


@cache
def encoder(event: str) -> Callable[[Mapping[str, Any]], bytes]:
    """A function that encodes records of one event with its newest schema; for loops that encode many."""
    schema = latest(event)
    header = _HEADER.pack(0, schema.id)
    parsed = schema.parsed

    def encode_record(record: Mapping[str, Any]) -> bytes:
        out = BytesIO()
        out.write(header)
        schemaless_writer(out, parsed, record)
        return out.getvalue()

    return encode_record


def encode(event: str, record: Mapping[str, Any]) -> bytes:
    """One event in the wire format.

    Raises:
        KeyError: no such event. ValueError, TypeError: the record does not fit its schema.
    """
    return encoder(event)(record)


def schema_of(value: bytes | None) -> Schema:
    """The schema a message names.

    Raises:
        InvalidEvent: no value, not the wire format, or an id that the catalogue does not have.
    """
    if value is None or len(value) < _HEADER.size:
        raise InvalidEvent("The value is empty or shorter than the wire format's five-byte header.")
    magic, schema_id = _HEADER.unpack_from(value)
    if magic != 0:
        raise InvalidEvent(f"The value starts with byte {magic & 0xFF}, not with 0 as in Confluent's wire format.")
    if schema_id not in SCHEMAS:
        raise InvalidEvent(f"Schema id {schema_id} is not in the catalogue.")
    return SCHEMAS[schema_id]


def decode(value: bytes | None) -> tuple[str, dict[str, Any]]:
    """Event name and record of a message, resolved to the newest schema version and checked.

    Raises:
        InvalidEvent: the bytes are not one whole valid event.
    """
    schema = schema_of(value)
    body = BytesIO(value or b"")
    body.seek(_HEADER.size)
    newest = latest(schema.name)
    reader = None if newest is schema else newest.parsed
    try:
        record = schemaless_reader(body, schema.parsed, reader)
    except (EOFError, IndexError, ValueError, TypeError, KeyError, OverflowError, struct.error, MemoryError) as error:
        raise InvalidEvent(f"The body is not a {schema.full_name}: {type(error).__name__} {error}.") from error
    if body.tell() != len(value or b""):
        raise InvalidEvent(f"{len(value or b'') - body.tell()} bytes follow the {schema.full_name}.")
    if not isinstance(record, dict):
        raise InvalidEvent(f"The body of {schema.full_name} is not a record.")
    if check := _CHECKS.get(schema.name):
        check(record)
    return schema.name, record
