"""Files under their content's address: written aside, flushed to the disk, then made visible. Touches one folder only.

Below the folder, of sound: `audio/sha256/<2 hex>/<sha256>.ogg` (kept), `audio/incoming/` (unfinished, one folder a
process); of another kind the same below its own name.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import logging
import os
import shutil
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from io import BufferedWriter, FileIO
from pathlib import Path
from typing import Final, TypeVar

from schemas.errors import SensoriumError

T = TypeVar("T")
log = logging.getLogger(__name__)

IN_MEMORY: Final = 256 << 10  # a chunk of a minute fits: it is written at once, when it is whole
_WRITERS: Final = 8
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class StoreFull(SensoriumError):
    """The disk (or the quota, or the room that must stay free) has no place for the file."""


class StoreFailed(SensoriumError):
    """The folder cannot be written for another reason."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A kept file: hexadecimal SHA-256, bytes, path below the store's folder."""

    sha256: str
    size: int
    path: str


@dataclass(frozen=True, slots=True)
class Kind:
    """What is kept: the folder below the store's, and how the files' names end."""

    folder: str
    suffix: str

    @property
    def kept(self) -> str:
        """Where whole files lie."""
        return f"{self.folder}/sha256"

    @property
    def incoming(self) -> str:
        """Where unfinished files lie."""
        return f"{self.folder}/incoming"

    def path(self, digest: str) -> str:
        """Where the file of that SHA-256 lies, below the store's folder."""
        return f"{self.kept}/{digest[:2]}/{digest}{self.suffix}"


SOUND: Final = Kind("audio", ".ogg")


def stored_path(digest: str) -> str:
    """Where the sound of that SHA-256 lies, below the store's folder."""
    return SOUND.path(digest)


class AudioStore:
    """One folder of files of one kind, safe for several processes. Blocking work is done on `_WRITERS` threads.

    `min_free_bytes` of the disk are left free for others.
    """

    def __init__(self, folder: Path, *, min_free_bytes: int = 64 << 20, kind: Kind = SOUND) -> None:
        self.folder, self.kind = folder, kind
        self.min_free_bytes = min_free_bytes
        self.failure: str | None = "not opened"
        self._own = uuid.uuid4().hex
        self._lock: BufferedWriter | None = None
        self._threads = ThreadPoolExecutor(_WRITERS, "audio-store")

    @property
    def writable(self) -> bool:
        """Whether the last thing tried worked; None tried means no."""
        return self.failure is None

    async def open(self) -> None:
        """Make the folders, remove what dead processes left unfinished. Raises `StoreFull`, `StoreFailed`."""
        await self.run(self._open)

    async def close(self) -> None:
        """Give the process's own folder back."""
        await asyncio.to_thread(self._close)

    def draft(self, limit: int) -> AudioDraft:
        """A file of at most `limit` bytes that is still arriving."""
        return AudioDraft(self, limit)

    async def run(self, work: Callable[[], T]) -> T:
        """Do blocking work on one of the store's threads, its errors told apart. Raises `StoreFull`, `StoreFailed`."""
        try:
            result = await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except OSError as error:
            self.failure = error.strerror or str(error)
            if error.errno in _FULL:
                raise StoreFull(f"The {self.kind.folder} folder has no room left") from error
            log.error("%s cannot be kept below %s: %s", self.kind.folder, self.folder, error)  # noqa: TRY400
            raise StoreFailed(self.failure) from error
        self.failure = None
        return result

    def check_room(self, size: int) -> None:
        """Refuse what would leave less than `min_free_bytes`. Raises OSError (ENOSPC)."""
        disk = os.statvfs(self.folder)
        if disk.f_bavail * disk.f_frsize - size < self.min_free_bytes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def new_file(self) -> FileIO:
        """An unfinished file of this process, for the owner only. Blocks; raises OSError."""
        return open(self._incoming / uuid.uuid4().hex, "xb", 0, opener=_private)

    def publish(self, stored: Stored, finish: Callable[[], Path]) -> None:
        """Make a file visible under its address, on disk for good; equal content that is there already stays.

        `finish` gives the unfinished file, flushed. Blocks; raises OSError.
        """
        target = self.folder / stored.path
        if _size(target) != stored.size or not _touch(target):
            finish().replace(target)
        sync_folder(target.parent)

    @property
    def _incoming(self) -> Path:
        return self.folder / self.kind.incoming / self._own

    def _close(self) -> None:
        self._threads.shutdown()
        if self._lock is not None:
            shutil.rmtree(self._incoming, ignore_errors=True)
            Path(self._lock.name).unlink(missing_ok=True)
            self._lock.close()
            self._lock = None

    def _open(self) -> None:
        incoming = self._incoming.parent
        for folder in (self.folder, self.folder / self.kind.folder, self.folder / self.kind.kept, incoming):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for number in range(256):
            (self.folder / self.kind.kept / f"{number:02x}").mkdir(mode=0o700, exist_ok=True)
        for folder in (self.folder / self.kind.kept, self.folder / self.kind.folder, self.folder):
            sync_folder(folder)
        if self._lock is None:
            self._lock = (incoming / f"{self._own}.lock").open("wb")
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        # The lock comes before the folder: a folder whose lock is free has no living owner.
        self._incoming.mkdir(mode=0o700, exist_ok=True)
        for left in incoming.iterdir():
            if left.is_dir() and left.name != self._own:
                _remove_if_orphaned(left)


