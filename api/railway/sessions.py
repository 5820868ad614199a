"""Whose token a request shows: a robot's or a store's. FastAPI dependencies, and the renewal of sessions in use.

A session is looked up at every request, so whoever is revoked is refused as soon as the read model knows. Its life is
renewed without anybody waiting, at most once in a twelfth of it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from hashlib import sha256
from http import HTTPStatus
from typing import Final, cast

from fastapi import HTTPException, Request
from fastapi.openapi.models import HTTPBearer as BearerModel
from fastapi.security.base import SecurityBase

from api.railway.parts import Admits, Railway
from api.railway.session_look_ups import LookUps, Session
from schemas.errors import SensoriumError

log = logging.getLogger(__name__)

KEY: Final = "access"
"""Key of every command about access."""
ROBOT: Final = "ROBOT"
STORE: Final = "STORE"
_LONGEST_TOKEN: Final = 128
_REMEMBERED: Final = 10_000
Component = Callable[[Request], Awaitable[str]]


class Shown(SecurityBase):
    """A dependency that is the padlock of the documentation itself: FastAPI resolves one where there were two."""

    def __init__(self, component: Component) -> None:
        self.model = BearerModel(description="The `token` that `login_code` gave a robot or a store's terminal.")
        self.scheme_name = "HTTPBearer"
        self._component = component

    async def __call__(self, request: Request) -> str:
        """The id of who shows a token, or HTTPException 401."""
        return await self._component(request)


def robot_of(railway: Railway) -> Component:
    """A dependency that gives the id of the robot whose token is shown, or raises 401."""
    sessions = sessions_of(railway)

    async def robot(request: Request) -> str:
        return await sessions.component(request, ROBOT)

    return Shown(robot)


def store_of(railway: Railway) -> Component:
    """A dependency that gives the id of the store whose terminal's token is shown, or raises 401."""
    sessions = sessions_of(railway)

    async def store(request: Request) -> str:
        return await sessions.component(request, STORE)

    return Shown(store)


def near_or_robot(railway: Railway) -> Admits:
    """A dependency that lets in whom `railway.admin` lets in, and robots that signed in, whose id it gives."""
    sessions = sessions_of(railway)

    async def admitted(request: Request) -> str | None:
        try:
            return await railway.admin(request)
        except HTTPException as refused:
            if refused.status_code != HTTPStatus.UNAUTHORIZED:
                raise
            try:
                return await sessions.component(request, ROBOT)
            except HTTPException as unknown:
                raise refused from unknown

    return admitted


def invalid_credentials() -> HTTPException:
    """401 in the only words there are for it."""
    return HTTPException(401, "Invalid credentials")


def hash_of(token: str) -> str:
    """What is stored of a token: SHA-256, hexadecimal."""
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def sessions_of(railway: Railway) -> Sessions:
    """The sessions of this railway; one object for all its servers."""
    if "sessions" not in railway.extra:
        railway.extra["sessions"] = Sessions(railway)
    return cast("Sessions", railway.extra["sessions"])


class Sessions:
    """Looks sessions up and renews those in use."""

    def __init__(self, railway: Railway) -> None:
        self._railway = railway
        self._look_ups = LookUps(railway.database)
        self._life = timedelta(seconds=railway.options.auth_session_timeout)
        self._told: dict[str, datetime] = {}
        self._under_way: set[asyncio.Task[None]] = set()

    async def component(self, request: Request, client_type: str) -> str:
        """The id of the component that shows a living token of this type. Raises HTTPException 401, Unavailable."""
        token = _token(request.headers.get("authorization", ""))
        if token is None:
            raise invalid_credentials()
        session = await self._look_ups.find(hash_of(token))
        now = self._railway.now()
        if session is None or session["client_type"] != client_type or session["expires_at"] <= now:
            raise invalid_credentials()
        self._keep_alive(session, now)
        return str(session["component_id"])

    def _keep_alive(self, session: Session, now: datetime) -> None:
        session_id, step = session["session_id"], self._life / 12
        told = self._told.get(session_id)
        if session["expires_at"] - now > self._life - step or (told is not None and now - told < step):
            return
        self._told[session_id] = now
        while len(self._told) > _REMEMBERED:
            del self._told[next(iter(self._told))]
        renewing = asyncio.create_task(self._renew(session_id, session["component_id"]))
        self._under_way.add(renewing)
        renewing.add_done_callback(self._under_way.discard)

    async def _renew(self, session_id: str, by: str) -> None:
        """Nobody waits for it: a session may be used while Kafka is away."""
        record = {"session_id": session_id, "life_ms": self._life // timedelta(milliseconds=1), "by": by}
        try:
            await self._railway.writer.tell("RenewSession", KEY, record)
        except SensoriumError as failure:
            log.warning("session %s is not renewed: %s", session_id, failure)


def _token(header: str) -> str | None:
    words = header.split()
    if len(words) != 2 or words[0].lower() != "bearer" or len(words[1]) > _LONGEST_TOKEN:
        return None
    return words[1]
