"""A broker that freezes or dies under working deciders: they go on, and every command takes effect once."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.drivers.broker import Broker
from tests.drivers.deciding import DecidingSite, device
from tests.drivers.waiting import eventually


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    home = Path(tempfile.mkdtemp(prefix="sensorium-deciding-"))
    broker = Broker(home)
    yield broker
    broker.stop()
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def site(broker: Broker) -> Iterator[DecidingSite]:
    with contextlib.closing(DecidingSite(broker.bootstrap)) as made:
        yield made
        broker.thaw()


class Supervised:
    """Deciders started again whenever they end by themselves, as the supervisor does it."""

    def __init__(self, site: DecidingSite, folder: Path) -> None:
        self.log, self.faults = folder / "log", folder / "faults"
        self.faults.mkdir()
        self._site, self._stop = site, threading.Event()
        self.process = self._start()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _start(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as output:
            return self._site.process("devices", faults=self.faults, output=output)

    def _watch(self) -> None:
        while not self._stop.wait(0.1):
            if self.process.poll() is not None:
                self.process = self._start()

    def said(self, words: str) -> bool:
        return words in self.log.read_text()

    def __enter__(self) -> Supervised:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()


def test_a_broker_frozen_before_the_commit(site: DecidingSite, broker: Broker, tmp_path: Path) -> None:
    with Supervised(site, tmp_path) as deciders:
        site.wait_settled(site.send("RegisterDevice", "k", device()))
        (deciders.faults / "deciders.uncommitted").write_text("stop")
        asked = device()
        sent = [site.send("RegisterDevice", "k", one) for one in (asked, device(asked["device_id"]))]
        eventually((deciders.faults / "deciders.uncommitted.done").exists, 20)
        broker.freeze()
        deciders.process.send_signal(signal.SIGCONT)
        eventually(lambda: deciders.said("trying on"), 60)
        broker.thaw()
        site.wait_settled(*sent, timeout=90)
        check(site, asked, sent)


def test_a_broker_killed_before_the_commit(site: DecidingSite, broker: Broker, tmp_path: Path) -> None:
    with Supervised(site, tmp_path) as deciders:
        site.wait_settled(site.send("RegisterDevice", "k", device()))
        (deciders.faults / "deciders.uncommitted").write_text("stop")
        asked = device()
        sent = [site.send("RegisterDevice", "k", one) for one in (asked, device(asked["device_id"]))]
        eventually((deciders.faults / "deciders.uncommitted.done").exists, 20)
        broker.kill()
        deciders.process.send_signal(signal.SIGCONT)
        broker.start()
        site.wait_settled(*sent, timeout=90)
        check(site, asked, sent)


def check(site: DecidingSite, asked: dict, sent: list[str]) -> None:
    settled = site.settled()
    assert [[one["refusal"] for one in settled[each]] for each in sent] == [[None], ["device_exists"]]
    mine = [name for name, body in site.events("devices.events") if body.get("device_id") == asked["device_id"]]
    assert mine == ["DeviceRegistered"]


def test_deciders_start_and_stop_without_a_broker(site: DecidingSite, broker: Broker, tmp_path: Path) -> None:
    sent = site.send("RegisterDevice", "k", device())
    broker.kill()
    with (tmp_path / "log").open("wb") as output:
        first = site.process("devices", output=output)
        eventually(lambda: "Connection refused" in (tmp_path / "log").read_text() or first.poll() is None, 10)
        first.terminate()
        assert first.wait(40) in (0, -signal.SIGTERM)
        second = site.process("devices", output=output)
        try:
            broker.start()
            site.wait_settled(sent, timeout=90)
        finally:
            second.terminate()
            assert second.wait(40) == 0
