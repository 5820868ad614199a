"""Trying again until it works, for threads. Waits on the event that says stop."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final, TypeVar

from schemas.errors import Overloaded, TransientFailure

log = logging.getLogger(__name__)
T = TypeVar("T")
FIRST_S: Final = 0.1
LONGEST_S: Final = 5.0


def patiently(attempt: Callable[[], T], stop: threading.Event, who: str) -> T | None:
    """Try until `attempt` does not end in `TransientFailure` or `Overloaded`; None when told to stop before that."""
    pause_s = FIRST_S
    while not stop.is_set():
        try:
            return attempt()
        except (TransientFailure, Overloaded) as failure:
            log.warning("%s: %s; next attempt in %.1f s", who, failure, pause_s)
            stop.wait(pause_s)
            pause_s = min(2 * pause_s, LONGEST_S)
    return None
