"""Whether a login and a password are an engineer's who may do something. Attempts are counted, hashing is bounded."""

from __future__ import annotations

from functools import partial
from typing import Any, Final, cast

from fastapi import HTTPException, Request

from api.attempts import Attempts, TooManyAttempts
from api.passwords import Passwords
from api.railway.parts import Railway
from api.railway.refusals import RETRY_S
from api.railway.sessions import invalid_credentials
from projections.queries import railway_access
from schemas.errors import Overloaded

ROBOT_LOGIN: Final = 1
STORE_LOGIN: Final = 2
ROBOT_ADMIN: Final = 4
PRIVILEGES: Final = {"ROBOT_LOGIN": ROBOT_LOGIN, "STORE_LOGIN": STORE_LOGIN, "ROBOT_ADMIN": ROBOT_ADMIN}


class EngineerCheck:
    """Checks engineers' credentials for one railway.

    An unknown login costs one verification like a wrong password, and both get the same answer.
    """

    def __init__(self, railway: Railway, attempts: Attempts | None = None) -> None:
        self._railway = railway
        self._attempts = attempts or Attempts()
        self._passwords = passwords_of(railway)

    async def who(self, request: Request, login: str, password: str, privilege: int) -> str:
        """The engineer's id. Raises HTTPException 401, 403, 429, 503; Unavailable."""
        address = self._railway.client(request)
        begin(self._attempts, address, login)
        row = await self._railway.database.read(partial(railway_access.engineer_by_login, login=login))
        fits = await self._fits(password, row)
        if row is None or not fits:
            raise invalid_credentials()
        self._attempts.succeeded(address, login)
        if not row["privileges"] & privilege:
            raise HTTPException(403, "Insufficient privileges")
        return str(row["id"])

    async def _fits(self, password: str, row: dict[str, Any] | None) -> bool:
        try:
            return await self._passwords.fits(password, row["password"] if row else None)
        except Overloaded as busy:
            raise HTTPException(503, str(busy), {"Retry-After": RETRY_S}) from busy


def begin(attempts: Attempts, address: str, name: str) -> None:
    """Count an attempt. Raises HTTPException 429."""
    try:
        attempts.begin(address, name)
    except TooManyAttempts as many:
        raise HTTPException(429, str(many), {"Retry-After": str(many.retry_after_s)}) from many


def passwords_of(railway: Railway) -> Passwords:
    """Who hashes engineers' passwords, for all routes of this railway."""
    if "passwords" not in railway.extra:
        railway.extra["passwords"] = Passwords()
    return cast("Passwords", railway.extra["passwords"])
