"""The agent as a process against a real HTTP server that misbehaves, killed at any moment."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import cv2
import pytest

from tests.drivers.expression_models import tiny_model
from tests.drivers.ingest_server import BUSY, DROP, ERROR, KEEP, REFUSE, SLOW, Ingest, Key, ingest_server
from tests.drivers.pictures import drawn_face
from tests.drivers.waiting import eventually

ROOT = Path(__file__).resolve().parents[3]
FPS, SECONDS, PICTURES = 8, 3, 4
SEED = int(os.environ.get("SENSORIUM_TEST_SEED") or random.SystemRandom().randrange(10**6))
Rows = list[tuple[Key, dict[str, Any]]]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with drawn faces of different light and size, and a tiny model: every run sees exactly the same."""
    folder = tmp_path_factory.mktemp("stage")
    for n in range(PICTURES):
        cv2.imwrite(str(folder / f"{n}.png"), drawn_face(160 + 15 * n, light=170 + 8 * n))
    tiny_model(folder / "model.onnx")
    return folder


@dataclass
class Agent:
    """One start of the agent."""

    process: subprocess.Popen[str]

    def log(self, timeout: float = 60) -> str:
        """Wait for its end; what it said."""
        return self.process.communicate(timeout=timeout)[1]


@contextmanager
def agent(stage: Path, home: Path, url: str, *flags: str) -> Generator[Agent]:
    command = [sys.executable, "-m", "edge_agents.emotion_sensor", "--pictures", str(stage), "--server", url]
    command += ["--home", str(home), "--model", str(stage / "model.onnx"), "--seconds", str(SECONDS)]
    command += ["--fps", str(FPS), "--device-id", "test_device", *flags]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield Agent(process)
        finally:
            if process.poll() is None:
                process.kill()


def relative(rows: Rows) -> list[tuple[Any, ...]]:
    """A session's points without what differs from start to start: the clock."""
    parsed = sorted((datetime.fromisoformat(r["absolute_time"]).timestamp(), k[2], k[3], r) for k, r in rows)
    start = parsed[0][0]
    return [
        (round((t - start) * 1000), p, track, r["valence"], r["arousal"], r["bbox_x1"]) for t, p, track, r in parsed
    ]


@pytest.fixture(scope="module")
def whole(stage: Path, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Any, ...]]:
    """What an undisturbed run observes."""
    home = tmp_path_factory.mktemp("whole")
    with ingest_server() as server:
        with agent(stage, home, server.url, "--as-fast-as-possible") as sensor:
            assert "0 posts with 0 points wait" in sensor.log()
            assert sensor.process.returncode == 0
        (rows,) = server.sessions().values()
        # Each picture is a person; the first two of its frames only open the track.
        assert len(rows) == PICTURES * (FPS * SECONDS - 2)
        assert len(server.bodies) == PICTURES
    return relative(rows)


def misbehaviour(chance: random.Random) -> Callable[[int, dict[str, Any]], str]:
    return lambda _n, _body: chance.choices([KEEP, DROP, BUSY, ERROR], [6, 2, 1, 1])[0]


def csv_rows(home: Path) -> int:
    return sum(len(path.read_text().splitlines()) - 1 for path in (home / "csv").glob("*.csv"))


@pytest.mark.parametrize("round_", range(3))
def test_killed_at_any_moment_nothing_is_lost_and_nothing_doubled(
    stage: Path, whole: list[tuple[Any, ...]], tmp_path: Path, round_: int
) -> None:
    chance = random.Random(SEED + round_)
    print(f"SENSORIUM_TEST_SEED={SEED}")
    with ingest_server(Ingest(misbehaviour(chance))) as server:
        for _ in range(4):
            with agent(stage, tmp_path, server.url, "--as-fast-as-possible", "--flush-points", "25") as sensor:
                enough = csv_rows(tmp_path) + chance.randrange(1, 70)
                eventually(lambda enough=enough: csv_rows(tmp_path) >= enough, timeout=60, interval=0.002)
                sensor.process.send_signal(signal.SIGKILL)
        observed = csv_rows(tmp_path)
        server.behave = lambda _n, _body: KEEP
        with agent(stage, tmp_path, server.url, "--as-fast-as-possible", "--grace", "30") as sensor:
            assert "0 posts with 0 points wait" in sensor.log()
        sessions = server.sessions()
    assert not server.conflicts, "the same key was sent with different numbers"
    assert len(sessions) == 5
    for rows in sessions.values():
        points = relative(rows)
        assert points == whole[: len(points)], "a session is a whole beginning of what there was to see"
    assert relative(list(sessions.values())[-1]) == whole
    # The CSV is written after the outbox: each kill can fall between the two, with one point in between.
    assert observed <= sum(map(len, sessions.values())) - len(whole) <= observed + 4


