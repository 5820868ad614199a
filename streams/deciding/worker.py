"""The process `deciders`: every decider of the table in a thread of its own, until SIGTERM or until one fails.

Exit codes: 0 stopped on request, 1 failed with a sentence in the log. The supervisor starts it again; what was decided
stands in the log, so that is harmless.
"""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from producers.publisher import Publisher
from streams.deciding.commands import Membership
from streams.deciding.lane import Tools
from streams.deciding.member import Member
from streams.deciding.scribe import Scribe
from streams.decisions import Decider
from streams.runtime.quiet import quieten

log = logging.getLogger(__name__)
FAILED: Final = 1


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """How this process belongs to the deciders' groups, and how long it may take to end, in seconds.

    Two processes that share the work need two instance names; one that was killed goes on at once under its old one.
    """

    membership: Membership = field(default_factory=lambda: Membership("deciders"))
    exit_within_s: float = 15.0


def run(
    bootstrap: str,
    *,
    deciders: Sequence[Decider[Any]],
    settings: WorkerSettings = WorkerSettings(),
    on_ready: Callable[[], None] | None = None,
) -> int:
    """Run the process in the main thread until SIGTERM or SIGINT; the exit code.

    `on_ready` is called once every decider has joined its group and knows the past of its partitions.
    """
    quieten()
    stop = threading.Event()
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, lambda *_: stop.set())
    return work(bootstrap, deciders, stop, settings=settings, on_ready=on_ready)


def work(
    bootstrap: str,
    deciders: Sequence[Decider[Any]],
    stop: threading.Event,
    *,
    settings: WorkerSettings = WorkerSettings(),
    on_ready: Callable[[], None] | None = None,
) -> int:
    """The same until `stop` is set, from any thread."""
    failed, left = threading.Event(), threading.Semaphore(len(deciders) - 1)
    publisher = Publisher(bootstrap, client_id="deciders", linger_ms=0)
    tools = Tools(publisher, Scribe(publisher, stop))

    def ready() -> None:
        if on_ready and not left.acquire(blocking=False):
            on_ready()

    def one(decider: Decider[Any]) -> None:
        try:
            Member(bootstrap, decider, tools, stop, settings.membership).run(ready)
        except Exception:
            log.exception("%s failed; exiting to be started again", decider.consumer)
            failed.set()
        finally:
            stop.set()

    threads = [threading.Thread(target=one, args=(each,), name=each.consumer, daemon=True) for each in deciders]
    for thread in threads:
        thread.start()
    stop.wait()
    for thread in threads:
        thread.join(settings.exit_within_s)
    publisher.close()
    return FAILED if failed.is_set() else 0
