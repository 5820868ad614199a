"""Puts the railway's servers together: three apps under their prefixes, every route with `/v1` and without."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, cast

from fastapi import APIRouter, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi_offline import FastAPIOffline

from api.railway import (
    cards,
    component_sign_in,
    engineers,
    faces,
    frontend,
    passengers,
    places,
    robot_passengers,
    robot_tickets,
    store_admin,
    store_items,
    store_robot,
    store_sales,
    store_trains,
    tickets,
    user_provider,
)
from api.railway.parts import Railway
from api.railway.unfit import unfit
from projections.queries.errors import Unavailable

AsgiApp = Callable[[Any, Any, Any], Any]
Build = Callable[[Railway], APIRouter]

BASE: Final[Sequence[Build]] = (
    component_sign_in.build,
    engineers.build,
    cards.build,
    store_trains.build,
    passengers.build,
    tickets.build,
    places.build,
    robot_passengers.build,
    robot_tickets.build,
    frontend.build,
    user_provider.build,
)
STORE: Final[Sequence[Build]] = (
    store_admin.build,
    store_items.build,
    store_sales.build,
    store_robot.build,
)
FACE: Final[Sequence[Build]] = (faces.build,)
"""The routers of each server; a new file of routes is one more line."""

LIMITS: Final[Mapping[str, int]] = {"/base_api": 32 << 20, "/store_api": 1 << 20, "/face_api": 16 << 20}
"""Bytes of a body, at most."""
_CORS: Final = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"GET, POST, OPTIONS, PUT, PATCH, DELETE"),
    (b"access-control-allow-headers", b"Content-Type, Authorization, Idempotency-Key"),
)


def servers(railway: Railway) -> Mapping[str, AsgiApp]:
    """The apps by the prefix they stand under; each has its own /docs and /redoc, which work offline."""
    made = {"/base_api": ("Base", BASE), "/store_api": ("Store", STORE), "/face_api": ("Face", FACE)}
    return {prefix: Door(_app(name, routers, railway), prefix) for prefix, (name, routers) in made.items()}


class Front:
    """Sends requests under a server's prefix to it, all others to `app`."""

    def __init__(self, servers: Mapping[str, AsgiApp], app: AsgiApp) -> None:
        self._servers, self._app = servers, app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request, or pass on whatever is not HTTP."""
        if scope["type"] == "http":
            prefix = "/" + scope["path"].split("/", 2)[1]
            server = self._servers.get(prefix)
            if server is not None:
                return await server(scope, receive, send)
        return await self._app(scope, receive, send)


class Door:
    """A server at its prefix: answers every OPTIONS with 204, refuses bodies that are too large, lets pages read."""

    def __init__(self, app: AsgiApp, prefix: str) -> None:
        self._app, self._prefix, self._limit = app, prefix, LIMITS[prefix]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["method"] == "OPTIONS":
            await send({"type": "http.response.start", "status": 204, "headers": list(_CORS)})
            return await send({"type": "http.response.body", "body": b""})
        inner = dict(scope, root_path=scope.get("root_path", "") + self._prefix)
        return await self._app(inner, _Limited(receive, self._limit), _with_cors(send))


class _Limited:
    """Receives at most so many bytes."""

    def __init__(self, receive: Any, limit: int) -> None:
        self._receive, self._left = receive, limit

    async def __call__(self) -> Any:
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise HTTPException(413, "Request Entity Too Large")  # FastAPI lets this one through
        return message


def _with_cors(send: Any) -> Any:
    async def sending(message: Any) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), _CORS[0]]}
        await send(message)

    return sending


def _app(name: str, routers: Sequence[Build], railway: Railway) -> FastAPI:
    app = FastAPIOffline(title=f"Sensorium: {name} Server", version="1")
    for build in routers:
        router = build(railway)
        app.include_router(router, prefix="/v1")
        app.include_router(router, include_in_schema=False)
    app.add_exception_handler(Unavailable, _unavailable)
    app.add_exception_handler(RequestValidationError, unfit)
    return app


async def _unavailable(_request: Request, error: Exception) -> Response:
    away = cast("Unavailable", error)
    return JSONResponse({"detail": str(away)}, 503, {"Retry-After": str(away.retry_after_s)})
