"""Reads the log ahead of the database: a thread that polls, decodes and lays out, into a short queue."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from queue import Empty, Full, Queue
from typing import Any, Final, Protocol

from projections.read_model import Event, Projector
from schemas import serde
from schemas.errors import InvalidEvent, SensoriumError
from schemas.record import Record
from streams.log_reader import TopicPartition

Positions = Mapping[TopicPartition, int]
TURN_S: Final = 0.0003


class EndOfFeed(Exception):
    """Everything up to the stops has been handed out."""


Letter = tuple[Record, Exception]
UNFIT: Final = (InvalidEvent, ValueError, TypeError, KeyError, OverflowError, MemoryError)
"""What `prepare` may raise about an event that can never become rows; halving the batch finds which one it is."""


class Reader(Protocol):
    """What is needed of `streams.log_reader.LogReader`."""

    positions: dict[TopicPartition, int]

    def assign(self, positions: Positions) -> None: ...  # noqa: D102 - see LogReader
    def poll_batch(self, max_records: int, max_bytes: int, timeout_s: float) -> list[Record]: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one batch may hold, and how many wait."""

    records: int = 2000
    bytes: int = 1 << 20
    waiting: int = 2
    poll_s: float = 0.25


@dataclass(frozen=True, slots=True)
class Batch:
    """Records with what they became. `prepared` is None when `failure` says why."""

    records: list[Record]
    ends: dict[TopicPartition, int]
    """Next offset per partition once this batch is stored."""
    letters: list[Letter]
    prepared: Any
    failure: Exception | None = None


def make_batch(consumer: str, projector: Projector, records: Sequence[Record], ends: Positions) -> Batch:
    """Decode and lay out; records redriven to somebody else count as read and no more."""
    meant = [record for record in records if not record.is_redriven_to_another(consumer)]
    try:
        prepared = projector.prepare_undecoded(meant)
    except UNFIT as failure:
        return Batch(list(records), dict(ends), [], None, failure)
    if prepared is not None:
        return Batch(list(records), dict(ends), [], prepared)
    events: list[Event] = []
    letters: list[Letter] = []
    for record in meant:
        try:
            events.append(Event(record, *serde.decode(record.value)))
        except InvalidEvent as error:
            letters.append((record, error))
    try:
        return Batch(list(records), dict(ends), letters, projector.prepare(events))
    except UNFIT as failure:
        return Batch(list(records), dict(ends), letters, None, failure)


class Feed:
    """Batches from `starts` on, up to `stops` (exclusive) where given; a context manager that ends its thread."""

    def __init__(
        self,
        reader: Reader,
        consumer: str,
        projector: Projector,
        limits: Limits,
        starts: Positions,
        stops: Positions | None,
    ) -> None:
        self._reader, self._consumer, self._projector, self._limits = reader, consumer, projector, limits
        self._starts, self._stops = dict(starts), stops
        self._queue: Queue[Batch | Exception | None] = Queue(limits.waiting)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"feed-{consumer}", daemon=True)

    def __enter__(self) -> Feed:
        # While this thread lays out, the one that writes comes back from PostgreSQL ten times a batch: Python's usual
        # turn of 5 ms would make it wait longer than PostgreSQL does (a quarter of a replay's time, measured).
        sys.setswitchinterval(TURN_S)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._thread.join()

    def get(self, timeout_s: float) -> Batch | None:
        """The next batch; None when none came in time. Raises EndOfFeed at the stops, and what the reader raises."""
        try:
            item = self._queue.get(timeout=timeout_s)
        except Empty:
            return None
        if item is None:
            raise EndOfFeed
        if isinstance(item, Exception):
            raise item
        return item

    def _run(self) -> None:
        try:
            self._read()
        except SensoriumError as error:
            self._put(error)
        except Exception as error:  # noqa: BLE001 - the thread's outermost loop: its owner decides
            self._put(error)

    def _read(self) -> None:
        behind = self._assign(self._starts)
        known = dict(self._starts)
        while behind and not self._closing.is_set():
            records = self._reader.poll_batch(self._limits.records, self._limits.bytes, self._limits.poll_s)
            ends = self._capped(self._reader.positions)
            if ends != {where: known[where] for where in ends}:
                records = [record for record in records if self._wanted(record)]
                moved = {where: end for where, end in ends.items() if end != known[where]}
                known.update(moved)
                self._put(make_batch(self._consumer, self._projector, records, moved))
                if self._stops is not None and any(known[where] >= self._stops[where] for where in ends):
                    behind = self._assign(known)
        self._put(None)

    def _assign(self, positions: Positions) -> bool:
        """Read on where something is left to read; False when nothing is."""
        left = {
            where: offset for where, offset in positions.items() if self._stops is None or offset < self._stops[where]
        }
        self._reader.assign(left)
        return bool(left)

    def _capped(self, positions: Positions) -> dict[TopicPartition, int]:
        if self._stops is None:
            return dict(positions)
        return {where: min(offset, self._stops[where]) for where, offset in positions.items()}

    def _wanted(self, record: Record) -> bool:
        return self._stops is None or record.offset < self._stops[TopicPartition(record.topic, record.partition)]

    def _put(self, item: Batch | Exception | None) -> None:
        while not self._closing.is_set():
            try:
                self._queue.put(item, timeout=0.1)
            except Full:
                continue
            return
