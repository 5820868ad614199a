"""What goes out after a batch: replies for gateways that wait, and a notice for live pages. Pure."""

from __future__ import annotations

import json
from typing import Final

from producers.commands import AWAITED
from producers.publisher import Message
from projections.read_model import Effects, Reply
from projections.store import StoredReply
from schemas import cloudevents, serde
from schemas.identity import derived_id
from schemas.record import Record

TOPIC: Final = "replies"
LONGEST_HEADER: Final = 256
"""Bytes of a header that is copied: nobody of ours writes longer ones, and a reply has to fit into its topic."""
LONGEST_NOTICE: Final = 7000
"""PostgreSQL refuses notices of 8,000 bytes."""


def is_awaited(author: str, record: Record) -> bool:
    """Whether somebody who can get it waits for this author's reply to a record."""
    correlation_id, reply_to = record.header("correlation-id"), record.header("reply-to")
    if correlation_id is None or reply_to is None or max(len(correlation_id), len(reply_to)) > LONGEST_HEADER:
        return False
    return record.header(AWAITED) in (None, author.encode())


def stored_reply(author: str, reply: Reply) -> StoredReply | None:
    """The reply as it goes out, or None when nobody who can get one asked for it, or asked for this author's."""
    record = reply.record
    if not is_awaited(author, record):
        return None
    body = {
        "author": author,
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "inserted": reply.inserted,
        "updated": reply.updated,
        "person_id": reply.person_id,
    }
    traceparent = (record.header("traceparent") or b"")[:LONGEST_HEADER]
    headers = cloudevents.headers(
        "Reply",
        id=derived_id(author, record.topic, record.partition, record.offset, 0),
        source=f"/projections/{author}",
        traceparent=traceparent.decode("ascii", "replace") if traceparent else None,
    )
    correlation_id, reply_to = record.header("correlation-id") or b"", record.header("reply-to") or b""
    return StoredReply(reply_to, serde.encode("Reply", body), [*headers, ("correlation-id", correlation_id)])


def message(reply: StoredReply) -> Message:
    """For the topic `replies`."""
    return Message(TOPIC, reply.key, reply.value, list(reply.headers))


def notice(model: str, effects: Effects) -> str | None:
    """JSON for live pages: whose rows changed, or `many` when that is too long; None when nothing did."""
    if effects.truncated:
        return json.dumps({"model": model, "many": True})
    named = {"sessions": effects.sessions, "devices": effects.devices, "dialogues": effects.dialogues}
    whom = next(({kind: sorted(names)} for kind, names in named.items() if names), None)
    if whom is None:
        return None
    text = json.dumps({"model": model, **whom})
    return text if len(text.encode()) <= LONGEST_NOTICE else json.dumps({"model": model, "many": True})
