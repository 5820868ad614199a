"""Keeps the libraries' logs readable: during an outage aiokafka says the same thing ten times a second."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

LIBRARIES = ("faust", "mode", "aiokafka")
TALKATIVE = (*LIBRARIES, "sensorium.kafka", "producers.publisher")


class Sparingly(logging.Filter):
    """Lets what is talkative say a thing once per `every_s` seconds (same logger, same template), the rest always."""

    def __init__(self, every_s: float = 60.0, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._every_s, self._clock = every_s, clock
        self._passed: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether a record passes."""
        if not record.name.startswith(TALKATIVE):
            return True
        said, now = (record.name, str(record.msg)[:200]), self._clock()
        if now - self._passed.get(said, -self._every_s) < self._every_s:
            return False
        if len(self._passed) > 1000:
            self._passed.clear()
        self._passed[said] = now
        return True


def quieten() -> None:
    """Apply to the process's log: libraries from WARNING on, and sparingly."""
    for library in LIBRARIES:
        logging.getLogger(library).setLevel(logging.WARNING)
    for handler in logging.getLogger().handlers:
        handler.addFilter(Sparingly())
