"""One decider at work: takes its partitions, reads what is asked, and has it decided. Blocking; for one thread.

All partitions of a poll are decided and sent before the first is committed. A thread for each was measured: on two
cores it took a third more time of the processor, and answers came no sooner.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from schemas.errors import Overloaded, TransientFailure
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

    def run(self, on_ready: Callable[[], None]) -> None:
        """Take part; `on_ready` is called once the group has said what is ours and that is known to its end."""
        decider = self._decider
        reader = CommandReader(self._bootstrap, decider.consumer, decider.commands, self._membership)
        told, generation = False, 0
        try:
            while not self._stop.is_set():
                commands = patiently(lambda: reader.poll(0.25), self._stop, decider.consumer)
                if reader.generation != generation:
                    generation = reader.generation
                    self._take_over(reader)
                    if reader.assigned is not None and not told:
                        told = True
                        on_ready()
                    continue
                self._decide(commands or {})
        finally:
            self._let_go()
            reader.close()

    def _decide(self, commands: Mapping[int, Sequence[Record]]) -> None:
        work = [(self._lanes[one], records) for one, records in commands.items() if one in self._lanes]
        begun = [self._goes(partial(lane.begin, records)) for lane, records in work]
        ended = [begins and self._goes(lane.end) for (lane, _), begins in zip(work, begun, strict=True)]
        for (lane, records), done in zip(work, ended, strict=True):
            if not done:
                patiently(partial(_whole, lane, records), self._stop, self._decider.consumer)

    def _goes(self, step: Callable[[], None]) -> bool:
        """Whether a step is done; one partition's failure must not leave the others' transactions open."""
        try:
            step()
        except (TransientFailure, Overloaded) as failure:
            log.warning("%s: %s; once more", self._decider.consumer, failure)
            return False
        return True

    def _take_over(self, reader: CommandReader) -> None:
        """Drop what was ours, and open what is now."""
        self._let_go()
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
        reader.go_on({number: lane.next_command for number, lane in self._lanes.items()})

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
        for lane in self._lanes.values():
            lane.close()
        self._lanes.clear()


def _whole(lane: Lane, records: Sequence[Record]) -> None:
    lane.begin(records)
    lane.end()
