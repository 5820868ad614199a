"""The serial line to the board: a thread that reads, and writes one command at a time. Never ends by itself."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from edge_agents.emotion_sensor.backoff import Backoff
from edge_agents.robot.errors import RobotError
from edge_agents.robot.hardware.lines import Line, LineReader

BAUD = 9600
log = logging.getLogger(__name__)


class Port(Protocol):
    """What is needed of a serial port. Any OSError means that it is lost."""

    def read(self, size: int = 1, /) -> bytes: ...  # noqa: D102 - at most `size` bytes, b"" after a short while
    def write(self, data: bytes, /) -> int | None: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds. The board reads texts with a time-out of 1 s: commands closer than `spacing_s` would arrive as one.

    A command older than `stale_s` is not sent any more: a gate must not open for somebody long gone.
    """

    spacing_s: float = 1.2
    stale_s: float = 5.0


def opener(port: str) -> Callable[[], Port]:
    """How to open a port: a device's name, or a URL that pyserial knows (socket://HOST:PORT). 9,600 baud, 8N1.

    Raises RobotError when pyserial is not installed.
    """
    try:
        import serial
    except ImportError as missing:
        raise RobotError("pyserial is not installed: install sensorium with its extra `robot`") from missing

    def opened() -> Port:
        return serial.serial_for_url(port, BAUD, timeout=0.1, write_timeout=2)

    return opened


class Board:
    """The board at a port. `heard` is called in this board's thread with each line."""

    def __init__(
        self,
        name: str,
        open_port: Callable[[], Port],
        heard: Callable[[Line], None],
        timing: Timing | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        self.name = name
        self._open_port = open_port
        self._heard = heard
        self._timing = timing or Timing()
        self._backoff = backoff or Backoff(longest_s=10.0)
        self._commands: deque[tuple[float, str]] = deque()
        self._sent_s = float("-inf")
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"board {name}", daemon=True)

    def start(self) -> None:
        """Begin to talk."""
        self._thread.start()

    def send(self, command: str) -> None:
        """Send this once, as soon as the board can take it."""
        self._commands.append((time.monotonic(), command))

    def stop(self, patience_s: float = 3.0) -> None:
        """Send what waits, then end."""
        until = time.monotonic() + patience_s
        while self._commands and self._thread.is_alive() and time.monotonic() < until:
            self._stopping.wait(0.02)
        self._stopping.set()
        self._thread.join(patience_s)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                port = self._open_port()
                try:
                    self._talk(port)
                finally:
                    port.close()
            except (OSError, ValueError, RuntimeError) as error:
                pause = self._backoff.after_failure()
                log.warning("The board at %s is away (%s); tried again in %.1f s.", self.name, error, pause)
                self._stopping.wait(pause)

    def _talk(self, port: Port) -> None:
        reader = LineReader()
        log.info("The board at %s is there.", self.name)
        while not self._stopping.is_set():
            data = port.read(256) if _waits_alone(port) else port.read(1)
            if data:
                self._backoff.after_success()
            for line in reader.feed(data):
                self._heard(line)
            self._send_next(port)

    def _send_next(self, port: Port) -> None:
        now = time.monotonic()
        while self._commands and now - self._commands[0][0] > self._timing.stale_s:
            log.warning("%r came too late for the board.", self._commands.popleft()[1])
        if self._commands and now - self._sent_s >= self._timing.spacing_s:
            self._sent_s = now
            port.write(self._commands.popleft()[1].encode())


def _waits_alone(port: Port) -> bool:
    """Whether a read of many bytes may wait for all of them: a board that talks seldom is heard byte by byte."""
    waiting = getattr(port, "in_waiting", 0)
    return isinstance(waiting, int) and waiting > 1
