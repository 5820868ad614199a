"""A file or a pipe as the microphone, for tests, demos and programs that make sound themselves."""

from __future__ import annotations

import os
import select
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge_agents.recorder.capture import Samples, mono
from edge_agents.recorder.errors import CaptureLost

_BLOCK_S = 0.1


@dataclass(frozen=True, slots=True)
class Playing:
    """How known samples are heard: `speed` times real time (0: as fast as possible), once or for ever.

    Faster than real time they are dated so that the last one is heard now, if `length_s` is known.
    """

    speed: float = 1.0
    loop: bool = False
    length_s: float | None = None


class SoundMicrophone:
    """Samples that are known from the start."""

    live = False

    def __init__(
        self,
        sound: Callable[[], Iterator[Samples]],
        sample_rate: int,
        steady_us: Callable[[], int],
        playing: Playing | None = None,
        name: str = "sound",
    ) -> None:
        self.name = name
        self._sound = sound
        self._rate = sample_rate
        self._playing = playing or Playing()
        self._closed = threading.Event()
        early = self._playing.speed != 1.0 and not self._playing.loop
        early_s = self._playing.length_s or 0.0 if early else 0.0
        self._begin_us = steady_us() - round(early_s * 1e6)

    def blocks(self) -> Iterator[Samples]:
        """Blocks of 0.1 s or less. Raises CaptureLost if there is nothing to hear."""
        start, count, speed = time.monotonic(), 0, self._playing.speed
        while True:
            before = count
            for samples in self._sound():
                for at in range(0, samples.size, max(1, int(self._rate * _BLOCK_S))):
                    block = samples[at : at + max(1, int(self._rate * _BLOCK_S))]
                    count += block.size
                    due = start + count / self._rate / speed - time.monotonic() if speed else 0.0
                    if self._closed.wait(max(0.0, due)) if due > 0 else self._closed.is_set():
                        return
                    yield block
            if count == before:
                raise CaptureLost(f"{self.name} has no sound in it")
            if not self._playing.loop:
                return

    def moment_us(self, count: int) -> int | None:
        """Counted from the beginning."""
        return self._begin_us + round(count * 1e6 / self._rate)

    def close(self) -> None:
        """Stop."""
        self._closed.set()


def decoded(path: Path, sample_rate: int) -> Iterator[Samples]:
    """A sound file of any kind as mono samples. Raises CaptureLost."""
    import av
    from av.error import FFmpegError

    try:
        with av.open(str(path)) as container:
            resampler: Any = av.AudioResampler(format="s16", layout="mono", rate=sample_rate)
            stream: Any = container.streams.audio[0]
            for frame in container.decode(stream):
                for part in resampler.resample(frame):
                    yield mono(part)
            for part in resampler.resample(None):
                yield mono(part)
    except (FFmpegError, OSError, IndexError, ValueError) as error:
        raise CaptureLost(f"{path} cannot be played: {error}") from None


def length_s(path: Path) -> float | None:
    """Seconds of a sound file, if it says."""
    import av
    from av.error import FFmpegError

    try:
        with av.open(str(path)) as container:
            return container.duration / 1e6 if container.duration else None
    except (FFmpegError, OSError, ValueError):
        return None


class PipeMicrophone:
    """Raw mono 16-bit samples (little endian, at the configured rate) from a named pipe, or `-` for standard input.

    A named pipe may get another writer; standard input is over when it ends.
    """

    live = False

    def __init__(self, path: str, sample_rate: int) -> None:
        self.name = "stdin" if path == "-" else path
        self._path = path
        self._bytes = max(2, sample_rate // 50 * 2)
        self._closed = threading.Event()

    def blocks(self) -> Iterator[Samples]:
        """Samples until the writer closes its end, which is CaptureLost for a named pipe."""
        descriptor = self._open()
        try:
            rest = b""
            while not self._closed.is_set():
                if not select.select([descriptor], [], [], 0.2)[0]:
                    continue
                data = os.read(descriptor, self._bytes)
                if not data and self._path == "-":
                    return
                if not data:
                    raise CaptureLost(f"{self._path}: its writer is gone")
                rest += data
                whole = len(rest) // 2 * 2
                if whole:
                    yield np.frombuffer(rest[:whole], dtype="<i2").astype(np.int16)
                rest = rest[whole:]
        finally:
            if self._path != "-":
                os.close(descriptor)

    def _open(self) -> int:
        if self._path == "-":
            return sys.stdin.fileno()
        try:
            if not stat.S_ISFIFO(Path(self._path).stat().st_mode):
                raise CaptureLost(f"{self._path} is no pipe: make one with mkfifo, or say file:{self._path}")
            # Not blocking: a writer may come later.
            return os.open(self._path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            raise CaptureLost(f"{self._path} cannot be opened: {error}") from None

    def moment_us(self, count: int) -> int | None:
        """As it arrives."""
        return None

    def close(self) -> None:
        """Ends within a fraction of a second."""
        self._closed.set()
