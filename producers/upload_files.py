"""State of resumable uploads on disk: two files each, so that a restart loses nothing. Touches one folder only.

`audio/uploads/ID.json` says what is being uploaded, `ID.part` is what has arrived.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from producers.audio_store import sync_folder

FOLDER: Final = "audio/uploads"


class Upload(msgspec.Struct):
    """One upload; `done` holds chunk_id and stored_path once the chunk is in the log."""

    upload_id: str
    device_id: str
    length: int
    fields: dict[str, str]
    clock_offset_us: int | None
    expires_s: float
    done: dict[str, str] | None = None


_to_json = msgspec.json.Encoder().encode
_from_json = msgspec.json.Decoder(Upload).decode


class UploadFiles:
    """Reads and writes the two files of each upload. Blocks; raises OSError."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / FOLDER

    def open(self) -> list[Upload]:
        """All uploads there are; what is no upload, or a part without one, is removed."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = list(self._read(self._folder.glob("*.json")))
        known = {upload.upload_id for upload in found}
        for left in self._folder.iterdir():
            if left.name.partition(".")[0] not in known or left.suffix == ".new":
                left.unlink(missing_ok=True)
        return found

    def save(self, upload: Upload) -> None:
        """Write an upload's state, on disk for good."""
        path = self._path(upload, "json")
        new = path.with_suffix(f".{uuid.uuid4().hex}.new")
        with open(new, "xb", opener=_private) as file:
            file.write(_to_json(upload))
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
        sync_folder(self._folder)

    def size(self, upload: Upload) -> int:
        """Bytes that have arrived."""
        try:
            return self._path(upload, "part").stat().st_size
        except FileNotFoundError:
            return 0

    def write(self, upload: Upload, offset: int, data: bytes) -> None:
        """Write bytes at an offset and put them on the disk; what lay behind it is gone."""
        with open(self._path(upload, "part"), "ab", opener=_private) as file:
            file.truncate(offset)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def read(self, upload: Upload, offset: int, size: int) -> bytes:
        """Bytes that have arrived."""
        with self._path(upload, "part").open("rb") as file:
            file.seek(offset)
            return file.read(size)

    def drop_part(self, upload: Upload) -> None:
        """Forget the bytes."""
        self._path(upload, "part").unlink(missing_ok=True)

    def remove(self, upload: Upload) -> None:
        """Forget all of it."""
        self._path(upload, "json").unlink(missing_ok=True)
        self.drop_part(upload)

    def _path(self, upload: Upload, suffix: str) -> Path:
        return self._folder / f"{upload.upload_id}.{suffix}"

    @staticmethod
    def _read(paths: Iterable[Path]) -> Iterator[Upload]:
        for path in paths:
            try:
                yield _from_json(path.read_bytes())
            except msgspec.MsgspecError:
                path.unlink(missing_ok=True)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
