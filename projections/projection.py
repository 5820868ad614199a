"""One version of a read model being written: batches from the log into the store, each exactly once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from producers.dead_letters import dead_letter
from producers.publisher import Message
from projections.answers import message, notice, stored_reply
from projections.feed import Batch, EndOfFeed, Feed, Limits, make_batch
from projections.read_model import Effects, Projector, ReadModel, Reply, Target
from projections.store import Checkpoint, Fenced, KeyTaken, Progress, RefusedRows, Store, StoredReply
from schemas.errors import InvalidEvent, Overloaded, SensoriumError, TransientFailure
from schemas.record import Record
from streams.log_reader import LogReader, TopicPartition

log = logging.getLogger(__name__)

OnBatch = Callable[[int, Mapping[TopicPartition, int]], None]
"""(rows written, positions reached)."""


class PositionGone(SensoriumError):
    """The checkpoint points to nothing: an operator has to decide."""


class Publisher(Protocol):
    """What is needed of `producers.publisher.Publisher`."""

    def publish_all(self, messages: Sequence[Message]) -> None: ...  # noqa: D102 - see Publisher
    def hand_over(self, messages: Sequence[Message], lost: Callable[[Exception], None]) -> None: ...  # noqa: D102


class Projection:
    """Owns a store and a reader, and moves one version along the log.

    Raises TransientFailure when PostgreSQL or Kafka is away and Fenced when somebody else writes: make a new one
    then, which starts from the stored checkpoint.
    """

    def __init__(
        self, model: ReadModel, target: Target, *, store: Store, reader: LogReader, publisher: Publisher
    ) -> None:
        self.model, self._target = model, target
        self.store, self.reader, self._publisher = store, reader, publisher
        self._projector: Projector = model.projector(target)
        self._state = store.state()[0]
        self._checkpoints = store.checkpoints()
        check_positions(model, target.schema, self._checkpoints, reader)

    @property
    def positions(self) -> dict[TopicPartition, int]:
        """Next offsets, as stored."""
        return {TopicPartition(*where): point.next_offset for where, point in self._checkpoints.items()}

    def resend_replies(self) -> None:
        """Send again what a crash may have kept from being sent; who is not waiting any more ignores it."""
        if self._state == "live":
            self._send(self.store.pending_replies())

    def follow(self, stop: threading.Event, limits: Limits | None = None) -> None:
        """Write whatever comes until `stop` is set."""
        with Feed(self.reader, self.model, self._projector, limits or Limits(), self.positions, None) as feed:
            while not stop.is_set():
                batch = feed.get(0.25)
                if batch is not None:
                    self.project(batch)
                elif self.store.state()[0] != self._state:
                    raise Fenced(f"{self._target.schema} is not {self._state} any more")

    def advance_to(
        self,
        stops: Mapping[TopicPartition, int],
        stop: threading.Event,
        *,
        on_batch: OnBatch | None = None,
        limits: Limits | None = None,
    ) -> bool:
        """Write everything before `stops`; False when `stop` was set before that."""
        feed = Feed(self.reader, self.model, self._projector, limits or Limits(), self.positions, stops)
        with feed:
            while not stop.is_set():
                try:
                    batch = feed.get(0.25)
                except EndOfFeed:
                    return True
                if batch is not None:
                    rows = self.project(batch)
                    if on_batch:
                        on_batch(rows, self.positions)
        return False

    def resolve(self, stop: threading.Event) -> bool:
        """After a bulk load: take everything that was put aside; False when `stop` was set before that."""
        bulk = self.model.bulk
        while bulk is not None and not stop.is_set():
            with self.store.batch(self._checkpoints, self._state) as transaction:
                if bulk.resolve(self._projector, transaction) == 0:
                    return True
        return bulk is None

    def project(self, batch: Batch) -> int:
        """Store one batch; return the rows written. A record that cannot become rows becomes a dead letter."""
        if batch.failure is not None:
            return self._split(batch, batch.failure)
        try:
            return self._commit(batch)
        except KeyTaken:
            self._projector.forget(distrust=True)
        except (RefusedRows, MemoryError) as error:
            self._projector.forget()
            return self._split(batch, error)
        except BaseException:
            self._projector.forget()
            raise
        return self._project_doubtful(batch)

    def _project_doubtful(self, batch: Batch) -> int:
        """Once more, with every row checked against the database; what still collides is bad data."""
        try:
            return self._commit(batch)
        except (RefusedRows, MemoryError) as error:
            self._projector.forget()
            return self._split(batch, error)

    def _split(self, batch: Batch, error: Exception) -> int:
        """Find the one record that is refused, by halves."""
        records = batch.records
        if len(records) == 1:
            letters = [*batch.letters, (records[0], error)] if not batch.letters else batch.letters
            return self._commit(Batch(records, batch.ends, letters, self._projector.prepare([])))
        half = len(records) // 2
        first = make_batch(self.model, self._projector, records[:half], _ends(records[:half]))
        return self.project(first) + self.project(make_batch(self.model, self._projector, records[half:], batch.ends))

    def _commit(self, batch: Batch) -> int:
        for record, error in batch.letters:
            log.warning("%s: %s becomes a dead letter: %r", self._target.schema, record.coordinates, error)
        # Before the checkpoint: a crash in between writes the same letter again, never none.
        self._publisher.publish_all([dead_letter(self.model.name, *letter) for letter in batch.letters])
        with self.store.batch(self._checkpoints, self._state) as transaction:
            effects = self._projector.write(transaction, batch.prepared)
            effects.replies += [Reply(record) for record, _ in batch.letters]
            progress = self._progress(batch, effects)
            transaction.advance(progress)
            if self._state == "live" and (text := notice(self.model.name, effects)):
                transaction.notify(text)
        for where, step in progress.items():
            self._checkpoints[where] = Checkpoint(step.next_offset, self._checkpoints[where].topic_id)
        self._answer(progress)
        return effects.rows

    def _progress(self, batch: Batch, effects: Effects) -> dict[tuple[str, int], Progress]:
        progress = {(topic, partition): Progress(offset) for (topic, partition), offset in batch.ends.items()}
        for where, offset in effects.truncated.items():
            progress[where].truncated_at = offset
        if self._state == "live":
            for reply in effects.replies:
                if stored := stored_reply(self.model.name, reply):
                    step = progress[reply.record.topic, reply.record.partition]
                    step.replies = [*(step.replies or []), stored]
        return progress

    def _answer(self, progress: Mapping[tuple[str, int], Progress]) -> None:
        self._send([reply for step in progress.values() for reply in step.replies or ()])

    def _send(self, replies: Sequence[StoredReply]) -> None:
        """Replies may be lost (whoever waits answers without them), so they never hold the rows up."""
        try:
            self._publisher.hand_over([message(reply) for reply in replies], self._lost)
        except (InvalidEvent, TransientFailure, Overloaded) as error:
            self._lost(error)

    def _lost(self, error: Exception) -> None:
        log.warning("%s: a reply is lost: %r", self._target.schema, str(error))


def check_positions(
    model: ReadModel, schema: str, checkpoints: Mapping[tuple[str, int], Checkpoint], reader: LogReader
) -> None:
    """Make sure that every checkpoint points into the log it was made for. Raises PositionGone, with a way out."""
    way_out = f"Rebuild it with `sensorium replay {model.name}`."
    for topic in model.topics:
        topic_id, first, end = reader.topic_id(topic), reader.beginning_offsets(topic), reader.end_offsets(topic)
        known = {partition: point for (name, partition), point in checkpoints.items() if name == topic}
        if known.keys() != end.keys():
            raise PositionGone(
                f"{schema} cannot go on: {topic} has partitions {sorted(end)}, the checkpoint {sorted(known)}."
                f" {way_out}"
            )
        for partition, point in known.items():
            if point.topic_id != topic_id:
                raise PositionGone(
                    f"{schema} cannot go on: topic {topic} was deleted and made again, or this is another Kafka"
                    f" (its id was {point.topic_id} and is {topic_id}). {way_out}"
                )
            if not first[partition] <= point.next_offset <= end[partition]:
                raise PositionGone(
                    f"{schema} cannot go on: it has read {topic}, partition {partition}, up to offset"
                    f" {point.next_offset}, but the log holds {first[partition]} to {end[partition]}. {way_out}"
                )


def starts_of(model: ReadModel, reader: LogReader) -> dict[tuple[str, int], Checkpoint]:
    """Checkpoints at the beginning of the log."""
    return {
        (topic, partition): Checkpoint(offset, reader.topic_id(topic))
        for topic in model.topics
        for partition, offset in reader.beginning_offsets(topic).items()
    }


def _ends(records: Sequence[Record]) -> dict[TopicPartition, int]:
    return {TopicPartition(record.topic, record.partition): record.offset + 1 for record in records}
