"""Runners: how evenly four share eight scenarios, and from a prediction in the child to its row being visible.

The real commands, decider, projector and runner processes; the child sees at once what it is told to see, after a
pause, so that the figures are those of the way and not of a detector.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

import psycopg

from tests.benchmarks.bench_queries import database
from tests.drivers.cheap_vision import INTERVAL
from tests.drivers.runners import Footage
from tests.drivers.waiting import eventually

RUNNERS, SCENARIOS = 4, 8


def shared(footage: Footage, frames: int) -> dict[str, float]:
    """Frames by runner, as the farthest share from a fair one, and frames a second of all."""
    begin = time.perf_counter()
    ids = [footage.create(f"frames/{frames}") for _ in range(SCENARIOS)]
    eventually(lambda: all(footage.is_through(one) for one in ids), 300, 0.25)
    seconds = time.perf_counter() - begin
    by_runner: Counter[str] = Counter()
    for _, body in footage.site.events("vision.predictions"):
        if body["scenario_id"] in ids:
            by_runner[body["runner_id"]] += body["last_frame"] - body["first_frame"] + 1
    fair = SCENARIOS * frames / RUNNERS
    shares = [by_runner[f"r{number}"] / fair for number in range(RUNNERS)]
    assert sum(by_runner.values()) == SCENARIOS * frames, "a frame was lost or told twice"
    off = max(abs(share - 1) for share in shares)
    return {"shares_off_fair": off, "frames_per_s": SCENARIOS * frames / seconds}


def fresh(footage: Footage, url: str, intervals: int) -> dict[str, float]:
    """Milliseconds from the child's answer to the row in `scenario_predictions`, one camera at work."""
    seen: dict[int, float] = {}
    stop = threading.Event()
    camera = footage.create("clock")
    watching = threading.Thread(target=watch, args=(url, camera, seen, stop.is_set))
    watching.start()
    eventually(lambda: len(seen) >= intervals, 120, 0.25)
    footage.ask("SetScenarioStatus", scenario_id=camera, status="init_shutdown", by=None)
    eventually(lambda: footage.status(camera) == "inactive", 30, 0.25)
    stop.set()
    watching.join()
    looked = {
        body["first_frame"]: body["video_ms"] / 1000
        for _, body in footage.site.events("vision.predictions")
        if body["scenario_id"] == camera
    }
    late = sorted(1000 * (at - looked[first]) for first, at in list(seen.items())[5:])
    return {
        "to_visible_p50_ms": statistics.median(late),
        "to_visible_p99_ms": late[int(len(late) * 0.99)],
        "intervals": len(late),
    }


def watch(url: str, camera: int, seen: dict[int, float], is_over: Callable[[], bool]) -> None:
    """Note when each interval can be read, asking every millisecond."""
    told = "SELECT first_frame FROM scenario_predictions WHERE scenario_id = %s AND first_frame >= %s"
    next_frame = 0
    with psycopg.connect(url, autocommit=True) as connection:
        while not is_over():
            for (first,) in connection.execute(told, (camera, next_frame)):
                seen[first] = time.time()
                next_frame = max(next_frame, first + INTERVAL)
            time.sleep(0.001)


def main() -> None:
    """Print the figures for the servers named by the environment."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--frames", type=int, default=600, help="of each scenario")
    parser.add_argument("--intervals", type=int, default=300, help="predictions to measure")
    options = parser.parse_args()
    with ExitStack() as stack:
        url = stack.enter_context(database(os.environ["DATABASE_URL"]))
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        footage = stack.enter_context(closing(Footage(os.environ["KAFKA_BOOTSTRAP_SERVERS"], home)))
        stack.enter_context(footage.site.deciding("scenarios"))
        footage.orchestrator()
        stack.enter_context(footage.projected(url))
        runners = [footage.runner(f"r{number}", pause_s=0.1, lease_s=15.0) for number in range(RUNNERS)]
        eventually(lambda: all("asks for work" in footage.log_of(child) for child in runners), 60, 0.25)
        figures = shared(footage, options.frames) | fresh(footage, url, options.intervals)
    for name, value in figures.items():
        print(f"{name:20} {value:,.2f}")


if __name__ == "__main__":
    main()
