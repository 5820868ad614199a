from __future__ import annotations

import json
import logging
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from io import StringIO
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from edge_agents.recorder import cli, demo, dialogues, json_log, voices
from edge_agents.recorder.errors import RecorderError
from edge_agents.recorder.health import HealthServer
from edge_agents.recorder.notify import Notifier

ROOT = Path(__file__).resolve().parents[4]


def get(port: int, path: str, method: str = "GET") -> tuple[int, bytes]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_health_answers_get_at_its_path_only():
    server = HealthServer(0, lambda: {"status": "ok"})
    try:
        assert get(server.port, "/health") == (200, b'{"status": "ok"}')
        assert get(server.port, "/")[0] == 404
        assert get(server.port, "/health/x")[0] == 404
        assert get(server.port, "/health", "POST")[0] == 405
        assert get(server.port, "/health", "HEAD")[0] == 405
        with pytest.raises(RecorderError, match="Is another recorder running"):
            HealthServer(server.port, dict)
    finally:
        server.close()


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_is_told(tmp_path, abstract):
    address = f"@recorder-test-{tmp_path.name}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind("\0" + address[1:] if abstract else address)
        systemd.settimeout(5)
        notifier = Notifier(address, 120)
        notifier.ready("recording")
        notifier.alive("recording")
        notifier.stopping()
        said = [systemd.recv(1000).decode() for _ in range(3)]
    assert said == ["READY=1\nSTATUS=recording", "WATCHDOG=1\nSTATUS=recording", "STOPPING=1"]
    Notifier(str(tmp_path / "nobody")).ready("x")
    Notifier().ready("x")


def test_the_log_is_one_json_object_a_line():
    stream = StringIO()
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        json_log.set_up("INFO", stream)
        logging.getLogger("recorder").info("upload_ok", extra={"file": "chunk_1.ogg", "status": 200})
        logging.getLogger("recorder").debug("unseen")
        try:
            raise ValueError("Привет")
        except ValueError:
            logging.getLogger("recorder").exception("failed")
    finally:
        root.handlers[:], root.level = before
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert list(first) == ["ts", "level", "logger", "msg", "file", "status"]
    assert (first["msg"], first["level"], first["status"]) == ("upload_ok", "INFO", 200)
    assert first["ts"].endswith("+00:00")
    assert "ValueError: Привет" in second["exception"]


def run(*arguments: str, module: str = "recorder_agent", **environment: str) -> subprocess.CompletedProcess[str]:
    """The agent as a unit starts it: `recorder_agent` is found where the install maps it."""
    paths = f"{ROOT}:{ROOT / 'edge_agents'}"
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": paths, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_mistake_in_the_settings_ends_with_1_and_a_sentence(tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text("point_id: shop\n")
    ended = run("-c", str(config), "--log-level", "DEBUG")
    line = json.loads(ended.stderr.splitlines()[-1])
    assert ended.returncode == 1
    assert (line["msg"], line["level"]) == ("config_load_failed", "ERROR")
    assert "register_id" in line["error"]
    assert ended.stdout == ""


def test_an_unknown_option_ends_with_2(tmp_path):
    assert run("--no-such-option").returncode == 2
    assert run("-h").returncode == 0


@pytest.mark.parametrize("module", ["recorder_agent", "edge_agents.recorder"])
def test_a_taken_health_port_and_a_spool_in_use_end_with_1(tmp_path, module):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        environment = {
            **{f"RA_{name}_ID": "00000000-0000-0000-0000-000000000001" for name in ("POINT", "REGISTER", "DEVICE")},
            "RA_INGEST_BASE_URL": "http://127.0.0.1:9",
            "RA_INGEST_TOKEN": "token",
            "RA_SPOOL_DIR": str(tmp_path / "spool"),
            "RA_HEALTH_PORT": str(taken.getsockname()[1]),
        }
        ended = run(module=module, **environment)
    assert ended.returncode == 1
    assert json.loads(ended.stderr.splitlines()[-1])["msg"] == "service_failed"


def test_the_command_line_is_thin():
    """`--help` must not want the libraries of a recorder."""
    libraries = "('av', 'numpy', 'httpx', 'yaml')"
    code = f"import sys; import edge_agents.recorder.cli; print([m for m in {libraries} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_the_flags_of_the_demo():
    options = cli.parser().parse_args(["--demo", "--server", "http://h:1", "--token", "t", "--point-id", "p"])
    said = {name: value for name, value in cli.given(options).items() if value is not None}
    assert said == {"ingest_base_url": "http://h:1", "ingest_token": "t", "point_id": "p"}


def test_the_scenes_are_apart_and_their_pauses_are_not():
    for scene in dialogues.SCENES:
        assert all(line.pause_s < 12 < dialogues.BETWEEN_SCENES_S for line in scene.lines)
    assert {scene.language for scene in dialogues.SCENES} == {"ru", "en"}
    assert [scene.name for scene in dialogues.scenes(["en"])] == ["en-cake", "en-plain"]


@pytest.fixture(scope="module")
def spoken() -> demo.Spoken:
    return demo.speak(dialogues.SCENES, 16_000)


def test_every_line_is_heard_where_its_cue_says_and_nothing_between(spoken):
    heard_to = 0
    for cue in spoken.cues:
        start, end = round(cue.start_s * 16_000), round(cue.end_s * 16_000)
        assert np.abs(spoken.samples[start:end].astype(int)).max() > 3000, cue
        assert end - start > 16_000 * 0.5
        assert not spoken.samples[heard_to:start].any()
        heard_to = end
    assert not spoken.samples[heard_to:].any()


def test_the_pauses_are_the_script_s(spoken):
    for scene in dialogues.SCENES:
        cues = [cue for cue in spoken.cues if cue.scene == scene.name]
        pauses = [after.start_s - before.end_s for before, after in pairwise(cues)]
        assert pauses == pytest.approx([line.pause_s for line in scene.lines[1:]], abs=0.001)
    spans = [spoken.span_s(scene.name) for scene in dialogues.SCENES]
    gaps = [after[0] - before[1] for before, after in pairwise(spans)]
    assert gaps == pytest.approx([dialogues.BETWEEN_SCENES_S] * 3, abs=0.001)


def pitch_hz(sound: np.ndarray, rate: int) -> float:
    """The fundamental: where the middle of a line resembles itself most."""
    part = sound[sound.size // 3 :][: rate // 2].astype(float)
    likeness = np.correlate(part, part, "full")[part.size :]
    shortest, longest = rate // 400, rate // 60
    return rate / (shortest + int(np.argmax(likeness[shortest:longest])) + 1)


@pytest.mark.parametrize(("language", "text"), [("ru", "а-а-а-а-а-а-а"), ("en", "aaaah aaaah aaaah")])
def test_two_voices_speak_differently(language, text):
    synthesiser = voices.Synthesiser()
    seller, customer = (
        pitch_hz(synthesiser.say(text, language, speaker), synthesiser.sample_rate)
        for speaker in (dialogues.SELLER, dialogues.CUSTOMER)
    )
    assert abs(seller - customer) > 8
