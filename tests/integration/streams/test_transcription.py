"""Both passes of speech recognition on a real Kafka, with a process and a child that can be killed."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.drivers.transcribing import Site
from tests.drivers.waiting import eventually


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
