"""The composition root's part for the railway: what its three servers answer from, and who knows faces."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ops.settings import Settings
from schemas.envelope import KeyRing

if TYPE_CHECKING:
    from fastapi import FastAPI

    from api.commanding import Writes
    from api.railway.face_desk import Describe, Described, FaceDesk
    from api.railway.parts import Railway, RailwayOptions
    from producers.admission import Admission
    from producers.answers import AsgiApp
    from projections.queries.database import Database
    from streams.steps import Heavy
    from streams.workers.pool import ChildPool

FACE_BYTES: Final = 1 << 30
"""Address space of a child that looks for faces: its models take 200 MB of it."""


@dataclass(frozen=True, slots=True)
class Trains:
    """The railway's servers and the child processes that look at pictures for them."""

    parts: Railway
    children: ChildPool
    pictures: Path

    def in_front_of(self, front: AsgiApp, app: FastAPI) -> AsgiApp:
        """`front` with the three servers before it; `app`, which is in it, gets what stands outside of them.

        That is pictures, and purchases for the accounts.
        """
        from api.railway import static_files
        from api.railway.app import Front, servers
        from api.routes import railway_purchases

        app.include_router(static_files.build(self.pictures))
        app.include_router(railway_purchases.build(self.parts.database, self.parts.admin))
        return Front(servers(self.parts), front)

    async def close(self) -> None:
        """End the children."""
        await self.children.close()


def trains(
    settings: Settings,
    keyring: KeyRing,
    database: Database,
    writer: Writes,
    admission: Admission,
    person: Callable[..., Awaitable[str]] | None,
) -> Trains:
    """The servers over one database and one way into the log; `person` knows passengers by their access tokens."""
    from api.admitting import admits
    from api.railway.parts import Railway

    children = face_children(settings)
    parts = Railway(
        database,
        writer,
        keyring,
        admin=admits(admission, own_pages=True),  # every origin may ask here, as the first servers had it
        person=person,
        faces=_desk(settings, keyring, database, writer, children),
        biometrics=admits(admission, only_named=True),
        options=_options(settings),
        client=lambda request: admission.client(request.scope, dict(request.scope["headers"])),
    )
    return Trains(parts, children, settings.static_folder)


def gallery(settings: Settings, keyring: KeyRing) -> Heavy:
    """Known faces, for the processor that says whose a seen face is."""
    from streams.gallery import FollowedGallery, Gallery

    return FollowedGallery(settings.kafka_bootstrap or "", Gallery(keyring, match_distance(settings)))


def match_distance(settings: Settings) -> float:
    """How far apart pictures of one person may be."""
    from api.railway.face_desk import FaceOptions

    return settings.railway.face_distance or FaceOptions().match_distance


def face_children(settings: Settings) -> ChildPool:
    """Child processes that look for faces in pictures."""
    from streams.workers.pool import ChildLimits, ChildPool

    limits = ChildLimits(memory_bytes=FACE_BYTES, seconds=20, nice=5)
    chosen = settings.railway
    options = {"models": str(chosen.face_models)} if chosen.face_models else {}
    return ChildPool("streams.workers.faces:open_worker", options, limits, size=chosen.face_workers)


def describer(children: ChildPool) -> Describe:
    """What is asked about a picture, of children that look for faces."""
    from api.railway.face_desk import Described

    async def describe(picture: bytes, purpose: str, /) -> Sequence[Described]:
        answer = await children({"picture": picture, "purpose": purpose})
        return [Described(face["vector"], face["quality"]) for face in answer["faces"]]

    return describe


def _desk(settings: Settings, keyring: KeyRing, database: Database, writer: Writes, children: ChildPool) -> FaceDesk:
    from api.railway.face_desk import FaceDesk, FaceOptions

    options = FaceOptions(match_distance(settings))
    return FaceDesk(database, writer, keyring, describer(children), lambda: time.time_ns() // 1000, options)


def _options(settings: Settings) -> RailwayOptions:
    from api.railway.parts import POOL, RailwayOptions

    chosen = settings.railway
    return RailwayOptions(
        auth_code_length=chosen.code_length,
        auth_request_timeout=chosen.challenge_s,
        auth_session_timeout=chosen.session_s,
        symbols_pool=chosen.pool or POOL,
        ticket_code_len=chosen.ticket_code_length,
    )
