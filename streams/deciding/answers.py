"""What goes back to who waits for a command: CommandAnswered on `replies`. Pure."""

from __future__ import annotations

from typing import Final

from producers.publisher import Message
from schemas import cloudevents, serde
from schemas.identity import derived_id
from schemas.record import Record
from streams.deciding.ledger import Answer

TOPIC: Final = "replies"
LONGEST_HEADER: Final = 256
"""Bytes of a header that is taken over: nobody of ours writes longer ones."""
RESENT_MS: Final = 60_000
"""After a start, answers to commands settled less than this before the newest are sent again: a crash may have kept
them from being sent, and nobody waits longer."""


def answered(command_id: str, answer: Answer, settled: Record) -> Message | None:
    """The answer as it goes out; None when nobody who can get one asked for it.

    `settled` is where the command's CommandSettled stands, or the command itself with that one's coordinates.
    """
    correlation_id, reply_to = settled.header("correlation-id"), settled.header("reply-to")
    if not correlation_id or not reply_to or max(len(correlation_id), len(reply_to)) > LONGEST_HEADER:
        return None
    position = {"topic": settled.topic, "partition": settled.partition, "offset": settled.offset}
    body = {
        "command_id": command_id,
        "accepted": answer.accepted,
        "refusal": answer.refusal,
        "detail": answer.detail,
        "result": answer.result,
        "positions": [position],
    }
    headers = cloudevents.headers(
        "CommandAnswered",
        id=derived_id("answer", settled.topic, settled.partition, settled.offset, 0),
        source="/deciders",
        traceparent=(settled.header("traceparent") or b"").decode("ascii", "replace") or None,
    )
    headers.append(("correlation-id", correlation_id))
    return Message(TOPIC, reply_to, serde.encode("CommandAnswered", body), headers)
