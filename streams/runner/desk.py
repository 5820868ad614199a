"""What a runner asks decider `scenarios`, and how long it insists: never beyond its lease."""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from collections.abc import Mapping
from typing import Any, Final, Protocol

import orjson

from producers.commands import CommandAnswer
from schemas.errors import InvalidEvent, Overloaded, SensoriumError, TransientFailure
from streams.runner.lease import Assignment, Lease, RunOver

log = logging.getLogger(__name__)
KEY: Final = "scenarios"
LOST: Final = frozenset({"stale_epoch", "scenario_not_found"})
LONGEST_REASON: Final = 500
_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 2.0


class Refused(SensoriumError):
    """What the runner said is not accepted, and will not be."""


class Commands(Protocol):
    """The way into the log: `producers.commands.Writer`."""

    async def command(
        self, command: str, key: str, record: Mapping[str, Any], *, command_id: str | None = None
    ) -> CommandAnswer:
        """Ask and wait for what was decided. Raises TransientFailure, Overloaded."""
        ...


class Desk:
    """For one runner and one event loop. `lease_s`: how long an assignment stands without a word from us."""

    def __init__(self, commands: Commands, runner_id: str, lease_s: float) -> None:
        self._commands, self._runner_id, self._lease_s = commands, runner_id, lease_s
        self._claim: str | None = None
        """Id of a claim whose answer was not heard."""

    async def claim(self) -> Assignment | None:
        """Take the scenario that waits longest; None when none waits.

        A claim that was not answered is asked again under its id: what it was given is not lost sight of. Which of the
        questions was decided, and when, is not known then, so the lease is renewed first.

        Raises:
            TransientFailure, Overloaded: nobody answers; ask again.
        """
        is_repeat, self._claim = self._claim is not None, self._claim or str(uuid.uuid4())
        asked_at = _now()
        record = {"runner_id": self._runner_id, "lease_ms": self._lease_ms}
        answer = await self._commands.command("ClaimScenario", KEY, record, command_id=self._claim)
        self._claim = None
        if not answer.result:
            return None
        run = _assignment(answer.result, Lease(self._lease_s, asked_at))
        return run if not is_repeat or await self._still_holds(run) else None

    async def renew(self, run: Assignment, frame: int | None, frames: int | None) -> bool:
        """Say that we are alive and how far; whether to stop. Raises RunOver, Refused."""
        asked_at = _now()
        result = await self._insist(run, "RenewScenarioLease", {**self._whose(run), "frame": frame, "frames": frames})
        run.lease.renewed(asked_at)
        return bool(result.get("stop"))

    async def record(self, run: Assignment, interval: Mapping[str, Any], summary: Mapping[str, Any]) -> bool:
        """Tell what was seen in an interval of frames; whether to stop. Raises RunOver, Refused."""
        first, last = interval["first_frame"], interval["last_frame"]
        seen = {name: interval.get(name) for name in ("first_frame", "last_frame", "video_ms")}
        seen |= {"detections": interval["detections"], "summary": orjson.dumps(summary).decode()}
        result = await self._insist(run, "RecordPredictions", {**self._whose(run), **seen}, f"{first}-{last}")
        return bool(result.get("stop"))

    async def finish(self, run: Assignment) -> None:
        """Say that the run is through, or has stopped as asked. Raises RunOver, Refused."""
        await self._insist(run, "FinishScenarioRun", self._whose(run, with_lease=False), "end")

    async def fail(self, run: Assignment, reason: str) -> None:
        """Say why the run cannot go on. Raises RunOver, Refused."""
        told = {**self._whose(run, with_lease=False), "reason": reason[:LONGEST_REASON]}
        await self._insist(run, "FailScenarioRun", told, "end")

    async def _still_holds(self, run: Assignment) -> bool:
        try:
            await self.renew(run, None, None)
        except (RunOver, Refused) as over:
            log.info("%s is not ours any more: %s", run, over)
            return False
        return True

    async def _insist(
        self, run: Assignment, command: str, record: Mapping[str, Any], what: str | None = None
    ) -> Mapping[str, Any]:
        """Ask until it is answered or the lease is over. Whatever is asked twice has one id."""
        command_id = str(
            uuid.uuid4() if what is None else uuid.uuid5(_space(run, self._runner_id), f"{command}/{what}")
        )
        pause_s = _PAUSE_S
        while left_s := run.lease.left_s(_now()):
            try:
                async with asyncio.timeout(left_s):
                    answer = await self._commands.command(command, KEY, record, command_id=command_id)
            except TimeoutError:
                continue
            except InvalidEvent as unsaid:
                raise Refused(str(unsaid)) from unsaid
            except (TransientFailure, Overloaded) as failure:
                log.warning("%s: %s is not answered (%s); %.1f s of the lease are left", run, command, failure, left_s)
                await asyncio.sleep(min(pause_s, run.lease.left_s(_now())))
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
                continue
            if answer.accepted:
                return answer.result or {}
            if answer.refusal in LOST:
                raise RunOver(answer.detail or "")
            raise Refused(f"{answer.refusal}: {answer.detail}")
        raise RunOver("Nobody answered for as long as the lease lasted")

    def _whose(self, run: Assignment, *, with_lease: bool = True) -> dict[str, Any]:
        whose = {"scenario_id": run.scenario_id, "epoch": run.epoch, "runner_id": self._runner_id}
        return whose | ({"lease_ms": self._lease_ms} if with_lease else {})

    @property
    def _lease_ms(self) -> int:
        return round(1000 * self._lease_s)


def _assignment(given: Mapping[str, Any], lease: Lease) -> Assignment:
    summary = given.get("summary")
    return Assignment(
        scenario_id=given["scenario_id"],
        epoch=given["epoch"],
        attempt=given["attempt"],
        from_frame=given["from_frame"],
        source=given.get("source"),
        settings=json.loads(given.get("settings") or "{}"),
        summary=json.loads(summary) if summary else None,
        lease=lease,
    )


def _space(run: Assignment, runner_id: str) -> uuid.UUID:
    return uuid.uuid5(uuid.NAMESPACE_URL, f"sensorium/scenarios/{run.scenario_id}/{run.epoch}/{runner_id}")


def _now() -> float:
    return asyncio.get_running_loop().time()
