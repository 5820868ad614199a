"""Puts the API together: routers over what they need, and what an error looks like. The composition root calls this."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, Protocol, cast

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi_offline import FastAPIOffline

from api.answers import problem
from api.audio_files import AudioOptions
from api.commanding import Writes
from api.first_admin import FirstAdmin, ensure
from api.live import Hub
from api.routes import (
    analysis,
    analytics,
    as_of,
    audio,
    devices,
    exports,
    live,
    logs,
    moments,
    page,
    person_pages,
    persons,
    registry,
    reviews,
    sales,
    sales_analyses,
    sessions,
    summary,
    users,
)
from api.sales_commands import Appends, Commands
from api.sign_in import SignIn, SignInOptions
from projections.queries.changes import listen
from projections.queries.database import Database
from projections.queries.errors import Unavailable, UnknownAsOf
from schemas.envelope import KeyRing

DEFAULT_NAME: Final = "Entrance Camera"
"""What seed 001 calls every device."""

Admission = Callable[..., Awaitable[Any]]


def no_frames(_device_id: str) -> float:
    """Frames per second where no gateway runs in this process."""
    return 0.0


def default_name(_device_id: str) -> str:
    """The name of a device that has none in the settings."""
    return DEFAULT_NAME


class Writer(Writes, Appends, Protocol):
    """What is needed of `producers.commands.Writer`."""


@dataclass(frozen=True, slots=True)
class Sales:
    """What the routes of sales audio need besides the database.

    Without `writer` they only read, without `audio` nothing can be heard. `admin` lets callers in and says their
    names where something else than `sign_in` does. Days are those of `zone` (IANA) where none is asked for. `client`
    tells the address a request really comes from.
    """

    sign_in: SignInOptions
    keyring: KeyRing
    writer: Writer | None = None
    audio: AudioOptions | None = None
    zone: str = "Europe/Belgrade"
    admin: Admission | None = None
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    client: Callable[[Request], str] = users.peer
    first_admin: FirstAdmin | None = None


@dataclass(frozen=True, slots=True)
class Api:
    """What the routes answer from. `admission` is a FastAPI dependency that refuses by raising HTTPException.

    `people`: where a provider of identities is configured.
    """

    database: Database
    hub: Hub
    frame_fps: Callable[[str], float] = no_frames
    device_names: Callable[[str], str] = default_name
    admission: Admission | None = None
    sales: Sales | None = None
    people: person_pages.Reception | None = None

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """The pool and the live listener, for a lifespan; starts without PostgreSQL."""
        await self.database.open()
        under_way = [asyncio.create_task(self.hub.run(), name="live events")]
        if self.sales and self.sales.writer and self.sales.first_admin:
            sign_in = SignIn(self.sales.sign_in, self.database)  # lets nobody in: the settings are the caller
            people = _people(self.database, self.sales, self.sales.writer, sign_in)
            under_way.append(asyncio.create_task(ensure(people, self.sales.first_admin), name="first administrator"))
        try:
            yield
        finally:
            for task in under_way:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            await self.database.close()


def wire(
    database_url: str,
    *,
    frame_fps: Callable[[str], float] = no_frames,
    device_names: Callable[[str], str] = default_name,
    admission: Admission | None = None,
    sales: Sales | None = None,
    people: person_pages.Reception | None = None,
) -> Api:
    """An Api over one PostgreSQL; nothing is opened yet. Without `sales` there are no routes of sales audio."""
    hub = Hub(partial(listen, database_url))
    return Api(Database(database_url), hub, frame_fps, device_names, admission, sales, people)


def routers(api: Api) -> Sequence[APIRouter]:
    """Every router of the API, at its own path and, what lives under /v1, also under /api."""
    guards = [] if api.admission is None else [Depends(api.admission)]
    read = APIRouter(dependencies=guards)
    for routes in (sessions, persons, logs, moments, as_of):
        read.include_router(routes.build(api.database))
    read.include_router(live.build(api.hub))
    guarded = APIRouter(dependencies=guards)
    guarded.include_router(summary.build(api.database, api.frame_fps, api.device_names))
    spoken = [] if api.sales is None else _sales_routers(api.database, api.sales)
    behind_proxy = APIRouter(prefix="/api")
    for router, guard in ((read, []), *((_under_v1(router), guard) for router, guard in spoken)):
        behind_proxy.include_router(router, dependencies=guard)
    own = APIRouter()
    for router, guard in spoken:
        own.include_router(router, dependencies=guard)
    return [read, behind_proxy, guarded, own, registry.build(), page.build(), person_pages.build(api.people)]


def _sales_routers(database: Database, parts: Sales) -> Sequence[tuple[APIRouter, Sequence[Any]]]:
    """Sales audio, each with what guards it besides itself."""
    # One for all: without a secret of the settings each makes its own, and they must take each other's tokens.
    sign_in = SignIn(parts.sign_in, database)
    admin, commands = parts.admin or sign_in.admin, Commands(parts.writer, parts.keyring)
    guard = [Depends(admin)]
    found: list[tuple[APIRouter, Sequence[Any]]] = [
        (analytics.build(database), guard),
        (reviews.build(database, commands, admin), guard),
        (analysis.build(database, commands, admin), guard),
        (exports.build(database), guard),
        (sales_analyses.build(database, parts.zone, commands, admin, parts.now), guard),
        (sales.build(database, parts.zone, parts.now), guard),
    ]
    if parts.writer is not None:
        people = _people(database, parts, parts.writer, sign_in)
        found += [(devices.build(database, parts.writer, sign_in), ()), (users.build(people), ())]
    if parts.audio is not None:
        found.append((audio.build(database, parts.audio, admin), ()))
    return found


def _people(database: Database, parts: Sales, writer: Writer, sign_in: SignIn) -> users.People:
    return users.People(database, writer, sign_in, parts.keyring, client=parts.client)


def _under_v1(router: APIRouter) -> APIRouter:
    """The routes of a router that live under /v1."""
    kept = APIRouter()
    kept.routes += [route for route in router.routes if getattr(route, "path", "").startswith("/v1/")]
    return kept


def install(app: FastAPI, api: Api) -> None:
    """Mount the API in an app, with its errors; the caller's lifespan enters `api.running()`."""
    for router in routers(api):
        app.include_router(router)
    app.add_exception_handler(Unavailable, _unavailable)
    app.add_exception_handler(UnknownAsOf, _unknown_as_of)


def build(api: Api) -> FastAPI:
    """An app of the API alone, with /docs and /redoc that work offline."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncGenerator[None]:
        async with api.running():
            yield

    app = FastAPIOffline(title="Sensorium", lifespan=lifespan)
    install(app, api)
    return app


async def _unavailable(_request: Request, error: Exception) -> Response:
    retry = str(cast("Unavailable", error).retry_after_s)
    return problem(503, "Service Unavailable", str(error), {"Retry-After": retry})


async def _unknown_as_of(_request: Request, error: Exception) -> Response:
    return problem(404, "Not Found", str(error))
