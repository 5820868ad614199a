"""What `sensorium doctor` says of sales audio before anybody records."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ops import doctor
from ops.doctor import Finding
from ops.sales_settings import AsrSettings, SalesSettings
from ops.settings import Settings


def site(tmp_path: Path, sales: SalesSettings | None = None) -> Settings:
    return Settings(tmp_path / "home", tmp_path / "cache", sales=sales or SalesSettings())


def speech(tmp_path: Path, asr: AsrSettings, token: str = "") -> list[Finding]:
    return list(doctor.speech(site(tmp_path, SalesSettings(asr=asr, internal_token=token))))


def model(folder: Path) -> str:
    folder.mkdir()
    for name in ("model.bin", "config.json"):
        (folder / name).touch()
    return str(folder)


def test_the_folder_of_audio_is_looked_at_before_it_exists(tmp_path: Path) -> None:
    (found,) = doctor.audio(site(tmp_path))
    assert (found.subject, found.is_fault) == ("audio", False)
    assert "GB free" in found.words
    assert str(tmp_path / "home" / "audio_storage") in found.words


def test_a_folder_that_cannot_be_written_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (found,) = doctor.audio(site(tmp_path, SalesSettings(audio_folder=tmp_path / "file" / "audio")))
    assert found.is_fault
    assert "AUDIO_STORAGE_PATH" in found.advice


def test_less_space_than_uploads_leave_free_is_a_fault(tmp_path: Path) -> None:
    (found,) = doctor.audio(site(tmp_path, SalesSettings(min_free_bytes=1 << 60)))
    assert found.is_fault


@pytest.mark.parametrize(("token", "is_fault"), [("", True), ("inner", False)])
def test_workers_elsewhere_need_the_internal_token(tmp_path: Path, token: str, is_fault: bool) -> None:
    (found,) = speech(tmp_path, AsrSettings(mode="remote"), token)
    assert (found.is_fault, "INTERNAL_TOKEN" in found.advice) == (is_fault, is_fault)


def test_models_are_at_hand_or_fetched_or_a_fault(tmp_path: Path) -> None:
    asr = AsrSettings(model_fast=model(tmp_path / "fast"), model_accurate="nobody-has-it")
    here, fetched = speech(tmp_path, asr)
    assert (here.is_fault, here.advice) == (fetched.is_fault, "") == (False, "")
    assert "downloaded" in fetched.advice
    _, absent = speech(tmp_path, replace(asr, download=False))
    assert absent.is_fault


def test_without_recognition_nothing_is_needed(tmp_path: Path) -> None:
    assert [(one.advice, one.is_fault) for one in speech(tmp_path, AsrSettings(mode="off"))] == [("", False)]
