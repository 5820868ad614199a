"""Recorders' uploads: MB/s of 180 kB chunks over 16 connections, every one new, until the log has its claim.

Beside it two raw limits of the same rounds: a bare ASGI app that only reads the body, under the same uvicorn settings,
and a loop without HTTP that hashes the same bytes, writes them and puts file and folder on the disk.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import random
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import partial
from hashlib import sha256
from pathlib import Path

import uvloop
from fastapi import FastAPI

from ops import http_server, topics
from ops.embedded.servers import free_port
from producers.asgi import compose
from producers.gateway import Gateway, GatewayOptions
from producers.publisher import Message, Publisher
from producers.recorder_limits import RecorderOptions
from schemas.envelope import KeyRing
from schemas.serde import encode
from schemas.topics import TOPICS
from tests.benchmarks.bench_gateway import answers, child
from tests.benchmarks.gateway_load import Connection, Load
from tests.drivers.waiting import eventually

PATH = "/api/v1/chunks"
SIZE = 180_000
CONNECTIONS = 16
DEVICES = 8
WRITERS = 8
TOKEN = "benchmark-token-{}"
IDS = "0f9d3c1e-0000-4000-8000-{:012d}"
BOUNDARY = "b0b0b0b0b0b0b0b0"
_random = random.Random(1)


def fields(device: int) -> dict[str, str]:
    """The text fields of a device's chunk."""
    return {
        "point_id": IDS.format(1),
        "register_id": IDS.format(2),
        "device_id": IDS.format(100 + device),
        "start_ts": "2026-01-01T09:00:00",
        "end_ts": "2026-01-01T09:01:00",
        "codec": "opus",
        "sample_rate": "48000",
        "channels": "1",
    }


def requests(device: int, run: bytes) -> Iterator[bytes]:
    """POSTs of one device without end; each sound differs in its first bytes."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields(device).items()
    ]
    parts.append(
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="chunk_file"; filename="chunk.ogg"\r\n'
        "Content-Type: audio/ogg\r\n\r\n"
    )
    before, after = "".join(parts).encode(), f"\r\n--{BOUNDARY}--\r\n".encode()
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN.format(device)}\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n"
        f"Content-Length: {len(before) + SIZE + len(after)}\r\n\r\n"
    ).encode()
    start, rest = head + before, _random.randbytes(SIZE - 24) + after
    for number in itertools.count():
        yield b"".join((start, run, number.to_bytes(16, "big"), rest))


async def _drive(port: int, seconds: float) -> Load:
    loop, load = asyncio.get_running_loop(), Load()
    started = time.perf_counter()
    finished: list[asyncio.Future[None]] = []
    for number in range(CONNECTIONS):
        done = loop.create_future()
        finished.append(done)
        own = requests(number % DEVICES, _random.randbytes(8))
        make = partial(Connection, own, load, done, started + seconds)
        await loop.create_connection(make, "127.0.0.1", port)
    await asyncio.wait(finished, timeout=seconds + 30)
    load.seconds = time.perf_counter() - started
    return load


def disk_rate(folder: Path, seconds: float) -> float:
    """Files a second, hashed, written and flushed with their folder, on as many threads as the store has."""
    content = _random.randbytes(SIZE)
    until = time.perf_counter() + seconds

    def write(thread: int) -> int:
        count = 0
        while time.perf_counter() < until:
            data = count.to_bytes(16, "big") + content[16:]
            place = folder / f"{sha256(data).hexdigest()[:2]}"
            place.mkdir(exist_ok=True)
            path = place / f"{thread}-{count}"
            with path.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            descriptor = os.open(place, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)
            count += 1
        return count

    with ThreadPoolExecutor(WRITERS) as threads:
        return sum(threads.map(write, range(WRITERS))) / seconds


def register(bootstrap: str) -> None:
    """Put the devices' tokens where the gateway finds them."""
    topics.ensure(bootstrap, TOPICS)
    messages: list[Message] = []
    for device in range(DEVICES):
        who = fields(device)
        record = {name: who[name] for name in ("device_id", "point_id", "register_id")}
        record |= {"token_sha256": sha256(TOKEN.format(device).encode()).hexdigest(), "enabled": True}
        messages.append(Message("devices.tokens", who["device_id"].encode(), encode("DeviceTokenSet", record), []))
    publisher = Publisher(bootstrap, client_id="bench-chunks")
    publisher.publish_all(messages, 30)
    publisher.close()


