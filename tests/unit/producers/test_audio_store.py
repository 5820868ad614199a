"""The store: whole files or none, one per content, nothing left behind; several processes in one folder."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path

import pytest

from producers.audio_store import IN_MEMORY, AudioDraft, AudioStore, StoreFailed, StoreFull, stored_path

LARGE = bytes(range(256)) * (IN_MEMORY // 100)
LIMIT = 10_485_760


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[AudioStore]:
    store = AudioStore(tmp_path, min_free_bytes=0)
    await store.open()
    yield store
    await store.close()


async def put(store: AudioStore, data: bytes, piece: int = 1 << 16) -> AudioDraft:
    draft = store.draft(LIMIT)
    for start in range(0, len(data), piece):
        draft.add(data[start : start + piece])
        await draft.drain()
        assert len(draft._buffer) < IN_MEMORY
    return draft


def files(folder: Path) -> list[str]:
    """Everything but folders."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("data", [b"x", LARGE])
async def test_a_file_lies_under_its_content(store: AudioStore, data: bytes):
    stored = await (await put(store, data)).keep()
    digest = sha256(data).hexdigest()
    assert (stored.sha256, stored.size, stored.path) == (digest, len(data), stored_path(digest))
    assert (store.folder / stored.path).read_bytes() == data
    assert (store.folder / stored.path).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("data", [b"x", LARGE])
async def test_it_is_on_the_disk_before_it_is_visible_and_its_folder_after(
    store: AudioStore, data: bytes, monkeypatch: pytest.MonkeyPatch
):
    done: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def noting_fsync(descriptor: int) -> None:
        size = os.fstat(descriptor).st_size
        done.append("folder" if Path(f"/dev/fd/{descriptor}").is_dir() else f"file of {size}")
        fsync(descriptor)

    def noting_replace(path: Path, target: Path) -> Path:
        done.append("visible")
        return replace(path, target)

    draft = await put(store, data)
    monkeypatch.setattr(os, "fsync", noting_fsync)
    monkeypatch.setattr(Path, "replace", noting_replace)
    await draft.keep()
    assert done == [f"file of {len(data)}", "visible", "folder"]


@pytest.mark.parametrize("data", [b"x", LARGE])
async def test_equal_content_is_one_file(store: AudioStore, data: bytes):
    first = await (await put(store, data)).keep()
    path = store.folder / first.path
    os.utime(path, (1, 1))
    inode = path.stat().st_ino
    assert await (await put(store, data)).keep() == first
    assert path.stat().st_ino == inode
    assert path.stat().st_mtime > 1
    assert len(files(store.folder)) == 2  # with the process's lock


async def test_equal_content_that_is_deleted_just_then_is_written(store: AudioStore, monkeypatch: pytest.MonkeyPatch):
    stored = await (await put(store, b"sound")).keep()
    path = store.folder / stored.path
    utime = os.utime

    def too_late(touched: Path) -> None:
        path.unlink()
        utime(touched)

    monkeypatch.setattr(os, "utime", too_late)
    assert await (await put(store, b"sound")).keep() == stored
    assert path.read_bytes() == b"sound"


async def test_a_damaged_file_is_replaced(store: AudioStore):
    stored = await (await put(store, b"sound")).keep()
    (store.folder / stored.path).write_bytes(b"so")
    await (await put(store, b"sound")).keep()
    assert (store.folder / stored.path).read_bytes() == b"sound"


@pytest.mark.parametrize("first", [b"other", LARGE + b"other"])
async def test_started_again(store: AudioStore, first: bytes):
    draft = await put(store, first)
    draft.restart()
    draft.add(LARGE)
    await draft.drain()
    draft.add(b"end")
    stored = await draft.keep()
    assert (store.folder / stored.path).read_bytes() == LARGE + b"end"
    assert stored.sha256 == sha256(LARGE + b"end").hexdigest()


async def test_discarded_it_leaves_nothing(store: AudioStore):
    draft = await put(store, LARGE)
    assert len(files(store.folder)) == 2
    await draft.discard()
    assert len(files(store.folder)) == 1


async def test_beyond_the_limit_bytes_are_only_counted(store: AudioStore):
    draft = store.draft(10)
    draft.add(b"x" * 8)
    draft.add(b"x" * 1_000_000)
    assert (draft.size, len(draft._buffer)) == (1_000_008, 8)


async def test_room_is_left_for_others(tmp_path: Path):
    store = AudioStore(tmp_path, min_free_bytes=1 << 62)
    await store.open()
    for data in (b"x", LARGE):
        draft = store.draft(LIMIT)
        draft.add(data)
        with pytest.raises(StoreFull):
            await draft.keep()
        await draft.discard()
    assert not store.writable
    await store.close()
    assert files(tmp_path) == []


async def test_a_folder_that_is_none(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"")
    store = AudioStore(tmp_path / "file")
    with pytest.raises(StoreFailed):
        await store.open()
    assert not store.writable
    draft = store.draft(LIMIT)
    draft.add(b"x")
    with pytest.raises(StoreFailed):
        await draft.keep()
    await store.close()


async def test_what_a_dead_process_left_goes_and_what_a_living_one_has_stays(store: AudioStore):
    code = (
        "import asyncio, os, sys; from pathlib import Path; from producers.audio_store import AudioStore, IN_MEMORY\n"
        "async def main():\n"
        "    store = AudioStore(Path(sys.argv[1]), min_free_bytes=0); await store.open()\n"
        "    draft = store.draft(1 << 30); draft.add(bytes(IN_MEMORY)); await draft.drain(); os._exit(9)\n"
        "asyncio.run(main())"
    )
    mine = await put(store, LARGE)
    dead = subprocess.run([sys.executable, "-c", code, str(store.folder)], check=False)  # noqa: ASYNC221
    assert dead.returncode == 9
    assert len(files(store.folder)) == 4
    again = AudioStore(store.folder, min_free_bytes=0)
    await again.open()
    assert len(files(store.folder)) == 3  # two locks and what is still arriving
    assert await mine.keep()
    await again.close()
