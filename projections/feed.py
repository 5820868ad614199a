"""Reads the log ahead of the database: a thread that polls, decodes and lays out, into a short queue.

What holds nothing for the model costs no transaction: its ends are held until the next batch that does, or until it is
time. Until then the checkpoint is behind what was read, so a crash reads that once more.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from queue import Empty, Full, Queue
from typing import Any, Final, Protocol

from projections.answers import is_awaited
from projections.read_model import Event, Projector
from schemas import serde
from schemas.errors import InvalidEvent, SensoriumError
from schemas.record import Record
from streams.log_reader import TopicPartition

Positions = Mapping[TopicPartition, int]
TURN_S: Final = 0.0003
SETTLED: Final = "CommandSettled"


class EndOfFeed(Exception):
    """Everything up to the stops has been handed out."""


Letter = tuple[Record, Exception]
UNFIT: Final = (InvalidEvent, ValueError, TypeError, KeyError, OverflowError, MemoryError)
"""What `prepare` may raise about an event that can never become rows; halving the batch finds which one it is."""


class Consumer(Protocol):
    """What is needed of `projections.read_model.ReadModel`."""

    @property
    def name(self) -> str: ...  # noqa: D102 - see ReadModel
    @property
    def events(self) -> frozenset[str] | None: ...  # noqa: D102


class Reader(Protocol):
    """What is needed of `streams.log_reader.LogReader`."""

    positions: dict[TopicPartition, int]

    def assign(self, positions: Positions) -> None: ...  # noqa: D102 - see LogReader
    def poll_batch(self, max_records: int, max_bytes: int, timeout_s: float) -> list[Record]: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one batch may hold, how many wait, and how long ends are held that come with nothing else."""

    records: int = 2000
    bytes: int = 1 << 20
    waiting: int = 2
    poll_s: float = 0.25
    hold_s: float = 0.25


@dataclass(frozen=True, slots=True)
class Batch:
    """Records that concern the model, with what they became. `prepared` is None when `failure` says why."""

    records: list[Record]
    ends: dict[TopicPartition, int]
    """Next offset per partition once this batch is stored."""
    letters: list[Letter]
    prepared: Any
    failure: Exception | None = None

    def __bool__(self) -> bool:
        """Whether there is more to it than its ends."""
        return self.failure is not None or bool(self.letters) or bool(self.records and self.prepared)


def concerns(model: Consumer, record: Record) -> bool:
    """Whether a record may become rows, a reply or a letter of this model; tells by its schema, without decoding."""
    if record.is_redriven_to_another(model.name):
        return False
    if model.events is None:
        return True
    try:
        name = serde.schema_of(record.value).name
    except InvalidEvent:
        return True
    return name in model.events or (name == SETTLED and is_awaited(model.name, record))


def make_batch(model: Consumer, projector: Projector, records: Sequence[Record], ends: Positions) -> Batch:
    """Decode and lay out; what does not concern the model counts as read and no more."""
    meant = [record for record in records if concerns(model, record)]
    try:
        prepared = projector.prepare_undecoded(meant)
    except UNFIT as failure:
        return Batch(meant, dict(ends), [], None, failure)
    if prepared is not None:
        return Batch(meant, dict(ends), [], prepared)
    events: list[Event] = []
    letters: list[Letter] = []
    for record in meant:
        try:
            events.append(Event(record, *serde.decode(record.value)))
        except InvalidEvent as error:
            letters.append((record, error))
    try:
        return Batch(meant, dict(ends), letters, projector.prepare(events))
    except UNFIT as failure:
        return Batch(meant, dict(ends), letters, None, failure)


class Held:
    """What came with nothing in it: one batch of its ends, due `hold_s` seconds after the first of them."""

    def __init__(self, hold_s: float) -> None:
        self._hold_s = hold_s
        self._batch: Batch | None = None
        self._due = 0.0

    def hold(self, batch: Batch) -> None:
        """Keep an empty batch's ends."""
        if self._batch is None:
            self._due = time.monotonic() + self._hold_s
        self._batch = self.joined(batch)

    def joined(self, batch: Batch) -> Batch:
        """A later batch with the ends that are held, too."""
        return batch if self._batch is None else replace(batch, ends=self._batch.ends | batch.ends)

    def patience(self, poll_s: float) -> float:
        """How long to wait for more, in seconds."""
        return poll_s if self._batch is None else min(poll_s, max(0.0, self._due - time.monotonic()))

    def take(self, *, due: bool = True) -> Batch | None:
        """What is held, if there is anything and, with `due`, if it is time; held no more then."""
        if self._batch is None or (due and time.monotonic() < self._due):
            return None
        batch, self._batch = self._batch, None
        return batch


class Feed:
    """Batches from `starts` on, up to `stops` (exclusive) where given; a context manager that ends its thread."""

    def __init__(
        self,
        reader: Reader,
        model: Consumer,
        projector: Projector,
        limits: Limits,
        starts: Positions,
        stops: Positions | None,
    ) -> None:
        self._reader, self._model, self._projector, self._limits = reader, model, projector, limits
        self._starts, self._stops = dict(starts), stops
        self._held = Held(limits.hold_s)
        self._queue: Queue[Batch | Exception | None] = Queue(limits.waiting)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"feed-{model.name}", daemon=True)

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
            patience = self._held.patience(self._limits.poll_s)
            records = self._reader.poll_batch(self._limits.records, self._limits.bytes, patience)
            ends = self._capped(self._reader.positions)
            if ends != {where: known[where] for where in ends}:
                records = [record for record in records if self._wanted(record)]
                moved = {where: end for where, end in ends.items() if end != known[where]}
                known.update(moved)
                self._offer(make_batch(self._model, self._projector, records, moved))
                if self._stops is not None and any(known[where] >= self._stops[where] for where in ends):
                    behind = self._assign(known)
            self._put_held()
        self._put_held(due=False)
        self._put(None)

    def _offer(self, batch: Batch) -> None:
        if batch:
            joined = self._held.joined(batch)
            self._held.take(due=False)
            self._put(joined)
        else:
            self._held.hold(batch)

    def _put_held(self, *, due: bool = True) -> None:
        if (held := self._held.take(due=due)) is not None:
            self._put(held)

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
