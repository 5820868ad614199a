"""Settings of runners, and what the demo does for its scenario."""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import pytest

from ops import demo_scenario, demo_video, vision_settings, vision_wiring
from ops.errors import OperatorError
from ops.run_worker import main
from ops.settings import Settings, load
from ops.vision_settings import read
from ops.vision_wiring import runner_options
from streams.vision.looking import looking

ROOT = Path(__file__).resolve().parents[3]


def test_a_site_that_says_nothing_gets_the_defaults(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ours = read({})
    assert ours.video == "test_videos/test_video.mp4"
    assert replace(ours, runner_id="") == vision_settings.VisionSettings()
    assert ours.runner_id


def test_the_first_video_of_the_documented_folder_is_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "test_videos").mkdir()
    for name in ("b.mp4", "a.mp4", "0.txt"):
        (tmp_path / "test_videos" / name).touch()
    assert read({}).video == "test_videos/a.mp4"
    assert read({"VIDEO_PATH": "rtsp://camera/1"}).video == "rtsp://camera/1"


def test_what_is_set_reaches_the_child_and_is_known_there(tmp_path):
    model = tmp_path / "m.onnx"
    model.touch()
    ours = read(
        {
            "VISION_MODEL": str(model),
            "VISION_CLASSES": "person, car",
            "VISION_NAMES": "person,car",
            "VISION_SCORE": "0.3",
            "VISION_FPS": "2.5",
            "VISION_EVERY": "3",
            "VISION_INTERVAL": "50",
            "VISION_INPUT_SIZE": "320",
            "VISION_WIDTH": "640",
            "VISION_MOTION": "no",
            "VISION_LAYOUT": "auto",
            "VISION_THREADS": "2",
            "RUNNER_LEASE_SEC": "30",
        }
    )
    options = runner_options(replace(load({"SENSORIUM_HOME": str(tmp_path)}, None), vision=ours))
    look = looking(options.look, {})
    assert (look.model, look.classes, look.names, look.score) == (str(model), ("person", "car"), ("person", "car"), 0.3)
    assert (look.per_second, look.every, look.interval, look.motion) == (2.5, 3, 50, False)
    assert (look.input_size, look.width, look.layout) == (320, 640, "auto")
    assert (options.lease_s, options.threads, options.look["threads"]) == (30.0, 2, 2)
    assert looking(read({"VISION_CLASSES": "*"}).look, {}).classes == ()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("RUNNER_LEASE_SEC", "0"),
        ("RUNNER_POLL_SEC", "often"),
        ("VISION_MODEL", "/nonexistent.onnx"),
        ("VISION_SCORE", "2"),
        ("VISION_MOTION", "perhaps"),
        ("DEVIANCE_ON", "0"),
        ("PICTURE_RETENTION_DAYS", "never"),
    ],
)
def test_a_bad_value_is_named(name, text):
    with pytest.raises(OperatorError, match=name):
        read({name: text})


def test_too_many_arguments_are_told_how_it_is_used(capsys):
    assert main(["worker_1", "video.mp4", "more"]) == 2
    assert main(["--help"]) == 0
    assert "run_worker.py [worker_id] [video_path]" in capsys.readouterr().err


def test_a_worker_has_the_name_and_the_video_that_it_is_given(tmp_path, monkeypatch):
    started: list[Settings] = []
    monkeypatch.setattr(vision_wiring, "runner", lambda ours: started.append(ours) or 0)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "kafka:9092")
    monkeypatch.setenv("SENSORIUM_HOME", str(tmp_path))
    monkeypatch.setenv("VIDEO_PATH", "set.mp4")
    assert [main(given) for given in (["worker_1", "video.mp4"], ["worker_2"], [])] == [0, 0, 0]
    ours = [(one.vision.runner_id, one.vision.video, one.kafka_bootstrap) for one in started]
    assert ours[:2] == [("worker_1", "video.mp4", "kafka:9092"), ("worker_2", "set.mp4", "kafka:9092")]
    assert ours[2][0].startswith("worker_")


