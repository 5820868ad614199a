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


def cameras(settings: Settings, keyring: KeyRing) -> int:
    """Run the process that looks at cameras; the exit code."""
    from ops import railway_wiring
    from producers.pictures import Pictures
    from streams.cameras import worker

    chosen = settings.vision
    pictures = Pictures(settings.audio_folder, days=chosen.picture_days)
    look = {"threads": 1} | ({"model": chosen.deviance_model} if chosen.deviance_model else {})
    options = worker.CamerasOptions(most=chosen.cameras_most, sources=_sources(settings), look=look)
    return worker.run(
        settings.kafka_bootstrap or "",
        options,
        worker.Keeping(pictures, keyring, railway_wiring.face_children(settings)),
        on_ready=partial(mark_ready, settings.home, "cameras"),
    )


def _sources(settings: Settings) -> list[str]:
    """What may be looked at; where that is said, VIDEO_PATH goes with it."""
    chosen = settings.vision
    return [*chosen.sources, chosen.video] if chosen.sources else []


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
