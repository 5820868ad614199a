"""From scores of windows to signals: high to begin, low to end, and neither at once. Pure; imports nothing heavy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

CLOCKS_US: Final = 60_000_000
"""What lies further ahead of the log's time comes of a clock that is wrong."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A signal begins when scores were `on` and more for `begin_us`, and ends when they were below `off` for `end_us`.

    A window that begins `gap_us` after the one before belongs to nothing before it.
    """

    on: float = 0.5
    off: float = 0.25
    begin_us: int = 1_000_000
    end_us: int = 3_000_000
    gap_us: int = 30_000_000


@dataclass(frozen=True, slots=True)
class Window:
    """A scored stretch of time, UTC epoch microseconds or any other clock."""

    start_us: int
    end_us: int
    score: float


@dataclass(frozen=True, slots=True)
class Signal:
    """A stretch of agitation: from its first high window to its last one that was not low, with the highest score."""

    start_us: int
    end_us: int
    score: float


@dataclass(frozen=True, slots=True)
class State:
    """`rising`: high scores that may become a signal; `on`: the signal there is; `seen_us`: the newest window's end."""

    rising: Signal | None = None
    on: Signal | None = None
    seen_us: int | None = None


def step(state: State, window: Window, rule: Rule) -> tuple[State, Signal | None]:
    """Take a window in; the signal that ended with it, if one did. A window that is not newer changes nothing."""
    if state.seen_us is not None and window.end_us <= state.seen_us:
        return state, None
    if state.seen_us is not None and window.start_us - state.seen_us >= rule.gap_us:
        return step(State(), window, rule)[0], state.on
    state = replace(state, seen_us=window.end_us)
    if state.on is not None:
        return _while_on(state, state.on, window, rule)
    if window.score < rule.on:
        return replace(state, rising=None), None
    rising = _longer(state.rising, window)
    if rising.end_us - rising.start_us < rule.begin_us:
        return replace(state, rising=rising), None
    return replace(state, rising=None, on=rising), None


def was_ahead(known_us: int | None, now_us: int, log_us: int) -> bool:
    """Whether what is known is of a clock that was ahead, and was set right since: `now_us` is its time by now."""
    return known_us is not None and known_us > log_us + CLOCKS_US >= now_us


def signals(windows: Iterable[Window], rule: Rule) -> list[Signal]:
    """All signals of a recording, the one that is on at its end too."""
    state, found = State(), list[Signal]()
    for window in windows:
        state, ended = step(state, window, rule)
        found += [ended] if ended else []
    return found + ([state.on] if state.on else [])


def _while_on(state: State, on: Signal, window: Window, rule: Rule) -> tuple[State, Signal | None]:
    if window.score >= rule.off:
        return replace(state, on=_longer(on, window)), None
    if window.end_us - on.end_us >= rule.end_us:
        return replace(state, on=None), on
    return state, None


def _longer(signal: Signal | None, window: Window) -> Signal:
    if signal is None:
        return Signal(window.start_us, window.end_us, window.score)
    return Signal(signal.start_us, window.end_us, max(signal.score, window.score))
