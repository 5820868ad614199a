"""The process `cameras`, until SIGTERM: follows which cameras there are, and has each looked at."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from immutables import Map

from producers.commands import own_topic
from producers.pictures import Pictures
from producers.publisher import Publisher
from schemas.envelope import KeyRing
from streams.cameras import following
from streams.cameras.crew import Crew, Look
from streams.cameras.following import Following
from streams.cameras.reports import Reports
from streams.cameras.roster import Roster, watched
from streams.cameras.watch import USUAL, Pace, now_us
from streams.runner.sources import is_permitted
from streams.runtime.quiet import quieten
from streams.workers.pool import ChildLimits, ChildPool

log = logging.getLogger(__name__)
TARGET: Final = "streams.workers.deviance:open_worker"
HOURS_S: Final = 5.0
"""How often schedules are looked at."""


@dataclass(frozen=True, slots=True)
class CamerasOptions:
    """How cameras are looked at.

    `instance` names this process to Kafka; `look` are options of `target`, the children's module and function, one for
    each of at most `most` cameras; `sources` are what may be looked at, as `streams.runner.sources` has it (none: any);
    `follows` is the topic and the group of `following`. `topic_of` says where an event goes.
    """

    instance: str = "cameras"
    most: int = 16
    sources: Sequence[str] = ()
    look: Mapping[str, Any] = field(default_factory=dict[str, Any])
    target: str = TARGET
    memory_bytes: int = 2 << 30
    pace: Pace = USUAL
    follows: tuple[str, str] = (following.TOPIC, following.GROUP)
    topic_of: Callable[[str], str] = own_topic


@dataclass(frozen=True, slots=True)
class Keeping:
    """Where pictures go, what seals faces, and who finds them in pictures (None: nobody looks for faces)."""

    pictures: Pictures
    keyring: KeyRing
    faces: Look | None = None

    async def close(self) -> None:
        """End what it holds."""
        await self.pictures.close()
        if self.faces:
            await self.faces.close()


def run(bootstrap: str, options: CamerasOptions, keeping: Keeping, *, on_ready: Callable[[], None]) -> int:
    """Run the process in the main thread until SIGTERM or SIGINT; the exit code, 0.

    `on_ready` is called when it takes part; it may be that another process looks.
    """
    quieten()
    asyncio.run(_run(bootstrap, options, keeping, on_ready))
    return 0


async def _run(bootstrap: str, options: CamerasOptions, keeping: Keeping, on_ready: Callable[[], None]) -> None:
    stop = asyncio.Event()
    for one in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(one, stop.set)
    await work(bootstrap, options, keeping, stop, on_ready=on_ready)


async def work(
    bootstrap: str,
    options: CamerasOptions,
    keeping: Keeping,
    stop: asyncio.Event,
    *,
    on_ready: Callable[[], None] | None = None,
) -> None:
    """The same until `stop` is set, in the running event loop."""
    publisher = Publisher(bootstrap, client_id=f"cameras-{options.instance}", linger_ms=0)
    reports = Reports(publisher, keeping.pictures.keep, keeping.keyring, keeping.faces, options.topic_of)
    crew = Crew(lambda _: _child(options), reports, most=options.most, pace=options.pace)
    office = _Office(crew, options.sources)
    ear = Following(bootstrap, options.instance, office.take, topic=options.follows[0], group=options.follows[1])
    if on_ready:
        on_ready()
    try:
        await office.work(stop)
    finally:
        await ear.close()
        await crew.close()
        await keeping.close()
        publisher.close(1.0)


class _Office:
    """Gives the crew what it is to look at, when that changes and as hours come and go."""

    def __init__(self, crew: Crew, sources: Sequence[str]) -> None:
        self._crew, self._sources = crew, sources
        self._roster: Roster = Map()
        self._news = asyncio.Event()

    def take(self, roster: Roster) -> None:
        """There are these cameras now."""
        self._roster = permitted_of(roster, self._sources)
        self._news.set()

    async def work(self, stop: asyncio.Event) -> None:
        """Until `stop` is set."""
        stopping = asyncio.create_task(stop.wait())
        while not stopping.done():
            self._news.clear()
            await self._crew.set(watched(self._roster, now_us()))
            hearing = asyncio.create_task(self._news.wait())
            await asyncio.wait((stopping, hearing), timeout=HOURS_S, return_when=asyncio.FIRST_COMPLETED)
            hearing.cancel()


def permitted_of(roster: Roster, sources: Sequence[str]) -> Roster:
    """Without cameras that this site's processes may not look at, which is said."""
    for camera_id, camera in roster.items():
        if not is_permitted(camera.source, sources):
            log.error("Camera %r is not looked at: its source is not among RUNNER_SOURCES", camera_id)
            roster = roster.delete(camera_id)
    return roster


def _child(options: CamerasOptions) -> Look:
    limits = ChildLimits(memory_bytes=options.memory_bytes, seconds=options.pace.look_s, nice=5)
    return ChildPool(options.target, options.look, limits, name="camera")
