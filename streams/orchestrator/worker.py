"""The process `orchestrator`: follows `scenarios` and `retry_topic`, asks for what is due. Keeps nothing of its own.

What was not asked for yet is found in the log again: a pause and the word about its end are one transaction, so who is
paused says how far back `retry_topic` has to be read. A question asked twice is one by its id, so this process may be
killed between any two steps, and two of them do no harm.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from producers.publisher import Message, Publisher
from schemas import cloudevents, serde
from schemas.errors import InvalidEvent, Overloaded, TransientFailure
from schemas.record import Record
from streams.deciding.history import History
from streams.deciding.patience import patiently
from streams.decisions import Decider
from streams.log_reader import LogReader, PositionLost, TopicPartition
from streams.orchestrator.agenda import Agenda, Ask, LogClock
from streams.runtime.quiet import quieten
from streams.scenario_state import State

log = logging.getLogger(__name__)
FAILED: Final = 1
SOURCE: Final = "/orchestrator"
KEY: Final = b"scenarios"
RETRIES: Final = "retry_topic"
SKEW_MS: Final = 60_000
"""Brokers' clocks may differ by this much: so much more of `retry_topic` is read again."""


@dataclass(frozen=True, slots=True)
class OrchestratorOptions:
    """`tick_s`: the longest pause between two looks at the time. `retries`: the topic that says when to try again."""

    tick_s: float = 0.1
    retries: str = RETRIES


def run(
    bootstrap: str,
    decider: Decider[State],
    options: OrchestratorOptions = OrchestratorOptions(),
    *,
    on_ready: Callable[[], None] | None = None,
) -> int:
    """Run the process in the main thread until SIGTERM or SIGINT; the exit code. `decider` is that of scenarios."""
    quieten()
    stop = threading.Event()
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, lambda *_: stop.set())
    return work(bootstrap, decider, stop, options, on_ready=on_ready)


def work(
    bootstrap: str,
    decider: Decider[State],
    stop: threading.Event,
    options: OrchestratorOptions = OrchestratorOptions(),
    *,
    on_ready: Callable[[], None] | None = None,
) -> int:
    """The same until `stop` is set, from any thread."""
    publisher = Publisher(bootstrap, client_id="orchestrator", linger_ms=0)
    try:
        with LogReader(bootstrap, "orchestrator") as reader:
            orchestrator = Orchestrator(bootstrap, decider, reader, publisher, options)
            if patiently(orchestrator.open, stop, "orchestrator") and on_ready:
                on_ready()
            while not stop.is_set():
                patiently(orchestrator.step, stop, "orchestrator")
    except PositionLost:
        log.exception("the log is not the one that was read; exiting to be started again")
        return FAILED
    finally:
        publisher.close()
    return 0


class Orchestrator:
    """For one thread. `open` once, then `step` again and again; both raise `TransientFailure`, `PositionLost`."""

    def __init__(
        self,
        bootstrap: str,
        decider: Decider[State],
        reader: LogReader,
        publisher: Publisher,
        options: OrchestratorOptions,
    ) -> None:
        self._bootstrap, self._decider, self._options = bootstrap, decider, options
        self._reader, self._publisher = reader, publisher
        self._clock, self._agenda = LogClock(), Agenda()
        self._state: State = decider.state.empty()
        self._next_event = 0

    def open(self) -> bool:
        """Learn what is so, and read on from there."""
        events, retries = TopicPartition(self._decider.events, 0), TopicPartition(self._options.retries, 0)
        end = self._reader.end_offsets(retries.topic)[0]  # first: whoever is paused later is told of after it
        history = History[Any](self._bootstrap, self._decider, [0])
        try:
            ledger = history.read(0).ledger
        finally:
            history.close()
        self._state = ledger.state
        paused = [one.since_us for one in self._state.scenarios.values() if one.is_paused]
        if paused:
            end = min(end, self._reader.offsets_for_time(retries.topic, min(paused) // 1000 - SKEW_MS)[0])
        self._next_event = ledger.next_event
        self._reader.assign({events: max(0, ledger.next_event - 1), retries: end})  # the last one says what time it was
        everybody, held = len(self._state.scenarios), len(self._state.held)
        log.info("%d scenarios, %d with a runner, %d paused", everybody, held, len(paused))
        return True

    def step(self) -> bool:
        """Take in what has come, and ask for what is due."""
        for record in self._reader.poll_batch(timeout_s=self._options.tick_s):
            self._clock.observe(record.timestamp_ms, time.monotonic())
            self._take(record)
        now_s = time.monotonic()
        log_us = self._clock.time_us(now_s)
        asks = [] if log_us is None else self._agenda.due(log_us, now_s, self._state)
        if asks:
            self._ask(asks)
            self._agenda.asked(asks, now_s)
        return True

    def _take(self, record: Record) -> None:
        try:
            name, body = serde.decode(record.value)
        except InvalidEvent as stranger:
            log.warning("%s is none of ours and is passed over: %s", record.coordinates, stranger)
            return
        if record.topic == self._options.retries:
            self._agenda.note(body, record)
        elif record.offset >= self._next_event:
            self._state = self._decider.evolve(self._state, name, body)

    def _ask(self, asks: list[Ask]) -> None:
        messages = [self._message(ask) for ask in asks]
        try:
            self._publisher.publish_all(messages)
        except Overloaded as full:
            raise TransientFailure(str(full)) from full
        for ask in asks:
            log.info("%s %s", ask.command, dict(ask.record))

    def _message(self, ask: Ask) -> Message:
        headers = cloudevents.headers(ask.command, id=ask.command_id, source=SOURCE)
        return Message(self._decider.commands, KEY, serde.encode(ask.command, ask.record), headers)
