"""The demo's drawings: all there, all different, small, and the same at every run."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import cv2

from ops import logos


def test_drawings_are_complete_small_different_and_the_same_again(tmp_path: Path) -> None:
    assert logos.draw(tmp_path / "a") == 38
    files = sorted((tmp_path / "a").rglob("*.*"))
    names = [str(file.relative_to(tmp_path / "a" / "logos")) for file in files]
    expected = [f"{kind}/{n}.png" for kind in ("attractions", "hotels") for n in range(1, 9)]
    assert names == sorted(expected + [f"items/{name}" for name in logos.ITEMS])
    assert len(logos.ITEMS) == 22
    assert all(name.endswith(".jpg") for name in logos.ITEMS)
    contents = [file.read_bytes() for file in files]
    assert len({sha256(content).digest() for content in contents}) == 38
    assert sum(map(len, contents)) < 500_000
    assert all(cv2.imread(str(file)) is not None for file in files)
    logos.draw(tmp_path / "b")
    assert [file.read_bytes() for file in sorted((tmp_path / "b").rglob("*.*"))] == contents


def test_what_is_there_is_left_alone(tmp_path: Path) -> None:
    logos.draw(tmp_path)
    mine = tmp_path / "logos" / "hotels" / "1.png"
    mine.write_bytes(b"my own")
    assert logos.draw(tmp_path) == 0
    assert mine.read_bytes() == b"my own"