def test_a_test_without_deduplication_would_notice_doubles(stage: Path, tmp_path: Path) -> None:
    """The server that drops the connection after storing gets points again: only the key keeps them single."""
    with ingest_server(Ingest(lambda n, _body: DROP if n == 0 else KEEP)) as server:
        with agent(stage, tmp_path, server.url, "--as-fast-as-possible", "--grace", "30") as sensor:
            assert "0 posts with 0 points wait" in sensor.log()
        assert server.bodies[0] == server.bodies[1]
        assert max(server.seen.values()) == 2
        assert len(server.rows) == PICTURES * (FPS * SECONDS - 2)


def test_offline_for_a_whole_run_everything_is_delivered_by_the_next(
    stage: Path, whole: list[tuple[Any, ...]], tmp_path: Path
) -> None:
    with agent(stage, tmp_path, "http://127.0.0.1:9", "--as-fast-as-possible", "--grace", "0.1") as sensor:
        log = sensor.log()
    assert "cannot be reached" in log
    assert f"{PICTURES} posts with {len(whole)} points wait" in log
    with ingest_server() as server, agent(stage, tmp_path, server.url, "--as-fast-as-possible") as sensor:
        sensor.log()
        assert [relative(rows) for rows in server.sessions().values()] == [whole, whole]


def test_a_refused_post_is_set_aside_and_the_others_arrive(stage: Path, tmp_path: Path) -> None:
    with ingest_server(Ingest(lambda n, _body: REFUSE if n == 1 else KEEP)) as server:
        with agent(stage, tmp_path, server.url, "--as-fast-as-possible", "--grace", "30") as sensor:
            log = sensor.log()
        assert "The server refused post 2" in log
        assert "1 post refused by the server and set aside" in log
        assert len(server.bodies) == PICTURES
        assert len(server.rows) == (PICTURES - 1) * (FPS * SECONDS - 2)


def test_told_to_stop_it_posts_who_is_still_there(stage: Path, tmp_path: Path) -> None:
    with ingest_server() as server, agent(stage, tmp_path, server.url, "--loop") as sensor:
        eventually(lambda: (tmp_path / "csv").exists() and csv_rows(tmp_path) >= 5, timeout=30)
        sensor.process.send_signal(signal.SIGTERM)
        assert "0 posts with 0 points wait" in sensor.log(timeout=20)
        assert sensor.process.returncode == 0
        assert len(server.rows) == csv_rows(tmp_path)


def test_a_hanging_server_does_not_hold_up_sensing(stage: Path, tmp_path: Path) -> None:
    """The only post hangs for as long as the test: points go on being kept at the usual rate."""
    flags = ("--as-fast-as-possible", "--loop", "--frames")
    slow = Ingest(lambda _n, _body: SLOW)
    with ingest_server(slow) as server, agent(stage, tmp_path, server.url, *flags) as sensor:
        eventually(lambda: server.bodies, timeout=30)
        seen = csv_rows(tmp_path)
        eventually(lambda: csv_rows(tmp_path) > seen + 150, timeout=30)
        assert len(server.bodies) == 1
        sensor.process.kill()


def test_two_sensors_in_one_home_are_refused(stage: Path, tmp_path: Path) -> None:
    with ingest_server() as server, agent(stage, tmp_path, server.url, "--loop") as first:
        eventually(lambda: (tmp_path / "csv").exists(), timeout=30)
        with agent(stage, tmp_path, server.url) as second:
            assert "another sensor works in" in second.log()
            assert second.process.returncode == 1
        assert first.process.poll() is None


def test_totals_are_reported_while_people_are_seen_and_survive_a_kill(stage: Path, tmp_path: Path) -> None:
    with ingest_server() as server:
        with agent(stage, tmp_path, server.url, "--mode", "both", "--loop", "--frames") as sensor:
            eventually(lambda: server.batches and len(server.frames) > 3, timeout=40)
            sensor.process.kill()
        before = server.batches[-1]
        with agent(stage, tmp_path, server.url, "--mode", "totals", "--loop") as sensor:
            eventually(lambda: len(server.batches) > 2 and server.batches[-1]["people"], timeout=40)
            sensor.process.send_signal(signal.SIGTERM)
            sensor.log(timeout=20)
    people = [one for body in server.batches for one in body["people"]]
    assert all(set(one["cumulative"]) == {"happy", "sad", "angry", "neutral"} for one in people)
    assert all(isinstance(one["person_id"], str) for one in people)
    assert datetime.fromisoformat(before["timestamp"]).utcoffset() is not None
    numbers = [int(one["person_id"]) for one in people]
    assert max(numbers) > max(int(one["person_id"]) for one in before["people"])
    by_person: dict[str, list[float]] = {}
    for one in people:
        by_person.setdefault(one["person_id"], []).append(sum(one["cumulative"].values()))
    assert all(sums == sorted(sums) for sums in by_person.values()), "sums never fall, also over a kill"
    frame = server.frames[-1]
    assert json.dumps(frame["fps"])
    assert frame["frame_b64"].startswith("/9j/")
