"""The configuration file: sections, flat keys, and what install scripts of the field write instead."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from edge_agents.recorder.errors import ConfigError

log = logging.getLogger(__name__)

SECTIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "identifiers": ("point_id", "register_id", "device_id"),
        "ingest": ("ingest_base_url", "ingest_token", "timeout_s", "resumable_from_kb"),
        "schedule": ("schedule_start", "schedule_end", "site_timezone"),
        "recording": (
            *("chunk_seconds", "opus_bitrate_kbps", "audio_device", "sample_rate", "capture", "loop", "speed"),
            *("upload_speech_only", "speech_aggressiveness", "speech_padding_s"),
        ),
        "spool": ("spool_dir", "outbox_dir", "max_spool_days", "max_spool_gb", "min_free_mb"),
        "retry": ("retry_min_s", "retry_max_s"),
        "health": ("health_port",),
    }
)
# What the field's install scripts write instead. A name on the right of None is known and has nothing to set.
_ALIASES: Mapping[str, Mapping[str, str | None]] = MappingProxyType(
    {
        "server": {
            **dict.fromkeys(("url", "base_url", "ingest_url", "api_url", "ingest_base_url"), "ingest_base_url"),
            **dict.fromkeys(("token", "device_token", "api_token", "ingest_token"), "ingest_token"),
            **{name: name for name in ("point_id", "register_id", "device_id")},
            "timeout": "timeout_s",
            "timeout_sec": "timeout_s",
            "timeout_s": "timeout_s",
            "retry_min_s": "retry_min_s",
            "retry_max_s": "retry_max_s",
        },
        "storage": {
            **dict.fromkeys(("spool_dir", "path", "dir", "base_dir"), "spool_dir"),
            "outbox_dir": "outbox_dir",
            **dict.fromkeys(("max_spool_days", "max_days", "max_age_days", "retention_days"), "max_spool_days"),
            **dict.fromkeys(("max_spool_gb", "max_gb", "max_size_gb"), "max_spool_gb"),
            **dict.fromkeys(("inbox_dir", "failed_dir", "uploaded_dir"), None),
        },
        "logging": {"level": "log_level", "log_level": "log_level", "format": None, "file": None},
        "healthcheck": {"port": "health_port", "health_port": "health_port", "enabled": None, "host": None},
        "recording": {
            **dict.fromkeys(("chunk_duration_sec", "chunk_duration", "chunk_duration_s"), "chunk_seconds"),
            "bitrate": "opus_bitrate_kbps",
            "bitrate_kbps": "opus_bitrate_kbps",
            "device": "audio_device",
            "codec": "codec",
            "channels": "channels",
        },
    }
)
Found = dict[str, tuple[Any, str]]


def read(path: Path, known: frozenset[str]) -> Found:
    """The file's settings as name -> (value, where it stood); a missing file has none. Raises ConfigError."""
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from None
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"{path} must hold keys like `point_id: ...`, not a {type(content).__name__}")
    return parsed(content, path.name, known)


def parsed(content: Mapping[Any, Any], file: str, known: frozenset[str]) -> Found:
    """Settings of a parsed file: a flat key wins over a section's. Raises ConfigError for a key nobody knows."""
    found: Found = {}
    for section, values in content.items():
        if isinstance(values, Mapping):
            found |= _of_section(str(section), values, file)
        elif values is None and (section in SECTIONS or section in _ALIASES):
            continue
    for name, value in content.items():
        if isinstance(value, Mapping) or (value is None and (name in SECTIONS or name in _ALIASES)):
            continue
        if name not in known:
            raise ConfigError(f"{file}: {name!r} is no setting of the recorder{_hint(str(name), known)}")
        found[str(name)] = (value, f"{file}: {name}")
    return found


def _of_section(section: str, values: Mapping[Any, Any], file: str) -> Found:
    found: Found = {}
    aliases = _ALIASES.get(section, {})
    names = SECTIONS.get(section, ())
    if not names and not aliases:
        log.info("config_section_ignored", extra={"section": section})
        return found
    for given, value in values.items():
        where = f"{file}: {section}.{given}"
        if given in names:
            found[str(given)] = (value, where)
        elif given in aliases:
            name = aliases[given]
            if name is not None:
                found.setdefault(name, (value, where))
        elif names:
            raise ConfigError(f"{where} is no setting of the recorder{_hint(str(given), frozenset(names))}")
        else:
            log.warning("config_key_ignored", extra={"key": f"{section}.{given}"})
    return found


def _hint(name: str, known: frozenset[str]) -> str:
    import difflib

    near = difflib.get_close_matches(name, sorted(known), 1)
    return f"; did you mean {near[0]!r}?" if near else f"; there is {', '.join(sorted(known))}"
