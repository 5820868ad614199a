from __future__ import annotations

from pathlib import Path

import pytest

from ops.errors import OperatorError
from ops.sales_settings import SalesSettings, read


def test_defaults_are_the_seeds():
    settings = read({})
    assert settings == SalesSettings()
    assert (settings.max_upload_bytes, settings.internal_token, settings.zone) == (10_485_760, "", "Europe/Belgrade")
    assert (settings.voice.silence_gap_s, settings.voice.max_dialogue_s) == (12.0, 120.0)
    assert (settings.asr.model_fast, settings.asr.model_accurate, settings.analysis.model) == (
        "base", "small", "gpt-4o-mini",
    )  # fmt: skip


def test_every_variable_is_read():
    settings = read(
        {
            "AUDIO_STORAGE_DIR": "/srv/audio",
            "WHISPER_LANGUAGE": "RU",
            "VAD_AGGRESSIVENESS": "3",
            "SILENCE_GAP_SEC": "4.5",
            "OPENAI_API_KEY": "sk-x",
            "OPENAI_PRICES": '{"llama": [0.1, 0.2]}',
            "ANALYSIS_DAILY_BUDGET_USD": "none",
            "PREFILTER_ENABLED": "false",
            "PREFILTER_UPSELL_MARKERS": "Десерт, сироп",
            "INGEST_INTERNAL_BASE_URL": "http://core:8000/",
        }
    )
    assert settings.audio_folder == Path("/srv/audio")
    assert settings.asr.language == "ru"
    assert (settings.voice.aggressiveness, settings.voice.silence_gap_s) == (3, 4.5)
    assert settings.analysis.prices["llama"] == (0.1, 0.2)
    assert (settings.analysis.daily_budget_usd, settings.analysis.prefilter) == (None, False)
    assert settings.analysis.markers == ("десерт", "сироп")
    assert settings.asr.internal_base_url == "http://core:8000"


@pytest.mark.parametrize("text", ["Десерт, сироп,", '["Десерт", " сироп"]'])
def test_markers_are_a_list_by_commas_or_as_json(text):
    assert read({"PREFILTER_UPSELL_MARKERS": text}).analysis.markers == ("десерт", "сироп")


def test_no_secret_shows_in_a_representation():
    secrets = {"INTERNAL_TOKEN": "t-1", "JWT_SECRET_KEY": "t-2", "OPENAI_API_KEY": "t-3"}
    shown = repr(read(secrets | {"ADMIN_USERNAME": "a", "ADMIN_PASSWORD": "t-4"}))
    assert "t-" not in shown.replace("gpt-4o-mini", "")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("VAD_AGGRESSIVENESS", "4"),
        ("VAD_FRAME_MS", "25"),
        ("SILENCE_GAP_SEC", "soon"),
        ("MAX_UPLOAD_SIZE_BYTES", "nan"),
        ("OPENAI_BASE_URL", "localhost:1"),
        ("SALES_TIMEZONE", "Europe/Nowhere"),
        ("OPENAI_PRICES", '{"x": 3}'),
        ("ASR_MODE", "cloud"),
        ("ADMIN_USERNAME", "alone"),
        ("JWT_SECRET_KEY", "changeme-jwt-secret-key-min-32-chars"),
    ],
)
def test_a_wrong_value_is_refused_by_name(name, value):
    with pytest.raises(OperatorError, match=name):
        read({name: value})
