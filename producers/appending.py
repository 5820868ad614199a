"""Append the gateway's events and wait for what they do: event ids, headers, acknowledgements, replies."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Sequence
from typing import Any

from producers.answers import Headers, problem, unavailable
from producers.publisher import Message, Publisher
from producers.replies import ReplyReader
from schemas import cloudevents
from schemas.errors import InvalidEvent, Overloaded, TransientFailure
from schemas.topics import TOPICS

SOURCE = "/gateway"
_TRACEPARENT = re.compile(rb"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_FRAMING_BYTES = 8192  # what key, headers and batch take beside the value, at most
_LARGEST_VALUE = {name: topic.max_message_bytes - _FRAMING_BYTES for name, topic in TOPICS.items()}


class Draft:
    """A message to be appended and its id, under which a reply comes back."""

    __slots__ = ("event_id", "message")

    def __init__(self, event_id: str, message: Message) -> None:
        self.event_id = event_id
        self.message = message


class Appender:
    """Publishes for one gateway instance; an event's id is unique and is its correlation id as well."""

    def __init__(self, publisher: Publisher, replies: ReplyReader) -> None:
        self.publisher = publisher
        self.replies = replies
        self._numbers = itertools.count(1)
        self._instance = replies.instance_id
        self._trace = f"00-{self._instance[:16]}"
        self._reply_to = ("reply-to", self._instance.encode())

    def draft(
        self, event: str, topic: str, key: str | None, value: bytes, request: Headers, partition: int = -1
    ) -> Draft:
        """One message with its CloudEvents headers; the request's trace goes on in it."""
        number = next(self._numbers)
        event_id = f"{self._instance}-{number}"
        sent = request.get(b"traceparent")
        goes_on = sent is not None and _TRACEPARENT.fullmatch(sent)
        span = f"{number:016x}"
        trace = sent.decode() if sent and goes_on else f"{self._trace}{span}-{span}-01"
        headers = cloudevents.headers(event, id=event_id, source=SOURCE, traceparent=trace)
        return Draft(event_id, Message(topic, None if key is None else key.encode(), value, headers, partition))

    async def append(self, drafts: Sequence[Draft], *, wait: bool) -> list[dict[str, Any] | None]:
        """Append the events of one request; with `wait`, return the read model's reply to each (None: not yet known).

        Raises:
            answers.Refused: 503 when Kafka does not acknowledge all in time, 413 when it takes none of that size.
        """
        _check_sizes(drafts)
        expected = [draft for draft in drafts if self._expect(draft)] if wait else ()
        try:
            if len(drafts) == 1:
                await self.publisher.send(drafts[0].message)
            else:
                await asyncio.gather(*[self.publisher.send(draft.message) for draft in drafts])
        except (TransientFailure, Overloaded) as error:
            self._forget(expected)
            raise unavailable(str(error)) from error
        except InvalidEvent as error:
            self._forget(expected)
            raise problem(413, str(error)) from error
        return await self._replies(drafts) if wait else []

    async def _replies(self, drafts: Sequence[Draft]) -> list[dict[str, Any] | None]:
        if len(drafts) == 1:
            return [await self.replies.reply(drafts[0].event_id)]
        return await asyncio.gather(*[self.replies.reply(draft.event_id) for draft in drafts])

    def _expect(self, draft: Draft) -> bool:
        """Ask for a reply, unless so many are waited for that this one would be lost anyway."""
        if not self.replies.expect(draft.event_id):
            return False
        draft.message.headers.extend((("correlation-id", draft.event_id.encode()), self._reply_to))
        return True

    def _forget(self, drafts: Sequence[Draft]) -> None:
        for draft in drafts:
            self.replies.forget(draft.event_id)


def _check_sizes(drafts: Sequence[Draft]) -> None:
    for draft in drafts:
        message = draft.message
        size = len(message.value or b"")
        if size > _LARGEST_VALUE[message.topic]:
            raise problem(413, f"As an event the post has {size} bytes, more than {message.topic} takes")
