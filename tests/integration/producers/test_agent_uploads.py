"""The recorder agent's own client against the gateway's routes, over a socket: whole, resumed, numbered twice."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agents.recorder.delivery import Connection, Later, Server, Stored, Taken
from edge_agents.recorder.disk import Disk
from edge_agents.recorder.resumable import PIECE, UPLOADS, Resumable
from schemas.errors import TransientFailure
from tests.drivers.recorders import DEVICE, POINT, REGISTER, TOKEN, RecorderDriver, form, new_id
from tests.drivers.serving import served
from tests.drivers.waiting import eventually

SOUND = bytes(range(256)) * (3 * PIECE // 256) + b"end"
WHO = {"device_id": DEVICE, "point_id": POINT, "register_id": REGISTER}


@pytest.fixture
def home(tmp_path: Path) -> RecorderDriver:
    return RecorderDriver(tmp_path / "store")


@pytest.fixture
def connection(home: RecorderDriver) -> Iterator[Connection]:
    with served(home.app) as address:
        eventually(lambda: home.recorders.ready)
        made = Connection(Server(address, TOKEN))
        yield made
        made.close()


@pytest.fixture
def chunk(tmp_path: Path) -> Path:
    path = tmp_path / "chunk.ogg"
    path.write_bytes(SOUND)
    return path


def test_whole(home: RecorderDriver, connection: Connection, chunk: Path):
    verdict = connection.send_chunk(form(boot_id="b", sequence=1), chunk)
    assert isinstance(verdict, Stored)
    (event,) = home.events()
    assert verdict.answer["chunk_id"] == event["chunk_id"]
    assert home.kept()[0].read_bytes() == SOUND
    chunk.write_bytes(b"other")
    assert isinstance(connection.send_chunk(form(boot_id="b", sequence=1), chunk), Taken)


def test_resumed_after_an_outage_it_is_the_same_chunk(
    home: RecorderDriver, connection: Connection, chunk: Path, tmp_path: Path
):
    resumable = Resumable(connection, tmp_path / "uploads.json", Disk())
    assert resumable.offered()
    fields = form(boot_id="b", sequence=1)
    home.log.failure = TransientFailure("away")
    verdict = resumable.send_chunk(fields, chunk, 0)
    assert isinstance(verdict, Later)
    assert verdict.status == 503
    home.log.failure = None
    again = Resumable(connection, tmp_path / "uploads.json", Disk())
    verdict = again.send_chunk(fields, chunk, 0)
    assert isinstance(verdict, Stored)
    assert [event["chunk_id"] for event in home.events()] == [verdict.answer["chunk_id"]]
    assert home.kept()[0].read_bytes() == SOUND
    whole = connection.send_chunk(fields, chunk)
    assert isinstance(whole, Stored)
    assert whole.answer["chunk_id"] == verdict.answer["chunk_id"]


def test_a_number_given_twice_is_told_as_such(
    home: RecorderDriver, connection: Connection, chunk: Path, tmp_path: Path
):
    resumable = Resumable(connection, tmp_path / "uploads.json", Disk())
    fields = form(boot_id="b", sequence=1)
    assert isinstance(resumable.send_chunk(fields, chunk, 0), Stored)
    chunk.write_bytes(SOUND + b"x")
    assert isinstance(resumable.send_chunk(fields, chunk, 0), Taken)
    assert isinstance(resumable.send_chunk(form(), chunk, 0), Stored)
    assert len(home.events()) == 2
    assert connection.client.head(f"{UPLOADS}/nothing").status_code == 412


def test_reports(home: RecorderDriver, connection: Connection):
    times = {"start_ts": "2026-01-01T09:00:00+01:00", "end_ts": "2026-01-01T09:01:00+01:00"}
    assert isinstance(connection.send_report("/api/v1/silences", WHO | times), Stored)
    drops = {"report_id": new_id(), "files": 1, "bytes": 2, "reason": "SIZE"}
    assert isinstance(connection.send_report("/api/v1/recorders/drops", WHO | drops), Stored)
    assert len(home.events("SilenceReported")) == len(home.events("RecordingsDropped")) == 1
