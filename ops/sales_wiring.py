"""The composition root's part for sales audio: heavy parts, options of processors, what front door and API are told."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ops.errors import OperatorError
from ops.settings import Settings, write_secret
from schemas.envelope import KeyRing

if TYPE_CHECKING:
    from api.app import Sales, Writer
    from api.first_admin import FirstAdmin
    from producers.admission import Admission
    from producers.recorder_limits import RecorderOptions
    from streams.steps import Heavy
    from streams.topology import Options, Processor

LIGHT: Final = ("emotion.moments", "speech.segments", "speech.dialogues", "speech.analyses")
"""The processors of the process `processors`; the others belong to `asr`, which may run on another machine."""
ASR: Final = ("speech.transcripts", "speech.second_pass")
VOICE_BYTES: Final = 1 << 29
WHISPER_BYTES: Final = 6 << 30
_JWT_BYTES: Final = 32


def recorder_options(settings: Settings) -> RecorderOptions:
    """What the gateway takes from recorders."""
    from producers.recorder_limits import RecorderOptions

    sales = settings.sales
    return RecorderOptions(
        settings.audio_folder,
        max_upload_bytes=sales.max_upload_bytes,
        upload_s=sales.upload_s,
        quiet_s=sales.upload_quiet_s,
        uploads=sales.uploads,
        uploads_per_device=sales.uploads_per_device,
        resumable_per_device=sales.resumable_per_device,
        resumable_s=sales.resumable_s,
        min_free_bytes=sales.min_free_bytes,
        keep_days=sales.keep_days,
    )


def sales_api(settings: Settings, keyring: KeyRing, writer: Writer | None, admission: Admission) -> Sales:
    """What the routes of sales audio answer from."""
    from api.app import Sales
    from api.audio_files import AudioOptions
    from api.sign_in import SignInOptions

    return Sales(
        SignInOptions(settings.admin_token, jwt_secret(settings), settings.sales.jwt_hours),
        keyring,
        writer,
        AudioOptions(settings.audio_folder, settings.sales.internal_token, settings.sales.audio_cache),
        settings.sales.zone,
        client=lambda request: admission.client(request.scope, dict(request.scope["headers"])),
        first_admin=_first_admin(settings),
    )


def _first_admin(settings: Settings) -> FirstAdmin | None:
    from api.first_admin import FirstAdmin, checked

    if not settings.sales.admin_username:
        return None
    first = FirstAdmin(settings.sales.admin_username, settings.sales.admin_password)
    try:
        checked(first)
    except ValueError as error:
        raise OperatorError(f"ADMIN_USERNAME, ADMIN_PASSWORD: {error}") from error
    return first


def jwt_secret(settings: Settings) -> str:
    """JWT_SECRET_KEY, else one made for this home. A short one is stretched to what HS256 wants."""
    import secrets

    given = settings.sales.jwt_secret
    if given:
        return given if len(given) >= _JWT_BYTES else hashlib.sha256(given.encode()).hexdigest()
    path = settings.jwt_secret_file
    try:
        if path.is_file() and (secret := path.read_text("utf-8").strip()):
            return secret
        return write_secret(path, lambda: secrets.token_urlsafe(48))
    except OSError as error:
        raise OperatorError(
            f"{path} cannot be kept ({error.strerror}): make it writable or set JWT_SECRET_KEY."
        ) from error


def table(settings: Settings, keyring: KeyRing, names: tuple[str, ...]) -> tuple[Processor[Any], ...]:
    """Some processors with this site's thresholds."""
    from streams import topology

    return topology.of(topology.processors(_options(settings, keyring)), *names)


