"""Put the raw routes in front of a FastAPI app: one dictionary look-up decides which of them answers."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from producers.answers import AsgiApp, Receive, Scope, Send
from producers.cors import Cors
from producers.gateway import Gateway
from producers.routes import PageHook, router

METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")  # as the seed's preflight answer lists them


class Dispatcher:
    """The outermost ASGI app: a raw route if method and path are one's, else `app` (lifespan and the rest too)."""

    def __init__(self, hot_routes: Mapping[tuple[str, str], AsgiApp], app: AsgiApp) -> None:
        self._hot_routes = hot_routes
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass on whatever is not HTTP."""
        if scope["type"] == "http":
            hot = self._hot_routes.get((scope["method"], scope["path"]))
            if hot is not None:
                return await hot(scope, receive, send)
        return await self._app(scope, receive, send)


def compose(gateway: Gateway, app: FastAPI, page: PageHook | None = None) -> AsgiApp:
    """`app` with the gateway's routes and CORS, behind the dispatcher.

    The caller starts and stops the gateway in the app's lifespan: `await gateway.start()`, `await gateway.stop()`.
    """
    app.include_router(router(gateway, page))
    hot_routes = gateway.hot_routes
    if gateway.recorders:
        app.include_router(gateway.recorders.router())
        hot_routes = hot_routes | gateway.recorders.hot_routes
    return Dispatcher(hot_routes, with_cors(app, gateway.cors))


def with_cors(app: AsgiApp, cors: Cors) -> AsgiApp:
    """`app` answering other origins as seed 001 does; they may read where the next page is, and the tag."""
    return CORSMiddleware(
        app,
        allow_origins=cors.origins,
        allow_methods=METHODS,
        allow_headers=["*"],
        allow_credentials=True,
        expose_headers=["Link", "ETag"],
    )
