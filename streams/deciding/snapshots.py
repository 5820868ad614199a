"""Ledgers as they lie in `streams.snapshots`: compressed, in parts, in two places in turn. Pure.

A set of parts is one snapshot, and counts only when every part is there. The next set goes to the place where the
newest whole one does not lie: compaction keeps one message a key, so a set that is half written never costs the other.
"""

from __future__ import annotations

import uuid
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from producers.publisher import Message
from schemas import cloudevents, serde
from schemas.errors import InvalidEvent
from schemas.record import Record
from streams.runtime.past import SNAPSHOTS, snapshot_message

PART_BYTES: Final = 512 << 10
"""Of a part, compressed: small, since answers wait behind it on the connection."""
PLACES: Final = ("a", "b")
SHARE: Final = 0.02
"""Of the time that a partition takes to decide, snapshots may cost so much."""
_EVENT: Final = "ProcessorSnapshot"


class Part(msgspec.Struct, frozen=True, array_like=True):
    """A part of a snapshot, as it lies in a ProcessorSnapshot's `state`; `number` counts from 0."""

    set_id: str
    number: int
    parts: int
    data: bytes


@dataclass(slots=True)
class _Set:
    """A snapshot as far as it was found; without a place it is one message, not compressed."""

    next_event: int
    place: str
    wanted: int
    found: dict[int, bytes] = field(default_factory=dict[int, bytes])

    @property
    def is_whole(self) -> bool:
        return len(self.found) == self.wanted

    def data(self) -> bytes | None:
        """The ledger's bytes; None when they cannot be read."""
        whole = b"".join(self.found[number] for number in sorted(self.found))
        try:
            return zlib.decompress(whole) if self.place else whole
        except zlib.error:
            return None


class Shelf:
    """Where the snapshots of one partition lie. First it `take`s what was found, later it says where the next go."""

    def __init__(self, consumer: str, topic: str, partition: int) -> None:
        self._owner = (consumer, topic, partition)
        self._base = f"{consumer}/{partition}".encode()
        self._sets: dict[str, _Set] = {}
        self._keys: set[bytes] = set()
        """Of messages that compaction keeps."""
        self._newest = PLACES[-1]

    def take(self, record: Record) -> None:
        """Look at a record of the topic; those of others, and unreadable ones, are passed over."""
        if record.key is None or not (record.key == self._base or record.key.startswith(self._base + b"/")):
            return
        self._keys.discard(record.key)
        try:
            body = serde.decode(record.value)[1] if record.value else None
            if body is None or (body["processor"], body["topic"], body["partition"]) != self._owner:
                return
            self._put(record.key, body["next_offset"], body["state"])
        except (InvalidEvent, msgspec.DecodeError):
            return  # a snapshot is only a shortcut: an unreadable one is as good as none

    def whole(self, at_most: int) -> Iterator[tuple[int, bytes]]:
        """The whole snapshots not beyond the offset `at_most`: (next event, ledger's bytes), the newest first."""
        every = [one for one in self._sets.values() if one.is_whole and one.next_event <= at_most]
        every.sort(key=lambda one: one.next_event, reverse=True)
        self._newest = next((one.place for one in every if one.place), self._newest)
        for one in every:
            data = one.data()
            if data is not None:
                yield one.next_event, data

    def forget(self) -> None:
        """Let go of what was found; where it lies stays known."""
        self._sets.clear()

    def messages(self, next_event: int, ledger: bytes) -> list[Message]:
        """A new snapshot's messages. It counts once all are acknowledged: say so by `laid`."""
        packed = zlib.compress(ledger, 1)
        pieces = [packed[at : at + PART_BYTES] for at in range(0, len(packed), PART_BYTES)]
        place = PLACES[PLACES.index(self._newest) - 1]
        set_id = uuid.uuid4().hex
        return [
            snapshot_message(
                *self._owner,
                next_event,
                msgspec.msgpack.encode(Part(set_id, number, len(pieces), piece)),
                within=f"/{place}/{number}",
            )
            for number, piece in enumerate(pieces)
        ]

    def laid(self, messages: Sequence[Message]) -> list[Message]:
        """All of a snapshot's messages are in the log: what takes away older ones that lie in no place of use."""
        keys = {message.key or b"" for message in messages}
        self._newest = _place(min(keys))
        own = self._base + f"/{self._newest}/".encode()
        stale = {key for key in self._keys - keys if key == self._base or key.startswith(own)}
        self._keys = (self._keys | keys) - stale
        headers = cloudevents.headers(_EVENT, id=str(uuid.uuid4()), source=f"/processors/{self._owner[0]}")
        return [Message(SNAPSHOTS, key, None, headers) for key in sorted(stale)]

    def _put(self, key: bytes, next_event: int, state: bytes) -> None:
        is_one = key == self._base
        part = Part(f"{next_event}", 0, 1, state) if is_one else msgspec.msgpack.decode(state, type=Part)
        place = "" if is_one else _place(key)
        if place not in ("", *PLACES):
            return
        self._keys.add(key)
        one = self._sets.setdefault(part.set_id, _Set(next_event, place, part.parts))
        one.found[part.number] = part.data
        if one.is_whole:
            self._drop_before(next_event)

    def _drop_before(self, next_event: int) -> None:
        """However many snapshots there are, two whole ones are held at most, and none older than these."""
        whole = sorted((one.next_event for one in self._sets.values() if one.is_whole), reverse=True)
        oldest = whole[1] if len(whole) > 1 else -1
        self._sets = {name: one for name, one in self._sets.items() if one.next_event >= oldest}


def _place(key: bytes) -> str:
    return key.split(b"/")[-2].decode("ascii", "replace")


@dataclass(slots=True)
class Pace:
    """When the next snapshot is due: after so many events, and not before the last one's cost is a small share.

    `cost_s`: what laying one down takes, at first what reading one took; `busy_s`: of deciding since then.
    """

    every_events: int
    at_event: int
    cost_s: float
    busy_s: float = 0.0

    def due(self, next_event: int) -> bool:
        """Whether one is to be laid down now."""
        return next_event - self.at_event >= self.every_events and self.busy_s * SHARE >= self.cost_s

    def begun(self, next_event: int) -> None:
        """One is being laid down."""
        self.at_event, self.busy_s = next_event, 0.0