def _options(settings: Settings, keyring: KeyRing) -> Options:
    from streams.doubts import Doubts
    from streams.processors import deviance_signals, dialogues
    from streams.topology import Options
    from streams.upsell.prefilter import Prefilter
    from streams.vision.signals import Rule

    voice, asr, analysis = settings.sales.voice, settings.sales.asr, settings.sales.analysis
    prefilter = Prefilter(analysis.prefilter, analysis.prefilter_characters, analysis.prefilter_s)
    return Options(
        dialogues=replace(
            dialogues.THRESHOLDS,
            gap_ms=round(voice.silence_gap_s * 1000),
            longest_ms=round(voice.max_dialogue_s * 1000),
            idle_ms=round(max(voice.idle_s, voice.silence_gap_s) * 1000),
            hole_ms=round(voice.hole_s * 1000),
            reach_ms=round(voice.reach_s * 1000),
            minimum_ms=voice.minimum_dialogue_ms,
            forget_ms=round(voice.forget_days * 86_400_000),
        ),
        doubts=Doubts(
            longer_than_s=asr.min_accurate_s,
            avg_logprob=asr.logprob_threshold,
            characters_per_s=asr.min_text_ratio,
        ),
        prefilter=replace(prefilter, markers=analysis.markers) if analysis.markers else prefilter,
        asr_models=(asr.model_fast, asr.model_accurate),
        analyst=analysis.model if analysis.api_key else "rules-v1",
        deviance=deviance_signals.Thresholds(Rule(settings.vision.deviance_on, settings.vision.deviance_off)),
        ring=keyring,
    )


def light_capabilities(settings: Settings) -> Mapping[str, Heavy]:
    """The heavy parts of the process `processors`."""
    from streams.workers.pool import ChildLimits, ChildPool

    voice = settings.sales.voice
    options = {
        **_audio(settings),
        **voice.rule,
        "aggressiveness": voice.aggressiveness,
        "frame_ms": voice.frame_ms,
        "longest_s": voice.longest_s,
    }
    limits = ChildLimits(memory_bytes=VOICE_BYTES, seconds=120, nice=5)
    return {
        "voice": ChildPool("streams.workers.voice:open_worker", options, limits, warm=True),
        "analysis": _analyst(settings),
    }


def _analyst(settings: Settings) -> Heavy:
    from streams.upsell.costs import PRICES, Price, Tariff
    from streams.workers.analyst import ModelAnalyst, ModelOptions, RulesAnalyst
    from streams.workers.journal import Journal, Journalled
    from streams.workers.ledger import Ledger

    chosen = settings.sales.analysis
    if not chosen.api_key:
        return RulesAnalyst()
    prices = {**PRICES, **{model: Price(*pair) for model, pair in chosen.prices.items()}}
    options = ModelOptions(
        api_key=chosen.api_key,
        base_url=chosen.base_url,
        model=chosen.model,
        prompt_version=chosen.prompt_version,
        timeout_s=chosen.timeout_s,
        attempts=chosen.attempts,
        first_wait_s=chosen.first_wait_s,
        daily_budget_usd=chosen.daily_budget_usd,
        tariff=Tariff(prices),
    )
    folder = settings.home / "analysis"
    return Journalled(ModelAnalyst(options, Ledger(folder / "spent")), Journal(folder / "results"))


def asr_capability(settings: Settings) -> Heavy:
    """Whisper in a child of this process, or workers elsewhere (ASR_MODE=remote); results are kept over a crash."""
    from ops.asr_door import AsrDoor
    from streams.workers.journal import Journal, Journalled

    journal = Journal(settings.home / "asr" / "results")
    if settings.sales.asr.mode == "remote":
        return AsrDoor(settings.asr_socket, settings.sales.internal_token, journal)
    return Journalled(_whisper(settings), journal)


def whisper_cache(settings: Settings) -> Path:
    """Where Whisper's models are kept."""
    return settings.sales.asr.cache or settings.cache / "whisper"


def _whisper(settings: Settings) -> Heavy:
    from streams.workers.pool import ChildLimits, ChildPool
    from streams.workers.settings import network

    asr = settings.sales.asr
    options = {
        "fast": asr.model_fast,
        "accurate": asr.model_accurate,
        "compute_type": asr.compute_type,
        "threads": asr.threads,
        "cache": str(whisper_cache(settings)),
        "language": asr.language,
        "usual_languages": list(asr.usual_languages),
        "download": asr.download,
        "longest_s": asr.longest_s,
        "beam": asr.beam_size,
        "worker": socket.gethostname(),
        "network": network(),
        **_audio(settings),
    }
    limits = ChildLimits(memory_bytes=WHISPER_BYTES, longest_s=4 * 3600.0, load_s=900.0, threads=asr.threads, nice=10)
    return ChildPool("streams.workers.whisper:open_worker", options, limits, warm=True)


def _audio(settings: Settings) -> dict[str, Any]:
    """Where workers find audio: in the folder, else from the core server."""
    return {
        "folder": str(settings.audio_folder),
        "base_url": settings.sales.asr.internal_base_url,
        "internal_token": settings.sales.internal_token,
    }
