"""Append each chunk's claim to the log once, as far as memory reaches: `AudioChunkUploaded` in `audio.chunks`."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from producers.answers import Headers, Refused, refusal
from producers.appending import Appender
from producers.device_auth import TOPIC
from schemas.serde import encode


class Claims:
    """Appends a chunk's claim once, as far as it remembers; repeats, simultaneous ones too, get the first answer."""

    def __init__(self, appender: Appender, most: int) -> None:
        self._appender = appender
        self._most = most
        self._known: OrderedDict[str, tuple[str, str]] = OrderedDict()
        self._under_way: dict[str, asyncio.Task[tuple[str, str]]] = {}

    async def claim(self, event: Mapping[str, Any], request: Headers) -> str:
        """The stored path under which the chunk is in the log. Raises `Refused`: 409 other content, 503 no Kafka."""
        name = event["chunk_id"]
        known = self._known.get(name)
        if known is None:
            task = self._under_way.get(name)
            if task is None:
                task = self._under_way[name] = asyncio.create_task(self._append(event, request))
                task.add_done_callback(lambda done: self._settle(name, done))
            known = await asyncio.shield(task)  # whoever goes does not take the others' answer along
        digest, path = known
        if digest != event["sha256"]:
            raise other_content()
        return path

    async def _append(self, event: Mapping[str, Any], request: Headers) -> tuple[str, str]:
        value = encode("AudioChunkUploaded", event)
        draft = self._appender.draft("AudioChunkUploaded", TOPIC, event["device_id"], value, request)
        await self._appender.append([draft], wait=False)
        return event["sha256"], event["stored_path"]

    def _settle(self, name: str, done: asyncio.Task[tuple[str, str]]) -> None:
        del self._under_way[name]
        if done.cancelled() or done.exception() is not None:
            return
        self._known[name] = done.result()
        if len(self._known) > self._most:
            self._known.popitem(last=False)


def other_content() -> Refused:
    """409: two recordings were given one number."""
    return refusal(409, "Another chunk has this boot_id and sequence")
