"""Whatever dies when: nothing lost, nothing doubled. Runs the whole system under load and breaks one part at a time."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from schemas import serde
from schemas.identity import murmur2_partition
from tests.drivers import exactly_once
from tests.drivers.load import Load
from tests.drivers.stack import ROOT, Stack, fresh_stack
from tests.drivers.waiting import eventually

SEED = int(os.environ.get("SENSORIUM_TEST_SEED") or random.SystemRandom().randrange(10**6))
INJECTION = str(ROOT / "tests" / "drivers" / "faults")


def environment(folder: Path, **more: str) -> dict[str, str]:
    return {"SENSORIUM_FAULTS": str(folder), "PYTHONPATH": f"{INJECTION}{os.pathsep}{ROOT}", **more}


@pytest.fixture(scope="module")
def faults(tmp_path_factory) -> Path:
    print(f"seed {SEED}: repeat with SENSORIUM_TEST_SEED={SEED}")
    return tmp_path_factory.mktemp("faults")


@pytest.fixture(scope="module")
def stack(faults) -> Iterator[Stack]:
    with fresh_stack(environment(faults)) as running:
        yield running


@pytest.fixture
def load(stack, request) -> Iterator[Load]:
    running = Load(stack.base_url, SEED, prefix=request.node.name.replace("test_", "")[:60])
    try:
        more_posts(running, 20)
        yield running
    finally:
        running.stop()


def more_posts(load: Load, count: int) -> None:
    goal = load.posts + count
    eventually(lambda: load.posts >= goal, timeout=90)


def kill_at(stack: Stack, faults: Path, service: str, point: str) -> None:
    """Let the service die of SIGKILL at `point`, and wait until it has been started again."""
    pid = stack.pid(service)
    (faults / point).touch()
    eventually((faults / f"{point}.done").exists, timeout=60)
    stack.wait_restarted(service, pid)
    (faults / f"{point}.done").unlink()


@pytest.mark.parametrize(
    ("service", "point"),
    [
        ("front", "front.unsent"),
        ("front", "front.sent"),
        ("front", "front.acknowledged"),
        ("projector", "projector.unadvanced"),
        ("projector", "projector.uncommitted"),
        ("projector", "projector.committed"),
        ("processors", "processors.undelivered"),
        ("processors", "processors.delivered"),
        ("processors", "processors.committed"),
    ],
)
def test_killed_at_a_chosen_point(stack, faults, load, service, point):
    kill_at(stack, faults, service, point)
    more_posts(load, 20)
    load.stop()
    exactly_once.check(stack, load)


def test_the_broker_is_killed(stack, load):
    stack.wait_restarted("kafka", stack.kill("kafka"), timeout=90)
    more_posts(load, 20)
    load.stop()
    exactly_once.check(stack, load)


def test_postgresql_is_stopped_at_once(stack, load):
    stack.wait_restarted("postgres", stack.kill("postgres", signal.SIGQUIT), timeout=90)
    more_posts(load, 20)
    load.stop()
    exactly_once.check(stack, load)


def test_posts_are_taken_while_postgresql_is_away(stack, load):
    with stack.paused("postgres"):
        load_was = load.posts
        body = {
            "device_id": "patient", "session_id": "s",
            "records": [{"session_person_id": 1, "track_id": 1, "absolute_time": "2025-12-09T17:15:34Z",
                         "valence": 0.1, "arousal": 0.1}],
        }  # fmt: skip
        answer = httpx.post(f"{stack.base_url}/api/v1/logs/bulk", json=body, timeout=20)
        assert (answer.status_code, answer.json()) == (200, {"ok": True, "inserted": None})
        eventually(lambda: load.posts > load_was, timeout=60)
    more_posts(load, 20)
    load.stop()
    log = exactly_once.check(stack, load)
    assert ("patient", "s", 1, 1, 1765300534000) in log.points


@pytest.mark.parametrize("service", ["projector", "processors"])
def test_stopped_until_another_took_its_place(stack, load, service):
    """A process that wakes up after its session has ended must not write over whoever took its place."""
    with stack.paused(service):
        if service == "processors":
            eventually(lambda: not members(stack), timeout=60, interval=0.2)
        with another(stack, service):
            records, ends = exactly_once.read_log(stack.kafka_bootstrap)
            assert records
            if service == "projector":
                exactly_once.wait_projected(stack, ends)
            else:
                exactly_once.wait_processed(stack, ends)
            for process in psutil.Process(stack.pid(service)).children(recursive=True):
                process.resume()
            psutil.Process(stack.pid(service)).resume()
            more_posts(load, 40)
    more_posts(load, 20)
    load.stop()
    exactly_once.check(stack, load)


def members(stack: Stack) -> int:
    """How many members the group of the processor has."""
    admin = AdminClient({"bootstrap.servers": stack.kafka_bootstrap})
    (described,) = admin.describe_consumer_groups(["emotion.moments"]).values()
    return len(described.result(10).members)


@contextmanager
def another(stack: Stack, service: str) -> Iterator[None]:
    """A second process of a service beside the first."""
    command = [sys.executable, "-m", "ops.cli", "serve", service]
    process = subprocess.Popen(command, env=stack.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
        assert process.poll() is None, "the second process did not stay"
    finally:
        process.terminate()
        process.wait(60)


def test_poison_on_the_topic(stack, load):
    key = load.devices[0].name.encode()
    producer = Producer({"bootstrap.servers": stack.kafka_bootstrap, "partitioner": "murmur2_random"})
    poison = [b"", b"not avro", b"\0\0\0\0\1" + b"\xff" * 40, b"\0\0\0\xff\xff", None]
    for value in poison:
        producer.produce("emotion.points", value, key)
    assert producer.flush(20) == 0
    more_posts(load, 20)
    load.stop()
    exactly_once.check(stack, load)

    def letters() -> set[tuple[str, bytes | None]]:
        records, _ = exactly_once.read_log(stack.kafka_bootstrap, "dead.letters")
        events = [serde.decode(record.value) for record in records]
        return {(event["consumer"], event["value"]) for name, event in events if name == "DeadLettered"}

    expected = {(consumer, value) for consumer in ("emotion_logs", "emotion.moments") for value in poison}
    eventually(lambda: letters() >= expected, timeout=30)
    assert {record for record in letters() if record[0] not in ("emotion_logs", "emotion.moments")} == set()


def test_truncated_in_the_middle(stack, load):
    headers = {"Authorization": f"Bearer {stack.admin_token}"}
    answer = httpx.post(f"{stack.base_url}/admin/truncate", headers=headers, timeout=60)
    assert (answer.status_code, answer.json()["ok"]) == (200, True)
    more_posts(load, 20)
    load.stop()
    records, ends = exactly_once.read_log(stack.kafka_bootstrap)
    log = exactly_once.content(records, ends)
    exactly_once.wait_projected(stack, ends)
    with psycopg.connect(stack.database_url) as connection:
        exactly_once.check_table(connection, log)
        exactly_once.check_aggregates(connection, log)
    for device in load.devices:
        exactly_once.check_device(device, log, truncated=True)


@pytest.mark.parametrize("model", ["emotion_logs", "emotion_moments"])
def test_a_fresh_replay_gives_the_same(stack, model):
    """After all the faults above: what was written in pieces equals what one quiet reading of the log makes."""
    done = stack.command("replay", model, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    back = stack.command("rollback", model)
    assert back.returncode == 0, back.stdout + back.stderr
    retired = stack.command("retire", model)
    assert retired.returncode == 0, retired.stdout + retired.stderr


def named(value: bytes | None) -> set[tuple[str, str]]:
    """The moment that a message tells of, if it does."""
    name, event = serde.decode(value)
    return {(event["moment_id"], event["phase"])} if name == "EmotionMomentDetected" else set()


def test_moments_are_those_of_one_quiet_reading(stack):
    """Killed between output and acknowledgement, resumed from snapshots: the moments are what a pure fold makes."""
    from streams.topology import PROCESSORS

    records, _ = exactly_once.read_log(stack.kafka_bootstrap)
    (processor,) = [one for one in PROCESSORS if one.name == "emotion.moments"]
    expected: set[tuple[str, str]] = set()
    from streams.runtime.decide import decide

    states = {}
    for record in records:
        state = states.get(record.partition, processor.state.empty())
        decision = decide(processor, state, record)
        states[record.partition] = decision.state
        for message in decision.messages:
            if message.topic == processor.topic_out:
                expected |= named(message.value)

    def found() -> set[tuple[str, str]]:
        there, _ = exactly_once.read_log(stack.kafka_bootstrap, "emotion.moments")
        return set().union(*(named(one.value) for one in there))

    assert expected
    eventually(lambda: found() == expected, timeout=60)


def test_a_build_without_deduplication_is_found_out(tmp_path):
    """The suite can fail: without key and judgement, repeated posts are doubled and the check says so."""
    with fresh_stack(environment(tmp_path, SENSORIUM_WITHOUT_DEDUPLICATION="1")) as broken:
        load = Load(broken.base_url, SEED, devices=2, prefix="doubling")
        more_posts(load, 30)
        load.stop()
        with pytest.raises(AssertionError, match="points are doubled in the table"):
            exactly_once.check(broken, load)


def test_the_load_spreads_over_partitions():
    """Otherwise the order checks would see one partition only."""
    assert len({murmur2_partition(f"killed_{n}".encode(), 4) for n in range(8)}) > 1
