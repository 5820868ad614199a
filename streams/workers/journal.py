"""Keeps results of expensive work until they are surely not needed any more, so that a kill costs no second run.

A result is in the journal before anybody sees it. Whoever asks again for the same task, after a crash between the
result and the committed position, gets it from here. Results can be personal (transcripts): the files are their
owner's alone and are gone after days.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from streams.steps import Heavy

log = logging.getLogger(__name__)
TIDY_EVERY: Final = 100  # results written
_SUFFIX: Final = ".result"
_MAKING: Final = ".making"
_DIGEST: Final = 32


class Journal:
    """A folder with a file per result; several threads and processes may use it. A damaged file is as good as none.

    It holds at most `max_count` results and none older than `max_age_s`, give or take the last hundred.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        max_age_s: float = 3 * 24 * 3600.0,
        max_count: int = 5_000,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._folder, self._max_age_s, self._max_count, self._clock = Path(folder), max_age_s, max_count, clock
        self._written = 0
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.tidy()

    def get(self, task_id: str) -> dict[str, Any] | None:
        """The result of a task, if there is one that is whole."""
        try:
            data = self.path_of(task_id).read_bytes()
        except OSError:
            return None
        body = data[_DIGEST:]
        if hashlib.sha256(body).digest() != data[:_DIGEST]:
            log.warning("The journal's result of %s is damaged and counts for nothing", task_id)
            return None
        try:
            whose, result = msgspec.msgpack.decode(body, type=tuple[str, dict[str, Any]])
        except msgspec.MsgspecError:
            return None
        return result if whose == task_id else None

    def put(self, task_id: str, result: Mapping[str, Any]) -> None:
        """Keep a result; it is on the disk when this returns. Raises OSError: it could not be written."""
        body = msgspec.msgpack.encode((task_id, dict(result)))
        path = self.path_of(task_id)
        making = path.with_suffix(f".{os.getpid()}.{os.urandom(4).hex()}{_MAKING}")
        try:
            _write_through(making, hashlib.sha256(body).digest() + body)
            making.replace(path)
        except OSError:
            making.unlink(missing_ok=True)
            raise
        _sync(self._folder)
        self._written += 1
        if self._written % TIDY_EVERY == 0:
            self.tidy()

    def tidy(self) -> None:
        """Delete what is too old, what is too much (the oldest first) and what was never finished."""
        too_old = self._clock() - self._max_age_s
        files = sorted(((_written_at(one), one) for one in self._folder.iterdir()), reverse=True)
        finished = [(at, one) for at, one in files if one.suffix == _SUFFIX]
        surplus = [one for at, one in finished[self._max_count :] if at >= too_old]
        for one in [*(one for at, one in files if at < too_old), *surplus]:
            with contextlib.suppress(OSError):
                one.unlink()

    def path_of(self, task_id: str) -> Path:
        """The file of a task's result, whether there is one or not."""
        return self._folder / f"{hashlib.sha256(task_id.encode()).hexdigest()}{_SUFFIX}"


class Journalled:
    """A heavy part whose results are kept in a journal; requests are told apart by their `task_id`.

    Work that was begun goes on when whoever asked for it is cancelled (a rebalance), and the result is there when it is
    asked for again; asked for twice at once, it is done once. A request without `task_id` just passes.
    """

    def __init__(self, heavy: Heavy, journal: Journal) -> None:
        self._heavy, self._journal = heavy, journal
        self._under_way: dict[str, asyncio.Task[Mapping[str, Any]]] = {}

    @property
    def progress(self) -> int | None:
        """What the heavy part tells of its progress, if it does."""
        return getattr(self._heavy, "progress", None)

    async def __call__(self, request: Mapping[str, Any], /) -> Mapping[str, Any]:
        """The journal's result, else a new one, which is kept. Raises what the heavy part raises."""
        task_id = request.get("task_id")
        if task_id is None:
            return await self._heavy(request)
        doing = self._under_way.get(task_id)
        if doing is None:
            doing = self._under_way[task_id] = asyncio.create_task(self._do(str(task_id), request))
            doing.add_done_callback(lambda _: self._under_way.pop(task_id, None))
        return await asyncio.shield(doing)

    def start(self) -> None:
        """Let the heavy part begin to load, if it can."""
        if start := getattr(self._heavy, "start", None):
            start()

    async def close(self) -> None:
        """Give up what is under way and close the heavy part."""
        under_way = list(self._under_way.values())
        for one in under_way:
            one.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        if close := getattr(self._heavy, "close", None):
            await close()

    async def _do(self, task_id: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
        kept = await asyncio.to_thread(self._journal.get, task_id)
        if kept is not None:
            log.info("%s was done before", task_id)
            return kept
        result = await self._heavy(request)
        try:
            await asyncio.to_thread(self._journal.put, task_id, result)
        except OSError as error:
            log.error("The result of %s is not in the journal, a crash now would cost it: %s", task_id, error)  # noqa: TRY400
        return result


def _write_through(path: Path, data: bytes) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123 - with a mode
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _written_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
