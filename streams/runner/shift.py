"""One run of one scenario: look, tell, go on, beside a heartbeat. Ends when it is through, told to stop, or over."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from schemas.errors import InvalidEvent, TransientFailure
from streams.runner.desk import Desk, Refused
from streams.runner.lease import Assignment, RunOver
from streams.steps import Heavy, WorkFailed
from streams.vision.addresses import nameless

log = logging.getLogger(__name__)
WORD_EVERY_S: Final = 5.0
REASONS: Final = ("failed_to_read_frame", "inference_error")
"""How a failed look's reason begins: the source is at fault, or whatever looks at it."""
STOPPED: Final = "stopped"
"""Reason of a run that is given back because its runner stops: it counts as no attempt."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds, but for `frames`: so many are asked for at once, which is rounded up to an interval.

    After `seconds` a look ends with what it has; `request_s` bounds it. A source that does not answer is tried again
    for `absent_s` since its last frame, one that has given frames in this run and has no end for as long as the lease
    is renewed. Who is to stop has `grace_s` for the look it is at.
    """

    frames: int = 1
    seconds: float = 2.0
    request_s: float = 60.0
    absent_s: float = 20.0
    retry_s: float = 1.0
    longest_retry_s: float = 10.0
    grace_s: float = 3.0


def reason_of(failure: Exception) -> str:
    """Why a look failed, in the words that readers of `retry_topic` know."""
    said = str(failure)
    begins = [said.index(word) for word in REASONS if word in said]
    return said[min(begins) :] if begins else f"{REASONS[1]}: {said}"


