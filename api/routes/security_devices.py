"""What cameras send: POST /v1/deviance (a score of a window of frames) and POST /v1/security/sightings (faces)."""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final
from zoneinfo import ZoneInfo

import orjson
from fastapi import APIRouter, Depends, HTTPException, Request

from api.bodies import documented, reads
from api.commanding import RETRY_S
from api.railway.face_desk import UNUSABLE, Described
from api.railway.face_desk import decoded as picture_of
from api.railway.parts import Unrecognisable
from api.security import KEY, Security, id_of, not_here, us_of
from api.security_shapes import FRAME, CameraSettings, Sighting, Window
from producers.audio_store import StoreFailed, StoreFull
from producers.pictures import LARGEST, is_jpeg
from projections.queries import security as queries
from projections.queries.errors import Unavailable
from schemas.envelope import seal
from schemas.errors import InvalidEvent, Overloaded, SensoriumError, TransientFailure
from schemas.faces import MODEL as FACES

log = logging.getLogger(__name__)
MOST_FACES: Final = 50
_BODY: Final = FRAME + (256 << 10)
_SIGHTING_BODY: Final = (16 << 20) + (64 << 10)
_WAITING: Final = 8
AHEAD: Final = timedelta(days=1)
"""A clock that is wrong by more is refused: what it says would stand before everything that comes after."""
_OLDEST: Final = datetime(1970, 1, 1, tzinfo=UTC)


def build(security: Security) -> APIRouter:
    """The routes for devices and consoles of this network."""
    router = APIRouter(tags=["security"])
    _add_deviance(router, security)
    _add_sightings(router, security)
    return router


def _add_deviance(router: APIRouter, security: Security) -> None:
    device: Any = Depends(security.devices)
    read_window = reads(Window, largest=_BODY)

    @router.post("/v1/deviance", summary="How agitated a window of frames was", openapi_extra=documented(Window))
    async def deviance(request: Request, by: str | None = device) -> dict[str, Any]:
        """Take the score of a window in; sent again it is the same one. Answered when the log has it.

        A picture is kept under the address that is answered as `frame`, for a time.
        """
        window = await read_window(request)
        start_us, end_us = (_us(security, moment) for moment in (window.start, window.end))
        if end_us < start_us:
            raise HTTPException(422, "The window ends before it begins")
        camera = await _camera(security, window.camera_id)
        frame = None if window.frame is None else await _kept(security, window.frame)
        device_id = window.device_id or window.camera_id
        record = {
            "camera_id": window.camera_id, "device_id": device_id, "window_start_us": start_us,
            "window_end_us": end_us, "score": window.score, "model": window.model, "frame": frame, "clip": None,
            "participants": orjson.dumps([one.model_dump() for one in window.participants]).decode(),
            "at_us": end_us, **_thresholds(camera),
        }  # fmt: skip
        score_id = id_of("deviance", device_id, window.camera_id, start_us, end_us)
        await _appended(security, "DevianceScored", window.camera_id, record, score_id)
        if camera is None:
            await _introduce(security, window, by)
        return {"ok": True, "id": score_id, "frame": frame}


def _add_sightings(router: APIRouter, security: Security) -> None:
    device: Any = Depends(security.devices)
    read_sighting = reads(Sighting, largest=_SIGHTING_BODY)
    looking = asyncio.Semaphore(_WAITING)

    @router.post("/v1/security/sightings", summary="Whose faces are in a picture", openapi_extra=documented(Sighting))
    async def sightings(request: Request, by: str | None = device) -> dict[str, Any]:
        """Look for faces, and send each, sealed, to be compared. Who they are is told to the terminal, not here.

        The picture is not kept. 422: it is no picture; 503: too many are being looked at.
        """
        seen = await read_sighting(request)
        seen_us = _us(security, security.now() if seen.seen_at is None else seen.seen_at)
        camera = await _camera(security, seen.camera_id)
        if camera is not None and not camera["faces"]:
            return {"faces": 0, "sightings": []}
        if camera is None:
            await _introduce(security, seen, by)
        if looking.locked():
            raise HTTPException(503, "Too many pictures are being looked at", {"Retry-After": RETRY_S})
        async with looking:
            faces = await _faces(security, seen.image)
        device_id = seen.device_id or seen.camera_id
        sent: list[str] = []
        for face in faces[:MOST_FACES]:
            sighting_id = id_of("sighting", device_id, seen.camera_id, seen_us, face.vector.hex())
            template = {"model": FACES, "vector": face.vector}
            sealed = seal(security.keyring, f"sighting/{sighting_id}", "FaceTemplate", template)
            record = {"sighting_id": sighting_id, "device_id": device_id, "camera": seen.camera_id}
            record |= {"seen_us": seen_us, "face": sealed}
            await _appended(security, "FaceSeen", device_id, record, sighting_id)
            sent.append(sighting_id)
        return {"faces": len(sent), "sightings": sent}


