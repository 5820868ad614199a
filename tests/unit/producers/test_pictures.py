"""Key frames: kept by their content, found, and deleted after their time."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from producers.pictures import DAY_S, JPEG, Pictures, address_of, is_jpeg

NOW_S = 1_767_258_000.0
DATA = b"\xff\xd8\xff\xe0 picture"


@pytest.fixture
async def pictures(tmp_path: Path) -> AsyncIterator[Pictures]:
    made = Pictures(tmp_path, days=30, clock=lambda: NOW_S)
    yield made
    await made.close()


async def test_a_picture_is_kept_once_under_its_content(pictures: Pictures, tmp_path: Path) -> None:
    address = await pictures.keep(DATA)
    assert address == address_of(DATA) == await pictures.keep(DATA)
    assert await pictures.find(address) == DATA
    path = tmp_path / JPEG.path(address)
    assert (path.parent.parent.parent, path.stat().st_mode & 0o777) == (tmp_path / "pictures", 0o600)
    assert await pictures.find("0" * 64) is None


async def test_its_time_is_counted_from_when_it_was_last_sent(pictures: Pictures, tmp_path: Path) -> None:
    old, young = await pictures.keep(DATA), await pictures.keep(DATA + b"2")
    for address, days in ((old, 31), (young, 29)):
        os.utime(tmp_path / JPEG.path(address), (NOW_S - days * DAY_S, NOW_S - days * DAY_S))
    pictures.delete_expired()  # it does so by itself, too, and may have been quicker
    assert await pictures.find(old) is None
    assert await pictures.find(young) == DATA + b"2"
    assert pictures.delete_expired() == 0


async def test_closing_gives_the_unfinished_folder_back(tmp_path: Path) -> None:
    made = Pictures(tmp_path)
    await made.close()
    await made.keep(DATA)
    await made.close()
    assert list((tmp_path / JPEG.incoming).iterdir()) == []


def test_what_begins_as_a_jpeg() -> None:
    assert is_jpeg(DATA)
    assert not is_jpeg(b"\x89PNG")
    assert not is_jpeg(b"")
