"""What the railway's routes answer from: handed in by the composition root, passed to every router."""

from __future__ import annotations

import string
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from fastapi import Request

from api.commanding import Writes
from projections.queries.database import Database
from schemas.envelope import KeyRing

POOL: Final = string.ascii_uppercase + string.ascii_lowercase + "1234567890!@#$%^&*()"
"""The 72 characters of challenges and ticket codes."""


class Unrecognisable(Exception):
    """A picture in which nobody can be recognised; the text says why, for people."""


class FaceTaken(Exception):
    """The face belongs to somebody else already."""


class Faces(Protocol):
    """What is needed of the face server's desk; pictures are base64 of an encoded file."""

    async def enrol(self, request: Request, user_id: str, image: str, by: str | None) -> None:
        """Let this picture stand for a person. Raises Unrecognisable, FaceTaken."""
        ...

    async def check(self, user_id: str, image: str, by: str | None) -> None:
        """Whether this picture could stand for a person. Raises Unrecognisable, FaceTaken."""
        ...

    async def search(self, image: str, by: str | None) -> str | None:
        """Whose face it is; None: nobody known. Raises Unrecognisable."""
        ...

    async def remove(self, request: Request, user_id: str, by: str | None) -> None:
        """Forget a person's face, if there is one."""
        ...

    async def has(self, user_id: str) -> bool:
        """Whether a face stands for a person."""
        ...


Admits = Callable[..., Awaitable[str | None]]
"""A FastAPI dependency that lets in or raises HTTPException, and says who it is (None: somebody on this network)."""


@dataclass(frozen=True, slots=True)
class RailwayOptions:
    """Settings of seed 003, under its names in lower case; times in seconds.

    A challenge has `auth_code_length` characters of `symbols_pool` and lives `auth_request_timeout`; a session lives
    `auth_session_timeout` after it was last used.
    """

    auth_code_length: int = 100
    auth_request_timeout: float = 30
    auth_session_timeout: float = 3600
    symbols_pool: str = POOL
    ticket_code_len: int = 128


def _peer(request: Request) -> str:
    return request.client.host if request.client else ""


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Railway:
    """Everything but the routes. `client` tells the address a request really comes from.

    `admin` guards `/admin` and `/user-provider`, `biometrics` the face server (None: as `admin`, which is weaker where
    neighbours come in without a token); `person` gives the passenger of an access token.
    """

    database: Database
    writer: Writes
    keyring: KeyRing
    admin: Admits
    person: Callable[..., Awaitable[str]] | None = None
    faces: Faces | None = None
    biometrics: Admits | None = None
    options: RailwayOptions = field(default_factory=RailwayOptions)
    client: Callable[[Request], str] = _peer
    now: Callable[[], datetime] = _now
    extra: dict[str, Any] = field(default_factory=dict[str, Any])
