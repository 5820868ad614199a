"""Chunks and dialogues heard by what the read models' tables say of them."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from api import app
from api.app import Sales, wire
from api.audio_files import AudioOptions
from api.sign_in import SignInOptions
from projections.projectors.sales_audio import SalesAudio
from projections.read_model import Event, Target
from projections.store import Transaction
from schemas import examples
from schemas.record import Record
from tests.drivers import sales, sales_site
from tests.drivers.sales import NOON, made_id
from tests.drivers.sales_site import HEADERS, Log
from tests.unit.api.test_audio import heard, loudest, put, tone

INTERNAL = {"Authorization": "Bearer internal-secret"}
RATE = 48_000


def uploaded(name: str, file: dict[str, Any]) -> dict[str, Any]:
    """An `AudioChunkUploaded` of a stored file."""
    places = {"sha256": file["sha256"], "stored_path": file["file_path"]}
    return examples.load("AudioChunkUploaded") | places | {"chunk_id": made_id(f"chunk {name}")}


def project(database_url: str, events: list[dict[str, Any]]) -> None:
    """Write chunks as the projector does."""
    told = [
        Event(Record("audio.chunks", 0, offset, NOON // 1000, None, None), "AudioChunkUploaded", body)
        for offset, body in enumerate(events)
    ]
    projector = SalesAudio(Target("sales_audio_v1", keyring=sales.RING))
    with psycopg.connect(database_url) as connection, connection.transaction():
        connection.execute("SET LOCAL search_path TO sales_audio_v1")
        projector.write(Transaction(connection), projector.prepare(told))


@pytest.fixture(scope="module")
def folder(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two chunks and a dialogue whose second piece was heard first in time order of the table, not of the pieces."""
    folder = tmp_path_factory.mktemp("sound")
    low, high = put(folder, tone(300, 2)), put(folder, tone(1200, 2))
    with psycopg.connect(database_url, autocommit=True) as connection:
        sales_site.create(connection)
        saying = sales.dialogue("spoken")
        piece = saying[1]["pieces"][0]
        cuts = (("high", high, 1000, 2000), ("low", low, 500, 1000))
        pieces = [
            piece | {"chunk_id": made_id(f"chunk {name}"), "start_ms": start, "end_ms": end}
            | {"sha256": file["sha256"], "stored_path": file["file_path"]}
            for name, file, start, end in cuts
        ]  # fmt: skip
        Log(database_url).project([(saying[0], saying[1] | {"pieces": pieces})], connection)
    project(database_url, [uploaded("low", low), uploaded("high", high), uploaded("gone", low | {"sha256": "ab" * 32})])
    return folder


@pytest.fixture
async def client(folder: Path, database_url: str) -> AsyncIterator[httpx.AsyncClient]:
    signing = SignInOptions(admin_token=sales_site.TOKEN, jwt_secret="a secret of at least 32 characters")
    options = AudioOptions(folder, internal_token="internal-secret")
    parts = Sales(signing, sales.RING, audio=options, now=lambda: datetime(2026, 1, 1, 12, tzinfo=UTC))
    wired = wire(database_url, sales=parts)
    transport = httpx.ASGITransport(app.build(wired))
    async with wired.running(), httpx.AsyncClient(transport=transport, base_url="http://localhost") as one:
        yield one


async def test_a_chunk(client: httpx.AsyncClient, folder: Path, database_url: str):
    name = made_id("chunk low")
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT file_path FROM audio_chunks WHERE chunk_id = %s", (name,)).fetchone()
    assert row is not None
    stored = (folder / row[0]).read_bytes()
    for path, headers in (
        (f"/api/v1/internal/chunks/{name}/file", INTERNAL),
        (f"/api/v1/internal/chunks/{name}/audio", INTERNAL),
        (f"/v1/sales/chunks/{name}/audio", HEADERS),
    ):
        answer = await client.get(path, headers=headers)
        assert (answer.status_code, answer.content) == (200, stored)
        unknown = await client.get(path.replace(name, made_id("nobody")), headers=headers)
        assert (unknown.status_code, unknown.json()) == (404, {"detail": "Chunk not found"})
        assert (await client.get(path)).status_code == 401


async def test_a_dialogue(client: httpx.AsyncClient, tmp_path: Path):
    path = f"/v1/sales/dialogues/{made_id('spoken')}/audio"
    answer = await client.get(path, headers=HEADERS)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "audio/ogg")
    file = tmp_path / "heard.ogg"
    file.write_bytes(answer.content)
    samples = heard(file)
    assert samples.size == pytest.approx(1.5 * RATE, abs=0.03 * RATE)
    assert loudest(samples[int(0.1 * RATE) : int(0.9 * RATE)]) == pytest.approx(1200, abs=12)
    assert loudest(samples[int(1.1 * RATE) : int(1.4 * RATE)]) == pytest.approx(300, abs=12)
    assert (await client.get(path, headers=HEADERS | {"Range": "bytes=0-3"})).content == b"OggS"
    unknown = await client.get(path.replace(made_id("spoken"), made_id("nobody")), headers=HEADERS)
    assert (unknown.status_code, unknown.json()) == (404, {"detail": "Dialogue not found"})
    assert (await client.get(path, headers=INTERNAL)).status_code == 401
