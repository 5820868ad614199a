"""Everything the recorder does to its disk, in one place, so that a test can fill it."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path


class OpenFile:
    """A new file for the owner's eyes only. What was written survives the process, what was synced a power cut."""

    def __init__(self, path: Path) -> None:
        """Raises FileExistsError rather than overwrite."""
        self.path = path
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600)

    def write(self, data: bytes) -> int:
        """Write some of the bytes; how many. Raises OSError."""
        return os.write(self._fd, data)

    def sync(self) -> None:
        """Wait until the bytes are on the disk."""
        os.fsync(self._fd)

    def close(self) -> None:
        """Let go of it."""
        os.close(self._fd)


class Disk:
    """The real one."""

    def make(self, folder: Path) -> None:
        """A folder for the owner's eyes only, if it is not there."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def create(self, path: Path) -> OpenFile:
        """A new file."""
        return OpenFile(path)

    def rename(self, old: Path, new: Path) -> None:
        """Rename durably; to another disk by a whole copy."""
        try:
            old.replace(new)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            self.save(new, old.read_bytes())
            old.unlink()
        self.sync_folder(new.parent)

    def remove(self, path: Path) -> None:
        """Delete; no matter if it is gone already."""
        path.unlink(missing_ok=True)

    def save(self, path: Path, content: bytes) -> None:
        """Replace a small file by another content, whole or not at all. Raises OSError."""
        new = path.with_name(path.name + ".new")
        new.unlink(missing_ok=True)
        file = self.create(new)
        try:
            while content:
                content = content[file.write(content) :]
            file.sync()
        finally:
            file.close()
        self.rename(new, path)

    def sync_folder(self, folder: Path) -> None:
        """Make the names in a folder durable."""
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def free(self, folder: Path) -> int:
        """Bytes that can still be written."""
        return shutil.disk_usage(folder).free
