"""A program that writes raw sound to its standard output as the microphone: ffmpeg or arecord."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from typing import IO

import numpy as np

from edge_agents.recorder.capture import Samples
from edge_agents.recorder.errors import CaptureLost

log = logging.getLogger(__name__)
_STOP_S = 5.0


def ffmpeg_command(device: str, sample_rate: int) -> list[str]:
    """ffmpeg: an ALSA device to raw mono 16-bit samples."""
    raw = ["-ac", "1", "-ar", str(sample_rate), "-f", "s16le", "pipe:1"]
    return ["ffmpeg", "-hide_banner", "-nostdin", "-loglevel", "warning", "-f", "alsa", "-i", device, *raw]


def arecord_command(device: str, sample_rate: int) -> list[str]:
    """The same with arecord, of alsa-utils."""
    return ["arecord", "-q", "-D", device, "-f", "S16_LE", "-r", str(sample_rate), "-c", "1", "-t", "raw"]


class CommandMicrophone:
    """Runs `command` and reads samples from it."""

    live = True

    def __init__(self, command: Sequence[str], sample_rate: int) -> None:
        self.name = command[0]
        self._command = list(command)
        self._bytes = sample_rate // 50 * 2
        self._closed = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._said = ""

    def blocks(self) -> Iterator[Samples]:
        """Samples until closed. Raises CaptureLost when the program cannot be started or ends by itself."""
        log.info(f"{self.name}_start", extra={"cmd": " ".join(self._command)})
        try:
            # Its own group: the terminal's Ctrl-C is for the agent, which ends the program itself.
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            log.error(f"{self.name}_not_found", extra={"error": str(error)})  # noqa: TRY400
            raise CaptureLost(f"{self.name} cannot be started: {error}") from None
        output, errors = self._process.stdout, self._process.stderr
        if output is None or errors is None:
            raise CaptureLost(f"{self.name} has no output")
        listener = threading.Thread(target=self._hear, args=(errors,), name=f"{self.name}-stderr", daemon=True)
        listener.start()
        try:
            yield from self._read(output.fileno())
        finally:
            code = self._end(self._process)
            listener.join(1)
            output.close()
        if not self._closed.is_set():
            log.warning(f"{self.name}_exited", extra={"returncode": code})
            raise CaptureLost(f"{self.name} ended with code {code}: {self._said or 'it said nothing'}")
        log.info(f"{self.name}_stopped_gracefully", extra={"returncode": code})

    def _read(self, descriptor: int) -> Iterator[Samples]:
        rest = b""
        while data := os.read(descriptor, self._bytes):
            rest += data
            whole = len(rest) // 2 * 2
            if whole:
                yield np.frombuffer(rest[:whole], dtype="<i2").astype(np.int16)
            rest = rest[whole:]

    def moment_us(self, count: int) -> int | None:
        """As it arrives."""
        return None

    def close(self) -> None:
        """Ask the program to end."""
        self._closed.set()
        process = self._process
        if process is not None and process.poll() is None:
            log.info(f"{self.name}_stopping")
            process.send_signal(signal.SIGINT)

    def _end(self, process: subprocess.Popen[bytes]) -> int:
        try:
            if process.poll() is None and not self._closed.is_set():
                process.send_signal(signal.SIGINT)
            return process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            log.warning(f"{self.name}_sigkill")
            process.kill()
            return process.wait()

    def _hear(self, errors: IO[bytes]) -> None:
        with errors:
            for line in errors:
                self._said = line.decode("utf-8", "replace").strip()[:300]
                log.warning(f"{self.name}_stderr", extra={"line": self._said})
