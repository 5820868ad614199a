"""Engineers' cards: the marks that are kept of them, and the robot's question whose card it has read."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Final

from fastapi import APIRouter, Depends, HTTPException
from pydantic import BaseModel, Field

from api.attempts import AttemptLimits, Attempts
from api.railway.engineer_check import ROBOT_ADMIN, begin
from api.railway.fields import STORABLE
from api.railway.parts import Railway
from api.railway.refusals import declared
from api.railway.sessions import robot_of
from projections.queries import railway_access
from schemas.envelope import KeyRing

CardKey = Annotated[str, Field(max_length=256), STORABLE]
READINGS: Final = AttemptLimits(per_name=60, per_source=60)
"""Of one robot in a minute, those that let nobody in."""


class Read(BaseModel):
    """What the card reader read."""

    key: Annotated[CardKey, Field(repr=False)]


class Administrator(BaseModel):
    """Whose card it is."""

    login: str
    id: str


def marks(ring: KeyRing, key: str) -> Sequence[str]:
    """HMAC-SHA256 of a card's key under each key of the ring, hexadecimal, the newest key's first."""
    names = [ring.current, *(name for name in ring.keys if name != ring.current)]
    return [hmac.digest(ring.keys[name], b"card\n" + key.encode(), "sha256").hex() for name in names]


def build(railway: Railway) -> APIRouter:
    """The route."""
    router = APIRouter(prefix="/robot", tags=["robot"])
    robot = Depends(robot_of(railway))
    readings = Attempts(READINGS)

    @router.post("/engineer/admin_access", summary="Whose card is this", responses=declared(401, 403, 429))
    async def admin_access(read: Read, robot_id: str = robot) -> Administrator:
        """The engineer who may administer robots; 403 for everybody else's card."""
        begin(readings, robot_id, "")
        asked = partial(railway_access.engineer_of_card, marks=marks(railway.keyring, read.key))
        row = await railway.database.read(asked)
        if row is None or not row["privileges"] & ROBOT_ADMIN:
            raise HTTPException(403, "Access denied")
        readings.succeeded(robot_id, "")
        return Administrator(login=row["login"], id=row["id"])

    return router
