"""Puts what was seen into the log: scores of windows, and faces, sealed. The same window is the same event."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import orjson

from producers.audio_store import StoreFailed, StoreFull
from producers.commands import own_topic
from producers.publisher import Message
from schemas import cloudevents
from schemas.envelope import KeyRing, seal
from schemas.errors import InvalidEvent, Overloaded, TransientFailure
from schemas.faces import MODEL as FACES
from schemas.identity import NAMESPACE
from schemas.serde import encode
from streams.cameras.roster import Camera
from streams.cameras.watch import Seen
from streams.steps import Heavy, WorkFailed

log = logging.getLogger(__name__)
SOURCE: Final = "/cameras"
RETRY_S: Final = 1.0
MOST_FACES: Final = 50


class Publishing(Protocol):
    """What is needed of `producers.publisher.Publisher`."""

    def send(self, message: Message, /) -> Awaitable[Any]: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Reports:
    """Keeps windows, in the order in which they are told. `faces` finds faces in pictures; None: nobody looks."""

    publisher: Publishing
    keep: Callable[[bytes], Awaitable[str]]
    keyring: KeyRing
    faces: Heavy | None = None
    topic_of: Callable[[str], str] = own_topic
    retry_s: float = RETRY_S

    async def __call__(self, camera: Camera, seen: Seen) -> None:
        """Append what was seen, as soon as Kafka takes it. What nobody can take is said and left out."""
        if camera.deviance:
            await self._score(camera, seen)
        if camera.faces and seen.picture is not None and self.faces is not None:
            await self._faces(camera, seen, seen.picture, self.faces)

    async def _score(self, camera: Camera, seen: Seen) -> None:
        frame = None
        if seen.picture is not None and seen.participants:
            frame = await self._kept(seen.picture)
        record = {
            "camera_id": camera.camera_id, "device_id": camera.device_id, "window_start_us": seen.start_us,
            "window_end_us": seen.end_us, "score": seen.score, "model": seen.model, "frame": frame, "clip": None,
            "participants": orjson.dumps(seen.participants).decode(), "at_us": seen.end_us,
            "deviance_on": camera.on, "deviance_off": camera.off,
        }  # fmt: skip
        event_id = _id("deviance", camera, seen.start_us, seen.end_us)
        await self._append("DevianceScored", camera.camera_id, record, event_id)

    async def _faces(self, camera: Camera, seen: Seen, picture: bytes, look: Heavy) -> None:
        try:
            found = (await look({"picture": picture, "purpose": "search"}))["faces"]
        except (InvalidEvent, TransientFailure, WorkFailed) as failure:
            log.warning("Camera %r: no faces are looked for in a frame: %s", camera.camera_id, failure)
            return
        for face in found[:MOST_FACES]:
            sighting_id = _id("sighting", camera, seen.end_us, face["vector"].hex())
            template = {"model": FACES, "vector": face["vector"]}
            sealed = seal(self.keyring, f"sighting/{sighting_id}", "FaceTemplate", template)
            record = {"sighting_id": sighting_id, "device_id": camera.device_id, "camera": camera.camera_id}
            record |= {"seen_us": seen.end_us, "face": sealed}
            await self._append("FaceSeen", camera.device_id, record, sighting_id)

    async def _kept(self, picture: bytes) -> str | None:
        """The address of a key frame; a signal is told without one where there is no room."""
        try:
            return await self.keep(picture)
        except (StoreFull, StoreFailed) as failure:
            log.warning("A key frame is not kept: %s", failure)
            return None

    async def _append(self, event: str, key: str, record: Mapping[str, Any], event_id: str) -> None:
        headers = cloudevents.headers(event, id=event_id, source=SOURCE)
        message = Message(self.topic_of(event), key.encode(), encode(event, record), headers)
        while True:
            try:
                return await self.publisher.send(message)
            except InvalidEvent as refused:
                return log.error("%s of %s is refused: %s", event, key, refused)  # noqa: TRY400 - a sentence
            except (TransientFailure, Overloaded) as away:
                log.warning("%s of %s waits: %s", event, key, away)
                await asyncio.sleep(self.retry_s)


def _id(kind: str, camera: Camera, *parts: object) -> str:
    """The id that the front gives to the same thing told by a device."""
    return str(uuid.uuid5(NAMESPACE, "\n".join(map(str, (kind, camera.device_id, camera.camera_id, *parts)))))
