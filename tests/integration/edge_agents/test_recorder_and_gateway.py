"""The recorder's sending parts against the gateway's own routes, over a real connection; the log is a fake."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC
from pathlib import Path

import pytest
import uvicorn

from edge_agents.recorder.backoff import Backoff
from edge_agents.recorder.chunk_names import Stamp
from edge_agents.recorder.clock import Clock
from edge_agents.recorder.delivery import Connection, Server
from edge_agents.recorder.letters import Identifiers, Letters
from edge_agents.recorder.messenger import Messenger
from edge_agents.recorder.reports import Drops, Silences
from edge_agents.recorder.resumable import Resumable
from edge_agents.recorder.uploader import Uploader
from tests.drivers.recorders import DEVICE, POINT, REGISTER, TOKEN, RecorderDriver
from tests.drivers.recording import SECOND, SetClock, Studio, ogg_chunk
from tests.drivers.waiting import eventually


@contextmanager
def gateway(folder: Path) -> Generator[tuple[RecorderDriver, str]]:
    """The routes behind uvicorn, in a thread with a loop of its own."""
    driver = RecorderDriver(folder)
    server = uvicorn.Server(uvicorn.Config(driver.app, port=0, log_level="error", lifespan="off"))

    async def serve() -> None:
        async with driver.running():
            await server.serve()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    try:
        eventually(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield driver, f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)


class Sender:
    """A spool and an uploader whose clock stands `late_s` behind."""

    def __init__(self, folder: Path, url: str, late_s: float = 0.0, token: str = TOKEN) -> None:
        real = Clock()
        self.time = SetClock(real.wall_us() - round(late_s * SECOND), real.steady_us())
        self.studio = Studio(folder, time=self.time)
        spool, boots = self.studio.spool, self.studio.boots
        self.drops = Drops(spool.state / "drops", spool.disk)
        self.silences = Silences(spool.state / "silences", spool.disk)
        letters = Letters(Identifiers(POINT, REGISTER, DEVICE), boots, UTC, 16_000)
        self.connection = Connection(Server(url, token, 10))
        self.uploader = Uploader(
            spool=spool,
            boots=boots,
            letters=letters,
            connection=self.connection,
            resumable=Resumable(self.connection, spool.state / "uploads", spool.disk),
            messenger=Messenger(letters, self.connection, self.drops, self.silences, lambda: 0.0),
            backoff=Backoff(0.01, 0.02),
            stop=threading.Event(),
            wait=lambda _: False,
            idle=lambda _: None,
        )

    def stamp(self, sequence: int) -> Stamp:
        return Stamp("run-1", sequence, self.time.boot, self.time.steady, self.time.wall, 16_000)

    def chunk(self, sequence: int, seconds: float = 1.0) -> bytes:
        content = ogg_chunk(seconds, tags=self.stamp(sequence).tags())
        (self.studio.spool.outbox / f"chunk_20260101_120000_0001_{sequence:06d}.ogg").write_bytes(content)
        return content

    def work(self, rounds: int = 20) -> None:
        for _ in range(rounds):
            if self.uploader.step() is None:
                break
        self.connection.close()


@pytest.mark.parametrize("by_pieces", [False, True])
def test_chunks_arrive_whole_with_their_identity(tmp_path, by_pieces):
    with gateway(tmp_path / "server") as (driver, url):
        sender = Sender(tmp_path / "spool", url)
        sender.uploader.resumable_from = 0 if by_pieces else 1 << 30
        sent = [sender.chunk(n, seconds=100 if n else 1) for n in range(2)]
        sender.work()
    events = driver.events()
    assert [(event["boot_id"], event["sequence"]) for event in events] == [("run-1", 0), ("run-1", 1)]
    assert [(driver.folder / event["stored_path"]).read_bytes() for event in events] == sent
    assert [event["end_us"] - event["start_us"] for event in events] == [SECOND, 100 * SECOND]
    assert all(event["clock_offset_us"] in (None, 0) for event in events)
    assert sender.studio.chunks() == []
    assert sender.uploader.totals.errors == 0


def test_the_same_chunk_from_a_recovered_spool_is_the_same(tmp_path):
    with gateway(tmp_path / "server") as (driver, url):
        first, again = Sender(tmp_path / "spool", url), Sender(tmp_path / "spool", url)
        content = first.chunk(0)
        first.work()
        (first.studio.spool.outbox / "chunk_20260101_120000_0001_000000.ogg").write_bytes(content)
        again.work()
    assert len({event["chunk_id"] for event in driver.events()}) == 1
    assert again.uploader.totals.uploaded == 1


def test_a_late_clock_is_corrected_by_the_server(tmp_path):
    with gateway(tmp_path / "server") as (driver, url):
        sender = Sender(tmp_path / "spool", url, late_s=86_400)
        sender.chunk(0)
        sender.work()
    (event,) = driver.events()
    assert event["clock_offset_us"] == pytest.approx(86_400 * SECOND, abs=3 * SECOND)
    assert event["received_us"] - event["start_us"] < 60 * SECOND


def test_silences_and_drops_are_taken(tmp_path):
    with gateway(tmp_path / "server") as (driver, url):
        sender = Sender(tmp_path / "spool", url)
        sender.silences.add(sender.stamp(3), 60 * SECOND)
        sender.drops.add("SIZE", [100, 200], [sender.time.wall, None])
        sender.work()
    (silence,) = driver.events("SilenceReported")
    (drop,) = driver.events("RecordingsDropped")
    assert (silence["boot_id"], silence["sequence"]) == ("run-1", 3)
    assert silence["end_us"] - silence["start_us"] == 60 * SECOND
    assert (drop["files"], drop["bytes"], drop["reason"], drop["oldest_us"]) == (2, 300, "SIZE", sender.time.wall)
    assert (sender.drops.rows(), sender.silences.rows()) == ((), ())


def test_a_wrong_token_holds_everything(tmp_path):
    with gateway(tmp_path / "server") as (driver, url):
        sender = Sender(tmp_path / "spool", url, token="wrong-token-wrong-token")
        sender.chunk(0)
        sender.work(3)
    assert driver.events() == []
    assert len(sender.studio.chunks()) == 1


def test_a_number_used_twice_is_sent_by_its_content(tmp_path):
    with gateway(tmp_path / "server") as (driver, url):
        for seconds, name in ((1, "a"), (2, "b")):
            sender = Sender(tmp_path / name, url)
            sender.chunk(0, seconds)
            sender.work()
    assert [event["sequence"] for event in driver.events()] == [0, None]
