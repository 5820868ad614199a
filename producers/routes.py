"""The gateway's FastAPI routes: health, front door, truncation, MJPEG; and the raw routes, declared for OpenAPI."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse

from producers.answers import Answer, Headers, Refused, problem
from producers.declared import OPENAPI_PATHS
from producers.gateway import Gateway
from producers.raw_responses import raw

PAGE = "/ui"
MJPEG = "multipart/x-mixed-replace; boundary=frame"

PageHook = Callable[[Request], Awaitable[Response]]


def router(gateway: Gateway, page: PageHook | None = None) -> APIRouter:
    """All routes of the gateway. `page` answers `GET /` for browsers (default: a redirect to /ui)."""
    routes = APIRouter(tags=["gateway"])
    for (method, path), app in gateway.hot_routes.items():
        routes.add_api_route(path, raw(app), methods=[method], openapi_extra=OPENAPI_PATHS[path][method.lower()])
    _add_front_door(routes, page or _redirect_to_page)
    _add_health(routes, gateway)
    _add_truncation(routes, gateway)
    _add_stream(routes, gateway)
    return routes


def _add_front_door(routes: APIRouter, page: PageHook) -> None:
    @routes.get("/", summary="Liveness for devices, the page for browsers")
    async def front_door(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        if "text/html" in request.headers.get("accept", ""):
            return await page(request)
        return JSONResponse({"status": "ok"})


def _add_health(routes: APIRouter, gateway: Gateway) -> None:
    @routes.get("/health", summary="Whether posts can be taken")
    @routes.get("/api/health", summary="Whether posts can be taken")
    @routes.get("/v1/health", include_in_schema=False)
    @routes.get("/api/v1/health", include_in_schema=False)
    async def health() -> Response:  # pyright: ignore[reportUnusedFunction]
        report = gateway.health()
        return JSONResponse(report, 200 if report["ok"] else 503)


def _add_truncation(routes: APIRouter, gateway: Gateway) -> None:
    @routes.post("/admin/truncate", summary="Empty the emotion log (ADMIN_TOKEN)")
    @routes.post("/api/admin/truncate", summary="Empty the emotion log (ADMIN_TOKEN)")
    async def truncate(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        try:
            return _response(await gateway.truncate(_headers(request), request.scope))
        except Refused as refused:
            return _response(refused.answer)


def _add_stream(routes: APIRouter, gateway: Gateway) -> None:
    @routes.get("/stream/{device_id}", summary="A device's newest frames as MJPEG, endless")
    async def stream(request: Request, device_id: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        try:
            gateway.admission.admit(request.scope, _headers(request))
            if not gateway.frames.has_room_for_stream():
                raise problem(503, "Too many streams are open", 5)
        except Refused as refused:
            return _response(refused.answer)
        return StreamingResponse(gateway.frames.stream(device_id), media_type=MJPEG)


async def _redirect_to_page(_request: Request) -> Response:
    return RedirectResponse(PAGE)


def _headers(request: Request) -> Headers:
    return dict(request.scope["headers"])


def _response(answer: Answer) -> Response:
    response: Any = Response(answer.body, answer.status)
    del response.headers["content-length"]
    response.raw_headers = [*answer.headers, (b"content-length", b"%d" % len(answer.body))]
    return response
