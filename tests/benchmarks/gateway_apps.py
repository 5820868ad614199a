"""The processes that the gateway's benchmark measures: `python -m tests.benchmarks.gateway_apps bare|gateway PORT`."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

from ops import http_server
from producers.answers import AsgiApp
from producers.asgi import compose
from producers.gateway import Gateway, GatewayOptions
from schemas.envelope import KeyRing

_START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"content-length", b"11")],
}
_BODY = {"type": "http.response.body", "body": b'{"ok":true}'}


async def bare(scope: Any, receive: Any, send: Any) -> None:
    """The floor: reads the body and answers."""
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            await send({"type": f"{kind}.complete"})
            if kind == "lifespan.shutdown":
                return
    while (await receive()).get("more_body"):
        pass
    await send(_START)
    await send(_BODY)


def gateway() -> AsgiApp:
    """The gateway as the front process runs it."""
    made = Gateway(GatewayOptions(os.environ["KAFKA_BOOTSTRAP_SERVERS"], KeyRing.parse(KeyRing.fresh_text())))

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncGenerator[None]:
        await made.start()
        yield
        await made.stop()

    return compose(made, FastAPI(lifespan=lifespan))


def main() -> None:
    """Serve one of them with the product's own uvicorn settings until interrupted."""
    app = bare if sys.argv[1] == "bare" else gateway()
    http_server.server(app).run(sockets=[http_server.listen("127.0.0.1", int(sys.argv[2]))])


if __name__ == "__main__":
    main()