class AudioDraft:
    """One file on its way: a small one stays in memory until it is whole, a larger one goes to the disk in pieces.

    `add` and `restart` never block; call `drain` after them, then `keep`, and `discard` whatever happened. Of bytes
    beyond `limit` only the number is kept.
    """

    def __init__(self, store: AudioStore, limit: int) -> None:
        self.size = 0
        self.limit = limit
        self._store = store
        self._buffer = bytearray()
        self._hash = sha256()
        self._file: FileIO | None = None
        self._written = 0

    def restart(self) -> None:
        """Forget what came so far."""
        self.size = self._written = 0
        self._buffer.clear()
        self._hash = sha256()

    def add(self, data: bytes) -> None:
        """Take the next bytes."""
        self.size += len(data)
        if self.size <= self.limit:
            self._buffer += data

    async def drain(self) -> None:
        """Write out what is too much to hold. Raises `StoreFull`, `StoreFailed`."""
        if len(self._buffer) >= IN_MEMORY:
            await self._store.run(self._write)

    async def keep(self) -> Stored:
        """Make the file durable and visible under its address. Raises `StoreFull`, `StoreFailed`."""
        return await self._store.run(self._keep)

    async def discard(self) -> None:
        """Remove what is unfinished; nothing where the file was kept."""
        if self._file is not None:
            await asyncio.to_thread(self._remove)

    def _write(self) -> None:
        if self._file is None:
            self._store.check_room(self.size)
            self._file = self._store.new_file()
        self._file.seek(self._written)
        self._file.truncate()
        rest = memoryview(self._buffer)
        while rest:  # a write may be short
            rest = rest[self._file.write(rest) :]
        self._hash.update(self._buffer)
        self._written += len(self._buffer)
        self._buffer = bytearray()

    def _keep(self) -> Stored:
        digest = self._hash.copy()
        digest.update(self._buffer)
        stored = Stored(digest.hexdigest(), self.size, self._store.kind.path(digest.hexdigest()))
        try:
            self._store.publish(stored, self._finish)
        finally:
            self._remove()
        return stored

    def _finish(self) -> Path:
        """The whole file under its unfinished name, on disk."""
        self._write()
        assert self._file is not None  # noqa: S101 - just written
        os.fsync(self._file.fileno())
        return Path(str(self._file.name))

    def _remove(self) -> None:
        if self._file is not None:
            self._file.close()
            Path(str(self._file.name)).unlink(missing_ok=True)  # gone where it has been made visible
            self._file = None


def sync_folder(folder: Path) -> None:
    """Put a folder's entries on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_if_orphaned(left: Path) -> None:
    """Remove an unfinished folder whose process is gone: its lock is free then."""
    lock = left.with_suffix(".lock")
    with lock.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        shutil.rmtree(left, ignore_errors=True)
        lock.unlink(missing_ok=True)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _touch(path: Path) -> bool:
    """Make it as if new, for whoever deletes by age; False: who does was quicker."""
    try:
        os.utime(path)
    except FileNotFoundError:
        return False
    return True


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
