from __future__ import annotations

import stat
from pathlib import Path

import pytest

from ops import settings
from ops.errors import OperatorError
from ops.settings import Settings


def load(tmp_path: Path, dotenv: Path | None = None, **env: str) -> Settings:
    return settings.load({"SENSORIUM_HOME": str(tmp_path / "home"), **env}, dotenv)


def test_defaults_serve_loopback_on_8000_with_embedded_servers(tmp_path: Path) -> None:
    loaded = load(tmp_path)
    assert (loaded.host, loaded.port, loaded.base_url) == ("127.0.0.1", 8000, "http://127.0.0.1:8000")
    assert loaded.kafka_bootstrap is loaded.database_url is loaded.kafka_port is loaded.schema_registry_url is None
    assert loaded.device_name("anything") == "Entrance Camera"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SENSORIUM_PORT", "http"),
        ("SENSORIUM_PORT", "0"),
        ("SENSORIUM_PORT", "٨٠"),
        ("KAFKA_PORT", "65536"),
        ("KAFKA_HEAP_OPTS", "1g"),
        ("KAFKA_JVM_PERFORMANCE_OPTS", "-XX:+UseG1GC 5"),
        ("KAFKA_BOOTSTRAP_SERVERS", "broker"),
        ("KAFKA_BOOTSTRAP_SERVERS", "a:1,b"),
        ("DATABASE_URL", "mysql://x"),
        ("SCHEMA_REGISTRY_URL", "registry:8081"),
        ("CORS_ORIGINS", "example.org"),
        ("TRUSTED_NETWORKS", "10.0.0.1/8"),
        ("SITE_TIMEZONE", "Mars/Olympus"),
        ("SITE_TIMEZONE", "/etc/passwd"),
        ("DEVICE_NAMES", "jetson_1"),
        ("ADMIN_TOKEN", "пароль"),
        ("SENSORIUM_HOME", __file__),
    ],
)
def test_a_bad_value_is_one_sentence_that_names_the_variable(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(OperatorError, match=name) as refused:
        load(tmp_path, **{name: value})
    assert "\n" not in str(refused.value)


def test_the_environment_wins_over_dotenv_and_blank_means_unset(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("SENSORIUM_PORT=1111\nADMIN_TOKEN=from-file\nCORS_ORIGINS=https://a.example/, *\n")
    loaded = load(tmp_path, dotenv, SENSORIUM_PORT="2222", KAFKA_PORT=" ")
    assert (loaded.port, loaded.admin_token, loaded.kafka_port) == (2222, "from-file", None)
    assert loaded.cors_origins == ("https://a.example", "*")


def test_what_seed_002_writes_for_its_own_libraries_is_understood(tmp_path: Path) -> None:
    loaded = load(
        tmp_path,
        DATABASE_URL="postgresql+asyncpg://ingest:ingest@localhost:5432/ingest",
        CORS_ORIGINS='["http://dashboard:8080", "https://a.example/"]',
    )
    assert loaded.database_url == "postgresql://ingest:ingest@localhost:5432/ingest"
    assert loaded.cors_origins == ("http://dashboard:8080", "https://a.example")
    assert load(tmp_path, CORS_ORIGINS="[]").cors_origins == ()


def test_device_names_may_hold_any_text(tmp_path: Path) -> None:
    loaded = load(tmp_path, DEVICE_NAMES="jetson_1=Вход, главный; jetson_2 = Back = door")
    assert (loaded.device_name("jetson_1"), loaded.device_name("jetson_2")) == ("Вход, главный", "Back = door")


def test_the_admin_token_is_made_once_and_kept_from_others(tmp_path: Path) -> None:
    first = load(tmp_path)
    assert stat.S_IMODE(first.admin_token_file.stat().st_mode) == 0o600
    first.admin_token_file.chmod(0o644)
    assert load(tmp_path).admin_token == first.admin_token != ""
    assert stat.S_IMODE(first.admin_token_file.stat().st_mode) == 0o600


def test_an_empty_token_file_is_made_anew_and_never_taken_as_a_token(tmp_path: Path) -> None:
    path = load(tmp_path).admin_token_file
    path.write_text("")
    assert len(load(tmp_path).admin_token) > 30
    assert path.read_text().strip() == load(tmp_path).admin_token


def test_the_first_secret_written_is_everybodys(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    assert settings.write_secret(path, lambda: "one") == settings.write_secret(path, lambda: "two") == "one"
    assert [file.name for file in tmp_path.iterdir()] == ["secret"]


def test_other_machines_are_let_in_only_when_somebody_said_who(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="TRUSTED_NETWORKS"):
        load(tmp_path, SENSORIUM_HOST="0.0.0.0")
    load(tmp_path)  # a generated token lies in the home now, which nobody has chosen
    with pytest.raises(OperatorError, match="TRUSTED_NETWORKS"):
        load(tmp_path, SENSORIUM_HOST="192.168.1.5")
    assert load(tmp_path, SENSORIUM_HOST="0.0.0.0", ADMIN_TOKEN="chosen").base_url == "http://127.0.0.1:8000"
    assert load(tmp_path, SENSORIUM_HOST="::", TRUSTED_NETWORKS="10.0.0.0/8, fd00::/8").base_url == "http://[::1]:8000"
    assert load(tmp_path, SENSORIUM_HOST="::1").base_url == "http://[::1]:8000"


def test_the_token_is_not_shown_with_the_settings(tmp_path: Path) -> None:
    assert "hunter2" not in repr(load(tmp_path, ADMIN_TOKEN="hunter2"))


@pytest.mark.parametrize(
    ("environment", "ports"),
    [
        ({}, ()),
        ({"PORT": "8080"}, (8080,)),
        ({"PORT": "8000"}, ()),
        ({"PORT": "8080", "DASHBOARD_PORT": "8080"}, (8080,)),
        ({"SENSORIUM_PORT": "9000", "PORT": "8000", "DASHBOARD_PORT": "8080"}, (8000, 8080)),
    ],
)
def test_the_ports_that_the_seeds_name_are_served_as_well(environment, ports, tmp_path):
    assert load(tmp_path, **environment).further_ports == ports


def test_the_published_admin_token_is_refused_where_others_can_reach_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(OperatorError, match="ADMIN_TOKEN is the published default"):
        load(tmp_path, ADMIN_TOKEN=settings.PUBLISHED_TOKEN, SENSORIUM_HOST="0.0.0.0", TRUSTED_NETWORKS="10.0.0.0/8")
    assert not caplog.records
    assert load(tmp_path, ADMIN_TOKEN=settings.PUBLISHED_TOKEN).admin_token == settings.PUBLISHED_TOKEN
    assert ["ADMIN_TOKEN" in record.message for record in caplog.records] == [True]
    load(tmp_path, ADMIN_TOKEN="my-own", SENSORIUM_HOST="0.0.0.0")
    assert len(caplog.records) == 1
