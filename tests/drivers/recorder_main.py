"""A gateway that takes sound, in a process of its own, with a fault if one is named.

`python -m tests.drivers.recorder_main BOOTSTRAP FOLDER PORT FAULT`
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from ops import http_server
from producers.asgi import compose
from producers.claims import Claims
from producers.gateway import Gateway, GatewayOptions
from producers.recorder_limits import RecorderOptions
from schemas.envelope import KeyRing


def die(*_: Any) -> Any:
    """As kill -9 does."""
    os.kill(os.getpid(), signal.SIGKILL)


async def claim_and_die(claims: Claims, event: Any, request: Any) -> str:
    """The claim is in the log, nobody hears of it."""
    await claims._append(event, request)
    return die()


def arm(fault: str) -> None:
    """Prepare the fault."""
    if fault == "die-before-claim":
        Claims.claim = die
    elif fault == "die-after-claim":
        Claims.claim = claim_and_die
    elif fault == "die-before-rename":
        Path.replace = die
    elif fault == "small-files":
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
    elif fault != "none":
        raise SystemExit(f"no such fault: {fault}")


def main() -> None:
    """Serve until told to stop."""
    bootstrap, folder, port, fault = sys.argv[1:5]
    options = RecorderOptions(Path(folder), quiet_s=1.0, min_free_bytes=0)
    ring = KeyRing.parse(KeyRing.fresh_text())
    gateway = Gateway(GatewayOptions(bootstrap, ring, site_zone="UTC", recorders=options, kafka_deadline_s=2.0))

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncGenerator[None]:
        await gateway.start()
        yield
        await gateway.stop()

    app = compose(gateway, FastAPI(lifespan=lifespan))
    listener = http_server.listen("127.0.0.1", int(port))
    arm(fault)
    http_server.server(app).run(sockets=[listener])


if __name__ == "__main__":
    main()
