"""Everything that can be set: YAML keys, RA_* variables, defaults. Reads the environment."""

from __future__ import annotations

import os
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from edge_agents.recorder import config_file
from edge_agents.recorder.checks import checked
from edge_agents.recorder.errors import ConfigError
from edge_agents.recorder.notify import Notifier

CONFIG = Path("/etc/recorder-agent/config.yaml")
_ALSA = "/usr/share/alsa"


@dataclass(frozen=True, slots=True)
class Settings:
    """A field `max_spool_gb` is the key max_spool_gb of the file and the variable RA_MAX_SPOOL_GB.

    `audio_device` is an ALSA device, "" to look for one, `file:PATH` or `pipe:PATH` (raw 16-bit mono) or `-` (stdin).
    """

    point_id: str
    register_id: str
    device_id: str
    ingest_base_url: str
    ingest_token: str
    schedule_start: str = "08:00"
    schedule_end: str = "22:00"
    site_timezone: str = ""
    chunk_seconds: int = 60
    opus_bitrate_kbps: int = 24
    audio_device: str = ""
    sample_rate: int = 48_000
    capture: str = "auto"
    loop: bool = False
    speed: float = 1.0
    upload_speech_only: bool = False
    speech_aggressiveness: int = 2
    speech_padding_s: float = 2.0
    spool_dir: Path = Path("/var/lib/recorder-agent/spool")
    outbox_dir: Path | None = None
    max_spool_days: int = 7
    max_spool_gb: float = 20.0
    min_free_mb: int = 100
    retry_min_s: float = 2.0
    retry_max_s: float = 300.0
    timeout_s: float = 60.0
    resumable_from_kb: int = 1024
    health_port: int = 8042
    log_level: str = "INFO"

    @property
    def outbox(self) -> Path:
        """Where chunks wait for the server."""
        return self.outbox_dir or self.spool_dir / "outbox"


REQUIRED = ("point_id", "register_id", "device_id", "ingest_base_url", "ingest_token")
KINDS: Mapping[str, type] = types.MappingProxyType(
    {
        name: typing.get_args(hint)[0] if isinstance(hint, types.UnionType) else hint
        for name, hint in typing.get_type_hints(Settings).items()
    }
)
# Accepted so that a file saying what is so anyway does no harm.
FIXED: Mapping[str, tuple[object, ...]] = types.MappingProxyType(
    {"codec": ("opus", "libopus", "ogg/opus"), "channels": (1,)}
)


def load(
    path: Path,
    environment: Mapping[str, str] | None = None,
    given: Mapping[str, Any] | None = None,
    instead: Mapping[str, Any] | None = None,
) -> Settings:
    """Settings: `given` (flags) over RA_* variables over the file's flat keys over its sections over the defaults.

    `instead` takes the place of some defaults.

    Raises ConfigError with a sentence about the first setting that cannot be used.
    """
    source = os.environ if environment is None else environment
    found = {name: (value, f"default of {name}") for name, value in (instead or {}).items()}
    found |= config_file.read(path, frozenset(KINDS) | FIXED.keys())
    found |= {name: (source[variable(name)], variable(name)) for name in KINDS if source.get(variable(name), "")}
    found |= {
        name: (value, f"--{name.replace('_', '-')}") for name, value in (given or {}).items() if value is not None
    }
    _refuse_fixed(found)
    missing = [name for name in REQUIRED if found.get(name, (None,))[0] in (None, "")]
    if missing:
        raise ConfigError(_missing_text(path, missing))
    values = {name: checked(name, value, KINDS[name], where) for name, (value, where) in found.items() if name in KINDS}
    settings = Settings(**{name: value for name, value in values.items() if value is not None})
    if settings.retry_max_s < settings.retry_min_s:
        raise ConfigError(f"retry_max_s ({settings.retry_max_s:g}) is less than retry_min_s ({settings.retry_min_s:g})")
    if settings.upload_speech_only and settings.sample_rate not in (8_000, 16_000, 48_000):
        raise ConfigError("upload_speech_only hears speech at a sample_rate of 8000, 16000 or 48000 only")
    return settings


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return f"RA_{name.upper()}"


def defaults() -> dict[str, Any]:
    """What each setting is when nothing is said; the required ones are absent."""
    return {field.name: field.default for field in fields(Settings) if field.name not in REQUIRED}


def notifier() -> Notifier:
    """How systemd wants to hear of this process, if it started it."""
    watchdog = os.environ.get("WATCHDOG_USEC", "")
    mine = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return Notifier(os.environ.get("NOTIFY_SOCKET", ""), int(watchdog) / 1e6 if watchdog.isdigit() and mine else 0.0)


def point_to_alsa() -> None:
    """PyAV's own ALSA library looks for its files where it was built: show it the system's."""
    if Path(_ALSA, "alsa.conf").exists():
        os.environ.setdefault("ALSA_CONFIG_DIR", _ALSA)
        os.environ.setdefault("ALSA_CONFIG_PATH", f"{_ALSA}/alsa.conf")


def _refuse_fixed(found: config_file.Found) -> None:
    for name, allowed in FIXED.items():
        value, where = found.get(name, (allowed[0], ""))
        if value not in allowed and str(value).lower() not in map(str, allowed):
            raise ConfigError(f"{where} is {value!r}: the recorder writes mono OGG/Opus and nothing else")


def _missing_text(path: Path, missing: list[str]) -> str:
    names = ", ".join(missing)
    variables = ", ".join(variable(name) for name in missing)
    there = "which does not exist" if not path.exists() else "which does not say them"
    return f"{names} must be set: in {path}, {there}, or as {variables}"
