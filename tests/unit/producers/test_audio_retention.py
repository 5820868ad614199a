from __future__ import annotations

import os
from pathlib import Path

import pytest

from producers.audio_retention import DAY_S, delete_expired

NOW = 1_800_000_000.0


def sound(folder: Path, name: str, age_days: float) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    os.utime(path, (NOW - age_days * DAY_S, NOW - age_days * DAY_S))
    return path


def test_only_sound_older_than_the_days_is_deleted(tmp_path):
    old = sound(tmp_path, "audio/sha256/ab/old.ogg", 31)
    heard = sound(tmp_path, "audio/dialogues/old.ogg", 31)
    young = sound(tmp_path, "audio/sha256/ab/young.ogg", 29)
    unfinished = sound(tmp_path, "audio/incoming/x/part", 99)
    assert delete_expired(tmp_path, 30, NOW) == 2
    assert (old.exists(), heard.exists(), young.exists(), unfinished.exists()) == (False, False, True, True)


def test_a_folder_that_is_not_there_is_tidy(tmp_path):
    assert delete_expired(tmp_path / "none", 30, NOW) == 0


@pytest.mark.parametrize("call", ["replace", "unlink"])
def test_sound_that_comes_again_just_then_stays(tmp_path, monkeypatch, call):
    old = sound(tmp_path, "audio/sha256/ab/old.ogg", 31)
    really = getattr(Path, call)

    def after_a_touch(self, *to):
        if old.exists():
            os.utime(old, (NOW, NOW))
        return really(self, *to)

    monkeypatch.setattr(Path, call, after_a_touch)
    assert delete_expired(tmp_path, 30, NOW) == (1 if call == "unlink" else 0)
    assert old.exists() is (call == "replace")  # before the unlink it is aside: a touch does not find it


def test_what_a_killed_run_put_aside_is_settled(tmp_path):
    old = sound(tmp_path, "audio/expired/sha256/ab/old.ogg", 31)
    young = sound(tmp_path, "audio/expired/sha256/ab/young.ogg", 1)
    (tmp_path / "audio/sha256/ab").mkdir(parents=True)
    assert delete_expired(tmp_path, 30, NOW) == 1
    assert (old.exists(), young.exists(), (tmp_path / "audio/sha256/ab/young.ogg").exists()) == (False, False, True)
