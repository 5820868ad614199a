"""Headers of every message: CloudEvents' Kafka binding (binary mode) and W3C trace context. Pure but for its clock."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from functools import cache

_VERSION = ("ce_specversion", b"1.0")
_CONTENT_TYPE = ("content-type", b"application/avro")


@cache
def _of(event: str, source: str) -> tuple[tuple[str, bytes], tuple[str, bytes]]:
    return ("ce_source", source.encode()), ("ce_type", f"sensorium.{event}".encode())


def new_traceparent() -> str:
    """A fresh W3C traceparent, sampled (https://www.w3.org/TR/trace-context/)."""
    drawn = os.urandom(24).hex()
    return f"00-{drawn[:32]}-{drawn[32:]}-01"


def headers(
    event: str,
    *,
    id: str,  # noqa: A002 - CloudEvents' own name for it
    source: str,
    time: datetime | None = None,
    traceparent: str | None = None,
) -> list[tuple[str, bytes]]:
    """Headers for one message of `event`; `time` is when it happened to us (default now, UTC)."""
    origin, kind = _of(event, source)
    return [
        _VERSION,
        ("ce_id", id.encode()),
        origin,
        kind,
        ("ce_time", (time or datetime.now(UTC)).isoformat().encode()),
        _CONTENT_TYPE,
        ("traceparent", (traceparent or new_traceparent()).encode()),
    ]
