"""Whether a setting's value can be used, and what to say if not. Pure."""

from __future__ import annotations

import re
import uuid
import zoneinfo
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from edge_agents.recorder.errors import ConfigError
from edge_agents.recorder.json_log import LEVELS
from edge_agents.recorder.schedule import hh_mm

CAPTURES = ("auto", "pyav", "ffmpeg", "arecord", "sounddevice")
RATES = (8_000, 12_000, 16_000, 24_000, 48_000)
_RANGES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "chunk_seconds": (1, 3600),
        "opus_bitrate_kbps": (6, 256),
        "speed": (0, 1000),
        "speech_aggressiveness": (0, 3),
        "speech_padding_s": (0, 60),
        "max_spool_days": (1, 36_500),
        "max_spool_gb": (0.001, 1_000_000),
        "min_free_mb": (0, 1_000_000),
        "retry_min_s": (0.01, 86_400),
        "retry_max_s": (0.01, 86_400),
        "timeout_s": (1, 3600),
        "resumable_from_kb": (0, 1_000_000),
        "health_port": (0, 65_535),
    }
)
_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


def checked(name: str, value: Any, kind: type, where: str) -> Any:
    """The value as `kind`; None for a value that says nothing. Raises ConfigError naming `where` it stood."""
    if value is None or value == "":
        return None
    try:
        typed = _typed(name, value, kind)
        if name in _RANGES:
            least, most = _RANGES[name]
            if not least <= typed <= most:
                raise ValueError(f"must lie between {least:g} and {most:g}")
        return _CHECKS[name](typed) if name in _CHECKS else typed
    except ValueError as error:
        shown = "" if name == "ingest_token" else f" {value!r}"
        raise ConfigError(f"{where}{shown} cannot be used: {error}") from None


def _typed(name: str, value: Any, kind: type) -> Any:
    if kind is bool:
        return _boolean(value)
    if isinstance(value, (bool, list, dict)):
        raise ValueError(f"a {'number' if kind in (int, float) else 'text'} is wanted")  # noqa: TRY004
    if name in ("schedule_start", "schedule_end") and isinstance(value, int):
        return f"{value // 60:02d}:{value % 60:02d}"  # YAML takes 22:00 without quotes for a number to base 60.
    if kind is int:
        return _whole(name, value)
    if kind is float:
        try:
            return float(value)
        except (TypeError, ValueError):
            raise ValueError("a number is wanted") from None
    return kind(str(value).strip())


def _boolean(value: Any) -> bool:
    text = str(value).strip().lower()
    if text not in (*_TRUE, *_FALSE):
        raise ValueError("say true or false")
    return text in _TRUE


def _whole(name: str, value: Any) -> int:
    text = str(value).strip().lower()
    if name == "opus_bitrate_kbps":
        text = re.sub(r"(kbps|k)$", "", text).strip()
        if re.fullmatch(r"\d{4,6}", text):  # Bits a second, as some scripts write.
            text = str(int(text) // 1000)
    if not re.fullmatch(r"-?\d{1,9}(\.0+)?", text):
        raise ValueError("a whole number is wanted")
    return int(float(text))


def _uuid(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise ValueError(
            "it is not a UUID like 123e4567-e89b-42d3-a456-426614174000 (`uuidgen` makes one;"
            " it must be the one the device was registered with)"
        ) from None


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("say http://HOST:PORT or https://HOST")
    _ = parts.port  # Raises ValueError when it is no port.
    return text.rstrip("/")


def _token(text: str) -> str:
    if not re.fullmatch(r"[\x21-\x7e]+", text) or text.startswith("<"):
        raise ValueError("it must be the device's token as registered: letters, digits and signs without spaces")
    return text


def _hh_mm(text: str) -> str:
    moment = hh_mm(text)
    if moment is None:
        raise ValueError("say HH:MM, from 00:00 to 23:59")
    return f"{moment:%H:%M}"


def _zone(text: str) -> str:
    try:
        zoneinfo.ZoneInfo(text)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("say a zone of /usr/share/zoneinfo, as Europe/Belgrade") from None
    return text


def _one_of(*allowed: Any) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if value not in allowed:
            raise ValueError(f"say {', '.join(map(str, allowed[:-1]))} or {allowed[-1]}")
        return value

    return check


def _folder(path: Path) -> Path:
    if not path.is_absolute():
        return path.absolute()
    return path


_CHECKS: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        **dict.fromkeys(("point_id", "register_id", "device_id"), _uuid),
        "ingest_base_url": _url,
        "ingest_token": _token,
        **dict.fromkeys(("schedule_start", "schedule_end"), _hh_mm),
        "site_timezone": _zone,
        "sample_rate": _one_of(*RATES),
        "capture": _one_of(*CAPTURES),
        "log_level": lambda text: _one_of(*LEVELS)(text.upper()),
        **dict.fromkeys(("spool_dir", "outbox_dir"), _folder),
    }
)
