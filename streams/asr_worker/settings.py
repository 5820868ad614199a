"""Settings of an asr worker from the environment, by the names of the system it replaces."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from streams.workers.settings import network

T = TypeVar("T")
SEED_CACHE: Final = Path("/models")
UNUSED: Final = (
    "DATABASE_URL",
    "ASR_DB_HOST",
    "ASR_INGEST_HOST",
    "AUDIO_TMP_DIR",
    "BATCH_SIZE",
    "ASR_BATCH_SIZE",
    "POLL_INTERVAL_SEC",
    "ASR_POLL_INTERVAL_SEC",
    "ASR_STUCK_TIMEOUT_SEC",
    "ASR_RECOVERY_INTERVAL_SEC",
)
"""Accepted, and not needed: no database, no polling, audio stays in memory, leases recover what is stuck."""
DECIDED_ELSEWHERE: Final = ("AVG_LOGPROB_THRESHOLD", "MIN_TEXT_LENGTH_RATIO", "MIN_DURATION_FOR_ACCURATE")
"""When a second pass is wanted is the server's decision."""


class SettingsError(ValueError):
    """A variable is missing or cannot be read; the sentence says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What an asr worker is told. `whisper` are the child's options (`streams.workers.whisper.WhisperOptions`)."""

    base_url: str
    internal_token: str = field(repr=False)
    worker: str
    children: int
    memory_bytes: int
    threads: int
    timeout_s: float
    metrics_s: float
    log_level: str
    whisper: Mapping[str, Any] = field(repr=False)
    passed_over: tuple[str, ...] = ()


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings.

    Raises:
        SettingsError: INTERNAL_TOKEN is missing, or a number is none.
    """
    given = {name: value.strip() for name, value in (os.environ if environ is None else environ).items()}
    token = given.get("INTERNAL_TOKEN", "")
    if not token:
        raise SettingsError("INTERNAL_TOKEN is not set: give the worker the value that the server has.")
    base_url = given.get("INGEST_INTERNAL_BASE_URL") or "http://localhost:8000"
    if not base_url.startswith(("http://", "https://")):
        raise SettingsError(f"INGEST_INTERNAL_BASE_URL={base_url} is no http:// or https:// address.")
    threads = _number(given, "WHISPER_THREADS", int, min(8, os.cpu_count() or 1))
    timeout_s = _number(given, "HTTP_TIMEOUT_SEC", float, 60.0)
    worker = given.get("ASR_WORKER_NAME") or socket.gethostname()
    where = {"base_url": base_url, "internal_token": token, "timeout_s": timeout_s, "network": network(given)}
    return Settings(
        base_url=base_url,
        internal_token=token,
        worker=worker,
        children=_number(given, "ASR_WORKERS", int, 1),
        memory_bytes=_number(given, "ASR_MEMORY_MB", int, 6144) << 20,
        threads=threads,
        timeout_s=timeout_s,
        metrics_s=_number(given, "METRICS_LOG_INTERVAL_SEC", float, 60.0),
        log_level=(given.get("LOG_LEVEL") or "INFO").upper(),
        whisper=whisper_options(given) | where | {"threads": threads, "worker": worker},
        passed_over=tuple(name for name in (*UNUSED, *DECIDED_ELSEWHERE) if given.get(name)),
    )


def whisper_options(given: Mapping[str, str]) -> dict[str, Any]:
    """The models, the language and the beam, as far as they do not depend on where the worker runs."""
    usual = given.get("WHISPER_LANGUAGES") or "ru,en"
    return {
        "fast": given.get("WHISPER_MODEL_FAST") or "base",
        "accurate": given.get("WHISPER_MODEL_ACCURATE", "small"),
        "compute_type": given.get("WHISPER_COMPUTE_TYPE") or "int8",
        "cache": given.get("WHISPER_CACHE_DIR") or _default_cache(),
        "download": (given.get("WHISPER_DOWNLOAD") or "true").lower() not in ("0", "false", "no", "off"),
        "language": language(given),
        "usual_languages": [one.strip() for one in usual.split(",") if one.strip()],
        "beam": _number(given, "BEAM_SIZE", int, 5),
        "longest_s": _number(given, "ASR_MAX_AUDIO_SEC", float, 3600.0),
    }


def language(given: Mapping[str, str]) -> str | None:
    """WHISPER_LANGUAGE, else LANGUAGE where it is a language's code alone; None: it is heard.

    A desktop's own LANGUAGE (`en_GB:en`) is none of ours.
    """
    chosen = given.get("WHISPER_LANGUAGE", "").lower()
    if chosen in ("", "auto", "detect"):
        other = given.get("LANGUAGE", "").lower()
        chosen = other if not chosen and other.isalpha() and len(other) in (2, 3) else ""
    return chosen or None


def _default_cache() -> str:
    """The volume of the seed's compose file where there is one, else the user's own cache."""
    return str(SEED_CACHE) if os.access(SEED_CACHE, os.W_OK) else "~/.cache/sensorium/whisper"


def _number(given: Mapping[str, str], name: str, kind: Callable[[str], T], default: T) -> T:
    text = given.get(name)
    if not text:
        return default
    try:
        number = kind(text)
    except ValueError as error:
        raise SettingsError(f"{name}={text} is no number.") from error
    if not float(text) > 0:
        raise SettingsError(f"{name}={text} is not above zero.")
    return number
