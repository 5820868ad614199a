"""Log files of the services: bounded in size, the newest and the one before are kept."""

from __future__ import annotations

import shutil
from pathlib import Path

LARGEST_BYTES = 20_000_000


def rotate(directory: Path, largest: int = LARGEST_BYTES) -> list[Path]:
    """Copy each file that has grown too large to NAME.log.1 and empty it; its writer appends, so it just goes on."""
    rotated = [path for path in directory.glob("*.log") if path.stat().st_size > largest]
    for path in rotated:
        old = path.with_suffix(".log.1")
        try:
            shutil.copyfile(path, old)
            old.chmod(0o600)
        except OSError:  # no room for a copy: then emptying the file matters more than keeping it
            old.unlink(missing_ok=True)
        with path.open("r+b") as file:
            file.truncate(0)
    return rotated
