"""What the routes of security answer from: handed in by the composition root, passed to every router."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

from fastapi import HTTPException, Request

from api import commanding
from api.commanding import Asked, Writes
from api.railway.face_desk import Describe
from api.railway.parts import Admits
from api.security_feed import Feed
from producers.commands import CommandAnswer
from producers.pictures import Pictures
from projections.queries.database import Database
from schemas.envelope import KeyRing
from schemas.identity import NAMESPACE

KEY: Final = "security"
MODEL: Final = "security"
REFUSALS: Final[Mapping[str, int]] = {"alert_not_found": 404, "not_allowed": 409}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Writer(Writes, Protocol):
    """What is needed of `producers.commands.Writer`."""

    def append(  # noqa: D102 - see Writer
        self, event: str, key: str, record: Mapping[str, Any], *, event_id: str | None = None
    ) -> Awaitable[bool]: ...


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Security:
    """Everything but the routes.

    `devices` guards what cameras send, `admin` how they are configured, `biometrics` whatever tells of people (who has
    ADMIN_TOKEN or a role). Without `describe` no faces are looked for, without `pictures` no key frames are kept. A
    time without an offset, and a schedule, are those of `zone` (IANA).
    """

    database: Database
    writer: Writer
    keyring: KeyRing
    feed: Feed
    devices: Admits
    admin: Admits
    biometrics: Admits
    describe: Describe | None = None
    pictures: Pictures | None = None
    zone: str = "UTC"
    now: Callable[[], datetime] = _now

    async def decided(
        self, request: Request, command: str, record: Mapping[str, Any], meant: Mapping[str, Any] | None = None
    ) -> CommandAnswer:
        """Send a command, wait until it is decided and can be read. Raises HTTPException."""
        asked = Asked(command, KEY, record, MODEL, REFUSALS)
        return await commanding.decided(request, self.writer, asked, record if meant is None else meant)

    async def close(self) -> None:
        """Stop what runs beside the requests."""
        await self.feed.close()
        if self.pictures is not None:
            await self.pictures.close()


def us_of(moment: datetime) -> int:
    """UTC epoch microseconds."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def id_of(*parts: object) -> str:
    """The id of what is told once: the same parts, the same id."""
    return str(uuid.uuid5(NAMESPACE, "\n".join(str(part) for part in parts)))


def not_here(what: str) -> HTTPException:
    """503: this server was started without it."""
    return HTTPException(503, what, {"Retry-After": "60"})
