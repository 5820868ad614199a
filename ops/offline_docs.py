"""Makes ReDoc's bundle as offline as the rest of `/docs` and `/redoc`: its footer would fetch a logo from outside."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Final

from fastapi import FastAPI, Request, Response
from starlette.routing import Route

SCRIPT: Final = "/static-offline-docs/redoc.standalone.js"
LOGO: Final = b"https://cdn.redoc.ly/redoc/logo-mini.svg"
NOTHING: Final = b"data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg'/%3E"


@cache
def bundle() -> bytes:
    """ReDoc's script out of its package, without the one address that is not ours."""
    script = (resources.files("fastapi_offline") / "static" / "redoc.standalone.js").read_bytes()
    return script.replace(LOGO, NOTHING)


def complete(app: FastAPI) -> None:
    """Let the app serve that script instead of the package's."""

    async def redoc(_request: Request) -> Response:
        return Response(bundle(), media_type="text/javascript")

    app.router.routes.insert(0, Route(SCRIPT, redoc))