class Shift:
    """`video` is looked at where the scenario names none. For one use."""

    def __init__(self, desk: Desk, look: Heavy, run: Assignment, video: str | None, pace: Pace) -> None:
        self._desk, self._look, self._run, self._pace = desk, look, run, pace
        self._source = run.source or video
        self._next, self._summary = run.from_frame, run.summary
        self._seen: int | None = None
        """The last frame of this run; None until there is one."""
        self._frames: int | None = None
        self._frames_told: int | None = None
        self._told = asyncio.Event()
        self._gives_back = self._is_open = False
        self._next_word = self._heard_s = 0.0

    async def work(self, stop: asyncio.Event) -> None:
        """Work until nothing is left to say. `stop`: the runner itself has to end, and gives the scenario back."""
        log.info("%s: begins at frame %d of %s", self._run, self._next, nameless(self._source or "nothing"))
        working = asyncio.create_task(self._work())
        beating = asyncio.create_task(self._beat())
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait((working, beating, stopping), return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                reason = working.result()
            elif beating.done():
                beating.result()
                return
            else:
                reason = await self._stopped(working)
            if reason is not None:
                log.warning("%s: is given up at frame %d: %s", self._run, self._next, reason)
                async with asyncio.timeout(self._pace.grace_s if stop.is_set() else None):
                    await self._desk.fail(self._run, reason)
        except TimeoutError:
            log.warning("%s: could not be given back; its lease will end", self._run)
        except (RunOver, Refused) as over:
            log.warning("%s: is over at frame %d: %s", self._run, self._next, over)
        finally:
            await _ended(working, beating, stopping)
            await self._let_go()

    async def _stopped(self, working: asyncio.Task[str | None]) -> str | None:
        """Let the look that it is at end, if it does soon; what was seen is told."""
        self._gives_back = True
        self._told.set()
        await asyncio.wait((working,), timeout=self._pace.grace_s + 1)
        return working.result() if working.done() else STOPPED

    async def _beat(self) -> None:
        """Three words within each lease. Ends by RunOver."""
        while True:
            await asyncio.sleep(self._run.lease.length_s / 3)
            await self._say()

    async def _say(self) -> None:
        """One word that we are alive, how far, and how many frames there are."""
        frames = self._frames
        if await self._desk.renew(self._run, self._seen, frames):
            self._told.set()
        self._frames_told = frames

    async def _work(self) -> str | None:
        """Why the run failed; None when it was told that it is through."""
        try:
            return await self._through()
        except (InvalidEvent, TransientFailure, WorkFailed) as failure:
            return reason_of(failure)
        except Refused as refused:
            return f"db_save_error: {refused}"
        except RunOver:
            raise
        except Exception as bug:
            log.exception("%s: a bug", self._run)
            return f"unexpected_error: {type(bug).__name__} {bug}"

    async def _through(self) -> str | None:
        if not self._source:
            return f"{REASONS[0]}: the scenario names no source, and its runner has none either"
        ended, self._heard_s = False, _now()
        while not (ended or self._told.is_set()):
            answer = await self._patiently_look()
            if answer is None:
                break
            await self._tell(answer)
            ended = bool(answer["end"])
        if self._gives_back and not ended:
            return STOPPED
        if self._frames != self._frames_told:  # the end of a file tells how many there were, if nothing before did
            await self._say()
        await self._desk.finish(self._run)
        log.info("%s: %s at frame %d", self._run, "through" if ended else "stopped as told", self._next)
        return None

    async def _tell(self, answer: Mapping[str, Any]) -> None:
        """Every interval is accepted before the next one is told, and before anything more is looked at."""
        summary = answer["summary"]
        for interval in answer["intervals"]:
            if await self._desk.record(self._run, interval, interval.get("summary", summary)):
                self._told.set()
        has_moved = answer["next_frame"] > self._next
        self._next, self._frames, self._summary = answer["next_frame"], answer["frames_total"], summary
        if has_moved:
            self._seen, self._heard_s = self._next - 1, _now()
        elif not answer["end"]:  # a camera with nothing new, or a long way to the first frame
            await self._told_within(self._pace.retry_s)
        self._progress()

    async def _patiently_look(self) -> Mapping[str, Any] | None:
        """The next look; None when told to stop meanwhile. Raises as `Heavy` does."""
        pause_s = self._pace.retry_s
        while True:
            try:
                return await self._look_once()
            except TransientFailure as absent:
                is_camera = self._seen is not None and self._frames is None
                if not is_camera and _now() - self._heard_s >= self._pace.absent_s:
                    raise
                log.warning("%s: %s; again in %.1f s", self._run, absent, pause_s)
            if await self._told_within(pause_s):
                return None
            pause_s = min(2 * pause_s, self._pace.longest_retry_s)

    async def _look_once(self) -> Mapping[str, Any] | None:
        request = {
            "source": self._source,
            "first_frame": self._next,
            "frames": self._pace.frames,
            "settings": dict(self._run.settings),
            "summary": self._summary,
            "seconds": self._pace.seconds,
            "limit_s": self._pace.request_s,
        }
        self._is_open = False
        looking = asyncio.create_task(_asked(self._look, request))
        leaving = asyncio.create_task(self._grace())
        try:
            await asyncio.wait((looking, leaving), return_when=asyncio.FIRST_COMPLETED)
            answer = looking.result() if looking.done() else None
            self._is_open = answer is not None
            return answer
        finally:
            await _ended(looking, leaving)

    async def _let_go(self) -> None:
        """Whose camera is not looked at any more is let go of; where a look failed or was left, that is so already."""
        if self._is_open:
            try:
                await self._look({"release": True})
            except (InvalidEvent, TransientFailure, WorkFailed) as failure:
                log.warning("%s: its source is not let go of: %s", self._run, failure)

    async def _grace(self) -> None:
        await self._told.wait()
        await asyncio.sleep(self._pace.grace_s)

    async def _told_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                return await self._told.wait()
        except TimeoutError:
            return False

    def _progress(self) -> None:
        now = _now()
        if now >= self._next_word:
            self._next_word = now + WORD_EVERY_S
            of = "" if self._frames is None else f" of {self._frames}"
            log.info("%s: frame %d%s", self._run, self._next, of)


async def _asked(look: Heavy, request: Mapping[str, Any]) -> Mapping[str, Any]:
    return await look(request)


async def _ended(*tasks: asyncio.Task[Any]) -> None:
    """Cancel what still runs and wait for it; what it says then is no news."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _now() -> float:
    return asyncio.get_running_loop().time()
