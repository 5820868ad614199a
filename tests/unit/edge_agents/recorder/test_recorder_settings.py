from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import yaml

from edge_agents.recorder import settings as table
from edge_agents.recorder.errors import ConfigError
from edge_agents.recorder.settings import Settings

IDS = {
    "point_id": "00000000-0000-0000-0000-000000000001",
    "register_id": "00000000-0000-0000-0000-000000000002",
    "device_id": "00000000-0000-0000-0000-000000000003",
}
REQUIRED = {**IDS, "ingest_base_url": "https://audio.example.com", "ingest_token": "your-token"}
EXAMPLE = Path(table.__file__).with_name("config.yaml.example")
# key -> (another value than the default, as the settings then have it)
OTHERS: dict[str, tuple[Any, Any]] = {
    "schedule_start": ("09:30", "09:30"),
    "schedule_end": ("02:00", "02:00"),
    "chunk_seconds": (30, 30),
    "opus_bitrate_kbps": (32, 32),
    "audio_device": ("hw:1,0", "hw:1,0"),
    "sample_rate": (16000, 16000),
    "spool_dir": ("/data/spool", Path("/data/spool")),
    "outbox_dir": ("/data/out", Path("/data/out")),
    "max_spool_days": (3, 3),
    "max_spool_gb": (1.5, 1.5),
    "retry_min_s": (1, 1.0),
    "retry_max_s": (60, 60.0),
    "health_port": (9000, 9000),
    "capture": ("ffmpeg", "ffmpeg"),
    "loop": ("true", True),
    "speed": (4, 4.0),
    "upload_speech_only": ("yes", True),
    "speech_aggressiveness": (3, 3),
    "speech_padding_s": (1, 1.0),
    "min_free_mb": (0, 0),
    "timeout_s": (10, 10.0),
    "resumable_from_kb": (0, 0),
    "site_timezone": ("Europe/Belgrade", "Europe/Belgrade"),
    "log_level": ("debug", "DEBUG"),
}


def load(tmp_path: Path, content: Any = None, environment: dict[str, str] | None = None, **given: Any) -> Settings:
    file = tmp_path / "config.yaml"
    if content is not None:
        file.write_text(content if isinstance(content, str) else yaml.safe_dump(content), "utf-8")
    return table.load(file, environment or {}, given)


def test_the_quick_start_s_file_gives_the_documented_defaults(tmp_path):
    quick_start = f"""
identifiers:
  point_id: "{IDS["point_id"]}"
  register_id: "{IDS["register_id"]}"
  device_id: "{IDS["device_id"]}"

ingest:
  ingest_base_url: "http://your-server:8000"
  ingest_token: "0123456789abcdef"
"""
    found = load(tmp_path, quick_start)
    assert dataclasses.asdict(found) | IDS == dataclasses.asdict(found)
    assert (found.schedule_start, found.schedule_end, found.chunk_seconds) == ("08:00", "22:00", 60)
    assert (found.opus_bitrate_kbps, found.audio_device, found.sample_rate) == (24, "", 48000)
    assert found.spool_dir == Path("/var/lib/recorder-agent/spool")
    assert found.outbox == Path("/var/lib/recorder-agent/spool/outbox")
    assert (found.max_spool_days, found.max_spool_gb, found.retry_min_s, found.retry_max_s) == (7, 20.0, 2, 300)
    assert found.health_port == 8042


def test_every_key_is_tried_here():
    assert set(OTHERS) | set(REQUIRED) == set(table.KINDS)


@pytest.mark.parametrize("name", OTHERS)
def test_every_key_can_be_said_flat_in_its_section_and_in_the_environment(tmp_path, name):
    value, expected = OTHERS[name]
    assert expected != table.defaults()[name]
    sections = [section for section, names in table.config_file.SECTIONS.items() if name in names]
    for content in [{**REQUIRED, name: value}, *({**REQUIRED, section: {name: value}} for section in sections)]:
        assert getattr(load(tmp_path, content), name) == expected
    assert getattr(load(tmp_path, REQUIRED, {f"RA_{name.upper()}": str(value)}), name) == expected


def test_flags_beat_the_environment_beats_flat_keys_beat_sections(tmp_path):
    section = {"recording": {"chunk_seconds": 10}}
    assert load(tmp_path, {**REQUIRED, **section}).chunk_seconds == 10
    flat = {**REQUIRED, "chunk_seconds": 20, **section}
    assert load(tmp_path, flat).chunk_seconds == 20
    assert load(tmp_path, flat, {"RA_CHUNK_SECONDS": "30"}).chunk_seconds == 30
    assert load(tmp_path, flat, {"RA_CHUNK_SECONDS": "30"}, chunk_seconds=40).chunk_seconds == 40
    assert load(tmp_path, flat, {"RA_CHUNK_SECONDS": ""}).chunk_seconds == 20


def test_the_demo_s_defaults_yield_to_what_is_said(tmp_path):
    assert table.load(tmp_path / "none", {}, REQUIRED, {"chunk_seconds": 15}).chunk_seconds == 15
    assert table.load(tmp_path / "none", {"RA_CHUNK_SECONDS": "5"}, REQUIRED, {"chunk_seconds": 15}).chunk_seconds == 5


