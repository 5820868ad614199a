from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge_agents.emotion_sensor.cli import main
from edge_agents.emotion_sensor.errors import SensorError
from edge_agents.emotion_sensor.outbox import Outbox
from edge_agents.emotion_sensor.settings import SensorSettings, about, load, variable
from tests.unit.edge_agents.test_outbox import NOON, point


def test_a_flag_beats_the_environment_and_the_environment_the_default() -> None:
    environment = {"SENSOR_FPS": "3", "SENSOR_DEVICE_ID": "pi", "SENSOR_CAMERA": "0", "SENSOR_GZIP": "no"}
    settings = load({"fps": 9.0, "device_id": None}, environment)
    assert (settings.fps, settings.device_id, settings.camera, settings.gzip) == (9.0, "pi", 0, False)
    assert settings.server == "http://127.0.0.1:8000"


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"SENSOR_FPS": "fast"}, "SENSOR_FPS"),
        ({"SENSOR_LOOP": "perhaps"}, "SENSOR_LOOP"),
        ({"SENSOR_MODE": "moods"}, "points or totals or both"),
        ({"SENSOR_FPS": "0"}, "greater than 0"),
        ({"SENSOR_FPS": "nan"}, "greater than 0"),
        ({"SENSOR_SERVER": "gateway:8000"}, "http://"),
        ({"SENSOR_CAMERA": "0", "SENSOR_DEMO": "true"}, "one source"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(environment: dict[str, str], words: str) -> None:
    with pytest.raises(SensorError, match=words):
        load({}, environment)


def test_every_setting_is_explained_and_has_a_variable() -> None:
    for field in dataclasses.fields(SensorSettings):
        assert about(field.name).text.endswith(".")
        assert variable(field.name).isupper()


def test_each_device_has_a_home_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENSORIUM_HOME", "/srv/home")
    assert load({"device_id": "pi"}, {}).directory == Path("/srv/home/emotion-sensor/pi")
    assert load({"device_id": "../../etc"}, {}).directory.parent == Path("/srv/home/emotion-sensor")


def test_without_a_source_the_sensor_says_what_to_name(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["--home", str(tmp_path)]) == 1
    assert "--camera" in capsys.readouterr().err


def test_status_says_what_waits(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    box = Outbox(tmp_path, 10**8)
    session = box.open_session("d", NOON)
    box.add(session, [point(1, 1), point(1, 2)])
    box.finish(session, 1)
    box.note_rate(6)
    box.close()
    assert main(["status", "--home", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert "1 post with 2 points wait" in told
    assert "more hours at 6.0 points/s" in told


def test_refused_posts_are_listed_and_put_back(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    box = Outbox(tmp_path, 10**8)
    session = box.open_session("d", NOON)
    box.add(session, [point(1, 1)])
    box.finish(session, 1)
    box.refuse(1, 422, "records.0.valence")
    assert main(["refused", "--home", str(tmp_path)]) == 0
    assert "status 422: 'records.0.valence'" in capsys.readouterr().out
    assert main(["refused", "--retry", "--home", str(tmp_path)]) == 0
    assert box.backlog().posts == 1
    box.close()


def test_the_sensor_imports_nothing_of_the_server_and_no_training_packages() -> None:
    program = (
        "import sys, edge_agents.emotion_sensor.assembly, edge_agents.emotion_sensor.cli;"
        "print(*sorted({name.split('.')[0] for name in sys.modules}))"
    )
    root = Path(__file__).resolve().parents[3]
    told = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    unwanted = {"fastavro", "confluent_kafka", "aiokafka", "psycopg", "fastapi", "h5py", "onnx", "matplotlib", "fer"}
    unwanted |= {"producers", "streams", "projections", "api", "ops", "tensorflow"}
    assert not unwanted & set(told.stdout.split())


def test_what_the_command_line_writes_is_for_the_owner_only(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        assert main(["status", "--home", str(tmp_path / "above" / "home")]) == 0
    finally:
        set_to = os.umask(before)
    assert set_to == 0o077
    assert [path.stat().st_mode & 0o077 for path in tmp_path.rglob("*")] == [0] * len(list(tmp_path.rglob("*")))


def test_without_a_server_the_port_of_this_machine_is_taken():
    assert load({}, {"SENSORIUM_PORT": "8123"}).server == "http://127.0.0.1:8123"
    assert load({"server": "http://there"}, {"SENSORIUM_PORT": "8123"}).server == "http://there"
