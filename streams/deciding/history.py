"""A partition's ledger, folded from its newest snapshot and the events after it. Blocking; for one thread."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from producers.publisher import Message
from schemas import serde
from schemas.errors import InvalidEvent
from schemas.record import Record
from streams.deciding import answers
from streams.deciding.ledger import SETTLED, Answer, Ledger, empty, fold, load
from streams.deciding.snapshots import Shelf
from streams.decisions import Decider
from streams.log_reader import LogReader, PositionLost, TopicPartition
from streams.runtime.past import SNAPSHOTS

log = logging.getLogger(__name__)
S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Past(Generic[S]):
    """What there is to know of a partition before its next command.

    `unsent` are answers that may not have been sent, `shelf` is where snapshots lie; reading the newest of them took
    `load_s` seconds.
    """

    ledger: Ledger[S]
    unsent: list[Message]
    shelf: Shelf
    load_s: float


class History(Generic[S]):
    """Reads what was decided. Its reader sees committed events only, so an aborted batch never shows.

    The snapshots of all `partitions` are read at once, when the first of these is asked for.
    """

    def __init__(self, bootstrap: str, decider: Decider[S], partitions: Iterable[int]) -> None:
        self._decider = decider
        self._reader = LogReader(bootstrap, f"{decider.consumer}-history")
        self._shelves = {one: Shelf(decider.consumer, decider.events, one) for one in partitions}
        self._has_looked = False

    def read(self, partition: int) -> Past[S]:
        """Fold the partition to its end.

        Call it when the transactional id is held: then nobody else's transaction is open, and the end is the end.
        Raises `TransientFailure` and, when commands were lost, `PositionLost`.
        """
        where = TopicPartition(self._decider.events, partition)
        first = self._reader.beginning_offsets(where.topic)[partition]
        end = self._reader.end_offsets(where.topic)[partition]
        shelf = self._shelf(partition)
        began = time.monotonic()
        ledger = self._snapshot(shelf, first, end)
        load_s = time.monotonic() - began
        folded, unsent = 0, list[tuple[int, Message]]()
        self._reader.assign({where: max(ledger.next_event, first)})
        while self._reader.positions[where] < end:
            for record in self._reader.poll_batch():
                ledger = self._fold(ledger, record, unsent)
                folded += 1
        self._reader.assign({})
        log.info("%s: %d events folded, up to offset %d", where, folded, ledger.next_event)
        newest = unsent[-1][0] if unsent else 0
        fresh = [message for at_ms, message in unsent if at_ms > newest - answers.RESENT_MS]
        return Past(self._checked(ledger, partition), fresh, shelf, load_s)

    def close(self) -> None:
        """Give the connections back."""
        self._reader.close()

    def _fold(self, ledger: Ledger[S], record: Record, unsent: list[tuple[int, Message]]) -> Ledger[S]:
        try:
            name, body = serde.decode(record.value)
        except InvalidEvent as stranger:
            log.warning("%s is none of ours and is passed over: %s", record.coordinates, stranger)
            return ledger
        if name == SETTLED and (message := answers.answered(body["command_id"], Answer.of(body), record)):
            unsent.append((record.timestamp_ms, message))
            del unsent[:-1000]
        return fold(self._decider, ledger, name, body, record)

    def _shelf(self, partition: int) -> Shelf:
        if not self._has_looked:
            where = TopicPartition(SNAPSHOTS, 0)
            begin, stop = self._reader.beginning_offsets(SNAPSHOTS)[0], self._reader.end_offsets(SNAPSHOTS)[0]
            self._reader.assign({where: begin})
            while self._reader.positions[where] < stop:
                for record in self._reader.poll_batch():
                    for shelf in self._shelves.values():
                        shelf.take(record)
            self._has_looked = True
        return self._shelves[partition]

    def _snapshot(self, shelf: Shelf, first: int, end: int) -> Ledger[S]:
        """The newest readable one within the log, else an empty ledger at its beginning."""
        found = (load(self._decider, at, data) for at, data in shelf.whole(end) if at >= first)
        return next((one for one in found if one), None) or replace(empty(self._decider), next_event=first)

    def _checked(self, ledger: Ledger[S], partition: int) -> Ledger[S]:
        """Where the commands go on, if the log still holds that place."""
        topic = self._decider.commands
        first = self._reader.beginning_offsets(topic)[partition]
        end = self._reader.end_offsets(topic)[partition]
        if ledger.next_command < 0:
            return replace(ledger, next_command=first)
        if ledger.next_command > end:
            raise PositionLost(TopicPartition(topic, partition), ledger.next_command, first, end)
        if ledger.next_command < first:
            log.error(
                "%s/%d: commands %d to %d were deleted by retention before anybody decided them",
                topic, partition, ledger.next_command, first - 1,
            )  # fmt: skip
            return replace(ledger, next_command=first)
        return ledger
