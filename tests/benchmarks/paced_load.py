"""Load at a fixed rate: requests leave at their times whether or not earlier ones were answered, as visitors do.

A latency counts from the moment at which the request should have left, so a server that falls behind shows it.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import deque
from collections.abc import Sequence
from typing import cast

import uvloop

from tests.benchmarks.gateway_load import Load


class Pipe(asyncio.Protocol):
    """A keep-alive connection for one request at a time; goes back to the idle ones by itself."""

    def __init__(self, load: Load, idle: deque[Pipe]) -> None:
        self.load, self.idle = load, idle
        self.buffer = b""
        self.due = 0.0
        self.done: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def ask(self, request: bytes, due: float) -> asyncio.Future[None]:
        self.due, self.done = due, asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self.done

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head = self.buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        at = self.buffer.find(b"content-length: ", 0, head)
        length = int(self.buffer[at + 16 : self.buffer.find(b"\r\n", at)]) if at >= 0 else 0
        if len(self.buffer) >= head + 4 + length:
            self._answered(self.buffer[9] == 0x32)  # "2" of HTTP/1.1 2xx

    def connection_lost(self, exc: Exception | None) -> None:
        if self.done and not self.done.done():
            self.load.bad += 1
            self.done.set_result(None)

    def _answered(self, good: bool) -> None:
        self.buffer = b""
        self.load.latencies.append(time.perf_counter() - self.due)
        self.load.good += good
        self.load.bad += not good
        self.idle.append(self)
        if self.done:
            self.done.set_result(None)


async def _drive(host: str, port: int, requests: Sequence[bytes], rate: float, seconds: float) -> Load:
    loop, load, idle = asyncio.get_running_loop(), Load(), deque[Pipe]()
    wanted = itertools.cycle(requests)
    begin = time.perf_counter()
    under_way: list[asyncio.Task[None]] = []

    async def one(due: float) -> None:
        pipe = idle.pop() if idle else (await loop.create_connection(lambda: Pipe(load, idle), host, port))[1]
        await pipe.ask(next(wanted), due)

    for number in range(int(rate * seconds)):
        due = begin + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        under_way.append(asyncio.create_task(one(due)))
    await asyncio.wait(under_way, timeout=seconds + 30)
    load.seconds = time.perf_counter() - begin
    for pipe in idle:
        pipe.transport.close()
    return load


def pace(host: str, port: int, requests: Sequence[bytes], rate: float, seconds: float) -> Load:
    """Send `requests` in turn, `rate` of them a second, for so many seconds; wait for what is under way."""
    return uvloop.run(_drive(host, port, requests, rate, seconds))
