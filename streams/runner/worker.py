"""The process `runner`: one runner with its child, its way into the log and its ear, until SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from producers.commands import Writer, own_topic
from producers.publisher import Publisher
from producers.replies import ReplyReader
from streams.runner import sources, waking
from streams.runner.desk import Desk
from streams.runner.loop import News, Rest, Runner
from streams.runner.shift import Pace
from streams.runtime.quiet import quieten
from streams.steps import Heavy
from streams.workers.pool import ChildLimits, ChildPool

log = logging.getLogger(__name__)
TARGET: Final = "streams.workers.vision:open_worker"
MEMORY_BYTES: Final = 3 << 30
"""Address space of a child that decodes and detects: libraries, a model, frames."""


@dataclass(frozen=True, slots=True)
class RunnerOptions:
    """A runner. `video`: a file, a camera's number or an address, for scenarios that name no source of their own.

    `sources`: what those of scenarios may be, as `streams.runner.sources` has it; none: any.
    `lease_s`: so long an assignment stands without a heartbeat. `look` are options of `target`, the child's module and
    function. `topic_of` says where a command goes, where it is not its own topic.
    """

    runner_id: str
    video: str | None = None
    sources: Sequence[str] = ()
    lease_s: float = 10.0
    pace: Pace = field(default_factory=Pace)
    rest: Rest = field(default_factory=Rest)
    look: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    target: str = TARGET
    threads: int = 1
    memory_bytes: int = MEMORY_BYTES
    news: tuple[str, str] = (waking.TOPIC, waking.GROUP)
    topic_of: Callable[[str], str] = own_topic


def run(bootstrap: str, options: RunnerOptions, *, on_ready: Callable[[], None] | None = None) -> int:
    """Run the process in the main thread until SIGTERM or SIGINT; the exit code, 0.

    `on_ready` is called when it can ask for work.
    """
    quieten()
    asyncio.run(_run(bootstrap, options, on_ready))
    return 0


async def _run(bootstrap: str, options: RunnerOptions, on_ready: Callable[[], None] | None) -> None:
    stop = asyncio.Event()
    for one in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(one, stop.set)
    await work(bootstrap, options, stop, on_ready=on_ready)


async def work(
    bootstrap: str, options: RunnerOptions, stop: asyncio.Event, *, on_ready: Callable[[], None] | None = None
) -> None:
    """The same until `stop` is set, in the running event loop."""
    news = News()
    publisher = Publisher(bootstrap, client_id=f"runner-{options.runner_id}", linger_ms=0)
    replies = ReplyReader(bootstrap, str(uuid.uuid4()))
    await replies.start()
    ear = waking.Ear(bootstrap, options.runner_id, news, topic=options.news[0], group=options.news[1])
    children = _children(options)
    writer = Writer(publisher, replies, deadline_s=options.lease_s / 3, topic_of=options.topic_of)
    desk = Desk(writer, options.runner_id, options.lease_s)
    try:
        await _readable(replies, stop)
        if not stop.is_set():
            log.info("runner %s asks for work", options.runner_id)
            if on_ready:
                on_ready()
        await Runner(desk, permitted(options, children), options.video, stop, news, options.pace, options.rest).run()
    finally:
        await children.close()
        await ear.close()
        await replies.stop()
        publisher.close(1.0)


def permitted(options: RunnerOptions, look: Heavy) -> Heavy:
    """`look`, at what the site lets scenarios name; the runner's own video always."""
    return sources.only([options.video or "", *options.sources] if options.sources else [], look)


async def _readable(replies: ReplyReader, stop: asyncio.Event) -> None:
    """Until answers are read; Kafka may be away for as long as it likes."""
    while not (replies.ready or stop.is_set()):
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), 0.05)


def _children(options: RunnerOptions) -> ChildPool:
    limits = ChildLimits(
        memory_bytes=options.memory_bytes, seconds=options.pace.request_s, threads=options.threads, nice=5
    )
    return ChildPool(options.target, options.look, limits, name="vision")
