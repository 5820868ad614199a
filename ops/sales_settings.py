"""Settings of sales audio: seed 002's variables and ours, checked. `ops.settings.load` hands the environment over."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from ops import variables
from ops.errors import OperatorError

ASR_MODES: Final = ("local", "remote", "off")
PUBLISHED_SECRET: Final = "changeme-jwt-secret-key-min-32-chars"  # noqa: S105 - seed 002's default, known to everybody


@dataclass(frozen=True, slots=True)
class VoiceSettings:
    """Voice activity and dialogues (docs/sales-audio-tuning.md). `rule` has what else is set of the voice's rule."""

    aggressiveness: int = 2
    frame_ms: int = 30
    rule: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    longest_s: float = 7200.0
    silence_gap_s: float = 12.0
    max_dialogue_s: float = 120.0
    idle_s: float = 192.0
    hole_s: float = 2.0
    reach_s: float = 3600.0
    minimum_dialogue_ms: int = 0
    forget_days: float = 8.0


@dataclass(frozen=True, slots=True)
class AsrSettings:
    """Speech recognition. `language` None: detected."""

    mode: str = "local"
    model_fast: str = "base"
    model_accurate: str = "small"
    compute_type: str = "int8"
    threads: int = 2
    cache: Path | None = None
    beam_size: int = 5
    language: str | None = None
    usual_languages: tuple[str, ...] = ("ru", "en")
    download: bool = True
    longest_s: float = 3600.0
    logprob_threshold: float = -0.7
    min_text_ratio: float = 0.5
    min_accurate_s: float = 15.0
    internal_base_url: str | None = None


@dataclass(frozen=True, slots=True)
class AnalysisSettings:
    """Analysis of offers; without a key by rules."""

    api_key: str = field(default="", repr=False)
    base_url: str | None = None
    model: str = "gpt-4o-mini"
    timeout_s: float = 60.0
    attempts: int = 3
    first_wait_s: float = 1.0
    prompt_version: str = "v1"
    daily_budget_usd: float | None = 5.0
    prices: Mapping[str, tuple[float, float]] = field(default_factory=lambda: MappingProxyType({}))
    prefilter: bool = True
    prefilter_characters: int = 10
    prefilter_s: float = 6.0
    markers: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class SalesSettings:
    """Everything of sales audio that a site may set."""

    audio_folder: Path | None = None
    audio_cache: Path | None = None
    max_upload_bytes: int = 10_485_760
    upload_s: float = 110.0
    upload_quiet_s: float = 30.0
    uploads: int = 64
    uploads_per_device: int = 8
    resumable_per_device: int = 8
    resumable_s: float = 86_400.0
    min_free_bytes: int = 64 << 20
    keep_days: float | None = None
    internal_token: str = field(default="", repr=False)
    jwt_secret: str = field(default="", repr=False)
    jwt_hours: float = 24.0
    admin_username: str = ""
    admin_password: str = field(default="", repr=False)
    zone: str = "Europe/Belgrade"
    voice: VoiceSettings = field(default_factory=VoiceSettings)
    asr: AsrSettings = field(default_factory=AsrSettings)
    analysis: AnalysisSettings = field(default_factory=AnalysisSettings)


def read(env: Mapping[str, str]) -> SalesSettings:
    """The settings in an environment (values stripped, empty ones left out). OperatorError names the bad variable."""
    username, password = env.get("ADMIN_USERNAME", ""), env.get("ADMIN_PASSWORD", "")
    if bool(username) != bool(password):
        raise OperatorError("ADMIN_USERNAME and ADMIN_PASSWORD make the first user together: set both or neither.")
    return SalesSettings(
        audio_folder=variables.folder(env, "AUDIO_STORAGE_PATH") or variables.folder(env, "AUDIO_STORAGE_DIR"),
        audio_cache=variables.folder(env, "AUDIO_CACHE_PATH"),
        max_upload_bytes=int(variables.number(env, "MAX_UPLOAD_SIZE_BYTES", 10_485_760, 1024, 1 << 30)),
        upload_s=variables.number(env, "UPLOAD_TIMEOUT_SEC", 110.0, 1, 115),
        upload_quiet_s=variables.number(env, "UPLOAD_IDLE_TIMEOUT_SEC", 30.0, 1, 115),
        uploads=int(variables.number(env, "UPLOADS_AT_ONCE", 64, 1, 1000)),
        uploads_per_device=int(variables.number(env, "UPLOADS_PER_DEVICE", 8, 1, 1000)),
        resumable_per_device=int(variables.number(env, "RESUMABLE_UPLOADS_PER_DEVICE", 8, 0, 1000)),
        resumable_s=variables.number(env, "RESUMABLE_UPLOAD_SEC", 86_400.0, 60, 30 * 86_400),
        min_free_bytes=int(variables.number(env, "AUDIO_MIN_FREE_BYTES", 64 << 20, 0, 1 << 40)),
        keep_days=_keep_days(env),
        internal_token=env.get("INTERNAL_TOKEN", ""),
        jwt_secret=_jwt_secret(env),
        jwt_hours=variables.number(env, "JWT_ACCESS_TOKEN_EXPIRE_HOURS", 24.0, 0.01, 8760),
        admin_username=username,
        admin_password=password,
        zone=variables.zone(env, "SALES_TIMEZONE", "Europe/Belgrade"),
        voice=_voice(env),
        asr=_asr(env),
        analysis=_analysis(env),
    )


def _keep_days(env: Mapping[str, str]) -> float | None:
    name = "AUDIO_RETENTION_DAYS"
    return variables.number(env, name, 0, 1 / 24, 36_500) if name in env else None


