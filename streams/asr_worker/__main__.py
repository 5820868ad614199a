"""`python -m streams.asr_worker`: an asr worker until SIGTERM. Exit codes: 0 stopped, 1 it cannot work, 2 usage."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
import threading
from collections.abc import Awaitable, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeVar

from streams.asr_worker import logs, settings
from streams.asr_worker.agent import Agent, Pace
from streams.asr_worker.client import Client, Refused
from streams.asr_worker.settings import Settings, SettingsError
from streams.workers.pool import ChildLimits, ChildPool
from streams.workers.transcripts import AsrPass
from streams.workers.whisper_models import ModelMissing, Shelf, is_at_hand, obtain

log = logging.getLogger("asr_worker")
T = TypeVar("T")
TARGET: Final = "streams.workers.whisper:open_worker"
MISSING_S: Final = 60.0


USAGE: Final = """Usage: python -m streams.asr_worker

Hears dialogues for a server until it is told to stop. Its settings are variables of the environment, first of all
INGEST_INTERNAL_BASE_URL and INTERNAL_TOKEN; docs/asr-worker.md names them all."""


def main(arguments: Sequence[str] = (), environ: Mapping[str, str] | None = None) -> int:
    """Run a worker with the environment's settings; the exit code."""
    if arguments:
        sys.stdout.write(f"{USAGE}\n")
        return 0 if arguments[0] in ("-h", "--help") else 2
    try:
        given = settings.load(environ)
    except SettingsError as error:
        logs.begin("INFO")
        log.critical("%s", error)
        return 1
    logs.begin(given.log_level)
    if given.passed_over:
        log.info("accepted, and not needed here: %s", ", ".join(given.passed_over))
    try:
        asyncio.run(serve(given))
    except Refused as refused:
        log.critical("The server does not understand this worker: %s", refused)
        return 1
    return 0


async def serve(given: Settings, stop: asyncio.Event | None = None, pace: Pace | None = None) -> None:
    """Work until SIGTERM, SIGINT or `stop`."""
    stop = stop or _stopped_by_signals()
    shelf = _shelf(given)
    if not await _supply(str(given.whisper["fast"]), shelf, stop):
        return
    limits = ChildLimits(memory_bytes=given.memory_bytes, threads=given.threads, longest_s=4 * 3600.0, load_s=600.0)
    pool = ChildPool(TARGET, given.whisper, limits, size=given.children, warm=True)
    client = Client(given.base_url, given.internal_token, timeout_s=given.timeout_s)
    agents = [
        Agent(client, pool, lambda: models(given, shelf), _name(given, number), stop, pace or Pace())
        for number in range(given.children)
    ]
    log.info("asr worker %s asks %s for work", given.worker, given.base_url)
    pool.start()
    measuring = asyncio.create_task(_metrics(agents, given.metrics_s))
    try:
        await asyncio.gather(*(agent.run() for agent in agents))
    finally:
        measuring.cancel()
        await pool.close()
        await client.close()
    log.info("stopped")


def models(given: Settings, shelf: Shelf) -> dict[AsrPass, str]:
    """The passes that can be done here just now, with their models' names."""
    fast, accurate = str(given.whisper["fast"]), str(given.whisper["accurate"])
    found: dict[AsrPass, str] = {"FAST": fast}
    if accurate and accurate != fast and is_at_hand(accurate, shelf):
        found["ACCURATE"] = accurate
    return found


async def _supply(name: str, shelf: Shelf, stop: asyncio.Event) -> bool:
    """Have the model at hand before any work is taken, as long as that takes; False: it is time to stop."""
    while not stop.is_set():
        missing = await _unless_stopped(_obtained(name, shelf), stop)
        if missing is None:
            return not stop.is_set()
        log.error("%s (again in %.0f s)", missing, MISSING_S)
        await _unless_stopped(asyncio.sleep(MISSING_S), stop)
    return False


async def _unless_stopped(waiting: Awaitable[T], stop: asyncio.Event) -> T | None:
    tasks = asyncio.ensure_future(waiting), asyncio.ensure_future(stop.wait())
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for one in tasks:
        one.cancel()
    return tasks[0].result() if tasks[0].done() and not tasks[0].cancelled() else None


async def _obtained(name: str, shelf: Shelf) -> ModelMissing | None:
    """Why the model is not at hand, if it is not. A download must not hold up who stops, so its thread is a daemon."""
    loop = asyncio.get_running_loop()
    over: asyncio.Future[ModelMissing | None] = loop.create_future()

    def tell(outcome: ModelMissing | None) -> None:
        if not over.done():
            over.set_result(outcome)

    def work() -> None:
        outcome = None
        try:
            obtain(name, shelf, log.info)
        except ModelMissing as missing:
            outcome = missing
        with contextlib.suppress(RuntimeError):  # the loop is closed: it was stopped
            loop.call_soon_threadsafe(tell, outcome)

    threading.Thread(target=work, name="model", daemon=True).start()
    return await over


def _shelf(given: Settings) -> Shelf:
    return Shelf(Path(str(given.whisper["cache"])).expanduser(), bool(given.whisper["download"]))


def _name(given: Settings, number: int) -> str:
    return given.worker if given.children == 1 else f"{given.worker}/{number + 1}"


def _stopped_by_signals() -> asyncio.Event:
    stop = asyncio.Event()
    for one in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(one, stop.set)
    return stop


async def _metrics(agents: list[Agent], every_s: float) -> None:
    """Say every so often what was done, or that there was nothing to do."""
    while True:
        await asyncio.sleep(every_s)
        done, failed = sum(one.tally.done for one in agents), sum(one.tally.failed for one in agents)
        audio_s, work_s = sum(one.tally.audio_s for one in agents), sum(one.tally.work_s for one in agents)
        for one in agents:
            one.tally = type(one.tally)()
        if not done and not failed:
            log.info("metrics: idle")
            continue
        speed = round(audio_s / work_s, 2) if work_s else 0.0
        log.info("metrics", extra={"done": done, "failed": failed, "speech_s": round(audio_s, 1), "times_real": speed})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
