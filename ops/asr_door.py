"""Where asr workers elsewhere find work: the leases behind a Unix socket, served in the process `asr`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import uvicorn

from ops.state import own_folder
from streams.workers.journal import Journal, Journalled
from streams.workers.remote_work import RemoteWorkers
from streams.workers.remote_work_app import app


class _Server(uvicorn.Server):
    """Leaves the process's signals to the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Capture none."""
        yield


class AsrDoor:
    """A `streams.steps.Heavy` whose work is done by whoever leases it over HTTP."""

    def __init__(self, socket: Path, internal_token: str, journal: Journal) -> None:
        self._socket = socket
        self._workers = RemoteWorkers(journal=journal)
        self._heavy = Journalled(self._workers, journal)
        config = uvicorn.Config(
            app(self._workers, internal_token), uds=str(socket), lifespan="off", access_log=False, log_level="warning"
        )
        self._server = _Server(config)
        self._serving: asyncio.Task[None] | None = None

    @property
    def progress(self) -> int | None:
        """Moves while workers are at work."""
        return self._heavy.progress

    async def __call__(self, request: Mapping[str, Any], /) -> Mapping[str, Any]:
        """Wait until a worker has done it."""
        return await self._heavy(request)

    def start(self) -> None:
        """Listen, in the running event loop. What a killed process left of the socket is in nobody's way."""
        own_folder(self._socket.parent)
        self._socket.unlink(missing_ok=True)
        self._workers.start()
        self._serving = asyncio.create_task(self._server.serve())

    async def close(self) -> None:
        """Stop listening; what waits is told so."""
        await self._workers.close()
        self._server.should_exit = True
        if self._serving:
            await self._serving
