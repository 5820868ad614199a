"""What `sensorium doctor` says of faces."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from ops import doctor
from ops.settings import Settings


def found(tmp_path: Path) -> doctor.Finding:
    (finding,) = doctor.faces(Settings(tmp_path, tmp_path))
    return finding


def test_the_folder_of_dlibs_model_data_is_told(tmp_path: Path) -> None:
    finding = found(tmp_path)
    assert (finding.advice, finding.is_fault) == ("", False)
    assert "face_recognition_models" in finding.words


def test_missing_model_data_and_a_missing_library_are_remarks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.workers.faces._PACKAGE", "no_such_package")
    without_data = found(tmp_path)
    assert "no_such_package" in without_data.words
    assert without_data.advice
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    without_library = found(tmp_path)
    assert without_library.advice == "pip install 'sensorium[faces]'"
    assert not without_library.is_fault