async def _camera(security: Security, camera_id: str) -> Mapping[str, Any] | None:
    """How a camera is configured; None: nobody did, or it cannot be told now, which holds no device up."""
    try:
        return await security.database.read(partial(queries.camera, camera_id=camera_id))
    except Unavailable as away:
        log.warning("Camera %r is taken as it comes: %s", camera_id, away)
        return {"faces": True}


def _thresholds(camera: Mapping[str, Any] | None) -> dict[str, float | None]:
    return {name: (camera or {}).get(name) for name in ("deviance_on", "deviance_off")}


async def _introduce(security: Security, sent: Window | Sighting, by: str | None) -> None:
    """A camera that nobody has configured yet is what its device says of it; nothing if that says no name."""
    if sent.camera is None:
        return
    settings = CameraSettings(name=sent.camera, location=sent.location or "", device_id=sent.device_id)
    record = settings.model_dump(exclude={"schedule"}) | {"camera_id": sent.camera_id, "schedule": "[]", "by": by}
    try:
        await security.writer.tell("ConfigureCamera", KEY, record)
    except (TransientFailure, Overloaded) as away:  # what it sends next brings it again
        log.warning("Camera %r is not introduced yet: %s", sent.camera_id, away)


async def _kept(security: Security, text: str) -> str:
    """The address of a picture. Raises HTTPException."""
    if security.pictures is None:
        raise not_here("Pictures are not kept here")
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise HTTPException(422, "The frame's base64 cannot be read") from error
    if not is_jpeg(data) or len(data) > LARGEST:
        raise HTTPException(422, f"A frame is a JPEG file of at most {LARGEST} bytes")
    try:
        return await security.pictures.keep(data)
    except StoreFull as full:
        raise HTTPException(507, str(full), {"Retry-After": "60"}) from full
    except StoreFailed as failed:
        raise HTTPException(503, str(failed), {"Retry-After": "60"}) from failed


async def _faces(security: Security, image: str) -> Sequence[Described]:
    """The faces of a picture. Raises HTTPException."""
    if security.describe is None:
        raise not_here("Faces are not recognised here")
    try:
        return await security.describe(await asyncio.to_thread(picture_of, image), "search")
    except (Unrecognisable, InvalidEvent) as unusable:
        raise HTTPException(422, str(unusable)) from unusable
    except (TransientFailure, Overloaded) as away:
        raise HTTPException(503, "Faces cannot be looked at now", {"Retry-After": RETRY_S}) from away
    except SensoriumError as crashed:  # the picture took too long or too much, or broke the decoder
        log.warning("A picture of a camera cannot be worked on: %s", crashed)
        raise HTTPException(422, UNUSABLE) from crashed


async def _appended(security: Security, event: str, key: str, record: Mapping[str, Any], event_id: str) -> None:
    try:
        await security.writer.append(event, key, record, event_id=event_id)
    except (TransientFailure, Overloaded) as away:
        raise HTTPException(503, str(away), {"Retry-After": RETRY_S}) from away
    except InvalidEvent as large:
        raise HTTPException(413, str(large)) from large


def _us(security: Security, moment: datetime) -> int:
    """A device's time, without an offset the site's, as UTC epoch microseconds. Raises HTTPException for no such."""
    zoned = moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(security.zone))
    if not _OLDEST <= zoned <= security.now() + AHEAD:
        raise HTTPException(422, f"{moment.isoformat()} is before 1970 or beyond tomorrow: is the clock right?")
    return us_of(zoned)