def test_without_a_file_the_environment_is_enough(tmp_path):
    environment = {f"RA_{name.upper()}": value for name, value in REQUIRED.items()}
    assert load(tmp_path, None, environment).point_id == IDS["point_id"]


def test_what_is_missing_is_named_with_its_variable(tmp_path):
    with pytest.raises(ConfigError, match=r"point_id, ingest_token must be set.*RA_POINT_ID, RA_INGEST_TOKEN"):
        load(tmp_path, {name: value for name, value in REQUIRED.items() if name not in ("point_id", "ingest_token")})


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("point_id", "shop-1", "is not a UUID"),
        ("device_id", "<DEVICE_ID>", "is not a UUID"),
        ("schedule_start", "25:00", "say HH:MM"),
        ("schedule_end", "8 pm", "say HH:MM"),
        ("chunk_seconds", 0, "between 1 and 3600"),
        ("chunk_seconds", "soon", "a whole number"),
        ("opus_bitrate_kbps", 5, "between 6 and 256"),
        ("sample_rate", 44100, "8000, 12000, 16000, 24000 or 48000"),
        ("health_port", 70000, "between 0 and 65535"),
        ("max_spool_gb", -1, "between"),
        ("max_spool_days", 0, "between"),
        ("retry_min_s", 500, "less than retry_min_s"),
        ("ingest_base_url", "audio.example.com", "http://HOST"),
        ("ingest_base_url", "http://host:99999", "ingest_base_url"),
        ("capture", "telepathy", "auto, pyav"),
        ("site_timezone", "Mars/Olympus", "zone"),
        ("upload_speech_only", "perhaps", "true or false"),
        ("chunk_seconds", [60], "a number is wanted"),
        ("codec", "mp3", "mono OGG/Opus"),
        ("channels", 2, "mono OGG/Opus"),
    ],
)
def test_a_mistake_is_told_in_a_sentence(tmp_path, name, value, words):
    with pytest.raises(ConfigError, match=words):
        load(tmp_path, {**REQUIRED, name: value})


def test_a_wrong_token_is_not_shown(tmp_path):
    with pytest.raises(ConfigError) as error:
        load(tmp_path, {**REQUIRED, "ingest_token": "se cret"})
    assert "se cret" not in str(error.value)
    assert "ingest_token" in str(error.value)


@pytest.mark.parametrize("content", [{**REQUIRED, "chunk_second": 5}, {**REQUIRED, "recording": {"chunk_second": 5}}])
def test_an_unknown_key_is_an_error_that_knows_better(tmp_path, content):
    with pytest.raises(ConfigError, match="did you mean 'chunk_seconds'"):
        load(tmp_path, content)


def test_unknown_sections_are_left_alone(tmp_path):
    assert load(tmp_path, {**REQUIRED, "dashboard": {"colour": "red"}}).chunk_seconds == 60


def test_what_the_field_s_scripts_write_is_understood(tmp_path):
    content = {
        "identifiers": IDS,
        "server": {"url": "http://core:8000/", "token": "0123456789abcdef"},
        "recording": {"chunk_duration_sec": 20, "codec": "opus", "bitrate": "32k", "channels": 1},
        "storage": {"path": "/data/spool", "max_size_gb": 5, "retention_days": 2},
        "logging": {"level": "WARNING"},
        "healthcheck": {"port": 8043, "enabled": True},
    }
    found = load(tmp_path, content)
    assert (found.ingest_base_url, found.ingest_token) == ("http://core:8000", "0123456789abcdef")
    assert (found.chunk_seconds, found.opus_bitrate_kbps) == (20, 32)
    assert (found.spool_dir, found.max_spool_gb, found.max_spool_days) == (Path("/data/spool"), 5.0, 2)
    assert (found.log_level, found.health_port) == ("WARNING", 8043)


def test_times_without_quotes_mean_what_they_say(tmp_path):
    text = yaml.safe_dump(REQUIRED) + "schedule_start: 08:00\nschedule_end: 22:00\n"
    found = load(tmp_path, text)
    assert (found.schedule_start, found.schedule_end) == ("08:00", "22:00")


@pytest.mark.parametrize("text", ["point_id: [", "- a list", "\x00"])
def test_a_file_that_is_no_settings_is_told(tmp_path, text):
    with pytest.raises(ConfigError, match=r"config\.yaml"):
        load(tmp_path, text)


def test_the_example_is_the_defaults(tmp_path):
    example = yaml.safe_load(EXAMPLE.read_text("utf-8"))
    for section, names in table.config_file.SECTIONS.items():
        assert set(example[section]) == set(names), section
    example["identifiers"] = IDS
    example["ingest"] |= {"ingest_token": REQUIRED["ingest_token"]}
    found = load(tmp_path, example)
    named = {field: value for field, value in table.defaults().items() if field != "log_level"}
    assert {name: getattr(found, name) for name in named} == named


def test_systemd_is_heard_only_where_it_started_this_process(monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/notify")
    monkeypatch.setenv("WATCHDOG_USEC", "120000000")
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert table.notifier().watchdog_s == 0
    monkeypatch.delenv("WATCHDOG_PID")
    assert (table.notifier().address, table.notifier().watchdog_s) == ("/run/notify", 120)
