"""A private Kafka that a test may freeze, kill and start again on the same data."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil

from ops import processes
from ops import settings as ops_settings
from ops.embedded import jars
from ops.embedded.kafka import HEAP, QUICK, Kafka
from ops.embedded.servers import free_port, kafka_service
from ops.service import bring_up
from tests.drivers.waiting import eventually


class Broker:
    """Running from its construction until `stop`."""

    def __init__(self, home: Path) -> None:
        folder = jars.ensure(ops_settings.load().cache, lambda _: None)
        kafka = Kafka(home / "kafka", folder, free_port(), free_port(), (*HEAP, *QUICK))
        self.bootstrap = kafka.bootstrap
        self._service = kafka_service(kafka, home)
        self._process = bring_up(self._service)

    def freeze(self) -> None:
        """Stop its clock: connections stay open, nothing is answered."""
        os.kill(self._process.pid, signal.SIGSTOP)
        eventually(lambda: psutil.Process(self._process.pid).status() == psutil.STATUS_STOPPED)

    def thaw(self) -> None:
        """Let it go on where it was frozen; nothing where it is dead."""
        if self._process.poll() is None:
            os.kill(self._process.pid, signal.SIGCONT)

    def kill(self) -> None:
        """End it without a chance to say goodbye."""
        self._process.kill()
        self._process.wait()

    def start(self) -> None:
        """Start it again on the same data."""
        self._process = bring_up(self._service)

    def stop(self) -> None:
        """Let go of it for good."""
        processes.stop(self._process, signal.SIGKILL, 5)
