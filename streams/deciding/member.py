"""One decider of a process: takes its partitions, reads what is asked, and has each partition decided in its lane."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from schemas.record import Record
from streams.deciding.commands import CommandReader, Membership
from streams.deciding.history import History
from streams.deciding.lane import Lane, Tools
from streams.deciding.patience import patiently
from streams.deciding.transactions import Transactions
from streams.decisions import Decider

log = logging.getLogger(__name__)


class Member:
    """Runs until `stop` is set. Raises `Fenced` and `PositionLost`: the process has to be started again."""

    def __init__(
        self, bootstrap: str, decider: Decider[Any], tools: Tools, stop: threading.Event, membership: Membership
    ) -> None:
        self._bootstrap, self._decider, self._tools, self._stop = bootstrap, decider, tools, stop
        self._membership = membership
        self._lanes: dict[int, Lane] = {}
        self._failures: list[Exception] = []

    def run(self, on_ready: Callable[[], None]) -> None:
        """Take part; `on_ready` is called once the group has said what is ours and that is known to its end."""
        decider = self._decider
        reader = CommandReader(self._bootstrap, decider.consumer, decider.commands, self._membership, self._let_go)
        told, generation = False, 0
        try:
            while not self._stop.is_set():
                commands = patiently(lambda: reader.poll(0.25), self._stop, decider.consumer)
                self._raise_failure()
                if reader.generation != generation:
                    generation = reader.generation
                    self._take_over(reader)
                    if reader.assigned is not None and not told:
                        told = True
                        on_ready()
                    continue
                self._offer(commands or {})
                reader.hold([number for number, lane in self._lanes.items() if lane.is_full])
        finally:
            self._let_go()
            reader.close()

    def _offer(self, commands: Mapping[int, Sequence[Record]]) -> None:
        for partition, records in commands.items():
            if partition in self._lanes:
                self._lanes[partition].offer(records)

    def _take_over(self, reader: CommandReader) -> None:
        """Drop what was ours, and open what is now."""
        self._let_go()
        self._raise_failure()
        if not reader.assigned:
            return
        history = History(self._bootstrap, self._decider, reader.assigned)
        try:
            for partition in sorted(reader.assigned):
                opened = patiently(
                    lambda partition=partition: self._open(partition, history), self._stop, self._decider.consumer
                )
                if opened is None:
                    return
                self._lanes[partition] = opened
        finally:
            history.close()
        reader.go_on({number: lane.begins_at for number, lane in self._lanes.items()})

    def _open(self, partition: int, history: History[Any]) -> Lane:
        transactions = Transactions(self._bootstrap, f"{self._decider.consumer}/{partition}")
        try:
            transactions.open()
            past = history.read(partition)
        except BaseException:
            transactions.close()
            raise
        lane = Lane(self._decider, partition, transactions, past, self._tools)
        lane.say(past.unsent)
        return lane

    def _let_go(self) -> None:
        """Also called from within the reader's poll, through which nothing may be raised."""
        for lane in self._lanes.values():
            lane.close()
        self._failures += [lane.failure for lane in self._lanes.values() if lane.failure]
        self._lanes.clear()

    def _raise_failure(self) -> None:
        for failure in (*self._failures, *(lane.failure for lane in self._lanes.values())):
            if failure is not None:
                raise failure
