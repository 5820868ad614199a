"""Telling systemd how the agent is (sd_notify): ready, alive, stopping. Without systemd nothing happens."""

from __future__ import annotations

import logging
import socket
from dataclasses import dataclass

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Notifier:
    """`address` is NOTIFY_SOCKET, `watchdog_s` WATCHDOG_USEC in seconds (0: systemd does not watch)."""

    address: str = ""
    watchdog_s: float = 0.0

    def ready(self, status: str) -> None:
        """The agent works."""
        self._send(f"READY=1\nSTATUS={status}")

    def alive(self, status: str) -> None:
        """The agent still works; to be said more than twice in `watchdog_s`."""
        self._send(f"WATCHDOG=1\nSTATUS={status}")

    def stopping(self) -> None:
        """The agent was told to stop."""
        self._send("STOPPING=1")

    def _send(self, text: str) -> None:
        if not self.address:
            return
        # A name that begins with @ lies in Linux's abstract namespace.
        name = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | getattr(socket, "SOCK_CLOEXEC", 0)) as line:
                line.sendto(text.encode(), name)
        except OSError as error:
            log.debug("sd_notify_failed", extra={"error": str(error)})
