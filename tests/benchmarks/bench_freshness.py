"""Freshness: from a post being sent to its point being visible in /v1/logs, while the system carries half its maximum.

Runs the whole system (`sensorium up`) on this machine's cores, with the load generator beside it. The maximum is what
16 connections reach that wait for `inserted`; then half of that is posted evenly while a probe posts single points.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import statistics
import time
from collections.abc import Iterator

import httpx
import uvloop

from tests.benchmarks.gateway_load import Connection, Load, bulk_body, post
from tests.drivers.stack import fresh_stack

PATH = "/api/v1/logs/bulk"
DEVICES = 16
RECORDS = 100


def fresh_posts() -> Iterator[bytes]:
    """Posts of 100 points, each of another person, so that every point is new."""
    bodies = [bulk_body(device, RECORDS) for device in range(DEVICES)]
    for number in itertools.count(100_000):
        body = bodies[number % DEVICES].replace(b'"session_person_id": 5,', b'"session_person_id": %d,' % number)
        yield post(PATH, body)


async def maximum(port: int, seconds: float, posts: Iterator[bytes]) -> Load:
    """Posts a second that 16 connections get an `inserted` for."""
    loop = asyncio.get_running_loop()
    load = Load()
    started = time.perf_counter()
    finished = [loop.create_future() for _ in range(16)]
    for done in finished:
        await loop.create_connection(
            lambda done=done: Connection(posts, load, done, started + seconds), "127.0.0.1", port
        )
    await asyncio.wait(finished)
    load.seconds = time.perf_counter() - started
    return load


async def steady(port: int, rate: float, posts: Iterator[bytes], stop: asyncio.Event) -> Load:
    """Post evenly at `rate` a second, whatever the answers take, until `stop`."""
    loop = asyncio.get_running_loop()
    load = Load()
    finished: list[asyncio.Future[None]] = []
    started = time.perf_counter()
    idle: list[_Paced] = []
    for number in itertools.count():
        wait = started + number / rate - time.perf_counter()
        if wait > 0:
            await asyncio.sleep(wait)
        if stop.is_set():
            break
        if idle:
            idle.pop().send()
            continue
        done = loop.create_future()
        finished.append(done)
        await loop.create_connection(lambda done=done: _Paced(posts, load, done, idle), "127.0.0.1", port)
    load.seconds = time.perf_counter() - started
    return load


class _Paced(Connection):
    """A connection that goes back to the idle ones after each answer."""

    def __init__(self, posts: Iterator[bytes], load: Load, done: asyncio.Future[None], idle: list[_Paced]) -> None:
        super().__init__(posts, load, done, float("inf"))
        self.idle = idle
        self.first = True

    def send(self) -> None:
        if self.first or self not in self.idle:
            self.first = False
            super().send()

    def data_received(self, data: bytes) -> None:
        answered = self.load.good + self.load.bad
        send, self.send = self.send, lambda: None
        super().data_received(data)
        self.send = send
        if self.load.good + self.load.bad > answered:
            self.idle.append(self)


async def probe(url: str, seconds: float) -> list[float]:
    """Seconds from sending a one-point post to reading the point, one probe after the other."""
    latencies: list[float] = []
    until = time.perf_counter() + seconds
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        for number in itertools.count():
            if time.perf_counter() > until:
                return latencies
            record = {"session_person_id": number, "track_id": 1, "absolute_time": "2025-12-09T17:15:34Z"}
            body = {"device_id": "probe", "session_id": "p", "records": [record | {"valence": 0.1, "arousal": 0.2}]}
            content = json.dumps(body).encode()
            headers = {"content-type": "application/json", "prefer": "respond-async"}
            sent = time.perf_counter()
            answer = await client.post(PATH, content=content, headers=headers)
            assert answer.status_code == 202, answer.text
            query = {"device_id": "probe", "session_id": "p", "session_person_id": number}
            while not (await client.get("/v1/logs", params=query)).json()["count"]:  # noqa: ASYNC110 - it is the measure
                await asyncio.sleep(0.001)
            latencies.append(time.perf_counter() - sent)
            await asyncio.sleep(0.02)
    return latencies


async def measure(url: str, seconds: float, runs: int) -> None:
    port = int(url.rsplit(":", 1)[1])
    posts = fresh_posts()
    await maximum(port, 2, posts)
    top = await maximum(port, seconds, posts)
    print(
        f"maximum, waiting for inserted: {top.per_second * RECORDS:,.0f} points/s,"
        f" p50 {top.percentile_ms(50):.0f} ms, p99 {top.percentile_ms(99):.0f} ms, refused {top.bad}"
    )
    medians, tails = [], []
    for _ in range(runs):
        stop = asyncio.Event()
        background = asyncio.create_task(steady(port, top.per_second / 2, posts, stop))
        await asyncio.sleep(1)
        latencies = sorted(await probe(url, seconds))
        stop.set()
        load = await background
        medians.append(statistics.median(latencies) * 1000)
        tails.append(latencies[int(len(latencies) * 0.99)] * 1000)
        print(
            f"  at {load.good / load.seconds * RECORDS:,.0f} points/s: {len(latencies)} probes,"
            f" p50 {medians[-1]:.0f} ms, p99 {tails[-1]:.0f} ms"
        )
    print(
        f"freshness at half the maximum: p50 {statistics.median(medians):.0f} ms (aim 50),"
        f" p99 {statistics.median(tails):.0f} ms (aim 150)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--runs", type=int, default=3)
    chosen = parser.parse_args()
    with fresh_stack() as stack:
        uvloop.run(measure(stack.base_url, chosen.seconds, chosen.runs))


if __name__ == "__main__":
    main()
