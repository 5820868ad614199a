"""One decider at work: takes its partitions, decides, commits, answers. Blocking; for one thread."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from producers.publisher import Message, Publisher
from schemas.errors import InvalidEvent, Overloaded, TransientFailure
from schemas.record import Record
from streams.deciding.answers import answered
from streams.deciding.commands import CommandReader, Membership
from streams.deciding.history import History, snapshot
from streams.deciding.ledger import Ledger
from streams.deciding.settling import Batch, settle
from streams.deciding.transactions import Transactions
from streams.decisions import Decider

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Partition:
    """A partition that is ours."""

    transactions: Transactions
    ledger: Ledger[Any]
    snapshot_at: int


class Member:
    """Runs until `stop` is set. Raises `Fenced` and `PositionLost`: the process has to be started again."""

    def __init__(
        self,
        bootstrap: str,
        decider: Decider[Any],
        publisher: Publisher,
        stop: threading.Event,
        membership: Membership,
    ) -> None:
        self._bootstrap, self._decider, self._publisher, self._stop = bootstrap, decider, publisher, stop
        self._membership = membership
        self._partitions: dict[int, _Partition] = {}

    def run(self, on_ready: Callable[[], None]) -> None:
        """Take part; `on_ready` is called once the group has said what is ours and that is known to its end."""
        decider = self._decider
        reader = CommandReader(self._bootstrap, decider.consumer, decider.commands, self._membership)
        told, generation = False, 0
        try:
            while not self._stop.is_set():
                records = self._patiently(lambda: reader.poll(0.25))
                if reader.generation != generation:
                    generation = reader.generation
                    self._take_over(reader)
                    if reader.assigned is not None and not told:
                        told = True
                        on_ready()
                    continue
                for partition, commands in (records or {}).items():
                    self._decide(partition, commands)
        finally:
            self._let_go()
            reader.close()

    def _take_over(self, reader: CommandReader) -> None:
        """Drop what was ours, and open what is now."""
        self._let_go()
        for partition in sorted(reader.assigned or ()):
            opened = self._patiently(lambda partition=partition: self._open(partition))
            if opened is None:
                return
            self._partitions[partition] = opened
        if reader.assigned:
            reader.go_on({number: one.ledger.next_command for number, one in self._partitions.items()})

    def _open(self, partition: int) -> _Partition:
        name = f"{self._decider.consumer}/{partition}"
        transactions = Transactions(self._bootstrap, name)
        try:
            transactions.open()
            history = History(self._bootstrap, self._decider)
            try:
                ledger, unsent = history.read(partition)
            finally:
                history.close()
        except BaseException:
            transactions.close()
            raise
        self._send(unsent)
        return _Partition(transactions, ledger, ledger.next_event)

    def _decide(self, partition: int, records: Sequence[Record]) -> None:
        mine = self._partitions.get(partition)
        if mine is None:
            return
        records = [record for record in records if record.offset >= mine.ledger.next_command]
        if not records:
            return

        def attempt() -> tuple[Batch[Any], list[int]]:
            batch = settle(self._decider, mine.ledger, records)
            return batch, mine.transactions.commit(batch.messages) if batch.messages else []

        done = self._patiently(attempt)
        if done is None:
            return
        batch, offsets = done
        mine.ledger = batch.committed(self._decider, mine.ledger, offsets)
        self._answer(partition, batch, offsets)
        if mine.ledger.next_event - mine.snapshot_at >= self._decider.snapshot_events:
            mine.snapshot_at = mine.ledger.next_event
            message = snapshot(self._decider, partition, mine.ledger)
            self._send([message] if message else [])

    def _answer(self, partition: int, batch: Batch[Any], offsets: Sequence[int]) -> None:
        where = {"topic": self._decider.events, "partition": partition}
        told = [
            answered(one.command_id, one.answer, replace(one.record, **where, offset=offsets[one.message]))
            for one in batch.settled
        ]
        self._send([message for message in told if message])

    def _send(self, messages: Sequence[Message]) -> None:
        """Answers and snapshots may be lost (a repeat is answered, the log is read back), so they hold nothing up."""
        try:
            if messages:
                self._publisher.publish_all(messages)
        except (InvalidEvent, TransientFailure, Overloaded) as error:
            log.warning("%s: up to %d answers are lost: %s", self._decider.consumer, len(messages), error)

    def _patiently(self, attempt: Callable[[], Any]) -> Any:
        """Try until it works; None when told to stop before that."""
        pause_s = 0.1
        while not self._stop.is_set():
            try:
                return attempt()
            except (TransientFailure, Overloaded) as failure:
                log.warning("%s: %s; next attempt in %.1f s", self._decider.consumer, failure, pause_s)
                self._stop.wait(pause_s)
                pause_s = min(2 * pause_s, 5.0)
        return None

    def _let_go(self) -> None:
        for one in self._partitions.values():
            one.transactions.close()
        self._partitions.clear()
