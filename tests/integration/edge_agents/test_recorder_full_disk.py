"""The whole recorder on a disk that is too small for what it hears while the server is away."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from edge_agents.recorder.agent import Agent, Surroundings
from edge_agents.recorder.capture_file import Playing, SoundMicrophone
from edge_agents.recorder.clock import Clock
from edge_agents.recorder.settings import Settings
from tests.drivers.recorder_server import Gateway, recorder_server
from tests.drivers.recording import SmallDisk, decoded_samples, tone
from tests.drivers.waiting import eventually

RATE, SECONDS = 16_000, 240
IDS = [f"00000000-0000-0000-0000-00000000000{n}" for n in (1, 2, 3)]


@pytest.mark.parametrize("limit", ["disk", "max_spool_gb"])
def test_what_was_not_sent_and_not_kept_is_counted_and_told(tmp_path: Path, limit: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    clock = Clock()
    settings = Settings(
        *IDS,
        f"http://127.0.0.1:{port}",
        "device-token",
        chunk_seconds=2,
        sample_rate=RATE,
        spool_dir=tmp_path / "spool",
        max_spool_gb=300_000 / 2**30 if limit == "max_spool_gb" else 20.0,
        min_free_mb=0,
        retry_min_s=0.05,
        retry_max_s=0.1,
        health_port=0,
    )
    disk = SmallDisk(tmp_path / "spool", 300_000 if limit == "disk" else 10**9)

    def microphone() -> SoundMicrophone:
        return SoundMicrophone(lambda: iter([tone(SECONDS, RATE)]), RATE, clock.steady_us, Playing(0))

    agent = Agent(settings, Surroundings(clock=clock, disk=disk, sound=microphone, until_sent=True))
    thread = threading.Thread(target=agent.run)
    thread.start()
    try:
        eventually(agent.recorder.finished.is_set, 60)
        agent._janitor.clean()
        assert agent.recorder.cutter.lost_samples == 0
        waiting = len(agent._spool.pending())
        assert waiting < SECONDS // 2
        with recorder_server(Gateway(), port) as gateway:
            thread.join(60)
    finally:
        agent.stop.set()
        thread.join(30)
    dropped = sum(drop["files"] for drop in gateway.drops)
    assert dropped > 0
    assert dropped + len(gateway.stored) == SECONDS // 2
    assert {drop["reason"] for drop in gateway.drops} == {"SIZE"}
    numbers = sorted(int(chunk.fields["sequence"]) for chunk in gateway.stored.values())
    # The newest were kept, and whole.
    assert numbers == list(range(dropped, SECONDS // 2))
    assert all(decoded_samples(chunk.content) == 2 * 48_000 for chunk in gateway.stored.values())
