"""What is to be asked of decider `scenarios`, and when. Pure: the log says what time it is, a steady clock goes on."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from schemas.record import Record
from streams.scenario_state import State

RECLAIM_EVERY_S: Final = 1.0
_OURS: Final = uuid.uuid5(uuid.NAMESPACE_URL, "sensorium/orchestrator")


@dataclass(frozen=True, slots=True)
class Ask:
    """A command, and its id: derived where asking twice has to be one question."""

    command: str
    record: Mapping[str, Any]
    command_id: str


class LogClock:
    """The broker's time in UTC epoch microseconds, never ahead of it.

    A record was appended before it is seen, so its log time is a bound from below; the best bound so far goes on by a
    steady clock (seconds).
    """

    def __init__(self) -> None:
        self._ahead_us: int | None = None

    def observe(self, log_ms: int, now_s: float) -> None:
        """A record of that log time has been seen now."""
        ahead_us = 1000 * log_ms - _us(now_s)
        self._ahead_us = ahead_us if self._ahead_us is None else max(self._ahead_us, ahead_us)

    def time_us(self, now_s: float) -> int | None:
        """The time now; None before the first record."""
        return None if self._ahead_us is None else self._ahead_us + _us(now_s)


class Agenda:
    """Retries until they are asked for, and when runs were last looked at."""

    def __init__(self) -> None:
        self._retries: dict[str, tuple[int, Ask]] = {}
        self._last_reclaim_s = float("-inf")

    def note(self, due: Mapping[str, Any], record: Record) -> None:
        """Take a ScenarioRetryDue from its place in the log. Its command's id comes from that place."""
        command_id = str(uuid.uuid5(_OURS, f"{record.topic}/{record.partition}/{record.offset}"))
        told = {"scenario_id": due["scenario_id"], "attempt": due["attempt"]}
        self._retries[command_id] = (due["due_us"], Ask("RetryScenario", told, command_id))

    def due(self, log_us: int, now_s: float, state: State) -> list[Ask]:
        """What is to be asked now, the earliest first; the same again until `asked`.

        Runs are looked at where a lease is over by the log's time, at most once in `RECLAIM_EVERY_S`.
        """
        retries = sorted((due_us, ask.command_id) for due_us, ask in self._retries.values() if due_us <= log_us)
        asks = [self._retries[command_id][1] for _, command_id in retries]
        is_late = any(state.scenarios[one].lease_until_us <= log_us for one in state.held)
        if is_late and now_s >= self._last_reclaim_s + RECLAIM_EVERY_S:
            asks.append(Ask("ReclaimScenarios", {"by": None}, str(uuid.uuid4())))
        return asks

    def asked(self, asks: list[Ask], now_s: float) -> None:
        """These are in the log."""
        for ask in asks:
            if ask.command == "ReclaimScenarios":
                self._last_reclaim_s = now_s
            else:
                self._retries.pop(ask.command_id, None)


def _us(seconds: float) -> int:
    return int(seconds * 1_000_000)
