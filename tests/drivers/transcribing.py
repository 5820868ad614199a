"""Both passes of speech recognition in a process of its own on a real Kafka: dialogues in, transcripts out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from confluent_kafka.admin import AdminClient

from ops.topics import ensure
from producers.publisher import Message, Publisher
from schemas import serde
from schemas.envelope import unseal
from schemas.errors import TransientFailure
from schemas.examples import load
from schemas.topics import TOPICS
from streams.log_reader import LogReader, TopicPartition
from streams.runtime.past import GroupPositions
from tests.drivers.asr_main import RING, Plan
from tests.drivers.new_topics import make_topics

ROOT = Path(__file__).resolve().parents[2]


class Site:
    """Dialogues in, transcripts out, and the process between them."""

    def __init__(self, bootstrap: str, folder: Path) -> None:
        name = f"t{uuid.uuid4().hex[:10]}"
        self.folder = folder
        self.plan = Plan(bootstrap, name, str(folder))
        ensure(bootstrap, TOPICS)
        admin = AdminClient({"bootstrap.servers": bootstrap})
        make_topics(bootstrap, f"{name}.in", f"{name}.out")
        self._publisher = Publisher(bootstrap, client_id=name)
        self._reader = LogReader(bootstrap, name)
        self._groups = [GroupPositions(bootstrap, f"{name}.{one}") for one in ("fast", "accurate")]
        self._admin = admin
        self.processes: list[subprocess.Popen[bytes]] = []

    def close(self) -> None:
        """End all processes."""
        for process in self.processes:
            process.kill()
            process.wait()
        self._publisher.close()
        self._reader.close()
        for group in self._groups:
            group.close()

    def start(self, **changes: Any) -> subprocess.Popen[bytes]:
        """Start the process `asr`; `changes` are fields of the plan."""
        main = ROOT / "tests" / "drivers" / "asr_main.py"
        with (self.folder / "asr.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, str(main), json.dumps(asdict(replace(self.plan, **changes)))],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | {"PYTHONPATH": str(ROOT)},
            )
        self.processes.append(process)
        return process

    def close_dialogues(self, *names: str) -> None:
        """Append a closed dialogue of each name."""
        example = load("DialogueRevised") | {"status": "CLOSED"}
        self.append(*(serde.encode("DialogueRevised", example | {"dialogue_id": name}) for name in names))

    def append(self, *values: bytes) -> int:
        """Append events; the log's time of the first in ms."""
        topic = f"{self.plan.name}.in"
        first = self._reader.end_offsets(topic)[0]
        self._publisher.publish_all([Message(topic, b"d", value, []) for value in values])
        return self._records("in", first)[0].timestamp_ms

    def hold(self, name: str) -> Path:
        """Let the work on a dialogue wait until the file is gone."""
        path = self.folder / f"{name}.hold"
        path.touch()
        return path

    def begun(self) -> Counter[str]:
        """How often each dialogue's passes were begun."""
        return Counter(".".join(path.name.split(".")[:2]) for path in self.folder.glob("*.*.*.*"))

    def child_of(self, name: str) -> int:
        """The process that hears it."""
        (mark,) = self.folder.glob(f"{name}.FAST.*")
        return int(mark.name.split(".")[2])

    def said(self) -> list[tuple[str, str, bool, str]]:
        """Dialogue, pass, final and text of all transcripts, once per event id."""
        found: dict[bytes, tuple[str, str, bool, str]] = {}
        for record in self._records():
            name, body = serde.decode(record.value)
            if name == "TranscriptProduced":
                words = unseal(RING, body["words"], "TranscriptWords")
                said = (body["dialogue_id"], body["asr_pass"], body["final"], words["text"])
                assert found.setdefault(record.header("ce_id"), said) == said
        return list(found.values())

    def names(self) -> list[str]:
        """Names of all events that came out, in order."""
        return [serde.decode(record.value)[0] for record in self._records()]

    def produced_at_ms(self) -> dict[str, int]:
        """When each dialogue's first transcript was in the log, in the log's time."""
        found: dict[str, int] = {}
        for record in self._records():
            name, body = serde.decode(record.value)
            if name == "TranscriptProduced":
                found.setdefault(body["dialogue_id"], record.timestamp_ms)
        return found

    def _records(self, end: str = "out", start: int = 0) -> list[Any]:
        topic = f"{self.plan.name}.{end}"
        ends = {TopicPartition(topic, 0): self._reader.end_offsets(topic)[0]}
        self._reader.assign(dict.fromkeys(ends, start))
        found: list[Any] = []
        while not self._reader.at_end(ends):
            found += self._reader.poll_batch(timeout_s=0.2)
        return found

    def committed(self) -> int:
        """How many dialogues are done, by the group's word."""
        try:
            return self._groups[0].committed(f"{self.plan.name}.in", [0])[0]
        except (TransientFailure, KeyError):
            return -1

    def members(self) -> set[str]:
        """Ids of the first pass' members."""
        group = f"{self.plan.name}.fast"
        return {one.member_id for one in self._admin.describe_consumer_groups([group])[group].result(10).members}
