"""Gateway: HTTP post to acknowledgement by Kafka, beside two raw limits measured in the same rounds.

100-record posts are compared with a bare loop without HTTP, in which a pydantic TypeAdapter of a TypedDict validates
the same bytes and fastavro encodes them; 1-record posts with a bare ASGI app that only reads the body, under the same
uvicorn settings. First the gateway and Kafka alone. With DATABASE_URL then once more with a projector at work on the
same cores (it catches up with what was posted before, then keeps up), and posts that wait for `inserted` beside.
"""

from __future__ import annotations

import argparse
import io
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import NotRequired

import fastavro
import httpx
from pydantic import TypeAdapter
from typing_extensions import TypedDict  # pydantic wants it before Python 3.12

from ops import topics
from ops.embedded.servers import free_port
from schemas.topics import TOPICS
from tests.benchmarks.gateway_load import Load, bulk_body, drive, post
from tests.drivers.waiting import eventually

PATH = "/v1/logs/bulk"
DEVICES = 16


class Record(TypedDict):
    """A v2 record as the bare loop validates it."""

    session_person_id: int
    track_id: int
    absolute_time: str
    valence: float
    arousal: float
    bbox_x1: NotRequired[int | None]
    bbox_y1: NotRequired[int | None]
    bbox_x2: NotRequired[int | None]
    bbox_y2: NotRequired[int | None]


class Post(TypedDict):
    """A v2 body."""

    device_id: str
    session_id: str
    records: list[Record]


_FIELDS = [("session_person_id", "long"), ("track_id", "long"), ("absolute_time", "string")]
_FIELDS += [("valence", "double"), ("arousal", "double")]
_BOXES = [{"name": f"bbox_{corner}", "type": ["null", "int"]} for corner in ("x1", "y1", "x2", "y2")]
_ROW = {"type": "record", "name": "Row", "fields": [{"name": n, "type": kind} for n, kind in _FIELDS] + _BOXES}
_SCHEMA = fastavro.parse_schema(
    {
        "type": "record",
        "name": "Rows",
        "fields": [
            {"name": "device_id", "type": "string"},
            {"name": "session_id", "type": "string"},
            {"name": "records", "type": {"type": "array", "items": _ROW}},
        ],
    }
)


def bare_loop_rate(body: bytes, records: int, seconds: float = 1.0) -> float:
    """Records/s of validating and encoding one body over and over."""
    validate = TypeAdapter(Post).validate_json
    count, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        for _ in range(50):
            fastavro.schemaless_writer(io.BytesIO(), _SCHEMA, validate(body))
        count += 50
    return count * records / (time.perf_counter() - started)


@contextmanager
def child(*command: str, **environment: str) -> Iterator[None]:
    """A process of our own, ended by SIGTERM."""
    process = subprocess.Popen([sys.executable, *command], env=os.environ | environment)
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def answers(port: int, path: str) -> bool:
    """Whether a server says 200."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}{path}").status_code == 200
    except httpx.TransportError:
        return False


@contextmanager
def served(name: str, path: str) -> Iterator[int]:
    """One of the measured apps, ready, at the port."""
    port = free_port()
    with child("-m", "tests.benchmarks.gateway_apps", name, str(port)):
        eventually(lambda: answers(port, path), 30)
        yield port


@dataclass(frozen=True)
class Run:
    """One kind of load: records a post, connections, whether posts wait for their effect."""

    name: str
    records: int
    connections: int
    wait: bool = False

    def drive(self, port: int, seconds: float) -> Load:
        """Put this load on a server."""
        prefer = () if self.wait else ("Prefer: respond-async",)
        bodies = [bulk_body(device, self.records) for device in range(DEVICES)]
        requests = [post(PATH, body, "127.0.0.1", *prefer) for body in bodies]
        return drive("127.0.0.1", port, requests, self.connections, seconds)


RUNS = (Run("100 records x 16", 100, 16), Run("100 records x 64", 100, 64), Run("1 record x 64", 1, 64))
WAITING = (Run("100 records x 16, inserted", 100, 16, True), Run("1 record x 64, inserted", 1, 64, True))
FLOOR = Run("bare ASGI x 64", 1, 64)


def measure(rounds: int, seconds: float, projector: bool) -> dict[str, list[Load | float]]:
    """Every kind of load once a round, raw limits among them, so that a busy moment meets all of them."""
    found: dict[str, list[Load | float]] = {}
    body = bulk_body(1, 100)
    with ExitStack() as stack:
        gateway, floor = stack.enter_context(served("gateway", "/health")), stack.enter_context(served("bare", "/"))
        if projector:
            stack.enter_context(child("-c", "from ops.cli import main; main()", "serve", "projector"))
        for number in range(rounds + 1):
            once: dict[str, Load | float] = {"bare loop": bare_loop_rate(body, 100)}
            once[FLOOR.name] = FLOOR.drive(floor, seconds)
            once |= {run.name: run.drive(gateway, seconds) for run in RUNS + (WAITING if projector else ())}
            if number:  # the first round warms up
                for name, value in once.items():
                    found.setdefault(name, []).append(value)
    return found


def report(found: dict[str, list[Load | float]]) -> Iterator[str]:
    """Lines with medians of rates, latencies and ratios; ratios are made within each round."""
    loops = [value for value in found["bare loop"] if isinstance(value, float)]
    floors = [load for load in found[FLOOR.name] if isinstance(load, Load)]
    yield f"bare loop          {statistics.median(loops):9,.0f} records/s"
    yield f"{FLOOR.name:26} {_median(floors, lambda load: load.per_second):9,.0f} requests/s"
    for run in RUNS + WAITING:
        loads = [load for load in found.get(run.name, []) if isinstance(load, Load)]
        if not loads:
            continue
        limits = loops if run.records > 1 else [load.per_second for load in floors]
        ratios = [load.per_second * run.records / limit for load, limit in zip(loads, limits, strict=True)]
        yield (
            f"{run.name:26} {_median(loads, lambda load: load.per_second):9,.0f} requests/s"
            f" {_median(loads, lambda load: load.per_second) * run.records:9,.0f} records/s"
            f"  ratio {statistics.median(ratios):4.0%}"
            f"  p50 {_median(loads, lambda load: load.percentile_ms(50)):5.1f} ms"
            f"  p99 {_median(loads, lambda load: load.percentile_ms(99)):5.1f} ms"
            f"  refused {sum(load.bad for load in loads)}"
        )


def _median(loads: Sequence[Load], figure: Callable[[Load], float]) -> float:
    return statistics.median(figure(load) for load in loads)


def main() -> None:
    """Print the figures for the Kafka (and PostgreSQL) named by the environment."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    chosen = parser.parse_args()
    topics.ensure(os.environ["KAFKA_BOOTSTRAP_SERVERS"], TOPICS)
    for title, projector in (("gateway and Kafka", False), ("with a projector at work beside", True)):
        if not projector or "DATABASE_URL" in os.environ:
            print(f"-- {title}", *report(measure(chosen.rounds, chosen.seconds, projector)), sep="\n", flush=True)


if __name__ == "__main__":
    main()
