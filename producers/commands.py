"""Write events and commands for the API, and wait for what they do: the decision, then the read model."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from producers.publisher import Message, Publisher
from producers.replies import ReplyReader
from schemas import cloudevents
from schemas.catalogue import latest
from schemas.errors import Overloaded, TransientFailure
from schemas.serde import encode

SOURCE: Final = "/api"
AWAITED: Final = "await-model"
"""Header that names the only read model whose reply is waited for; the others then need not reply."""


@dataclass(frozen=True, slots=True)
class CommandAnswer:
    """What was decided: a refusal is a word for programs, its detail a sentence for people.

    `seen`: the read model that was asked about shows the effect.
    """

    accepted: bool
    refusal: str | None
    detail: str | None
    result: Mapping[str, Any] | None = None
    seen: bool = False


def own_topic(event: str) -> str:
    """Where an event goes by the catalogue."""
    return latest(event).topic


class Writer:
    """Appends for one instance, with its publisher and its reader of replies; for one event loop.

    A command is decided within `deadline_s` or the caller is told to come again; a read model gets `model_wait_s`.
    Of more commands than `most_under_way` at once the newest are refused: what comes faster than it is decided would
    otherwise make everybody wait until nobody is served in time.
    """

    def __init__(
        self,
        publisher: Publisher,
        replies: ReplyReader,
        *,
        deadline_s: float = 5.0,
        model_wait_s: float = 2.0,
        most_under_way: int = 256,
        topic_of: Callable[[str], str] = own_topic,
    ) -> None:
        self._publisher, self._replies, self._topic_of = publisher, replies, topic_of
        self._deadline_s, self._model_wait_s = deadline_s, model_wait_s
        self._most_under_way, self._under_way = most_under_way, 0

    async def append(
        self,
        event: str,
        key: str,
        record: Mapping[str, Any],
        *,
        event_id: str | None = None,
        await_model: str | None = None,
    ) -> bool:
        """Append an event; True: the read model shows it, False: it is in the log and not yet seen.

        Raises:
            TransientFailure, Overloaded: Kafka has not acknowledged it. InvalidEvent: it takes none of that size.
        """
        ears = _Ears(self._replies) if await_model else None
        try:
            await self._send(event, key, record, event_id or str(uuid.uuid4()), ears, _awaiting(await_model))
            return await self._seen(ears, await_model)
        finally:
            if ears:
                ears.close()

    async def command(
        self,
        command: str,
        key: str,
        record: Mapping[str, Any],
        *,
        command_id: str | None = None,
        fingerprint: str = "",
        await_model: str | None = None,
    ) -> CommandAnswer:
        """Append a command and wait for what was decided. The same id again gets the first answer.

        `fingerprint` tells another request under the same id, where the record's bytes differ anyway (sealed parts).

        Raises:
            TransientFailure: not decided in time, or nobody can tell; it may still be. The same id may be sent again.
            Overloaded: not sent, since too many are under way.
        """
        if self._under_way >= self._most_under_way:
            raise Overloaded("too many commands are under way")
        ears = _Ears(self._replies)
        self._under_way += 1
        try:
            if not ears.open:
                raise TransientFailure("answers to commands are not read yet")
            more = _awaiting(await_model)
            if fingerprint:
                more.append(("fingerprint", fingerprint.encode()))
            await self._send(command, key, record, command_id or str(uuid.uuid4()), ears, more)
            answer = await ears.answer(time.monotonic() + self._deadline_s)
            if answer is None:
                raise TransientFailure("the command was not decided in time; it may still be")
            return _answer(answer, await self._seen(ears, await_model))
        finally:
            self._under_way -= 1
            ears.close()

    async def tell(self, command: str, key: str, record: Mapping[str, Any]) -> None:
        """Append a command whose answer nobody waits for. Raises as `append`."""
        await self._send(command, key, record, str(uuid.uuid4()), None)

    async def _send(
        self,
        event: str,
        key: str,
        record: Mapping[str, Any],
        event_id: str,
        ears: _Ears | None,
        more: list[tuple[str, bytes]] | None = None,
    ) -> None:
        headers = cloudevents.headers(event, id=event_id, source=SOURCE) + (more or [])
        if ears and ears.open:
            headers += [("correlation-id", ears.id.encode()), ("reply-to", self._replies.instance_id.encode())]
        message = Message(self._topic_of(event), key.encode(), encode(event, record), headers)
        await self._publisher.send(message)

    async def _seen(self, ears: _Ears | None, model: str | None) -> bool:
        if ears is None or model is None:
            return False
        return await ears.reply_of(model, time.monotonic() + self._model_wait_s)


class _Ears:
    """What is heard under one correlation id; opened before the message goes out.

    A read model may be heard before the decision that it shows: the two come from different processes.
    """

    def __init__(self, replies: ReplyReader) -> None:
        self.id = str(uuid.uuid4())
        self._replies = replies
        self._decision: dict[str, Any] | None = None
        self._models: set[str] = set()
        self._news = asyncio.Event()
        self.open = replies.listen(self.id, self._hear)

    def close(self) -> None:
        """Hear no more."""
        self._replies.forget(self.id)

    async def answer(self, deadline: float) -> dict[str, Any] | None:
        """The decision; None when none came in time."""
        await self._until(lambda: self._decision is not None, deadline)
        return self._decision

    async def reply_of(self, model: str, deadline: float) -> bool:
        """Whether the read model told in time that it has the event."""
        return self.open and await self._until(lambda: model in self._models, deadline)

    def _hear(self, name: str, record: dict[str, Any]) -> None:
        if name == "CommandAnswered":
            self._decision = record
        elif name == "Reply":
            self._models.add(record["author"])
        self._news.set()

    async def _until(self, heard: Callable[[], bool], deadline: float) -> bool:
        try:
            async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                while not heard():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            pass
        return heard()


def _awaiting(model: str | None) -> list[tuple[str, bytes]]:
    return [(AWAITED, model.encode())] if model else []


def _answer(record: Mapping[str, Any], seen: bool) -> CommandAnswer:
    result = None if record["result"] is None else json.loads(record["result"])
    return CommandAnswer(record["accepted"], record["refusal"], record["detail"], result, seen)
