"""Looks for deviant behaviour: windows of frames, a score of each, a report of each score."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

import cv2
import numpy as np

from edge_agents.emotion_sensor.backoff import Backoff
from edge_agents.robot.pictures import Picture, jpeg64
from edge_agents.robot.scoring import ScoringFailed, ScoringProcess, Wanted, Window
from edge_agents.robot.video import Shot

ROUTE: Final = "/v1/deviance"
APART_US: Final = 10_000
KEY_FRAME: Final = 2_600_000
"""Characters of a key frame in base64: the security desk takes 2 MB."""
GAP_US: Final = 1_000_000
"""Frames further apart than this are not of one window."""
log = logging.getLogger(__name__)
Keep = Callable[[str, str, dict[str, Any]], None]
Participants = Callable[[Picture], Sequence[dict[str, Any]]]


class Frames(Protocol):
    """What is needed of video.Eye."""

    async def next(self) -> Shot: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Place:
    """Which camera this is: its id at the security desk, its name for people, where it is."""

    camera_id: str
    camera: str
    location: str


@dataclass(frozen=True, slots=True)
class Gathered:
    """A window as its model wants it, and its middle frame as it was seen."""

    window: Window
    key: Picture
    start_us: int
    end_us: int


async def gather(frames: Frames, wanted: Wanted) -> Gathered:
    """The next frames in a row. A gap in the picture begins the window anew."""
    small: list[Picture] = []
    shots: list[Shot] = []
    while len(shots) < wanted.frames:
        shot = await frames.next()
        since = shot.at_us - shots[-1].at_us if shots else APART_US
        if since > GAP_US or since < 0:
            small, shots = [], []
        elif since < APART_US:
            continue
        small.append(np.asarray(cv2.resize(shot.picture, (wanted.width, wanted.height)), np.uint8))
        shots.append(shot)
    key = shots[len(shots) // 2].picture
    return Gathered(np.stack(small), key, shots[0].at_us, shots[-1].at_us)


class Deviance:
    """The loop: the next window is gathered while the model looks at the last; a slow model gets fewer windows."""

    def __init__(
        self, frames: Frames, scoring: ScoringProcess, place: Place, keep: Keep, participants: Participants, key: float
    ) -> None:
        self._frames = frames
        self._scoring = scoring
        self._place = place
        self._keep = keep
        self._participants = participants
        self._key = key
        self.windows = 0

    async def run(self) -> None:
        """Watch for ever; a model that fails is begun again."""
        backoff = Backoff(longest_s=60.0)
        try:
            while True:
                try:
                    await self._watch(await self._scoring.start(), backoff)
                except ScoringFailed as error:
                    pause = backoff.after_failure()
                    log.warning("The deviance model failed (%s); begun again in %.1f s.", error, pause)
                    await asyncio.sleep(pause)
        finally:
            self._scoring.stop()

    async def _watch(self, wanted: Wanted, backoff: Backoff) -> None:
        log.info("Watching with %s: windows of %d frames.", wanted.model, wanted.frames)
        gathered = await gather(self._frames, wanted)
        while True:
            score, following = await asyncio.gather(self._scoring.score(gathered.window), gather(self._frames, wanted))
            backoff.after_success()
            self.windows += 1
            body = await asyncio.to_thread(self.report, wanted.model, score, gathered)
            self._keep(str(uuid.uuid4()), ROUTE, body)
            gathered = following

    def report(self, model: str, score: float, seen: Gathered) -> dict[str, Any]:
        """What the server is told of a window; with picture and participants where it may matter."""
        matters = score >= self._key
        return {
            **asdict(self._place),
            "start": iso(seen.start_us),
            "end": iso(seen.end_us),
            "score": round(score, 4),
            "model": model,
            "frame": jpeg64(seen.key, KEY_FRAME) if matters else None,
            "participants": list(self._participants(seen.key)) if matters else [],
        }


def iso(at_us: int) -> str:
    """ISO 8601 in UTC with microseconds."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at_us)
    return moment.isoformat(timespec="microseconds")
