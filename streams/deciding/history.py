"""A partition's ledger, folded from its newest snapshot and the events after it. Blocking; for one thread."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any, Generic, TypeVar

from producers.publisher import Message
from schemas import serde
from schemas.errors import InvalidEvent
from schemas.record import Record
from streams.deciding import answers
from streams.deciding.ledger import SETTLED, Answer, Ledger, dump, empty, fold, load
from streams.decisions import Decider
from streams.log_reader import LogReader, PositionLost, TopicPartition
from streams.runtime.past import SNAPSHOTS, newest_snapshots, snapshot_message

log = logging.getLogger(__name__)
S = TypeVar("S")
LARGEST_SNAPSHOT = 7 << 20


class History(Generic[S]):
    """Reads what was decided. Its reader sees committed events only, so an aborted batch never shows."""

    def __init__(self, bootstrap: str, decider: Decider[S]) -> None:
        self._decider = decider
        self._reader = LogReader(bootstrap, f"{decider.consumer}-history")

    def read(self, partition: int) -> tuple[Ledger[S], list[Message]]:
        """Fold the partition to its end; also the answers that may not have been sent.

        Call it when the transactional id is held: then nobody else's transaction is open, and the end is the end.
        Raises `TransientFailure` and, when commands were lost, `PositionLost`.
        """
        where = TopicPartition(self._decider.events, partition)
        first = self._reader.beginning_offsets(where.topic)[partition]
        end = self._reader.end_offsets(where.topic)[partition]
        ledger = self._snapshot(partition, first, end)
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
        return self._checked(ledger, partition), fresh

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

    def _snapshot(self, partition: int, first: int, end: int) -> Ledger[S]:
        """The newest readable one within the log, else an empty ledger at its beginning."""
        begin, stop = self._reader.beginning_offsets(SNAPSHOTS)[0], self._reader.end_offsets(SNAPSHOTS)[0]
        where = TopicPartition(SNAPSHOTS, 0)
        records: list[Record] = []
        self._reader.assign({where: begin})
        while self._reader.positions[where] < stop:
            mine = f"{self._decider.consumer}/{partition}".encode()
            records += [record for record in self._reader.poll_batch() if record.key == mine]
        wanted = (self._decider.consumer, self._decider.events, partition)
        for next_event, data in newest_snapshots(records, wanted, end):
            if next_event >= first and (ledger := load(self._decider, next_event, data)):
                return ledger
        return replace(empty(self._decider), next_event=first)

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


def snapshot(decider: Decider[Any], partition: int, ledger: Ledger[Any]) -> Message | None:
    """The message that lays a ledger down; None when it would be larger than the topic takes."""
    data = dump(decider, ledger)
    if len(data) > LARGEST_SNAPSHOT:
        log.warning("%s/%d: a state of %d bytes is too large for a snapshot", decider.consumer, partition, len(data))
        return None
    return snapshot_message(decider.consumer, decider.events, partition, ledger.next_event, data)
