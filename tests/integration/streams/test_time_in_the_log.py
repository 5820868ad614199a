"""A device falls silent on a real Kafka: its moment is closed by time, once, and a replay agrees."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from schemas import examples, serde
from streams.processors.emotion_moments import State, Thresholds, step
from streams.steps import Event
from tests.drivers.processing import Processing
from tests.drivers.waiting import eventually

IDLE_MS = 3_000


@pytest.fixture
def world(kafka_bootstrap: str, tmp_path: Path) -> Iterator[Processing]:
    with Processing(kafka_bootstrap, tmp_path, partitions=2) as processing:
        yield processing


def laugh(device: str, from_s: float = 0.0) -> bytes:
    """22 s of points of a person; it laughs since the 20th, and that is the last that is heard of it."""
    seconds = [from_s + n / 10 for n in range(220)]
    count = len(seconds)
    record = examples.load("EmotionPointsRecorded")
    columns = {name: [value[0]] * count for name, value in record.items() if isinstance(value, list)}
    told = {
        "device_id": device,
        "session_id": "s",
        "t_ms": [round(one * 1000) for one in seconds],
        "valence": [0.9 if one - from_s >= 20 else 0.0 for one in seconds],
        "arousal": [0.0] * count,
    }
    return serde.encode("EmotionPointsRecorded", record | columns | told)


def moments(world: Processing, topic: str) -> list[tuple[str, str, str, int | None]]:
    records = [record for _, record in world.events(topic)]
    return [(one["device_id"], one["kind"], one["phase"], one["end_ms"]) for one in records]


def silences(world: Processing) -> list[dict[str, Any]]:
    return [record for name, record in world.events(world.plan.topic_in) if name == "EmotionDeviceIdle"]


CLOSED = {(device, kind, "CLOSED", 21_900) for device in "xy" for kind in ("STRONG", "SUDDEN")}


def fold(world: Processing) -> list[tuple[str, dict[str, Any]]]:
    """What one quiet reading of the log gives."""
    states: dict[int, State] = {}
    emitted: list[tuple[str, dict[str, Any]]] = []
    for record in world.records(world.plan.topic_in):
        name, body = serde.decode(record.value)
        event = Event(name, body, record.timestamp_ms, record.partition)
        state, said = step(states.get(record.partition, State()), event, Thresholds(idle_ms=IDLE_MS))
        states[record.partition] = state
        emitted += [(one.name, serde.decode(serde.encode(one.name, one.record))[1]) for one in said]
    return emitted


def test_a_silent_device_ends_its_moments_and_a_replay_agrees(world: Processing, tmp_path: Path) -> None:
    plan = {"step": "moments", "idle_ms": IDLE_MS}
    world.start(**plan)
    world.start(**plan)
    eventually(lambda: len(world.members()) == 2, 30)
    world.append(laugh("x"), partition=0)
    world.append(laugh("y"), partition=1)
    eventually(lambda: set(moments(world, world.plan.topic_out)) >= CLOSED, 60)
    assert {one["device_id"] for one in silences(world)} == {"x", "y"}
    world.append(laugh("x", from_s=30), partition=0)
    eventually(lambda: ("x", "STRONG", "CLOSED", 51_900) in moments(world, world.plan.topic_out), 60)
    world.wait_until_processed()
    assert len(silences(world)) == 3, "once per silence, whoever owns the partition"
    live = world.events(world.plan.topic_out)
    assert sorted(map(str, live)) == sorted(map(str, fold(world)))

    again = f"{world.plan.topic_out}.second"
    world.start(**plan, name=f"{world.plan.name}.again", topic_out=again)
    eventually(lambda: len(world.records(again)) == len(live), 60)
    assert sorted(map(str, world.events(again))) == sorted(map(str, live))
    assert len(silences(world)) == 3, "what was said need not be said again"


def test_a_worker_that_starts_into_the_silence_ends_what_was_open(world: Processing) -> None:
    world.append(laugh("x"), partition=0)
    first = world.start(step="moments", idle_ms=600_000)
    world.wait_until_processed()
    first.terminate()
    assert first.wait(20) == 0
    assert not silences(world)
    world.start(step="moments", idle_ms=IDLE_MS)
    eventually(lambda: ("x", "STRONG", "CLOSED", 21_900) in moments(world, world.plan.topic_out), 60)