def _voice(env: Mapping[str, str]) -> VoiceSettings:
    return VoiceSettings(
        aggressiveness=int(variables.number(env, "VAD_AGGRESSIVENESS", 2, 0, 3)),
        frame_ms=int(variables.choice(env, "VAD_FRAME_MS", "30", ("10", "20", "30"))),
        silence_gap_s=variables.number(env, "SILENCE_GAP_SEC", 12.0, 0.5, 3600),
        rule=MappingProxyType(
            {name: variables.number(env, variable, 0, 0, 60_000) for variable, name in _RULE.items() if variable in env}
        ),
        longest_s=variables.number(env, "VAD_LONGEST_SEC", 7200.0, 1, 36_000),
        max_dialogue_s=variables.number(env, "MAX_DIALOGUE_SEC", 120.0, 1, 1800),
        idle_s=variables.number(env, "DIALOGUE_IDLE_SEC", 192.0, 1, 86_400),
        hole_s=variables.number(env, "DIALOGUE_HOLE_SEC", 2.0, 0, 60),
        reach_s=variables.number(env, "DIALOGUE_REACH_SEC", 3600.0, 60, 86_400),
        minimum_dialogue_ms=int(variables.number(env, "DIALOGUE_MINIMUM_MS", 0, 0, 600_000)),
        forget_days=variables.number(env, "DIALOGUE_FORGET_DAYS", 8.0, 0.01, 60),
    )


_RULE: Final = {
    "VAD_START_MS": "start_ms",
    "VAD_END_MS": "end_ms",
    "VAD_WINDOW_MS": "window_ms",
    "VAD_OPEN_SHARE": "open_share",
    "VAD_PADDING_MS": "padding_ms",
    "VAD_MINIMUM_MS": "minimum_ms",
}


def _asr(env: Mapping[str, str]) -> AsrSettings:
    language = env.get("WHISPER_LANGUAGE", "auto").lower()
    return AsrSettings(
        mode=variables.choice(env, "ASR_MODE", "local", ASR_MODES),
        model_fast=env.get("WHISPER_MODEL_FAST", "base"),
        model_accurate=env.get("WHISPER_MODEL_ACCURATE", "small"),
        compute_type=env.get("WHISPER_COMPUTE_TYPE", "int8"),
        threads=int(variables.number(env, "WHISPER_THREADS", 2, 1, 256)),
        cache=variables.folder(env, "WHISPER_CACHE_DIR"),
        beam_size=int(variables.number(env, "BEAM_SIZE", 5, 1, 20)),
        language=None if language == "auto" else language,
        usual_languages=variables.words(env, "WHISPER_LANGUAGES") or ("ru", "en"),
        download=variables.choice(env, "WHISPER_DOWNLOAD", "true", variables.YES + variables.NO) in variables.YES,
        longest_s=variables.number(env, "ASR_MAX_AUDIO_SEC", 3600.0, 10, 36_000),
        logprob_threshold=variables.number(env, "AVG_LOGPROB_THRESHOLD", -0.7, -10, 0),
        min_text_ratio=variables.number(env, "MIN_TEXT_LENGTH_RATIO", 0.5, 0, 100),
        min_accurate_s=variables.number(env, "MIN_DURATION_FOR_ACCURATE", 15.0, 0, 36_000),
        internal_base_url=variables.address(env, "INGEST_INTERNAL_BASE_URL"),
    )


def _analysis(env: Mapping[str, str]) -> AnalysisSettings:
    budget = env.get("ANALYSIS_DAILY_BUDGET_USD", "5").lower()
    return AnalysisSettings(
        api_key=env.get("OPENAI_API_KEY", ""),
        base_url=variables.address(env, "OPENAI_BASE_URL"),
        model=env.get("OPENAI_MODEL", "gpt-4o-mini"),
        timeout_s=variables.number(env, "OPENAI_TIMEOUT_SEC", 60.0, 1, 3600),
        attempts=int(variables.number(env, "OPENAI_MAX_RETRIES", 3, 1, 20)),
        first_wait_s=variables.number(env, "OPENAI_BASE_DELAY_SEC", 1.0, 0, 60),
        prompt_version=env.get("PROMPT_VERSION", "v1"),
        daily_budget_usd=None if budget == "none" else variables.number(env, "ANALYSIS_DAILY_BUDGET_USD", 5.0, 0, 1e6),
        prices=_prices(env),
        prefilter=variables.choice(env, "PREFILTER_ENABLED", "true", variables.YES + variables.NO) in variables.YES,
        prefilter_characters=int(variables.number(env, "PREFILTER_MIN_TEXT_LEN", 10, 0, 100_000)),
        prefilter_s=variables.number(env, "PREFILTER_MIN_DURATION_SEC", 6.0, 0, 36_000),
        markers=variables.words(env, "PREFILTER_UPSELL_MARKERS") or None,
    )


def _jwt_secret(env: Mapping[str, str]) -> str:
    secret = env.get("JWT_SECRET_KEY", "")
    if secret == PUBLISHED_SECRET:
        raise OperatorError(
            "JWT_SECRET_KEY is the published default, with which anybody can sign in as anybody: choose your own, "
            "or leave it out and one is made."
        )
    return secret


def _prices(env: Mapping[str, str]) -> Mapping[str, tuple[float, float]]:
    text = env.get("OPENAI_PRICES")
    if text is None:
        return MappingProxyType({})
    try:
        said: dict[str, Any] = json.loads(text)
        return MappingProxyType({model: (float(pair[0]), float(pair[1])) for model, pair in said.items()})
    except (ValueError, TypeError, AttributeError, IndexError, KeyError) as error:
        raise OperatorError(
            'OPENAI_PRICES is not JSON of the form {"model": [dollars a million prompt tokens, completion tokens]}.'
        ) from error
