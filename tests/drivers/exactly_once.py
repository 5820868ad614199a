"""The promise, checked: what was acknowledged is in the log and in the table exactly once, in each device's order."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass

import psycopg

from schemas import serde
from schemas.identity import murmur2_partition
from schemas.record import Record
from schemas.topics import TOPICS
from streams.log_reader import LogReader, TopicPartition
from streams.runtime.past import GroupPositions
from tests.drivers.load import Device, Load, Point
from tests.drivers.stack import Stack
from tests.drivers.waiting import eventually

TOPIC = "emotion.points"


@dataclass
class LogContent:
    """Distinct points of the log after the last truncation, and the first times of each device's posts in order."""

    points: dict[Point, tuple[float, float]]
    posts: dict[str, list[int]]
    ends: dict[int, int]


def read_log(bootstrap: str, topic: str = TOPIC) -> tuple[list[Record], dict[int, int]]:
    """Every record of a topic, per partition in order."""
    with LogReader(bootstrap, "test") as reader:
        ends = reader.end_offsets(topic)
        begins = reader.beginning_offsets(topic)
        reader.assign({TopicPartition(topic, partition): offset for partition, offset in begins.items()})
        goal = {TopicPartition(topic, partition): offset for partition, offset in ends.items()}
        records: list[Record] = []
        while not reader.at_end(goal):
            records += reader.poll_batch(timeout_s=0.2)
    return records, ends


def content(records: list[Record], ends: dict[int, int]) -> LogContent:
    """What the log says, told by a reader that shares no code with the projector."""
    found = LogContent({}, {}, ends)
    for record in records:
        try:
            name, event = serde.decode(record.value)
        except serde.InvalidEvent:
            continue
        if name == "EmotionLogsTruncated":
            gone = record.partition
            found.points = {
                point: affect
                for point, affect in found.points.items()
                if murmur2_partition(point[0].encode(), TOPICS[TOPIC].partitions) != gone
            }
            continue
        if name != "EmotionPointsRecorded":
            continue  # time that passed
        found.posts.setdefault(event["device_id"], []).append(event["t_ms"][0])
        rows = zip(event["session_person_id"], event["track_id"], event["t_ms"], strict=True)
        affects = zip(event["valence"], event["arousal"], strict=True)
        for row, affect in zip(rows, affects, strict=True):
            found.points.setdefault((event["device_id"], event["session_id"], *row), affect)
    return found


def wait_projected(stack: Stack, ends: dict[int, int], model: str = "emotion_logs", topic: str = TOPIC) -> None:
    """Until the live version's checkpoints have passed `ends`."""
    query = (
        "SELECT c.partition, c.next_offset FROM sensorium.checkpoints c JOIN sensorium.models m USING (schema_name) "
        "WHERE m.model = %s AND m.state = 'live' AND c.topic = %s"
    )

    def passed() -> bool:
        try:
            with psycopg.connect(stack.database_url, connect_timeout=3) as connection:
                reached = dict(connection.execute(query, (model, topic)).fetchall())
        except psycopg.OperationalError:
            return False
        return all(reached.get(partition, -1) >= end for partition, end in ends.items())

    eventually(passed, timeout=60)


def wait_processed(stack: Stack, ends: dict[int, int], group: str = "emotion.moments", timeout: float = 90) -> None:
    """Until the processor has committed everything before `ends`."""
    positions = GroupPositions(stack.kafka_bootstrap, group, timeout_s=5)
    begun = time.monotonic()

    def behind() -> dict[int, int]:
        committed = positions.committed(TOPIC, list(ends))
        return {partition: end - (committed.get(partition) or 0) for partition, end in ends.items()}

    eventually(lambda: all(lag <= 0 for lag in behind().values()), timeout=timeout, interval=0.1)
    print(f"{group} caught up {time.monotonic() - begun:.1f} s after the load ended")


def check(stack: Stack, load: Load) -> LogContent:
    """Everything at once; AssertionError says which promise is broken."""
    records, ends = read_log(stack.kafka_bootstrap)
    log = content(records, ends)
    wait_projected(stack, ends)
    with psycopg.connect(stack.database_url) as connection:
        check_table(connection, log)
        check_aggregates(connection, log)
    for device in load.devices:
        check_device(device, log)
    wait_processed(stack, ends)
    return log


def check_table(connection: psycopg.Connection, log: LogContent) -> None:
    rows = connection.execute(
        "SELECT device_id, session_id, session_person_id, track_id, t_ms, valence, arousal FROM emotion_logs"
    ).fetchall()
    counted = Counter(row[:5] for row in rows)
    doubled = {point: times for point, times in counted.items() if times > 1}
    assert not doubled, f"{len(doubled)} points are doubled in the table, for example {next(iter(doubled.items()))}"
    missing = log.points.keys() - counted.keys()
    assert not missing, f"{len(missing)} points of the log are not in the table, for example {next(iter(missing))}"
    extra = counted.keys() - log.points.keys()
    assert not extra, f"{len(extra)} points of the table are not in the log, for example {next(iter(extra))}"
    wrong = [row for row in rows if log.points[row[:5]] != row[5:]]
    assert not wrong, f"{len(wrong)} rows differ from what came first, for example {wrong[0]}"


def check_aggregates(connection: psycopg.Connection, log: LogContent) -> None:
    expected = Counter((point[0], point[1]) for point in log.points)
    sessions = connection.execute("SELECT device_id, session_id, n_points FROM sessions").fetchall()
    assert {row[:2]: row[2] for row in sessions} == dict(expected), "sessions do not add up to the points"
    persons = connection.execute("SELECT device_id, session_id, session_person_id, n_points FROM persons").fetchall()
    counted = Counter(point[:3] for point in log.points)
    assert {row[:3]: row[3] for row in persons if row[3]} == dict(counted), "persons do not add up to the points"
    total = connection.execute("SELECT coalesce(sum(n), 0) FROM buckets WHERE level = 0").fetchone()
    assert total is not None
    assert total[0] == len(log.points), "buckets do not add up to the points"


def check_device(device: Device, log: LogContent, *, truncated: bool = False) -> None:
    lost = device.acknowledged - log.points.keys()
    assert truncated or not lost, f"{device.name}: {len(lost)} acknowledged points are not in the log"
    invented = {point for point in log.points if point[0] == device.name} - device.sent.keys()
    assert not invented, f"{device.name}: the log has points that were never sent"
    first = {t_ms: at for at, t_ms in reversed(list(enumerate(log.posts.get(device.name, ()))))}
    positions = [first[t_ms] for t_ms in device.in_order if t_ms in first]
    assert positions == sorted(positions), f"{device.name}: the order of its posts is not the order of the log"
