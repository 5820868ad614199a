"""`RemoteWorkers` that listen by themselves: their HTTP server lives in the event loop of the process `asr`."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Generator
from pathlib import Path
from typing import Final

import uvicorn

from streams.workers.journal import Journal
from streams.workers.remote_work import RemoteWorkers
from streams.workers.remote_work_app import app
from streams.workers.remote_work_leases import Terms

log = logging.getLogger(__name__)
STOP_S: Final = 3


class ListeningWorkers(RemoteWorkers):
    """A heavy part that workers elsewhere reach at `address`: `unix:/path/of/socket` or `host:port`.

    The socket is its owner's alone. `internal_token` is INTERNAL_TOKEN; without one every request is refused.
    """

    def __init__(
        self, address: str, internal_token: str, terms: Terms | None = None, journal: Journal | None = None
    ) -> None:
        super().__init__(terms, journal)
        self._address = address
        config = uvicorn.Config(
            app(self, internal_token), lifespan="off", log_config=None, access_log=False, timeout_keep_alive=75
        )
        config.timeout_graceful_shutdown = STOP_S
        self._server = _Server(config)
        self._serving: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Listen, and look after the leases. Raises OSError: the address cannot be had."""
        super().start()
        if self._serving is None:
            self._serving = asyncio.create_task(self._server.serve(sockets=[_bound(self._address)]))
            log.info("asr workers are heard at %s", self._address)

    async def close(self) -> None:
        """Let the requests under way end, then stop."""
        self._server.should_exit = True
        await super().close()
        if self._serving is not None:
            await asyncio.wait((self._serving,), timeout=2 * STOP_S)


class _Server(uvicorn.Server):
    """Leaves the process' signals to the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Capture none."""
        yield


def _bound(address: str) -> socket.socket:
    if not address.startswith("unix:"):
        host, _, port = address.rpartition(":")
        return socket.create_server((host, int(port)), backlog=256)
    path = Path(address.removeprefix("unix:"))
    path.unlink(missing_ok=True)  # of a process that was killed
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        made.bind(str(path))
    finally:
        os.umask(before)
    return made
