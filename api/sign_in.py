"""Who asks: the holder of ADMIN_TOKEN, or a user by the token that signing in gave. FastAPI dependencies.

Besides them, people whom a provider of identities knows, where their roles allow the request (see `api.people_gate`).
They come before anything else of a request is looked at, so 401 and 403 win over 422. A user is looked up at every
request: whoever was deactivated or deleted is refused as soon as the read model knows it.
"""

from __future__ import annotations

import hmac
import secrets
import time
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from typing import Annotated, Any, Final
from uuid import UUID

import jwt
from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPBearer

from api.admitting import BY_TOKEN, visiting
from api.doors import ADMIN
from projections.queries import users
from projections.queries.database import Database

ALGORITHM: Final = "HS256"
_shown = HTTPBearer(auto_error=False, description="ADMIN_TOKEN, or the access_token of POST /api/v1/auth/login.")
Shown = Annotated[Any, Depends(_shown)]
"""Shows the padlock in the documentation; decides nothing."""


@dataclass(frozen=True, slots=True)
class SignInOptions:
    """`admin_token` empty: only users are let in. `jwt_secret` signs tokens, `hours` is how long they last.

    Without a secret each process makes its own: tokens then end with it.
    """

    admin_token: str = field(default="", repr=False)
    jwt_secret: str = field(default="", repr=False)
    hours: float = 24.0


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks; `user_id` is None for who has ADMIN_TOKEN, and `subject` for all but a provider's people.

    `by` is what events say of him.
    """

    name: str
    is_admin: bool
    user_id: str | None = None
    subject: str | None = None

    @property
    def by(self) -> str:
        """The user's id, what a provider's person is called, or `token`."""
        return self.user_id or self.subject or BY_TOKEN


class SignIn:
    """The dependencies. Raise HTTPException 401 and 403 in the words of seed 002, Unavailable without database."""

    def __init__(self, options: SignInOptions, database: Database) -> None:
        self._options, self._database = options, database
        self._secret = options.jwt_secret or secrets.token_urlsafe(32)
        self._admin_hash = sha256(options.admin_token.encode()).digest() if options.admin_token else None

    async def admin(self, request: Request, _shown: Shown = None) -> str:
        """Let in who has ADMIN_TOKEN and every active user; the name."""
        return (await self.caller(request)).name

    async def caller(self, request: Request, _shown: Shown = None) -> Caller:
        """Let in whom `admin` lets in; all that is known of him."""
        if (person := _person(request)) is not None:
            return person
        header = request.headers.get("authorization", "")
        if not header.strip():
            raise refused("Missing Authorization header")
        scheme, token = _parts(header)
        if scheme != "bearer" or not token:
            raise refused("Invalid authorization scheme")
        if self._is_admin_token(token):
            return _TOKEN_HOLDER
        if token.count(".") != 2:
            raise refused("Invalid admin token")
        return await self._user(token)

    async def administrator(self, request: Request, _shown: Shown = None) -> Caller:
        """Let in who has ADMIN_TOKEN and users who are administrators."""
        if (person := _person(request)) is not None:
            return person
        scheme, token = _parts(request.headers.get("authorization", ""))
        if scheme != "bearer" or not token:
            raise refused("Not authenticated")
        caller = _TOKEN_HOLDER if self._is_admin_token(token) else await self._user(token)
        if not caller.is_admin:
            raise HTTPException(403, "Admin access required")
        return caller

    async def user(self, request: Request, _shown: Shown = None) -> Caller:
        """Let in users: ADMIN_TOKEN is none."""
        scheme, token = _parts(request.headers.get("authorization", ""))
        if scheme != "bearer" or not token:
            raise refused("Not authenticated")
        return await self._user(token)

    def token_of(self, user_id: str) -> str:
        """A token for a user who has shown his password."""
        claims = {"sub": user_id, "exp": int(time.time() + self._options.hours * 3600)}
        return jwt.encode(claims, self._secret, ALGORITHM)

    def _is_admin_token(self, token: str) -> bool:
        presented = sha256(token.encode("latin-1", "replace")).digest()
        return self._admin_hash is not None and hmac.compare_digest(presented, self._admin_hash)

    async def _user(self, token: str) -> Caller:
        user_id = self._subject(token)
        user = await self._database.read(partial(users.one, user_id=user_id)) if user_id else None
        if user is None or not user["is_active"]:
            raise refused("Could not validate credentials")
        return Caller(user["username"], user["is_admin"], user["user_id"])

    def _subject(self, token: str) -> UUID | None:
        try:
            required = {"require": ["exp", "sub"]}
            claims = jwt.decode(token, self._secret, [ALGORITHM], options=required)  # pyright: ignore[reportArgumentType]
            return UUID(claims["sub"])
        except (jwt.InvalidTokenError, ValueError, AttributeError, TypeError):
            return None


_TOKEN_HOLDER: Final = Caller("ADMIN_TOKEN", is_admin=True)


def _person(request: Request) -> Caller | None:
    """Somebody whom a provider knows; by name only what the log may keep of him."""
    found = visiting(request)
    return found and Caller(found.by, ADMIN in found.roles, subject=found.by)


def refused(detail: str) -> HTTPException:
    """401 as seed 002 says it."""
    return HTTPException(401, detail, {"WWW-Authenticate": "Bearer"})


def _parts(header: str) -> tuple[str, str]:
    """(scheme in lower case, the rest)."""
    scheme, _, rest = header.strip().partition(" ")
    return scheme.lower(), rest.strip()
