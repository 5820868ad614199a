"""GET /ui and /assets: the page and its files, Plotly out of its own package; everything works without a network."""

from __future__ import annotations

import asyncio
import gzip
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

from fastapi import APIRouter, HTTPException, Request, Response

from api.answers import etag_of, is_known

POLICY: Final = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        # Plotly writes style attributes and one style element; no text of a device ever gets into markup.
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self'",
        # What was said, fetched with the token and played from memory.
        "media-src 'self' blob:",
        "connect-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)
_HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
_MEDIA: Final = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
PLOTLY: Final = "plotly.min.js"


@dataclass(frozen=True, slots=True)
class File:
    """A file of the page as it is sent."""

    plain: bytes
    packed: bytes
    etag: str


@cache
def _plotly() -> File:
    """Five megabytes: packed once, when first asked for."""
    return _as_file((resources.files("plotly") / "package_data" / PLOTLY).read_bytes())


def _as_file(content: bytes) -> File:
    return File(content, gzip.compress(content, 6, mtime=0), etag_of(content))


def _read(name: str) -> File | None:
    """A file of the page; None for every other name, also one with a path in it."""
    if name == PLOTLY:
        return _plotly()
    folder = resources.files("api.dashboard")
    known = {entry.name for entry in folder.iterdir() if entry.name.rpartition(".")[2] in _MEDIA}
    return _as_file((folder / name).read_bytes()) if name in known else None


async def _file(request: Request, name: str) -> Response:
    file = await asyncio.to_thread(_read, name)
    if file is None:
        raise HTTPException(404)
    headers = _HEADERS | {"ETag": file.etag, "Vary": "Accept-Encoding"}
    if is_known(request.headers.get("if-none-match"), file.etag):
        return Response(status_code=304, headers=headers)
    content = file.plain
    if "gzip" in request.headers.get("accept-encoding", ""):
        content, headers["Content-Encoding"] = file.packed, "gzip"
    return Response(content, headers=headers, media_type=_MEDIA[name.rpartition(".")[2]])


async def page(request: Request) -> Response:
    """The page itself, for `/ui`, and for `/` where Accept names text/html."""
    return await _file(request, "index.html")


async def sales_page(request: Request) -> Response:
    """The page of sales audio."""
    return await _file(request, "sales.html")


async def railway_page(request: Request) -> Response:
    """The page of the railway."""
    return await _file(request, "railway.html")


async def security_page(request: Request) -> Response:
    """The page of security."""
    return await _file(request, "security.html")


def build() -> APIRouter:
    """The routes; nobody needs to be admitted to see an empty page."""
    router = APIRouter(include_in_schema=False)
    router.add_api_route("/ui", page, methods=["GET"])
    router.add_api_route("/ui/", page, methods=["GET"])
    router.add_api_route("/ui/sales", sales_page, methods=["GET"])
    router.add_api_route("/ui/railway", railway_page, methods=["GET"])
    router.add_api_route("/ui/security", security_page, methods=["GET"])

    @router.get("/assets/{name}")
    async def get_asset(request: Request, name: str) -> Response:
        return await _file(request, name)

    @router.get("/favicon.ico")
    async def get_icon(request: Request) -> Response:
        return await _file(request, "favicon.svg")

    return router
