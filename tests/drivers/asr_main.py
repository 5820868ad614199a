"""A process `asr` of tests: both passes behind the real wrapper, over a child and a journal. `python FILE JSON`."""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import dataclass, field
from typing import Any

from schemas.envelope import KeyRing
from streams.processors.second_pass import SecondPass
from streams.processors.transcription import Transcription
from streams.runtime.faust_member import MemberSettings
from streams.runtime.worker import WorkerSettings, run
from streams.speech import CAPABILITY, Options
from streams.topology import STATELESS, Processor
from streams.workers.journal import Journal, Journalled
from streams.workers.pool import ChildLimits, ChildPool

RING = KeyRing({"k1": bytes(32)}, "k1")


@dataclass(frozen=True)
class Plan:
    """What this process is to do; `folder` holds the recogniser's marks and the journal.

    `whisper`: options of the real recogniser, which is taken instead of the tests' own when there are any.
    """

    bootstrap: str
    name: str
    folder: str
    seconds: float = 0.0
    commit_every_s: float = 0.1
    session_s: float = 6.0
    whisper: dict[str, Any] = field(default_factory=dict)


def processors(plan: Plan) -> tuple[Processor, Processor]:
    """Both passes with names and topics of their own."""
    fast, accurate = Transcription(Options(RING)), SecondPass(Options(RING))
    return (
        Processor(
            f"{plan.name}.fast", f"{plan.name}.in", f"{plan.name}.out", fast.step, STATELESS,
            request=fast.request, capability=CAPABILITY, announce=fast.announce,
        ),
        Processor(
            f"{plan.name}.accurate", f"{plan.name}.out", f"{plan.name}.out", accurate.step, STATELESS,
            request=accurate.request, capability=CAPABILITY, announce=accurate.announce,
        ),
    )  # fmt: skip


def main(plan: Plan) -> int:
    """Run until told to stop."""
    logging.basicConfig(level=logging.INFO, format="%(name)s %(levelname)s %(message)s")
    target = "streams.workers.whisper" if plan.whisper else "tests.drivers.slow_asr"
    options = plan.whisper or {"folder": plan.folder, "seconds": plan.seconds}
    limits = ChildLimits(memory_bytes=2 << 30, seconds=120, threads=int(plan.whisper.get("threads", 1)))
    pool = ChildPool(f"{target}:open_worker", options, limits, warm=True)
    settings = WorkerSettings(member=MemberSettings(session_s=plan.session_s), commit_every_s=plan.commit_every_s)
    return run(
        plan.bootstrap,
        instance="test",
        processors=processors(plan),
        capabilities={CAPABILITY: Journalled(pool, Journal(f"{plan.folder}/journal"))},
        settings=settings,
    )


if __name__ == "__main__":
    sys.exit(main(Plan(**json.loads(sys.argv[1]))))
