"""Faces for a check against unwanted persons: found here, recognised on the server.

Pictures of faces are kept nowhere: one that the server cannot take now is lost, and the next look sends another.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, Final

from edge_agents.emotion_sensor.boxes import Box
from edge_agents.emotion_sensor.detection import FaceDetector, grey_of
from edge_agents.emotion_sensor.tracking import Tracker, TrackingRules
from edge_agents.robot.connection import Call, Connection, Signing
from edge_agents.robot.deviance import Frames, Place, iso
from edge_agents.robot.errors import BadAnswer, RobotError, ServerAway
from edge_agents.robot.pictures import Picture, jpeg64
from edge_agents.robot.video import Shot

ROUTE: Final = "/v1/security/sightings"
LOOK_EVERY_S: Final = 0.5
AGAIN_S: Final = 10.0
"""A face that stays is sent again after so long: the first picture may have been a bad one."""
RULES: Final = TrackingRules(hits=2, track_lost_s=1.5, person_lost_s=3.0)
log = logging.getLogger(__name__)


class FaceWatch:
    """Follows faces and says when a frame is worth a check: somebody new is there, or has been for long."""

    def __init__(self) -> None:
        self._tracker = Tracker(RULES)
        self._sent: dict[int, float] = {}

    def worth_sending(self, now_s: float, boxes: Sequence[Box]) -> bool:
        """Take the boxes of a frame. Time is any steady clock."""
        tracked = self._tracker.update(now_s, boxes)
        for person in tracked.ended:
            self._sent.pop(person, None)
        never = float("-inf")
        due = [one for one in tracked.sightings if now_s - self._sent.get(one.session_person_id, never) >= AGAIN_S]
        for one in due:
            self._sent[one.session_person_id] = now_s
        return bool(due)


def participants(detector: FaceDetector, picture: Picture) -> list[dict[str, Any]]:
    """How many are seen: boxes of faces [x1, y1, x2, y2] in pixels, numbered in this picture. Nobody is named."""
    boxes = detector.faces(grey_of(picture))
    return [
        {"bbox": [box.x1, box.y1, box.x2, box.y2], "track_id": number, "user_id": None}
        for number, box in enumerate(boxes, 1)
    ]


class Faces:
    """The loop: twice a second a look, and a picture where there is somebody."""

    def __init__(
        self,
        frames: Frames,
        place: Place,
        connection: Connection,
        signing: Signing | None,
        origin: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._frames = frames
        self._place = asdict(place)
        self._connection = connection
        self._signing = signing
        self._url = f"{origin}{ROUTE}"
        self._clock = clock
        self._watch = FaceWatch()
        self._detector: FaceDetector | None = None
        self._failing = False

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await self.look(await self._frames.next())
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self, shot: Shot) -> None:
        """Look at one frame, and send it if it is worth a check."""
        boxes = await asyncio.to_thread(self._found, shot.picture)
        if self._watch.worth_sending(self._clock(), boxes):
            image = await asyncio.to_thread(jpeg64, shot.picture)
            await self._send({**self._place, "seen_at": iso(shot.at_us), "image": image})

    def _found(self, picture: Picture) -> list[Box]:
        self._detector = self._detector or FaceDetector()
        return self._detector.faces(grey_of(picture))

    async def _send(self, body: dict[str, Any]) -> None:
        try:
            answer = await self._connection.send(Call("POST", self._url, body), self._signing)
        except (ServerAway, BadAnswer, RobotError) as error:
            self._say(f"{error}")
            return
        self._say("" if answer.is_success else f"{answer.status_code}: {answer.text[:200]}")

    def _say(self, trouble: str) -> None:
        """A failure is said once, until it works again."""
        if trouble and not self._failing:
            log.warning("Faces do not get through: %s", trouble)
        self._failing = bool(trouble)
