"""Lays down snapshots beside the deciding: one at a time for the whole process, since each holds a state twice."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from producers.publisher import Publisher
from schemas.errors import InvalidEvent, Overloaded, TransientFailure
from streams.deciding.ledger import Ledger, dump
from streams.deciding.snapshots import Pace, Shelf
from streams.decisions import Decider

log = logging.getLogger(__name__)


class Scribe:
    """Whoever is turned away comes again after the next batch."""

    def __init__(self, publisher: Publisher, stop: threading.Event) -> None:
        self._publisher, self._stop = publisher, stop
        self._busy = threading.Lock()

    def lay_down(self, decider: Decider[Any], ledger: Ledger[Any], shelf: Shelf, pace: Pace) -> bool:
        """Begin to lay the ledger down, which must not change any more; False when another one is under way."""
        if not self._busy.acquire(blocking=False):
            return False
        pace.begun(ledger.next_event)
        work = (decider, ledger, shelf, pace)
        threading.Thread(target=self._work, args=work, name=f"{decider.consumer}-snapshot", daemon=True).start()
        return True

    def _work(self, decider: Decider[Any], ledger: Ledger[Any], shelf: Shelf, pace: Pace) -> None:
        began = time.monotonic()
        try:
            self._write(decider, ledger, shelf)
        except (InvalidEvent, TransientFailure, Overloaded) as error:
            log.warning("%s: no snapshot at %d: %s", decider.consumer, ledger.next_event, error)
        finally:
            pace.cost_s = time.monotonic() - began
            self._busy.release()

    def _write(self, decider: Decider[Any], ledger: Ledger[Any], shelf: Shelf) -> None:
        messages = shelf.messages(ledger.next_event, dump(decider, ledger))
        for one in messages:  # one by one: a large state must not fill the producer's queue
            if self._stop.is_set():
                return  # what is half written counts for nothing
            self._publisher.publish_all([one])
        self._publisher.publish_all(shelf.laid(messages))
