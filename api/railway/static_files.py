"""GET /static: pictures of one folder, such as the logos of hotels, attractions and items; nothing else of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import FileResponse

from api.answers import is_known

MEDIA: Final = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".gif": "image/gif",
    ".svg": "image/svg+xml",
    ".ico": "image/x-icon",
}
"""Types that are served; a file of another type is not there."""
_HEADERS: Final = {
    "Cache-Control": "public, max-age=3600",
    "X-Content-Type-Options": "nosniff",
    # A drawing may hold script: opened by itself it must not act as a page of this server.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    "Access-Control-Allow-Origin": "*",
}


def build(folder: Path | None) -> APIRouter:
    """The route over one folder; without one there is nothing to be found."""
    router = APIRouter(include_in_schema=False)

    @router.api_route("/static/{path:path}", methods=["GET", "HEAD"])
    async def picture(request: Request, path: str) -> Response:
        """A file of the folder; 404 for folders, hidden files, other types, and all that is not below it."""
        found = None if folder is None else await asyncio.to_thread(found_in, folder, path)
        if found is None:
            raise HTTPException(404)
        file, etag = found
        headers = _HEADERS | {"ETag": etag}
        if is_known(request.headers.get("if-none-match"), etag):
            return Response(status_code=304, headers=headers)
        return FileResponse(file, headers=headers, media_type=MEDIA[file.suffix.lower()])

    return router


def found_in(folder: Path, path: str) -> tuple[Path, str] | None:
    """The file that stands below the folder under this path, and its entity tag; links that lead out are none."""
    parts = path.split("/")
    if any(not part or part.startswith(".") or "\\" in part or "\x00" in part for part in parts):
        return None
    try:
        home, file = folder.resolve(), folder.joinpath(*parts).resolve(strict=True)
        if not file.is_relative_to(home) or file.suffix.lower() not in MEDIA or not file.is_file():
            return None
        state = file.stat()
    except (OSError, ValueError):  # not there, or a name that no file can have
        return None
    return file, f'"{state.st_mtime_ns:x}-{state.st_size:x}"'
