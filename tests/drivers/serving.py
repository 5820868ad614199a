"""A real uvicorn in a thread, for tests that need a socket: clients in other languages' style, streams, browsers."""

from __future__ import annotations

import socket
import threading
from collections.abc import Generator
from contextlib import closing, contextmanager
from typing import Any

import uvicorn


class _Announcing(uvicorn.Server):
    """Says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


@contextmanager
def served(app: Any, port: int = 0) -> Generator[str]:
    """The base address of an app that is being served until the block ends, at a free port if none is asked for."""
    with closing(socket.create_server(("127.0.0.1", port))) as listener:
        config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1, ws="none")
        server = _Announcing(config)
        thread = threading.Thread(target=lambda: server.run(sockets=[listener]), daemon=True)
        thread.start()
        server.ready.wait(15)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(15)
