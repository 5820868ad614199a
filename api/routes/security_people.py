"""The watch list: who is unwanted, why, and what to do. Wants ADMIN_TOKEN or a role from wherever one comes."""

from __future__ import annotations

from functools import partial
from typing import Any

from fastapi import APIRouter, Depends, HTTPException, Request

from api.railway.faces import UserInPath
from api.security import Security
from api.security_feed import people
from api.security_shapes import Watched, watched_told
from projections.queries import security as queries
from schemas.envelope import seal


def build(security: Security) -> APIRouter:
    """The routes of the watch list."""
    router = APIRouter(prefix="/v1/security/watch-list", tags=["security"])
    allowed: Any = Depends(security.biometrics)

    @router.get("", summary="The watch list", dependencies=[allowed])
    async def listing() -> dict[str, Any]:
        """Who is watched for, the newest first."""
        rows = await security.database.read(queries.watch_list)
        names = await people(security.database, rows)
        return {"items": [watched_told(row, names) for row in rows]}

    @router.get("/{user_id}", summary="A person of the watch list", dependencies=[allowed])
    async def one(user_id: UserInPath) -> dict[str, Any]:
        """Why somebody is watched for; 404: nobody does."""
        row = await security.database.read(partial(queries.watched, user_id=user_id))
        if row is None:
            raise HTTPException(404, "This person is not on the watch list")
        return watched_told(row, await people(security.database, [row]))

    @router.put("/{user_id}", summary="Watch for a person")
    async def watch(request: Request, user_id: UserInPath, wanted: Watched, by: str | None = allowed) -> dict[str, Any]:
        """Put a person on the watch list, or say something else of her. She is recognised by her face on the train."""
        details = seal(security.keyring, f"watch/{user_id}", "WatchDetails", wanted.model_dump(exclude={"level"}))
        record = {"user_id": user_id, "level": wanted.level, "details": details, "by": by}
        await security.decided(request, "WatchPerson", record, {"user_id": user_id, **wanted.model_dump()})
        return {"ok": True}

    @router.delete("/{user_id}", summary="Watch for a person no more")
    async def unwatch(request: Request, user_id: UserInPath, by: str | None = allowed) -> dict[str, Any]:
        """Take a person off the watch list; done already where she is not on it."""
        await security.decided(request, "UnwatchPerson", {"user_id": user_id, "by": by})
        return {"ok": True}

    return router
