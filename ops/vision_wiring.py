"""The composition root's part for video: the processes `orchestrator` and `runner`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from ops.settings import Settings
from ops.state import mark_ready
from schemas.envelope import KeyRing

if TYPE_CHECKING:
    from streams.decisions import Decider
    from streams.runner.worker import RunnerOptions


def orchestrator(settings: Settings, keyring: KeyRing) -> int:
    """Run the process that gives scenarios their time; the exit code."""
    from streams.orchestrator import worker

    return worker.run(
        settings.kafka_bootstrap or "",
        scenarios(keyring),
        on_ready=partial(mark_ready, settings.home, "orchestrator"),
    )


def runner(settings: Settings) -> int:
    """Run one runner; the exit code."""
    from streams.runner import worker

    return worker.run(
        settings.kafka_bootstrap or "",
        runner_options(settings),
        on_ready=partial(mark_ready, settings.home, "runner"),
    )


def scenarios(keyring: KeyRing) -> Decider[Any]:
    """The decider of scenarios."""
    from streams.deciders_table import deciders

    return next(one for one in deciders(keyring) if one.name == "scenarios")


def runner_options(settings: Settings) -> RunnerOptions:
    """A runner as the settings say."""
    from streams.runner.loop import Rest
    from streams.runner.shift import Pace
    from streams.runner.worker import RunnerOptions

    chosen = settings.vision
    return RunnerOptions(
        chosen.runner_id,
        chosen.video,
        chosen.sources,
        lease_s=chosen.lease_s,
        pace=Pace(frames=chosen.frames, absent_s=chosen.absent_s),
        rest=Rest(poll_s=chosen.poll_s),
        look={**chosen.look, "threads": chosen.threads},
        threads=chosen.threads,
        memory_bytes=chosen.memory_bytes,
    )
