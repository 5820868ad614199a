"""Load generator for HTTP posts: prebuilt request bytes on keep-alive connections, answers counted, latencies kept.

It shares two cores with what it measures, so it does next to nothing per answer: no HTTP parser, one scan for the
status line and one for the end of the body, whose length is learnt once per answer header.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

import uvloop


@dataclass
class Load:
    """What one run found: seconds, answers by status class, latencies in seconds."""

    seconds: float = 0.0
    good: int = 0
    bad: int = 0
    latencies: list[float] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        """Successful answers a second."""
        return self.good / self.seconds

    def percentile_ms(self, percent: float) -> float:
        """The latency below which so many percent of answers came."""
        ordered = sorted(self.latencies) or [float("nan")]
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] * 1000


class Connection(asyncio.Protocol):
    """One keep-alive connection that sends the next request when the last is answered."""

    def __init__(self, requests: Iterator[bytes], load: Load, done: asyncio.Future[None], until: float) -> None:
        self.requests = requests
        self.load = load
        self.done = done
        self.until = until
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.send()

    def send(self) -> None:
        self.sent_at = time.perf_counter()
        self.transport.write(next(self.requests))

    def data_received(self, data: bytes) -> None:
        buffer = self.buffer = self.buffer + data if self.buffer else data
        head = buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        at = buffer.find(b"content-length: ", 0, head)
        length = int(buffer[at + 16 : buffer.find(b"\r\n", at)]) if at >= 0 else 0
        if len(buffer) < head + 4 + length:
            return
        self.buffer = b""
        now = time.perf_counter()
        self.load.latencies.append(now - self.sent_at)
        if buffer[9] == 0x32:  # "2" of HTTP/1.1 2xx
            self.load.good += 1
        else:
            self.load.bad += 1
        if now < self.until:
            self.send()
        else:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


async def _drive(host: str, port: int, requests: Sequence[bytes], connections: int, seconds: float) -> Load:
    loop = asyncio.get_running_loop()
    load = Load()
    started = time.perf_counter()
    finished: list[asyncio.Future[None]] = []
    for number in range(connections):
        done = loop.create_future()
        finished.append(done)
        start = number * len(requests) // connections
        own = itertools.islice(itertools.cycle(requests), start, None)
        await loop.create_connection(
            lambda own=own, done=done: Connection(own, load, done, started + seconds), host, port
        )
    await asyncio.wait(finished, timeout=seconds + 30)
    load.seconds = time.perf_counter() - started
    return load


def drive(host: str, port: int, requests: Sequence[bytes], connections: int, seconds: float) -> Load:
    """Send `requests` in turn over so many connections for so many seconds, as fast as answers come."""
    return uvloop.run(_drive(host, port, requests, connections, seconds))


def post(path: str, body: bytes, host: str = "127.0.0.1", *headers: str) -> bytes:
    """The bytes of one POST of a JSON body."""
    lines = [f"POST {path} HTTP/1.1", f"Host: {host}", "Content-Type: application/json", *headers]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def bulk_body(device: int, records: int, start_ms: int = 1_765_289_734_000) -> bytes:
    """A v2 bulk body as a sensor sends it: one person, ten points a second, boxes, UTC offset."""
    rows = []
    for number in range(records):
        second, tenth = divmod(number, 10)
        minute = second // 60
        rows.append(
            {
                "session_person_id": 5,
                "track_id": 72,
                "absolute_time": f"2025-12-09T{17 + device % 6}:{minute % 60:02d}:{second % 60:02d}.{tenth}00+03:00",
                "valence": round(0.001 * (number % 997) - 0.4, 4),
                "arousal": round(0.67 - 0.0013 * (number % 499), 4),
                "bbox_x1": 100 + number % 300,
                "bbox_y1": 80,
                "bbox_x2": 260 + number % 300,
                "bbox_y2": 240,
            }
        )
    session = f"{start_ms // 1000}"
    return json.dumps({"device_id": f"sensor_{device:03d}", "session_id": session, "records": rows}).encode()


def main() -> None:
    """Drive one URL from the command line and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("--path", default="/v1/logs/bulk")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--records", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--wait", action="store_true", help="wait for the effect instead of respond-async")
    chosen = parser.parse_args()
    more = () if chosen.wait else ("Prefer: respond-async",)
    bodies = [bulk_body(device, chosen.records) for device in range(16)]
    requests = [post(chosen.path, body, "127.0.0.1", *more) for body in bodies]
    load = drive("127.0.0.1", chosen.port, requests, chosen.connections, chosen.seconds)
    print(
        f"{load.per_second:9.0f} requests/s {load.per_second * chosen.records:9.0f} records/s"
        f"  p50 {load.percentile_ms(50):6.1f} ms  p99 {load.percentile_ms(99):6.1f} ms  refused {load.bad}"
    )


if __name__ == "__main__":
    main()
