"""Alerts: from a deviance score being sent to its signal on an open terminal, with other terminals open beside it.

Runs the whole system (`sensorium up`) on this machine's cores. Each probe is another camera, so each is a new signal:
gateway, log, processor, log, decider, log, projector, PostgreSQL, feed. The aim is below 200 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import httpx
import orjson

from tests.drivers.stack import fresh_stack

LIVE = "/v1/security/live"
AIM_MS = 200


class Terminal:
    """Reads the feed; remembers when each camera's first alert came."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self.heard: dict[str, float] = {}
        self.is_there = asyncio.Event()
        self.news = asyncio.Event()

    async def read(self) -> None:
        """Read until cancelled."""
        async with self._client.stream("GET", LIVE, timeout=None) as answer:
            answer.raise_for_status()
            async for line in answer.aiter_lines():
                self.is_there.set()
                if line.startswith("data: ") and '"camera_id"' in line:
                    camera = orjson.loads(line[6:])["camera"]["camera_id"]
                    self.heard.setdefault(camera, time.perf_counter())
                    self.news.set()

    async def wait_for(self, camera: str) -> float:
        """When a camera's alert came."""
        async with asyncio.timeout(30):
            while camera not in self.heard:
                self.news.clear()
                await self.news.wait()
        return self.heard[camera]


async def probe(client: httpx.AsyncClient, terminal: Terminal, number: int) -> tuple[float, float]:
    """Milliseconds until the post was answered, and until the terminal had the signal."""
    camera, now = f"camera-{time.time_ns()}-{number}", datetime.now(UTC)
    times = {"start": (now - timedelta(seconds=2)).isoformat(), "end": now.isoformat()}
    sent = time.perf_counter()
    body = {"camera_id": camera, "score": 0.9, "model": "bench"} | times
    (await client.post("/v1/deviance", json=body)).raise_for_status()
    answered = time.perf_counter()
    return (answered - sent) * 1000, (await terminal.wait_for(camera) - sent) * 1000


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which that share lies."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


async def measure(url: str, token: str, probes: int, terminals: int) -> None:
    """Open the terminals, send the probes one after the other, and say what they took."""
    headers, limits = {"Authorization": f"Bearer {token}"}, httpx.Limits(max_connections=terminals + 8)
    async with httpx.AsyncClient(base_url=url, headers=headers, limits=limits, timeout=30) as client:
        readers = [Terminal(client) for _ in range(terminals)]
        reading = [asyncio.create_task(one.read()) for one in readers]
        try:
            for one in readers:
                await asyncio.wait_for(one.is_there.wait(), 30)
            for number in range(10):
                await probe(client, readers[0], -number - 1)
            figures: list[tuple[float, float]] = []
            for number in range(probes):
                figures.append(await probe(client, readers[number % terminals], number))
                await asyncio.sleep(0.02)
        finally:
            for task in reading:
                task.cancel()
            await asyncio.gather(*reading, return_exceptions=True)
    posts, signals = zip(*figures, strict=True)
    print(f"post answered: p50 {statistics.median(posts):.0f} ms, p99 {percentile(posts, 0.99):.0f} ms")
    print(
        f"signal on an open terminal ({terminals} open, {probes} probes): p50 {statistics.median(signals):.0f} ms,"
        f" p99 {percentile(signals, 0.99):.0f} ms (aim {AIM_MS})"
    )


def main() -> None:
    """Measure a system of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--probes", type=int, default=200)
    parser.add_argument("--terminals", type=int, default=20)
    chosen = parser.parse_args()
    with fresh_stack() as stack:
        asyncio.run(measure(stack.base_url, stack.admin_token, chosen.probes, chosen.terminals))


if __name__ == "__main__":
    main()