@pytest.mark.parametrize("script", ["run.py", "run_worker.py"])
def test_the_scripts_of_the_checkout_are_started_by_python_from_anywhere(tmp_path, script):
    command = [sys.executable, str(ROOT / script), "--help"]
    done = subprocess.run(command, cwd=tmp_path, env={"PATH": os.defpath}, capture_output=True, text=True, check=True)
    words = {"run.py": "Run everything: Kafka, PostgreSQL", "run_worker.py": "run_worker.py [worker_id] [video_path]"}
    assert words[script] in done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_drawn_video_is_a_video_and_is_drawn_once(tmp_path, monkeypatch):
    monkeypatch.setattr(demo_video, "SECONDS", 2)
    path = demo_video.ensure(tmp_path / "people.mp4")
    capture = cv2.VideoCapture(str(path))
    assert (capture.get(cv2.CAP_PROP_FRAME_COUNT), capture.get(cv2.CAP_PROP_FRAME_WIDTH)) == (20, 640)
    capture.release()
    monkeypatch.setattr(demo_video, "pictures", lambda _: pytest.fail("drawn again"))
    assert demo_video.ensure(path) == path
    assert [file.name for file in tmp_path.iterdir()] == ["people.mp4"]


class Door(http.server.BaseHTTPRequestHandler):
    scenarios: list[dict[str, Any]]
    asked: list[tuple[str, str]]

    def do_GET(self) -> None:
        self._say(200, {"items": self.scenarios})

    def do_POST(self) -> None:
        self.asked.append((self.path, self.rfile.read(int(self.headers["Content-Length"])).decode()))
        known = self.path != "/scenario/99/"
        made = {"scenario_id": len(self.scenarios) + 1}
        self._say(201 if self.path == "/scenario/" else 200 if known else 404, made)

    def _say(self, status: int, body: Any) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def door(tmp_path: Path) -> Iterator[tuple[type[Door], Settings]]:
    handler = type("Handler", (Door,), {"scenarios": [], "asked": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield handler, replace(load({"SENSORIUM_HOME": str(tmp_path)}, None), port=server.server_address[1])
    server.shutdown()
    thread.join()
    server.server_close()


def scenario(status: str, runner_id: str | None = None) -> dict[str, Any]:
    return {"id": 1, "status": status, "runner_id": runner_id}


def test_the_demo_makes_a_scenario_once_and_starts_it_again(door):
    handler, settings = door
    demo_scenario.begin(settings)
    handler.scenarios.append(scenario("active", "demo"))
    demo_scenario.begin(settings)
    assert handler.asked == [("/scenario/", "{}")]
    handler.scenarios[:] = [scenario("active")]
    demo_scenario.begin(settings)
    assert handler.asked[1:] == [("/scenario/1/", '{"status": "init_startup"}')]


@pytest.mark.parametrize(
    ("status", "runner_id", "asked"),
    [
        ("init_startup", None, []),
        ("init_startup_processing", "worker_1", []),
        ("init_startup_processing", None, [("/scenario/", "{}")]),  # somebody has said so, and nobody works
        ("active", None, [("/scenario/", "{}")]),
    ],
)
def test_the_demo_only_leaves_it_to_scenarios_that_are_worked_on(door, status, runner_id, asked):
    handler, settings = door
    handler.scenarios.append(scenario(status, runner_id))
    demo_scenario.begin(settings)
    assert handler.asked == asked


def test_a_demo_whose_scenario_is_gone_makes_another(door):
    handler, settings = door
    kept = settings.home / demo_scenario.FOLDER / "scenario"
    kept.parent.mkdir(parents=True)
    kept.write_text("99\n")
    demo_scenario.begin(settings)
    assert [path for path, _ in handler.asked] == ["/scenario/99/", "/scenario/"]
    assert kept.read_text() == "1\n"


def test_the_demos_runner_looks_at_somebodys_own_video_before_any_other(tmp_path, monkeypatch):
    monkeypatch.setattr(demo_video, "SECONDS", 1)
    settings = load({"SENSORIUM_HOME": str(tmp_path)}, None)
    assert demo_scenario.environment(settings, "mine.mp4")["VIDEO_PATH"] == "mine.mp4"
    assert demo_scenario.environment(settings, None)["VIDEO_PATH"].endswith((".avi", ".mp4"))


def test_signals_begin_and_end_where_a_site_says():
    ours = read({"DEVIANCE_ON": "0.7", "DEVIANCE_OFF": "0.6", "PICTURE_RETENTION_DAYS": "7"})
    assert (ours.deviance_on, ours.deviance_off, ours.picture_days) == (0.7, 0.6, 7.0)
    assert read({"DEVIANCE_ON": "0.1"}).deviance_off == 0.1
    with pytest.raises(OperatorError, match="DEVIANCE_OFF"):
        read({"DEVIANCE_ON": "0.3", "DEVIANCE_OFF": "0.4"})