@contextmanager
def served(path: str, *command: str) -> Iterator[int]:
    """One of the measured apps, ready, at the port."""
    port = free_port()
    with child(*command, str(port)):
        eventually(lambda: answers(port, path), 30)
        yield port


def serve(folder: str, port: int) -> None:
    """The gateway as the front process runs it."""
    options = RecorderOptions(Path(folder))
    bootstrap, ring = os.environ["KAFKA_BOOTSTRAP_SERVERS"], KeyRing.parse(KeyRing.fresh_text())
    made = Gateway(GatewayOptions(bootstrap, ring, site_zone="UTC", recorders=options))

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncGenerator[None]:
        await made.start()
        yield
        await made.stop()
        print(f"gateway's memory at its largest {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB")

    http_server.server(compose(made, FastAPI(lifespan=lifespan))).run(sockets=[http_server.listen("127.0.0.1", port)])


def measure(rounds: int, seconds: float) -> Iterator[tuple[Load, Load, float]]:
    """Bare app, gateway, disk: one of each a round; the first warms up."""
    home = Path(tempfile.mkdtemp(prefix="sensorium-bench-chunks-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        bare = stack.enter_context(served("/", "-m", "tests.benchmarks.gateway_apps", "bare"))
        module = ("-m", "tests.benchmarks.bench_chunks", "--serve", str(home / "store"))
        gateway = stack.enter_context(served("/health", *module))
        for number in range(rounds + 1):
            disk = home / f"disk-{number}"
            disk.mkdir()
            found = (uvloop.run(_drive(bare, seconds)), uvloop.run(_drive(gateway, seconds)), disk_rate(disk, seconds))
            shutil.rmtree(disk)
            if number:
                yield found


def report(found: list[tuple[Load, Load, float]]) -> Iterator[str]:
    """Lines with medians; ratios are made within each round."""
    megabytes = SIZE / 1e6
    median: Callable[[list[float]], float] = statistics.median
    bare, ours = [one.per_second for one, _, _ in found], [one.per_second for _, one, _ in found]
    disk = [one for _, _, one in found]
    yield f"bare ASGI, body read   {median(bare) * megabytes:8,.0f} MB/s  {median(bare):8,.0f} chunks/s"
    yield f"disk, {WRITERS} threads        {median(disk) * megabytes:8,.0f} MB/s  {median(disk):8,.0f} chunks/s"
    yield (
        f"gateway, claim in log  {median(ours) * megabytes:8,.0f} MB/s  {median(ours):8,.0f} chunks/s"
        f"  ratio to bare {median([a / b for a, b in zip(ours, bare, strict=True)]):4.0%}"
        f"  to disk {median([a / b for a, b in zip(ours, disk, strict=True)]):4.0%}"
        f"  p50 {median([one.percentile_ms(50) for _, one, _ in found]):.0f} ms"
        f"  p99 {median([one.percentile_ms(99) for _, one, _ in found]):.0f} ms"
        f"  refused {sum(one.bad for _, one, _ in found)}"
    )


def main() -> None:
    """Print the figures for the Kafka named by the environment."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--serve", nargs=2, metavar=("FOLDER", "PORT"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.serve:
        serve(chosen.serve[0], int(chosen.serve[1]))
        return
    register(os.environ["KAFKA_BOOTSTRAP_SERVERS"])
    for line in report(list(measure(chosen.rounds, chosen.seconds))):
        print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
