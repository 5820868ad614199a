"""One partition of a decider: its ledger, its transactions, its answers. For one thread."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from producers.publisher import Message, Publisher
from schemas.errors import InvalidEvent, Overloaded, TransientFailure
from schemas.record import Record
from streams.deciding.answers import answered
from streams.deciding.history import Past
from streams.deciding.ledger import Ledger
from streams.deciding.scribe import Scribe
from streams.deciding.settling import Batch, settle
from streams.deciding.snapshots import Pace
from streams.deciding.transactions import Transactions
from streams.decisions import Decider

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Tools:
    """What the lanes of a process share."""

    publisher: Publisher
    scribe: Scribe


class Lane:
    """Owns a partition from its past on until `close`; `begin` and `end` take turns.

    Between the two the broker works, and other lanes may begin: their commits do not wait for each other.
    """

    def __init__(
        self, decider: Decider[Any], partition: int, transactions: Transactions, past: Past[Any], tools: Tools
    ) -> None:
        self._decider, self._partition, self._transactions, self._tools = decider, partition, transactions, tools
        self._ledger: Ledger[Any] = past.ledger
        self._shelf = past.shelf
        self._shelf.forget()
        self._pace = Pace(decider.snapshot_events, past.ledger.next_event, past.load_s)
        self._batch: Batch[Any] | None = None
        self._began = 0.0

    @property
    def next_command(self) -> int:
        """Offset of the first command that is not decided."""
        return self._ledger.next_command

    def begin(self, records: Sequence[Record]) -> None:
        """Decide commands and send what follows. Raises TransientFailure, as if nothing had happened, and Fenced."""
        self._batch, self._began = None, time.monotonic()
        records = [record for record in records if record.offset >= self._ledger.next_command]
        if records:
            batch = settle(self._decider, self._ledger, records)
            if batch.messages:
                self._transactions.begin(batch.messages)
            self._batch = batch

    def end(self) -> None:
        """Commit, take note, answer. Raises as `begin`: then these commands have to begin again."""
        batch, self._batch = self._batch, None
        if batch is None:
            return
        offsets = self._transactions.end() if batch.messages else []
        self._ledger = batch.committed(self._decider, self._ledger, offsets)
        self._answer(batch, offsets)
        self._pace.busy_s += time.monotonic() - self._began
        if self._pace.due(self._ledger.next_event):
            ledger = replace(self._ledger, answers=dict(self._ledger.answers))
            self._tools.scribe.lay_down(self._decider, ledger, self._shelf, self._pace)

    def say(self, answers: Sequence[Message]) -> None:
        """Send answers. They may be lost (a repeat is answered again), so they hold nothing up."""
        try:
            self._tools.publisher.hand_over(answers, self._lost)
        except (Overloaded, TransientFailure, InvalidEvent) as error:
            self._lost(error)

    def close(self) -> None:
        """Let go of the transactional id."""
        self._transactions.close()

    def _answer(self, batch: Batch[Any], offsets: Sequence[int]) -> None:
        where = {"topic": self._decider.events, "partition": self._partition}
        told = [
            answered(one.command_id, one.answer, replace(one.record, **where, offset=offsets[one.message]))
            for one in batch.settled
        ]
        self.say([message for message in told if message])

    def _lost(self, error: Exception) -> None:
        log.warning("%s: an answer is lost: %s", self._decider.consumer, error)
