"""One partition at work: decides, commits, answers, in a thread of its own, so that no partition waits for another."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Final

from producers.publisher import Message, Publisher
from schemas.errors import InvalidEvent, Overloaded, TransientFailure
from schemas.record import Record
from streams.deciding.answers import answered
from streams.deciding.commands import BATCH
from streams.deciding.history import Past
from streams.deciding.ledger import Ledger
from streams.deciding.patience import patiently
from streams.deciding.scribe import Scribe
from streams.deciding.settling import Batch, settle
from streams.deciding.snapshots import Pace
from streams.deciding.transactions import Transactions
from streams.decisions import Decider

log = logging.getLogger(__name__)
FULL: Final = 2 * BATCH
"""Commands that wait in a lane before no more are read for it."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What the lanes of a process share."""

    publisher: Publisher
    scribe: Scribe


class Lane:
    """Owns a partition from its past on until `close`. `failure` says why it ended by itself."""

    def __init__(
        self, decider: Decider[Any], partition: int, transactions: Transactions, past: Past[Any], tools: Tools
    ) -> None:
        self._decider, self._partition, self._transactions, self._tools = decider, partition, transactions, tools
        self._ledger: Ledger[Any] = past.ledger
        self._shelf = past.shelf
        self._shelf.forget()
        self._pace = Pace(decider.snapshot_events, past.ledger.next_event, past.load_s)
        self._waiting: deque[Record] = deque()
        self._news, self._end = threading.Condition(), threading.Event()
        self.failure: Exception | None = None
        self.begins_at = past.ledger.next_command
        self._thread = threading.Thread(target=self._run, name=f"{decider.consumer}/{partition}", daemon=True)
        self._thread.start()

    @property
    def is_full(self) -> bool:
        """Whether so much is waiting that no more should be read."""
        return len(self._waiting) >= FULL

    def offer(self, records: Sequence[Record]) -> None:
        """Have commands decided, in this order."""
        with self._news:
            self._waiting.extend(records)
            self._news.notify()

    def say(self, answers: Sequence[Message]) -> None:
        """Send answers. They may be lost (a repeat is answered again), so they hold nothing up."""
        try:
            self._tools.publisher.hand_over(answers, self._lost)
        except (Overloaded, TransientFailure, InvalidEvent) as error:
            self._lost(error)

    def close(self) -> None:
        """End after the batch that is under way, and let go of the transactional id."""
        self._end.set()
        with self._news:
            self._news.notify()
        self._thread.join()
        self._transactions.close()

    def _run(self) -> None:
        try:
            while records := self._next():
                self._decide(records)
        except Exception as failure:  # noqa: BLE001 - the thread's outermost loop: its owner decides
            self.failure = failure

    def _next(self) -> list[Record]:
        """What waits, at most a batch; nothing: it is over."""
        with self._news:
            while not self._waiting and not self._end.is_set():
                self._news.wait()
            taken = [] if self._end.is_set() else list(islice(self._waiting, BATCH))
            for _ in taken:
                self._waiting.popleft()
            return taken

    def _decide(self, records: Sequence[Record]) -> None:
        records = [record for record in records if record.offset >= self._ledger.next_command]
        if not records:
            return
        began = time.monotonic()

        def attempt() -> tuple[Batch[Any], list[int]]:
            batch = settle(self._decider, self._ledger, records)
            return batch, self._transactions.commit(batch.messages) if batch.messages else []

        done = patiently(attempt, self._end, self._decider.consumer)
        if done is None:
            return
        batch, offsets = done
        self._ledger = batch.committed(self._decider, self._ledger, offsets)
        self._answer(batch, offsets)
        self._pace.busy_s += time.monotonic() - began
        if self._pace.due(self._ledger.next_event):
            ledger = replace(self._ledger, answers=dict(self._ledger.answers))
            self._tools.scribe.lay_down(self._decider, ledger, self._shelf, self._pace)

    def _answer(self, batch: Batch[Any], offsets: Sequence[int]) -> None:
        where = {"topic": self._decider.events, "partition": self._partition}
        told = [
            answered(one.command_id, one.answer, replace(one.record, **where, offset=offsets[one.message]))
            for one in batch.settled
        ]
        self.say([message for message in told if message])

    def _lost(self, error: Exception) -> None:
        log.warning("%s: an answer is lost: %s", self._decider.consumer, error)
