"""Sound for the routes: files of the audio folder, and dialogues put together from them, kept for a while.

A dialogue's file lies in the cache under a name made of its pieces; it is given out only while all its sources are
there, so what was deleted is not heard again.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from schemas.errors import SensoriumError, TransientFailure

log = logging.getLogger(__name__)
KEPT: Final = "audio/sha256"
CACHE: Final = "audio/dialogues"


class NoFile(SensoriumError):
    """The file is not on the disk: deleted, or the folder is another one."""


class TooLong(SensoriumError):
    """A dialogue with more sound than is put together."""


class Unplayable(SensoriumError):
    """A dialogue's recordings cannot be put together."""


def stored_path(digest: str) -> str:
    """Where the gateway keeps the file of a SHA-256 (hexadecimal), below the folder."""
    return f"{KEPT}/{digest[:2]}/{digest}.ogg"


@dataclass(frozen=True, slots=True)
class AudioOptions:
    """`folder` is the gateway's audio folder; `internal_token` empty: the internal routes are closed.

    Dialogues up to `longest_s` of speech are put together within `patience_s`, `at_once` at a time; the last `kept`
    of them stay in `cache` (default: in the folder) for `kept_s` after they were last asked for.
    """

    folder: Path
    internal_token: str = field(default="", repr=False)
    cache: Path | None = None
    longest_s: int = 3600
    patience_s: float = 60.0
    at_once: int = 2
    kept: int = 200
    kept_s: float = 3600.0


class AudioFiles:
    """Finds and makes files."""

    def __init__(self, options: AudioOptions) -> None:
        self.options = options
        self._cache = options.cache or options.folder / CACHE
        self._room = asyncio.Semaphore(options.at_once)
        self._making: dict[str, asyncio.Task[Path]] = {}

    def find(self, stored_path: str) -> Path:
        """A file by its path below the folder. Raises `NoFile`."""
        path = self.options.folder / stored_path
        if ".." in Path(stored_path).parts or stored_path.startswith("/") or not path.is_file():
            raise NoFile(stored_path)
        return path

    async def dialogue(self, pieces: Sequence[Mapping[str, Any]]) -> tuple[Path, str]:
        """The file of a dialogue and the name of its content, from pieces as `queries.audio.pieces` gives them.

        Raises:
            NoFile: a recording is gone. TooLong. Unplayable. TransientFailure: it took too long.
        """
        sources = [self.find(piece["file_path"]) for piece in pieces]
        if sum(piece["end_ms"] - piece["start_ms"] for piece in pieces) > self.options.longest_s * 1000:
            raise TooLong(f"The dialogue has more than {self.options.longest_s} s of speech")
        named = [[piece["sha256"], piece["start_ms"], piece["end_ms"]] for piece in pieces]
        name = sha256(json.dumps(named).encode()).hexdigest()
        target = self._cache / f"{name}.ogg"
        if not await asyncio.to_thread(_still_there, target):
            cuts = [[str(path), *rest] for path, (_, *rest) in zip(sources, named, strict=True)]
            await self._once(target, cuts)
        return target, name

    async def _once(self, target: Path, cuts: list[list[Any]]) -> None:
        """Make a file; who asks for it meanwhile waits for the same."""
        task = self._making.get(target.name)
        if task is None:
            task = self._making[target.name] = asyncio.create_task(self._make(target, cuts))
            task.add_done_callback(lambda done: self._made(target, done))
        await asyncio.shield(task)

    def _made(self, target: Path, done: asyncio.Task[Path]) -> None:
        del self._making[target.name]
        if not done.cancelled():
            done.exception()  # whoever still waits raises it

    async def _make(self, target: Path, cuts: list[list[Any]]) -> Path:
        async with self._room:
            await asyncio.to_thread(self._tidy)
            unfinished = target.with_name(f"{uuid.uuid4().hex}.part")
            try:
                await self._assemble({"pieces": cuts, "target": str(unfinished)})
                return await asyncio.to_thread(unfinished.replace, target)
            finally:
                await asyncio.to_thread(unfinished.unlink, missing_ok=True)

    async def _assemble(self, task: Mapping[str, Any]) -> None:
        pipe = asyncio.subprocess.PIPE
        command = (sys.executable, "-m", "api.assemble")
        child = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe)
        try:
            async with asyncio.timeout(self.options.patience_s):
                _, said = await child.communicate(json.dumps(task).encode())
        except TimeoutError as error:
            raise TransientFailure("The dialogue was not put together in time") from error
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
        if child.returncode:
            log.warning("a dialogue cannot be put together (exit code %s): %s", child.returncode, said.decode()[-2000:])
            raise Unplayable("The dialogue's recordings cannot be put together")

    def _tidy(self) -> None:
        """Remove what nobody asked for in a while and what is too much; what a dead process left too."""
        self._cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = sorted(((path.stat().st_mtime, path) for path in self._cache.iterdir()), reverse=True)
        long_ago = time.time() - self.options.kept_s
        for number, (asked_at, path) in enumerate(found, 1):
            if asked_at < long_ago or (number >= self.options.kept and path.suffix == ".ogg"):
                path.unlink(missing_ok=True)


def _still_there(path: Path) -> bool:
    """Whether a file is there; if so, it was just asked for. Never makes one: whoever tidies may be quicker."""
    try:
        os.utime(path)
    except FileNotFoundError:
        return False
    return True
