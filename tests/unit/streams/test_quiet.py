"""Library logs once a minute, ours always."""

from __future__ import annotations

import logging

from streams.runtime.quiet import Sparingly


def said(name: str, message: str = "away from %s") -> logging.LogRecord:
    return logging.LogRecord(name, logging.ERROR, "", 1, message, ("somebody",), None)


def test_a_library_says_a_thing_once_a_minute() -> None:
    now = [0.0]
    sparingly = Sparingly(60, clock=lambda: now[0])
    heard = [sparingly.filter(said("aiokafka.consumer.fetcher")) for now[0] in (0, 1, 59, 60, 61)]
    assert heard == [True, False, False, True, False]
    assert sparingly.filter(said("aiokafka.consumer.fetcher", "something else"))


def test_ours_always_pass() -> None:
    sparingly = Sparingly()
    assert all(sparingly.filter(said("streams.runtime.lanes")) for _ in range(3))
