"""Raw ASGI apps inside FastAPI: for OpenAPI, and for requests that did not come past the dispatcher."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.responses import Response

from producers.answers import AsgiApp, Receive, Scope, Send


class _RawResponse(Response):
    """Lets a raw ASGI app answer."""

    def __init__(self, app: AsgiApp) -> None:
        self._app = app
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


def raw(app: AsgiApp) -> Callable[[], Awaitable[Response]]:
    """An endpoint for FastAPI that leaves the request to `app`."""

    async def answer() -> Response:
        return _RawResponse(app)

    return answer
