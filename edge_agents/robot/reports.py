"""Reports that wait for the server: on disk until it has them, oldest first, in the sensor's kind of outbox."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import sqlite3
import time
import zlib
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from edge_agents.emotion_sensor.backoff import Backoff
from edge_agents.emotion_sensor.errors import SensorError
from edge_agents.emotion_sensor.outbox import Outbox, Post
from edge_agents.emotion_sensor.points import packed
from edge_agents.emotion_sensor.storage import transaction
from edge_agents.robot.connection import Call, Connection, Signing
from edge_agents.robot.errors import BadAnswer, Refused, RobotError, ServerAway

NEVER: Final = frozenset({400, 409, 413, 415, 422})
"""Refusals of the report itself: sending it again can only get the same answer."""
UNSTORED: Final = 32
"""Reports that wait in memory while the disk is full. With a picture one has up to 3 MB."""
DAMAGED: Final = (OSError, EOFError, ValueError, TypeError, KeyError, zlib.error)
"""What reading a stored report may raise when its bytes are not as they were written."""
log = logging.getLogger(__name__)


class Reports(Outbox):
    """The queue. What is kept survives a kill of the program; a power cut may cost the last seconds."""

    def __init__(self, directory: Path, limit_bytes: int) -> None:
        super().__init__(directory, limit_bytes)
        self._over: dict[int, tuple[int, str] | None] = {}

    def keep(self, report_id: str, path: str, body: Mapping[str, Any]) -> None:
        """Keep a report for `path`. Beyond the limit the oldest go and are counted."""
        data = packed({"id": report_id, "path": path, "body": dict(body)})
        with transaction(self._db, flushed=False):
            row = (1, int(time.time() * 1000), data)
            self._db.execute("INSERT INTO posts (n_points, created_ms, body) VALUES (?, ?, ?)", row)
        self._keep_limit()

    def oldest(self) -> Post | None:
        """The oldest that is still to be sent."""
        return self.next_post(sorted(self._over))

    def over(self, post_id: int, refusal: tuple[int, str] | None = None) -> None:
        """The server has it, or will never take it: so it is deleted or set aside, with what could not be before.

        A full disk allows neither. What is over is remembered then, or it would be sent again and again.
        """
        self._over[post_id] = refusal
        try:
            for one, why in list(self._over.items()):
                if why is None:
                    self.done(one)
                else:
                    self.refuse(one, *why)
                del self._over[one]
        except sqlite3.OperationalError as error:
            log.warning("Reports that are over cannot be deleted (%s): they stay until the disk has room.", error)

    def close(self) -> None:
        """Release the file; another one counts its reports anew."""
        super().close()
        self._over.clear()


def open_reports(home: Path, limit_mb: float) -> Reports:
    """The queue in this folder. Raises RobotError when it cannot be used."""
    reports = Reports(home, int(limit_mb * 1e6))
    try:
        waiting = reports.backlog().posts
    except (SensorError, sqlite3.DatabaseError) as error:
        raise RobotError(f"the reports cannot be kept in {home} ({error}): choose another --home") from error
    if waiting:
        log.info("%d reports of the last run wait for the server.", waiting)
    return reports


@dataclass(slots=True)
class Courier:
    """Delivers reports one at a time, as long as it runs."""

    reports: Reports
    connection: Connection
    signing: Signing | None
    origin: str
    backoff: Backoff = field(default_factory=Backoff)
    _new: asyncio.Event = field(default_factory=asyncio.Event)
    _unstored: deque[Call] = field(default_factory=lambda: deque[Call](maxlen=UNSTORED))

    def keep(self, report_id: str, path: str, body: Mapping[str, Any]) -> None:
        """Take a report. What a full disk does not take waits in memory, the newest few; that is said."""
        try:
            self.reports.mending(lambda: self.reports.keep(report_id, path, body))
        except (sqlite3.Error, SensorError) as error:
            log.critical("A report cannot be stored (%s): it waits in memory, as one of %d at most.", error, UNSTORED)
            self._unstored.append(Call("POST", f"{self.origin}{path}", body, once=report_id))
        self._new.set()

    async def run(self) -> None:
        """Deliver for ever."""
        while True:
            self._new.clear()
            try:
                pause = await self.step()
            except (sqlite3.Error, SensorError) as error:
                self.reports.mend(error)
                log.warning("The reports cannot be read (%s); tried again in 5 s.", error)
                pause = 5.0
            if pause is None:
                await self._new.wait()
            elif pause:
                await asyncio.sleep(pause)

    async def step(self) -> float | None:
        """Deliver the oldest: seconds to rest after it, None when there is nothing to send."""
        post = self.reports.oldest()
        if post is None:
            return await self._step_unstored()
        try:
            call = self._call(post)
        except DAMAGED as error:
            self.reports.over(post.post_id, (0, f"unreadable: {error!r}"))
            log.error("Report %d cannot be read (%r): it is set aside.", post.post_id, error)  # noqa: TRY400
            return 0.0
        outcome = await self._outcome(call)
        if outcome is None or isinstance(outcome, Refused):
            self.reports.over(post.post_id, outcome and (outcome.status, str(outcome.detail)))
            return 0.0
        return outcome

    async def _step_unstored(self) -> float | None:
        if not self._unstored:
            return None
        call = self._unstored[0]
        outcome = await self._outcome(call)
        if outcome is None or isinstance(outcome, Refused):
            if call in self._unstored:  # else newer ones have taken its place
                self._unstored.remove(call)
            return 0.0
        return outcome

    async def _outcome(self, call: Call) -> Refused | float | None:
        """None: the server has it; Refused: it never will; else seconds to wait."""
        try:
            await self._deliver(call)
        except Refused as refused:
            if refused.status not in NEVER:
                return self._later(refused)
            log.warning("The server refused a report for good: %s", refused)
            return refused
        except (ServerAway, BadAnswer, RobotError) as error:
            return self._later(error)
        self.backoff.after_success()
        return None

    def _later(self, why: Exception) -> float:
        pause = self.backoff.after_failure()
        log.warning("Reports wait %.1f s: %s", pause, why)
        return pause

    def _call(self, post: Post) -> Call:
        told = json.loads(gzip.decompress(post.body))
        return Call("POST", f"{self.origin}{told['path']}", told["body"], once=told["id"])

    async def _deliver(self, call: Call) -> None:
        answer = await self.connection.send(call, self.signing)
        if not answer.is_success:
            raise Refused(answer.status_code, answer.text[:500])
        if not answer.headers.get("content-type", "").startswith(("application/json", "application/problem+json")):
            raise BadAnswer(f"{call.url} is no Sensorium server: {answer.text[:100]!r}")
