"""The terminal's configuration of what is watched: cameras, their hours and thresholds, and what is not heard of."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, HTTPException, Path, Request

from api.parameters import Text
from api.security import Security, us_of
from api.security_shapes import CameraSettings, Mute, camera_told
from projections.queries import security as queries

CameraId = Annotated[Text, Path(min_length=1, max_length=128)]


def build(security: Security) -> APIRouter:
    """The routes of cameras."""
    router = APIRouter(prefix="/v1/security", tags=["security"])
    _add_reading(router, security)
    _add_writing(router, security)
    _add_mute(router, security)
    return router


def _add_reading(router: APIRouter, security: Security) -> None:
    admin: Any = Depends(security.admin)

    @router.get("/cameras", summary="Cameras", dependencies=[admin])
    async def listing() -> dict[str, Any]:
        """All cameras by their names, with what is not heard of each; `zone` is that of new schedules."""
        rows = await security.database.read(queries.cameras)
        return {"items": [camera_told(row) for row in rows], "zone": security.zone}

    @router.get("/cameras/{camera_id}", summary="A camera", dependencies=[admin])
    async def one(camera_id: CameraId) -> dict[str, Any]:
        """How a camera is watched; 404: nobody configured it."""
        return camera_told(await _camera(security, camera_id))


def _add_writing(router: APIRouter, security: Security) -> None:
    admin: Any = Depends(security.admin)

    @router.put("/cameras/{camera_id}", summary="Configure a camera")
    async def configure(
        request: Request, camera_id: CameraId, wanted: CameraSettings, by: str | None = admin
    ) -> dict[str, Any]:
        """Watch a camera so from now on. Hours of its schedule are those of the site; none: always."""
        if wanted.deviance_off > wanted.deviance_on:
            raise HTTPException(422, "A signal cannot end above the score at which it begins")
        hours = [one.model_dump(by_alias=True) | {"zone": security.zone} for one in wanted.schedule]
        record = wanted.model_dump(exclude={"schedule"}) | {"camera_id": camera_id, "by": by}
        await security.decided(request, "ConfigureCamera", record | {"schedule": orjson.dumps(hours).decode()})
        return camera_told(await _camera(security, camera_id))

    @router.delete("/cameras/{camera_id}", summary="Watch a camera no more")
    async def remove(request: Request, camera_id: CameraId, by: str | None = admin) -> dict[str, Any]:
        """Forget how a camera is watched; done already where nobody configured it. Its alerts stay."""
        await security.decided(request, "RemoveCamera", {"camera_id": camera_id, "by": by})
        return {"ok": True}


def _add_mute(router: APIRouter, security: Security) -> None:
    allowed: Any = Depends(security.biometrics)

    @router.post("/cameras/{camera_id}/mute", summary="Hear nothing of a camera")
    async def mute(request: Request, camera_id: CameraId, wanted: Mute, by: str | None = allowed) -> dict[str, Any]:
        """For so many minutes alerts of a camera are raised in silence: they are kept, and marked as muted."""
        until = None if wanted.minutes is None else security.now() + timedelta(minutes=wanted.minutes)
        until_us = 0 if wanted.minutes == 0 else until and us_of(until)
        record = {"camera_id": camera_id, "kind": wanted.kind, "until_us": until_us, "by": by}
        meant = {"camera_id": camera_id, **wanted.model_dump()}
        await security.decided(request, "MuteCamera", record, meant)
        return {"ok": True, "until": until.isoformat() if until and until_us else None}


async def _camera(security: Security, camera_id: str) -> queries.Row:
    row = await security.database.read(partial(queries.camera, camera_id=camera_id))
    if row is None:
        raise HTTPException(404, "Nobody configured this camera")
    return row
