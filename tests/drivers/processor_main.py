"""A processors' process of tests: the real wrapper around a test's step, with a crash point. `python FILE JSON`."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from producers.publisher import Publisher
from streams.runtime.faust_member import MemberSettings
from streams.runtime.worker import WorkerSettings, run
from streams.steps import Emitted, Event
from streams.topology import Limits
from tests.drivers.streaming import Counted, count, counting


@dataclass(frozen=True)
class Plan:
    """What this process is to do. `kill_after_outputs`: it ends by SIGKILL when so many outputs are acknowledged."""

    bootstrap: str
    name: str
    topic_in: str
    topic_out: str
    step: str = "count"
    seconds: float = 0.0
    kill_after_outputs: int = 0
    commit_every_s: float = 0.1
    session_s: float = 6.0
    step_s: float = 60.0
    snapshot_events: int = 1000
    stall_s: float = 60.0
    watch_every_s: float = 0.5


def busy(seconds: float) -> None:
    """Hold the interpreter as a heavy pure Python step does."""
    logging.getLogger(__name__).info("busy for %s s", seconds)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


class CrashingPublisher(Publisher):
    """Ends the process by SIGKILL once so many outputs are acknowledged: after the effect, before its positions."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan.bootstrap, client_id=plan.name)
        self._topic, self._left = plan.topic_out, plan.kill_after_outputs

    async def publish(self, topic: str, *arguments: Any, **named: Any) -> tuple[int, int]:
        acknowledged = await super().publish(topic, *arguments, **named)
        if topic == self._topic:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return acknowledged


def step_of(plan: Plan) -> Any:
    """The step: counts events; a session named `slow`, `hang`, `bug` or `die` does as it says."""

    def step(state: Counted, event: Event) -> tuple[Counted, Sequence[Emitted]]:
        session = event.record["session_id"]
        if session == "slow":
            busy(plan.seconds)
        elif session == "hang":
            threading.Event().wait()
        elif session == "bug":
            raise KeyError("a bug")
        elif session == "die" and plan.kill_after_outputs:
            os.kill(os.getpid(), signal.SIGKILL)
        return count(state, event)

    return step


def main(plan: Plan) -> int:
    """Run until told to stop."""
    logging.basicConfig(level=logging.INFO, format="%(name)s %(levelname)s %(message)s")
    limits = Limits(step_s=plan.step_s, snapshot_events=plan.snapshot_events)
    processor = counting(step_of(plan), name=plan.name, topic_in=plan.topic_in, topic_out=plan.topic_out, limits=limits)
    settings = WorkerSettings(
        member=MemberSettings(session_s=plan.session_s),
        commit_every_s=plan.commit_every_s,
        stall_s=plan.stall_s,
        watch_every_s=plan.watch_every_s,
    )
    return run(
        plan.bootstrap,
        instance="test",
        processors=(processor,),
        settings=settings,
        publisher=(lambda: CrashingPublisher(plan)) if plan.kill_after_outputs else None,
    )


if __name__ == "__main__":
    sys.exit(main(Plan(**json.loads(sys.argv[1]))))
