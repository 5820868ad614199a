"""A broker that freezes or dies under a working processor: it pauses and goes on. The broker is this module's own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.drivers.broker import Broker
from tests.drivers.processing import Processing


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    home = Path(tempfile.mkdtemp(prefix="sensorium-outage-"))
    broker = Broker(home)
    yield broker
    broker.stop()
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def world(broker: Broker, tmp_path: Path) -> Iterator[Processing]:
    with Processing(broker.bootstrap, tmp_path) as processing:
        yield processing
        broker.thaw()


def test_a_frozen_broker_pauses_a_step_and_nothing_is_lost_doubled_or_dead(world: Processing, broker: Broker) -> None:
    world.post("a")
    worker = world.start(seconds=5.0)
    world.wait_until_processed()
    world.post("slow", "b")
    world.wait_for_log("busy for")
    broker.freeze()  # inside the step: its output finds nobody
    world.wait_for_log("stopped at", 60)
    world.wait_for_log("(attempt 2", 60)
    broker.thaw()
    world.wait_until_processed(90)
    assert worker.poll() is None, "it stayed"
    assert world.said() == ["a 0", "slow 1", "b 2"]
    assert world.dead_letters() == []


def test_a_killed_broker_pauses_and_resumes(world: Processing, broker: Broker) -> None:
    world.post("a")
    worker = world.start()
    world.wait_until_processed()
    broker.kill()
    broker.start()
    world.post("b", "c")
    world.wait_until_processed(90)
    assert world.said() == ["a 0", "b 1", "c 2"]
    assert world.dead_letters() == []
    worker.terminate()
    assert worker.wait(30) == 0


def test_it_can_be_started_and_stopped_without_a_broker(world: Processing, broker: Broker) -> None:
    world.post("a")
    broker.kill()
    worker = world.start()
    world.wait_for_log("Kafka does not answer", 60)
    worker.terminate()
    assert worker.wait(40) == 0
    second = world.start()
    broker.start()
    world.wait_until_processed(90)
    assert second.poll() is None
    assert world.said() == ["a 0"]


def test_a_worker_can_be_stopped_while_the_broker_is_away(world: Processing, broker: Broker) -> None:
    world.post("a")
    worker = world.start()
    world.wait_until_processed()
    broker.kill()
    worker.terminate()
    code = worker.wait(60)
    broker.start()
    assert code == 0
