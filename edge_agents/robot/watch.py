"""Watching over the wagon: what runs in the background once it is asked for, and ends with the robot."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from edge_agents.emotion_sensor.detection import FaceDetector
from edge_agents.robot import faces
from edge_agents.robot.connection import Connection, Signing
from edge_agents.robot.deviance import Deviance, Place
from edge_agents.robot.errors import RobotError
from edge_agents.robot.reports import Courier, open_reports
from edge_agents.robot.scoring import ScoringProcess
from edge_agents.robot.settings import RobotSettings
from edge_agents.robot.video import Eye

AGAIN_S: Final = 5.0
log = logging.getLogger(__name__)


class GivenToken:
    """A token from the settings: it is what it is."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def token(self, spent: str | None = None) -> str:
        """Always the same."""
        del spent
        return self._token


@dataclass(slots=True)
class Watch:
    """Deviance, faces, and the courier of the reports."""

    settings: RobotSettings
    eye: Eye
    connection: Connection
    signing: Signing | None
    deviance: Deviance | None = None
    courier: Courier | None = None
    again_s: float = AGAIN_S
    _tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict[str, "asyncio.Task[None]"])

    @classmethod
    def of(cls, settings: RobotSettings, eye: Eye, connection: Connection, session: Signing) -> Watch:
        """Nothing runs yet. The robot's session counts at the desk of the servers that gave it, nowhere else."""
        if settings.watch_token:
            return cls(settings, eye, connection, GivenToken(settings.watch_token))
        return cls(settings, eye, connection, session if settings.watch_url is None else None)

    @property
    def place(self) -> Place:
        """Which camera this is at the security desk."""
        own = self.settings
        name = own.camera_name or own.robot_model_name
        return Place(own.camera_id or own.robot_model_id, name, own.camera_location)

    def start_deviance(self) -> None:
        """Look for deviant behaviour; once is enough."""
        if "deviance" in self._tasks:
            log.info("The robot watches already.")
            return
        wanted = self.settings
        try:
            reports = open_reports(wanted.home, wanted.outbox_mb)
        except RobotError as error:
            log.critical("Nothing is watched: %s", error)
            return
        self.courier = Courier(reports, self.connection, self.signing, wanted.watch_origin)
        scoring = ScoringProcess(wanted.deviance_model, wanted.deviance_frames)
        who = partial(faces.participants, FaceDetector())
        self.deviance = Deviance(self.eye, scoring, self.place, self.courier.keep, who, wanted.deviance_key)
        self._begin("deviance", self.deviance.run)
        self._begin("courier", self.courier.run)

    def start_faces(self) -> None:
        """Send faces for a check; once is enough."""
        if "faces" not in self._tasks:
            wanted = self.settings
            watching = faces.Faces(self.eye, self.place, self.connection, self.signing, wanted.watch_origin)
            self._begin("faces", watching.run)

    async def close(self) -> None:
        """End all of it; reports that wait stay on disk."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        if self.courier is not None:
            self.courier.reports.close()

    def _begin(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        self._tasks[name] = asyncio.get_running_loop().create_task(self._for_ever(name, work), name=name)

    async def _for_ever(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """What nobody waits for must not end unheard: a fault is said, and the work begun again."""
        while True:
            try:
                await work()
            except Exception:
                log.exception("Watching (%s) failed; begun again in %.0f s.", name, self.again_s)
            await asyncio.sleep(self.again_s)
