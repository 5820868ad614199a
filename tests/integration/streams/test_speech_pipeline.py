"""Chunks to segments to dialogues in their real process on a real Kafka, killed where it hurts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Self

import pytest

from ops.topics import ensure
from producers.publisher import Message, Publisher
from schemas import examples, serde
from schemas.topics import TOPICS
from streams.log_reader import LogReader, TopicPartition
from tests.drivers.new_topics import make_topics
from tests.drivers.speech import opus, stored
from tests.drivers.speech_main import Plan
from tests.drivers.voices import ogg_bomb, spoken
from tests.drivers.waiting import eventually

ROOT = Path(__file__).resolve().parents[3]
START_US = examples.load("AudioChunkUploaded")["start_us"]
CHUNK_S = 20
SAID = [[(2, 6), (9, 19)], [(1, 8)], [(5, 9), (12, 18)], [], [(1, 18)], [(0, 3)], [(14, 19)]]
"""Speech in seconds from each chunk's start: see DIALOGUES."""
DIALOGUES = [(2, 28), (45, 58), (81, 103), (134, 139)]


class Pipeline:
    """Both processors with topics of their own; processes are killed at the end."""

    def __init__(self, bootstrap: str, folder: Path) -> None:
        self.plan = Plan(bootstrap, f"t{uuid.uuid4().hex[:10]}", str(folder / "audio"))
        self._folder, self._log = Path(self.plan.folder), folder / "log"
        self._folder.mkdir()
        ensure(bootstrap, TOPICS)
        make_topics(bootstrap, *(self.plan.topic(end) for end in ("chunks", "segments", "dialogues")))
        self._publisher = Publisher(bootstrap, client_id=self.plan.name)
        self._reader = LogReader(bootstrap, self.plan.name)
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()
            process.wait()
        self._publisher.close()
        self._reader.close()

    def start(self, **changes: Any) -> subprocess.Popen[bytes]:
        main = ROOT / "tests" / "drivers" / "speech_main.py"
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, str(main), json.dumps(asdict(replace(self.plan, **changes)))],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | {"PYTHONPATH": str(ROOT)},
            )
        self._processes.append(process)
        return process

    def upload(self, n: int, sound: bytes) -> None:
        start_us = START_US + n * CHUNK_S * 1_000_000
        times = {"start_us": start_us, "end_us": start_us + CHUNK_S * 1_000_000}
        record = examples.load("AudioChunkUploaded") | stored(self._folder, sound, f"c{n}") | times
        del record["chunk_start_us"]
        value = serde.encode("AudioChunkUploaded", record)
        self._publisher.publish_all([Message(self.plan.topic("chunks"), b"d", value, [])])

    def records(self, end: str) -> list[tuple[str, dict[str, Any]]]:
        topic = end if end == "dead.letters" else self.plan.topic(end)
        ends = {TopicPartition(topic, one): offset for one, offset in self._reader.end_offsets(topic).items()}
        firsts = self._reader.beginning_offsets(topic)
        self._reader.assign({where: firsts[where.partition] for where in ends})
        found: list[Any] = []
        while not self._reader.at_end(ends):
            found += self._reader.poll_batch(timeout_s=0.2)
        return [serde.decode(one.value) for one in found]

    def dialogues(self) -> list[dict[str, Any]]:
        """The newest revision of each; one revision always says the same."""
        revisions: dict[tuple[str, int], Any] = {}
        for _, record in self.records("dialogues"):
            key = record["dialogue_id"], record["revision"]
            assert revisions.setdefault(key, record) == record, "one revision, two contents"
        newest = {name: revisions[name, revision] for name, revision in sorted(revisions)}
        left = [one for one in newest.values() if one["status"] != "WITHDRAWN"]
        return sorted(left, key=lambda one: one["start_us"])

    def closed(self) -> bool:
        found = self.dialogues()
        return len(found) == len(DIALOGUES) and all(one["status"] == "CLOSED" for one in found)


@pytest.fixture
def pipeline(kafka_bootstrap: str, tmp_path: Path) -> Iterator[Pipeline]:
    with Pipeline(kafka_bootstrap, tmp_path) as made:
        yield made


SOUND = [opus(spoken([(a * 1000, b * 1000) for a, b in spans], CHUNK_S * 1000)) for spans in SAID]


def seconds(dialogue: dict[str, Any]) -> tuple[float, float]:
    return (dialogue["start_us"] - START_US) / 1e6, (dialogue["end_us"] - START_US) / 1e6


def as_said(found: list[dict[str, Any]]) -> bool:
    pairs = zip(map(seconds, found), DIALOGUES, strict=True)
    return all(abs(a - c) < 0.4 and abs(b - d) < 0.4 for (a, b), (c, d) in pairs)


def test_chunks_become_dialogues_and_time_closes_the_last(pipeline: Pipeline) -> None:
    for n, sound in enumerate(SOUND):
        pipeline.upload(n, sound if any(SAID[n]) else ogg_bomb(9_000))
    pipeline.start()
    eventually(pipeline.closed, 60)
    assert as_said(pipeline.dialogues())
    segments = pipeline.records("segments")
    assert [name for name, _ in segments] == ["SpeechSegmentsDetected"] * len(SAID) + ["SpeechDeviceIdle"]
    assert [one["outcome"] for _, one in segments[:-1]] == ["DONE" if any(spans) else "ERROR" for spans in SAID]
    letters = [
        one for _, one in pipeline.records("dead.letters") if one.get("consumer") == f"{pipeline.plan.name}.voice"
    ]
    assert len(letters) == 1


@pytest.mark.parametrize(("kill_in", "kill_after"), [("segments", 3), ("dialogues", 2), ("dialogues", 5)])
def test_a_process_killed_in_mid_dialogue_is_made_up_for(pipeline: Pipeline, kill_in: str, kill_after: int) -> None:
    for n, sound in enumerate(SOUND):
        pipeline.upload(n, sound)
    killed = pipeline.start(kill_in=kill_in, kill_after=kill_after, idle_ms=60_000)
    eventually(lambda: killed.poll() is not None, 60)
    assert killed.returncode == -9
    pipeline.start()
    eventually(pipeline.closed, 60)
    assert as_said(pipeline.dialogues())
    pieces = [(one["chunk_id"], one["start_ms"]) for each in pipeline.dialogues() for one in each["pieces"]]
    assert len(pieces) == len(set(pieces))
