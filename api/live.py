"""Fans the projectors' announcements out to server-sent events: one listener a process, bounded clients and queues."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from schemas.errors import Overloaded, TransientFailure

CLIENTS: Final = 256
QUEUE: Final = 32
REMEMBERED: Final = 256
GATHER_S: Final = 0.1
NAMING: Final = ("sessions", "devices", "dialogues")
NAMED: Final = 100
"""Beyond so many sessions in one announcement it only says that there are many."""

Listen = Callable[[], AsyncIterator[str]]
log = logging.getLogger(__name__)


def merge(payloads: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Announcements of the same read model become one: sessions and devices united, `many` where too many."""
    merged: dict[str, dict[str, Any]] = {}
    for payload in payloads:
        change = merged.setdefault(str(payload.get("model")), {})
        change["many"] = change.get("many", False) or bool(payload.get("many"))
        for kind in NAMING:
            for item in payload.get(kind, ()):
                change.setdefault(kind, {})[tuple(item) if isinstance(item, list) else item] = None
    return [{"model": model} | _named(change) for model, change in merged.items()]


def _named(change: Mapping[str, Any]) -> dict[str, Any]:
    named = {kind: list(change[kind]) for kind in NAMING if kind in change}
    if change["many"] or any(len(items) > NAMED for items in named.values()):
        return {"many": True}
    return named


def frame(event_id: str, event: str, data: Any) -> bytes:
    """One server-sent event; JSON has no bare line breaks, so one data line holds it."""
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (event_id.encode(), event.encode(), orjson.dumps(data))


@dataclass(eq=False, slots=True)
class Client:
    """One reader: its queue of frames; None in it, or `dropped`, means goodbye."""

    queue: asyncio.Queue[bytes | None] = field(default_factory=lambda: asyncio.Queue(QUEUE))
    dropped: asyncio.Event = field(default_factory=asyncio.Event)


class Hub:
    """Listens once, remembers the last events, and hands each to every client that keeps up."""

    def __init__(self, listen: Listen, *, clients: int = CLIENTS, gather_s: float = GATHER_S) -> None:
        self._listen, self._most, self._gather_s = listen, clients, gather_s
        # Ids of another run mean nothing here: its readers are told to look again.
        self._run = secrets.token_hex(4)
        self._number = 0
        self._memory: deque[tuple[int, bytes]] = deque(maxlen=REMEMBERED)
        self._clients: set[Client] = set()
        self._gathered: list[dict[str, Any]] = []
        self._listening = False
        self._taps: list[tuple[str, Callable[[], None]]] = []

    def tap(self, model: str, heard: Callable[[], None]) -> None:
        """Call `heard` as soon as this read model announces something, and when PostgreSQL is heard again."""
        self._taps.append((model, heard))

    @property
    def listening(self) -> bool:
        """Whether PostgreSQL is heard just now."""
        return self._listening

    def subscribe(self, last_event_id: str | None = None) -> Client:
        """A new client, greeted, and given what it missed, or `reset` where that is no longer known.

        Raises:
            Overloaded: as many clients as allowed are here already.
        """
        if len(self._clients) >= self._most:
            raise Overloaded("Too many live readers.")
        client = Client()
        for item in self._greeting(last_event_id):
            self._give(client, item)
        self._clients.add(client)
        return client

    def leave(self, client: Client) -> None:
        """Forget a client."""
        self._clients.discard(client)

    def _greeting(self, last_event_id: str | None) -> Iterable[bytes]:
        yield b"retry: 2000\n\n"
        missed = self._missed(last_event_id)
        if missed is None or len(missed) >= QUEUE - 4:
            yield frame(self._id(), "reset", {})
        else:
            yield from missed
        yield frame(self._id(), "online" if self._listening else "offline", {})

    def _missed(self, last_event_id: str | None) -> list[bytes] | None:
        if last_event_id is None:
            return []
        run, _, number = last_event_id.partition("-")
        if run != self._run or not number.isdecimal() or int(number) > self._number:
            return None
        if self._memory and int(number) < self._memory[0][0] - 1:
            return None
        return [item for one, item in self._memory if one > int(number)]

    def _id(self) -> str:
        return f"{self._run}-{self._number}"

    def _publish(self, event: str, data: Any) -> None:
        self._number += 1
        item = frame(self._id(), event, data)
        self._memory.append((self._number, item))
        for client in list(self._clients):
            self._give(client, item)

    def _give(self, client: Client, item: bytes | None) -> None:
        try:
            client.queue.put_nowait(item)
        except asyncio.QueueFull:
            client.dropped.set()
            self._clients.discard(client)

    async def run(self) -> None:
        """Listen for ever; a lost connection is told to the clients, and made anew with backoff."""
        flusher = asyncio.create_task(self._flush_for_ever())
        try:
            wait_s = 0.5
            while True:
                try:
                    async for payload in self._listen():
                        wait_s = 0.5
                        self._hear(payload)
                except TransientFailure as away:
                    log.warning("Live events pause: %s", away)
                self._set_listening(False)
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, 10.0)
        finally:
            flusher.cancel()
            with suppress(asyncio.CancelledError):
                await flusher
            self.close()

    def close(self) -> None:
        """Say goodbye to every client, so that a stopping server does not wait for them."""
        for client in list(self._clients):
            client.dropped.set()
        self._clients.clear()

    def _set_listening(self, listening: bool) -> None:
        if listening and self._number:
            self._publish("reset", {})
        if listening != self._listening:
            self._listening = listening
            self._publish("online" if listening else "offline", {})

    def _hear(self, payload: str) -> None:
        if not payload:
            self._set_listening(True)
            self._tell_taps(None)
            return
        try:
            parsed = orjson.loads(payload)
        except orjson.JSONDecodeError:
            log.warning("An announcement is not JSON and passed over: %.100s", payload)
            return
        if isinstance(parsed, dict):
            self._gathered.append(parsed)
            self._tell_taps(str(parsed.get("model")))

    def _tell_taps(self, model: str | None) -> None:
        for wanted, heard in self._taps:
            if model in (None, wanted):
                heard()

    async def _flush_for_ever(self) -> None:
        """A hundred commits a second are ten events a second to a reader."""
        while True:
            await asyncio.sleep(self._gather_s)
            if self._gathered:
                gathered, self._gathered = self._gathered, []
                self._publish("change", {"changes": merge(gathered)})
