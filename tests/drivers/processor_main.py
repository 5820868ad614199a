"""A processors' process of tests: the real wrapper around a test's step, with a crash point. `python FILE JSON`."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from producers.publisher import Publisher
from schemas import examples
from streams.processors.emotion_moments import Thresholds
from streams.runtime.faust_member import MemberSettings
from streams.runtime.worker import WorkerSettings, run
from streams.steps import Emitted, Event, Heavy, NoState, PreparationFailed
from streams.topology import STATELESS, Limits, Options, Processor, processors
from streams.workers.journal import Journal, Journalled
from streams.workers.pool import ChildLimits, ChildPool
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
    marks: str = ""
    journal: str = ""
    work_s: float = 30.0
    idle_ms: int = 60_000


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


def heavy_request(event: Event) -> Mapping[str, Any] | None:
    """A session `do:seconds` tells the child what to do (`heavy_work.DEEDS`); one without a colon needs no child."""
    do, colon, seconds = event.record["session_id"].partition(":")
    task_id = f"{event.partition}-{event.log_time_ms}-{do}"
    return {"task_id": task_id, "do": do, "say": do, "seconds": float(seconds or 0)} if colon else None


def heavy_step(state: NoState, event: Event) -> tuple[NoState, Sequence[Emitted]]:
    """One moment per event; its number tells how the heavy part ended."""
    prepared = event.prepared
    failed = isinstance(prepared, PreparationFailed)
    number = (-1 if prepared.hopeless else prepared.attempts) if isinstance(prepared, PreparationFailed) else 0
    moment = examples.load("EmotionMomentDetected") | {"session_id": event.record["session_id"], "start_ms": number}
    logging.getLogger(__name__).info("step of %s, failed: %s", event.record["session_id"], failed)
    return state, [Emitted("EmotionMomentDetected", event.record["device_id"].encode(), moment)]


def processors_of(plan: Plan) -> tuple[Processor[Any], ...]:
    """The processors of the plan: `heavy` brings a second, light one along."""
    limits = Limits(step_s=plan.step_s, snapshot_events=plan.snapshot_events)
    line: dict[str, Any] = {"name": plan.name, "topic_in": plan.topic_in, "topic_out": plan.topic_out}
    if plan.step == "moments":
        thresholds = Thresholds(idle_ms=plan.idle_ms)
        (moments,) = (one for one in processors(Options(moments=thresholds)) if one.name == "emotion.moments")
        return (replace(moments, **line),)
    if plan.step == "heavy":
        heavy = Processor(
            **line, step=heavy_step, state=STATELESS, limits=limits, request=heavy_request, capability="work"
        )
        return heavy, counting(**(line | {"name": f"{plan.name}.second", "topic_out": f"{plan.topic_out}.second"}))
    return (counting(step_of(plan), **line, limits=limits),)


def capabilities_of(plan: Plan) -> dict[str, Heavy]:
    """The heavy part, with a journal if the plan names one."""
    if plan.step != "heavy":
        return {}
    limits = ChildLimits(seconds=plan.work_s)
    pool = ChildPool("tests.drivers.heavy_work:open_worker", {"marks": plan.marks}, limits, size=2)
    return {"work": Journalled(pool, Journal(plan.journal)) if plan.journal else pool}


def main(plan: Plan) -> int:
    """Run until told to stop."""
    logging.basicConfig(level=logging.INFO, format="%(name)s %(levelname)s %(message)s")
    settings = WorkerSettings(
        member=MemberSettings(session_s=plan.session_s),
        commit_every_s=plan.commit_every_s,
        stall_s=plan.stall_s,
        watch_every_s=plan.watch_every_s,
        idle_every_s=0.2,
    )
    return run(
        plan.bootstrap,
        instance="test",
        processors=processors_of(plan),
        capabilities=capabilities_of(plan),
        settings=settings,
        publisher=(lambda: CrashingPublisher(plan)) if plan.kill_after_outputs else None,
    )


if __name__ == "__main__":
    sys.exit(main(Plan(**json.loads(sys.argv[1]))))
