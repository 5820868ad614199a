"""Puts the API together: routers over what they need, and what an error looks like. The composition root calls this."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, cast

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi_offline import FastAPIOffline

from api.answers import problem
from api.live import Hub
from api.routes import as_of, live, logs, moments, page, persons, registry, sessions, summary
from projections.queries.changes import listen
from projections.queries.database import Database
from projections.queries.errors import Unavailable, UnknownAsOf

DEFAULT_NAME: Final = "Entrance Camera"
"""What seed 001 calls every device."""

Admission = Callable[..., Awaitable[Any]]


def no_frames(_device_id: str) -> float:
    """Frames per second where no gateway runs in this process."""
    return 0.0


def default_name(_device_id: str) -> str:
    """The name of a device that has none in the settings."""
    return DEFAULT_NAME


@dataclass(frozen=True, slots=True)
class Api:
    """What the routes answer from. `admission` is a FastAPI dependency that refuses by raising HTTPException."""

    database: Database
    hub: Hub
    frame_fps: Callable[[str], float] = no_frames
    device_names: Callable[[str], str] = default_name
    admission: Admission | None = None

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """The pool and the live listener, for a lifespan; starts without PostgreSQL."""
        await self.database.open()
        listener = asyncio.create_task(self.hub.run(), name="live events")
        try:
            yield
        finally:
            listener.cancel()
            with suppress(asyncio.CancelledError):
                await listener
            await self.database.close()


def wire(
    database_url: str,
    *,
    frame_fps: Callable[[str], float] = no_frames,
    device_names: Callable[[str], str] = default_name,
    admission: Admission | None = None,
) -> Api:
    """An Api over one PostgreSQL; nothing is opened yet."""
    return Api(Database(database_url), Hub(partial(listen, database_url)), frame_fps, device_names, admission)


def routers(api: Api) -> Sequence[APIRouter]:
    """Every router of the API, at its own path and, what lives under /v1, also under /api."""
    guards = [] if api.admission is None else [Depends(api.admission)]
    read = APIRouter(dependencies=guards)
    for routes in (sessions, persons, logs, moments, as_of):
        read.include_router(routes.build(api.database))
    read.include_router(live.build(api.hub))
    guarded = APIRouter(dependencies=guards)
    guarded.include_router(summary.build(api.database, api.frame_fps, api.device_names))
    behind_proxy = APIRouter(prefix="/api")
    behind_proxy.include_router(read)
    return [read, behind_proxy, guarded, registry.build(), page.build()]


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
