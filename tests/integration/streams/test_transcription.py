"""Both passes of speech recognition on a real Kafka, with a process and a child that can be killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

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
from tests.drivers.waiting import eventually

ROOT = Path(__file__).resolve().parents[3]


class Site:
    """Dialogues in, transcripts out, and the process between them."""

    def __init__(self, bootstrap: str, folder: Path) -> None:
        name = f"t{uuid.uuid4().hex[:10]}"
        self.folder = folder
        self.plan = Plan(bootstrap, name, str(folder))
        ensure(bootstrap, TOPICS)
        admin = AdminClient({"bootstrap.servers": bootstrap})
        settings = {"message.timestamp.type": "LogAppendTime", "retention.ms": "-1"}
        for end in ("in", "out"):
            admin.create_topics([NewTopic(f"{name}.{end}", 1, 1, config=settings)])[f"{name}.{end}"].result(20)
        self._publisher = Publisher(bootstrap, client_id=name)
        self._reader = LogReader(bootstrap, name)
        self._groups = [GroupPositions(bootstrap, f"{name}.{one}") for one in ("fast", "accurate")]
        self._admin = admin
        self.processes: list[subprocess.Popen[bytes]] = []

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
        self._publisher.close()
        self._reader.close()
        for group in self._groups:
            group.close()

    def start(self, **changes: Any) -> subprocess.Popen[bytes]:
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
        example = load("DialogueRevised") | {"status": "CLOSED"}
        self._publisher.publish_all(
            [
                Message(
                    f"{self.plan.name}.in", b"d", serde.encode("DialogueRevised", example | {"dialogue_id": name}), []
                )
                for name in names
            ]
        )

    def hold(self, name: str) -> Path:
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

    def _records(self) -> list[Any]:
        topic = f"{self.plan.name}.out"
        ends = {TopicPartition(topic, 0): self._reader.end_offsets(topic)[0]}
        self._reader.assign(dict.fromkeys(ends, 0))
        found: list[Any] = []
        while not self._reader.at_end(ends):
            found += self._reader.poll_batch(timeout_s=0.2)
        return found

    def committed(self) -> int:
        try:
            return self._groups[0].committed(f"{self.plan.name}.in", [0])[0]
        except (TransientFailure, KeyError):
            return -1

    def members(self) -> set[str]:
        group = f"{self.plan.name}.fast"
        return {one.member_id for one in self._admin.describe_consumer_groups([group])[group].result(10).members}


@pytest.fixture
def site(kafka_bootstrap: str, tmp_path: Path) -> Iterator[Site]:
    made = Site(kafka_bootstrap, tmp_path)
    yield made
    made.close()


def test_a_doubtful_dialogue_is_heard_twice_and_the_second_is_final(site: Site) -> None:
    site.close_dialogues("clear", "doubtful")
    site.start()
    eventually(lambda: sum(final for _, _, final, _ in site.said()) == 2, 60)
    assert sorted(site.said()) == [
        ("clear", "FAST", True, "clear, heard by FAST"),
        ("doubtful", "ACCURATE", True, "doubtful, heard by ACCURATE"),
        ("doubtful", "FAST", False, "doubtful, heard by FAST"),
    ]
    assert Counter(site.names()) == {"TranscriptionStarted": 3, "TranscriptProduced": 3}
    assert site.names().index("TranscriptionStarted") < site.names().index("TranscriptProduced")


def test_kill_9_of_process_and_child_loses_nothing_and_hears_nothing_again_that_was_heard(site: Site) -> None:
    site.hold("b")
    site.close_dialogues("a", "b", "c")
    crashed = site.start(commit_every_s=600)
    eventually(lambda: site.begun()["b.FAST"] and len(site.said()) == 1, 60)
    crashed.kill()
    assert crashed.wait(20) == -signal.SIGKILL
    assert site.committed() <= 0
    second = site.start()
    eventually(lambda: site.begun()["b.FAST"] == 2, 60)
    os.kill(max(int(path.name.split(".")[2]) for path in site.folder.glob("b.FAST.*")), signal.SIGKILL)
    eventually(lambda: site.begun()["b.FAST"] == 3, 60)
    (site.folder / "b.hold").unlink()
    eventually(lambda: len(site.said()) == 3, 60)
    eventually(lambda: site.committed() == 3, 30)
    assert [(name, final) for name, _, final, _ in site.said()] == [("a", True), ("b", True), ("c", True)]
    assert site.begun() == {"a.FAST": 1, "b.FAST": 3, "c.FAST": 1}
    assert second.poll() is None


def test_work_slower_than_the_session_evicts_nobody(site: Site) -> None:
    site.start(session_s=6.0, seconds=9.0)
    eventually(site.members, 60)
    before = eventually(site.members, 30)
    site.close_dialogues("slow")
    eventually(lambda: len(site.said()) == 1, 60)
    assert site.members() == before
    assert site.begun() == {"slow.FAST": 1}
