"""Voice activity and dialogues in a process for tests, with topics of its own and a crash point. `python FILE JSON`."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from producers.publisher import Publisher
from streams.processors import dialogues, voice_activity
from streams.runtime.faust_member import MemberSettings
from streams.runtime.worker import WorkerSettings, run
from streams.topology import STATELESS, Limits, Processor, StateCodec
from streams.workers.pool import ChildLimits, ChildPool


@dataclass(frozen=True)
class Plan:
    """What this process is to do; it ends by SIGKILL when so many outputs are in a topic (0: never)."""

    bootstrap: str
    name: str
    folder: str
    idle_ms: int = 12_000
    kill_in: str = ""
    kill_after: int = 0

    def topic(self, end: str) -> str:
        """One of its topics: chunks, segments or dialogues."""
        return f"{self.name}.{end}"


class CrashingPublisher(Publisher):
    """Ends the process once so many outputs are acknowledged: after the effect, before its position."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan.bootstrap, client_id=plan.name)
        self._topic, self._left = plan.topic(plan.kill_in), plan.kill_after

    async def publish(self, topic: str, *arguments: Any, **named: Any) -> tuple[int, int]:
        acknowledged = await super().publish(topic, *arguments, **named)
        if topic == self._topic:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return acknowledged


def table(plan: Plan) -> tuple[Processor[Any], ...]:
    """Both processors, reading and writing this test's topics."""
    limits = replace(dialogues.THRESHOLDS, idle_ms=plan.idle_ms)
    return (
        Processor(
            name=f"{plan.name}.voice",
            topic_in=plan.topic("chunks"),
            topic_out=plan.topic("segments"),
            step=voice_activity.step,
            state=STATELESS,
            request=voice_activity.request,
            capability="voice",
        ),
        Processor(
            name=f"{plan.name}.dialogues",
            topic_in=plan.topic("segments"),
            topic_out=plan.topic("dialogues"),
            step=partial(dialogues.step, limits=limits),
            state=StateCodec(dialogues.State, version=1),
            limits=Limits(snapshot_events=3),
            idle=partial(dialogues.idle, limits=limits),
        ),
    )


def main() -> int:
    """Run until SIGTERM, or die as planned."""
    plan = Plan(**json.loads(sys.argv[1]))
    logging.basicConfig(level=logging.INFO, format="%(name)s %(message)s")
    pool = ChildPool(
        "streams.workers.voice:open_worker", {"folder": plan.folder}, ChildLimits(memory_bytes=1 << 29), size=2
    )
    return run(
        plan.bootstrap,
        instance=plan.name,
        processors=table(plan),
        capabilities={"voice": pool},
        settings=WorkerSettings(member=MemberSettings(session_s=6.0), commit_every_s=0.1, idle_every_s=0.5),
        publisher=lambda: CrashingPublisher(plan),
    )


if __name__ == "__main__":
    sys.exit(main())
