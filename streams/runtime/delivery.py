"""Gets messages into the log, all of them, however long it takes: nothing is dropped, whatever the broker answers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from producers.publisher import Message
from schemas.errors import InvalidEvent, Overloaded, TransientFailure
from streams.runtime.patience import Patience


class Publishes(Protocol):
    """What is needed of `producers.publisher.Publisher`: returns when all in-sync replicas have the message."""

    async def publish(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: list[tuple[str, bytes]],
        partition: int | None = None,
    ) -> tuple[int, int]:
        """Append one message; without a partition (None or -1) its key chooses."""
        ...


@dataclass(frozen=True, slots=True)
class Output:
    """A message and the coordinates of the record it is due to."""

    cause: str
    message: Message


async def deliver(outputs: Sequence[Output], publisher: Publishes, patience: Patience, who: str) -> None:
    """Publish in order and return when every output is acknowledged. What failed is tried again, the rest is not."""
    left = list(outputs)

    async def attempt() -> None:
        nonlocal left
        reports = await asyncio.gather(*(_publish(one.message, publisher) for one in left))
        failed = [(one, report) for one, report in zip(left, reports, strict=True) if report is not None]
        left = [one for one, _ in failed]
        if failed:
            first, failure = failed[0]
            raise TransientFailure(
                f"stopped at {first.cause}: {len(failed)} outputs are not in {first.message.topic}: {failure}"
            ) from failure

    if left:
        await patience.until_done(attempt, who)


async def _publish(message: Message, publisher: Publishes) -> Exception | None:
    """Also a refusal for good is no reason to go on without the output: somebody has to raise the topic's limit."""
    try:
        await publisher.publish(message.topic, message.key, message.value, message.headers, message.partition)
    except (TransientFailure, Overloaded, InvalidEvent) as refused:
        return refused
    return None
