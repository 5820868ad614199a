"""The recorder as a process against an HTTP server that misbehaves: killed, stopped, cut off, watched by systemd."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_agents.recorder import ogg
from edge_agents.recorder.chunk_names import stamp_of
from tests.drivers.recorder_server import Answer, Chunk, Gateway, recorder_server
from tests.drivers.recording import decoded_samples, decoded_sound, tone
from tests.drivers.waiting import eventually

ROOT = Path(__file__).resolve().parents[3]
SEED = int(os.environ.get("SENSORIUM_TEST_SEED") or random.SystemRandom().randrange(10**6))
RATE = 16_000
IDS = {
    "RA_POINT_ID": "00000000-0000-0000-0000-000000000001",
    "RA_REGISTER_ID": "00000000-0000-0000-0000-000000000002",
    "RA_DEVICE_ID": "00000000-0000-0000-0000-000000000003",
}


def wav(path: Path, seconds: float) -> Path:
    import wave

    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(tone(seconds, RATE).tobytes())
    return path


class Process:
    """One start of the recorder."""

    def __init__(self, process: subprocess.Popen[str], spool: Path, log: Path) -> None:
        self.process = process
        self.outbox = spool / "outbox"
        self.uploaded = spool / "uploaded"
        self._log = log

    def said(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._log.read_text("utf-8").splitlines() if line.endswith("}")]

    def has_said(self, message: str) -> bool:
        return any(line["msg"] == message for line in self.said())

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)


@contextmanager
def recorder(folder: Path, url: str, *flags: str, **settings: str) -> Generator[Process]:
    spool = folder / "spool"
    environment = {
        **os.environ,
        **IDS,
        "PYTHONPATH": f"{ROOT}:{ROOT / 'edge_agents'}",
        "RA_INGEST_BASE_URL": url,
        "RA_INGEST_TOKEN": "device-token",
        "RA_SPOOL_DIR": str(spool),
        "RA_SCHEDULE_START": "00:00",
        "RA_SCHEDULE_END": "23:59",
        "RA_SAMPLE_RATE": str(RATE),
        "RA_CHUNK_SECONDS": "1",
        "RA_HEALTH_PORT": "0",
        "RA_RETRY_MIN_S": "0.05",
        "RA_RETRY_MAX_S": "0.2",
        **{f"RA_{name.upper()}": value for name, value in settings.items()},
    }
    log = folder / f"log-{random.SystemRandom().randrange(10**9)}"
    command = [sys.executable, "-m", "recorder_agent", "-c", str(folder / "none.yaml"), *flags]
    with (
        log.open("w") as stderr,
        subprocess.Popen(command, env=environment, stderr=stderr, text=True, cwd=folder) as process,
    ):
        try:
            yield Process(process, spool, log)
        finally:
            if process.poll() is None:
                process.kill()


def in_order(gateway: Gateway) -> list[Chunk]:
    return sorted(gateway.stored.values(), key=lambda chunk: (chunk.fields["start_ts"], chunk.fields["sequence"]))


def moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def sums(gateway: Gateway) -> float:
    return sum(decoded_samples(chunk.content) for chunk in gateway.stored.values()) / 48_000


def _size(part: Path) -> int:
    """0 for a chunk that has just become whole."""
    try:
        return part.stat().st_size
    except FileNotFoundError:
        return 0


def wait_for_part(agent: Process, size: int, others: set[Path]) -> None:
    """Until this run has written so much of a chunk."""

    def written() -> bool:
        parts = set(agent.outbox.glob("*.part")) - others
        return any(_size(part) > size for part in parts)

    eventually(written, 30, 0.002)


def test_a_file_arrives_whole_gapless_and_the_agent_ends(tmp_path):
    path = wav(tmp_path / "a.wav", 7.25)
    with recorder_server() as gateway, recorder(tmp_path, gateway.url, "--file", str(path), "--speed", "0") as agent:
        assert agent.process.wait(60) == 0
    chunks = in_order(gateway)
    assert sums(gateway) == pytest.approx(7.25, abs=1e-6)
    for before, after in pairwise(chunks):
        assert moment(after.fields["start_ts"]) == pytest.approx(moment(before.fields["end_ts"]), abs=1e-4)
    heard = np.concatenate([decoded_sound(chunk.content) for chunk in chunks])
    assert heard.size == 7.25 * 48_000
    assert list(agent.outbox.iterdir()) == []
    assert len(list(agent.uploaded.iterdir())) == len(chunks) == 8


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_finishes_the_chunk_and_ends_with_0(tmp_path, number):
    path = wav(tmp_path / "a.wav", 30)
    settings = {"audio_device": f"file:{path}", "chunk_seconds": "60"}
    with recorder(tmp_path, "http://127.0.0.1:9", **settings) as agent:
        eventually(lambda: [part for part in agent.outbox.glob("*.part") if part.stat().st_size > 2000], 30)
        assert agent.stop(number) == 0
        assert agent.has_said("signal_received")
        assert agent.has_said("service_stopped")
    (chunk,) = agent.outbox.iterdir()
    assert chunk.suffix == ".ogg"
    assert decoded_samples(chunk) > 0


def test_killed_at_any_moment_it_loses_at_most_the_tail_and_shows_no_broken_chunk(tmp_path):
    print(f"SENSORIUM_TEST_SEED={SEED}")
    chance = random.Random(SEED)
    path = wav(tmp_path / "a.wav", 60)
    settings = {"audio_device": f"file:{path}", "chunk_seconds": "3"}
    with recorder_server() as gateway:
        gateway.behave = lambda n, _: Answer(unsaid=True) if n % 4 == 1 else Answer()
        for _ in range(3):
            left = set((tmp_path / "spool").rglob("*.part"))
            with recorder(tmp_path, gateway.url, **settings) as agent:
                wait_for_part(agent, chance.randrange(2000, 9000), left)
                agent.process.kill()
                agent.process.wait()
                for whole in agent.outbox.glob("*.ogg"):
                    assert decoded_samples(whole) == 3 * 48_000
        silent = wav(tmp_path / "b.wav", 0.5)
        with recorder(tmp_path, gateway.url, "--file", str(silent)) as agent:
            assert agent.process.wait(60) == 0
            assert agent.has_said("unfinished_chunks_found")
    assert list(agent.outbox.iterdir()) == []
    by_run: dict[str, list[Chunk]] = {}
    for chunk in in_order(gateway):
        by_run.setdefault(chunk.fields["boot_id"], []).append(chunk)
    assert len(by_run) == 4
    for chunks in by_run.values():
        assert [int(chunk.fields["sequence"]) for chunk in chunks] == list(range(len(chunks)))
        lengths = [decoded_samples(chunk.content) / 48_000 for chunk in chunks]
        assert all(length == 3 for length in lengths[:-1])
        # A page of a second, of which no more than the last was on its way.
        assert lengths[-1] > 0.45
    for chunk in gateway.stored.values():
        length = moment(chunk.fields["end_ts"]) - moment(chunk.fields["start_ts"])
        assert length == pytest.approx(decoded_samples(chunk.content) / 48_000, abs=1e-3)


def test_a_dead_server_that_comes_back_gets_everything(tmp_path):
    path = wav(tmp_path / "a.wav", 6)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    with recorder(tmp_path, f"http://127.0.0.1:{port}", "--file", str(path), "--speed", "0") as agent:
        eventually(lambda: len(list(agent.outbox.glob("*.ogg"))) == 6, 30)
        eventually(lambda: agent.has_said("upload_network_error"))
        with recorder_server(Gateway(behave=lambda n, _: Answer(503) if n < 3 else Answer()), port) as gateway:
            assert agent.process.wait(60) == 0
    assert sums(gateway) == pytest.approx(6, abs=1e-6)


def test_raw_samples_come_in_by_standard_input(tmp_path):
    sound = tone(2.5, RATE).tobytes()
    with recorder_server() as gateway:
        environment = {
            "RA_INGEST_BASE_URL": gateway.url,
            "RA_INGEST_TOKEN": "t",
            "RA_SPOOL_DIR": str(tmp_path / "spool"),
        }
        more = {"RA_SCHEDULE_START": "00:00", "RA_SCHEDULE_END": "23:59", "RA_AUDIO_DEVICE": "-", "RA_HEALTH_PORT": "0"}
        process = subprocess.Popen(
            [sys.executable, "-m", "edge_agents.recorder"],
            env={**os.environ, **IDS, **environment, **more, "RA_SAMPLE_RATE": str(RATE), "RA_CHUNK_SECONDS": "1"},
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=ROOT,
        )
        with process:
            process.stdin.write(sound)  # type: ignore[union-attr]
            process.stdin.close()  # type: ignore[union-attr]
            eventually(lambda: len(gateway.stored) == 3, 30)
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
    assert sums(gateway) == pytest.approx(2.5, abs=1e-6)


def test_health_and_systemd_see_it_work(tmp_path):
    path = wav(tmp_path / "a.wav", 20)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd, recorder_server() as gateway:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(30)
        settings = {"audio_device": f"file:{path}", "health_port": str(port)}
        os.environ["NOTIFY_SOCKET"], os.environ["WATCHDOG_USEC"] = str(tmp_path / "notify"), "2000000"
        try:
            with recorder(tmp_path, gateway.url, **settings) as agent:
                said = [systemd.recv(1000).decode() for _ in range(3)]
                eventually(lambda: len(gateway.stored) >= 2, 30)
                health = json.loads(urllib.request.urlopen(f"http://127.0.0.1:{port}/health").read())
                assert agent.stop() == 0
        finally:
            del os.environ["NOTIFY_SOCKET"], os.environ["WATCHDOG_USEC"]
        while "STOPPING=1" not in said[-1]:
            said.append(systemd.recv(1000).decode())
    assert said[0].startswith("READY=1")
    assert said[1].startswith("WATCHDOG=1")
    kinds = {
        "status": str,
        "recording": bool,
        "in_schedule": bool,
        "queue_size": int,
        "uploaded_total": int,
        "upload_errors_total": int,
        "last_upload_ts": float,
        "spool_files": int,
        "spool_bytes": int,
        "point_id": str,
    }
    assert {name: type(value) for name, value in health.items()} == kinds
    assert health["status"] == "ok"
    assert health["recording"] is True
    assert health["uploaded_total"] >= 1
    assert health["point_id"] == IDS["RA_POINT_ID"]


def test_without_a_microphone_it_says_so_and_goes_on(tmp_path):
    with recorder(tmp_path, "http://127.0.0.1:9", audio_device="hw:7,0", capture="pyav") as agent:
        eventually(lambda: agent.has_said("mic_not_available"), 30)
        (line, *_) = [line for line in agent.said() if line["msg"] == "mic_not_available"]
        assert line["delay"] == 2
        assert "hw:7,0" in line["error"]
        assert agent.stop() == 0


def test_two_agents_do_not_share_a_spool(tmp_path):
    with recorder(tmp_path, "http://127.0.0.1:9", audio_device="hw:7,0") as first:
        eventually(lambda: first.has_said("service_starting"), 30)
        with recorder(tmp_path, "http://127.0.0.1:9") as second:
            assert second.process.wait(30) == 1
            assert "another recorder" in second.said()[-1]["error"]


def test_the_demo_speaks_and_sends_speech_only(tmp_path):
    flags = ("--demo", "--languages", "en", "--speed", "0", "--chunk-seconds", "4")
    with recorder_server() as gateway, recorder(tmp_path, gateway.url, *flags, upload_speech_only="true") as agent:
        assert agent.process.wait(120) == 0
        (spoken,) = [line for line in agent.said() if line["msg"] == "demo_spoken"]
    assert spoken["scenes"] == ["en-cake", "en-plain"]
    silent_s = sum(moment(one["end_ts"]) - moment(one["start_ts"]) for one in gateway.silences)
    assert sums(gateway) + silent_s == pytest.approx(spoken["seconds"], abs=0.11)
    assert silent_s > 12
    facts = ogg.facts(in_order(gateway)[0].content, in_order(gateway)[0].content)
    assert facts is not None
    assert stamp_of(facts.tags) is not None
