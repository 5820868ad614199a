"""`sensorium serve gateway`: the gateway as an application of its own."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from producers.answers import AsgiApp
from producers.asgi import calm_garbage_collector, compose
from producers.gateway import Gateway, GatewayOptions


def gateway_app(options: GatewayOptions, app_class: type[FastAPI] = FastAPI) -> AsgiApp:
    """The whole gateway as one ASGI app; `app_class` may be a FastAPI whose documentation pages work offline."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncGenerator[None]:
        await gateway.start()
        calm_garbage_collector()
        yield
        await gateway.stop()

    gateway = Gateway(options)
    return compose(gateway, app_class(title="Sensorium gateway", lifespan=lifespan))
