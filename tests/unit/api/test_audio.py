"""Sound out: the workers' files, chunks and dialogues to listen to, with a read model that is a fake and real files."""

import asyncio
import io
import uuid
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import av
import httpx
import numpy as np
import pytest
from fastapi import FastAPI, HTTPException, Request

from api.audio_files import AudioFiles, AudioOptions, NoFile, TooLong, Unplayable, stored_path
from api.routes import audio as routes
from schemas.errors import TransientFailure

TOKEN = "internal-secret"
CHUNK, GONE, DIALOGUE, EMPTY = (uuid.UUID(int=number) for number in range(1, 5))
RATE = 48_000


def tone(hertz: float, seconds: float, rate: int = RATE) -> bytes:
    """An Ogg/Opus recording of one tone."""
    out = io.BytesIO()
    with av.open(out, "w", format="ogg") as container:
        stream: Any = container.add_stream("libopus", rate)
        stream.layout = "mono"
        wave = np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate) * 12_000
        frame = av.AudioFrame.from_ndarray(wave.astype(np.int16).reshape(1, -1), "s16", "mono")
        frame.sample_rate, frame.pts = rate, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return out.getvalue()


def heard(path: Path) -> Any:
    """Samples of a file at 48 kHz."""
    with av.open(str(path)) as container:
        resampler = av.AudioResampler("s16", "mono", RATE)
        frames = [new for frame in container.decode(audio=0) for new in resampler.resample(frame)]
    return np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames])


def loudest(samples: Any) -> float:
    """The strongest frequency in Hz; 0 in silence."""
    if np.abs(samples).max() < 200:
        return 0.0
    spectrum = np.abs(np.fft.rfft(samples.astype(float)))
    return float(np.argmax(spectrum) * RATE / samples.size)


def put(folder: Path, data: bytes) -> dict[str, Any]:
    """Keep a file as the gateway does; the columns that name it."""
    digest = sha256(data).hexdigest()
    path = folder / stored_path(digest)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return {"file_path": stored_path(digest), "sha256": digest}


class FakeDatabase:
    """Answers the two questions from what it was given."""

    def __init__(self) -> None:
        self.chunks: dict[UUID, dict[str, Any]] = {}
        self.dialogues: dict[UUID, list[dict[str, Any]]] = {}

    async def read(self, read: Any, **_: Any) -> Any:
        (asked,) = read.keywords.values()
        return (self.chunks if "chunk_id" in read.keywords else self.dialogues).get(asked)


async def admin(request: Request) -> str:
    if request.headers.get("authorization") != "Bearer admin":
        raise HTTPException(401, "Invalid admin token")
    return "admin"


class Home:
    """The routes over one folder."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.folder, self.database = folder, FakeDatabase()
        self.sound = tone(440, 2)
        self.database.chunks[CHUNK] = put(folder, self.sound)
        self.database.chunks[GONE] = {"file_path": stored_path("ab" * 32), "sha256": "ab" * 32}
        app = FastAPI()
        chosen = AudioOptions(folder, **({"internal_token": TOKEN} | options))
        app.include_router(routes.build(self.database, chosen, admin))  # type: ignore[arg-type]
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")

    async def get(self, path: str, token: str | None = TOKEN, **headers: str) -> httpx.Response:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            sent["authorization"] = f"Bearer {token}"
        return await self.client.get(path, headers=sent)


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Home]:
    made = Home(tmp_path)
    yield made
    await made.client.aclose()


def internal(chunk: Any = CHUNK, last: str = "file") -> str:
    return f"/api/v1/internal/chunks/{chunk}/{last}"


class TestInternal:
    async def test_the_whole_file_whatever_range(self, home: Home):
        for headers in ({}, {"range": "bytes=0-9"}):
            answer = await home.get(internal(), **headers)
            assert (answer.status_code, answer.content) == (200, home.sound)
            assert answer.headers["content-type"] == "audio/ogg"
            assert answer.headers["content-length"] == str(len(home.sound))
            assert answer.headers["content-disposition"] == f'attachment; filename="chunk_{CHUNK}.ogg"'
            assert "accept-ranges" not in answer.headers

    @pytest.mark.parametrize("last", ["file", "audio"])
    async def test_what_is_not_there(self, home: Home, last: str):
        answer = await home.get(internal(uuid.uuid4(), last))
        assert (answer.status_code, answer.json()) == (404, {"detail": "Chunk not found"})
        answer = await home.get(internal(GONE, last))
        assert (answer.status_code, answer.json()) == (404, {"detail": "Chunk file not found on disk"})
        answer = await home.get(internal("x", last))
        assert answer.status_code == 422
        assert answer.json()["detail"][0]["loc"] == ["path", "chunk_id"]

    @pytest.mark.parametrize("last", ["file", "audio"])
    @pytest.mark.parametrize(
        ("sent", "detail"),
        [
            (None, "Missing Authorization header"),
            (f"bearer {TOKEN}", "Invalid authorization scheme"),
            ("Bearer nonsense", "Invalid internal token"),
            ("Bearer ", "Invalid internal token"),
        ],
    )
    async def test_who_is_not_let_in(self, home: Home, last: str, sent: str | None, detail: str):
        for chunk in (CHUNK, "x"):
            headers = {} if sent is None else {"authorization": sent}
            answer = await home.get(internal(chunk, last), None, **headers)
            assert (answer.status_code, answer.json()) == (401, {"detail": detail})
            assert answer.headers["www-authenticate"] == "Bearer"

    async def test_without_a_token_it_is_closed(self, tmp_path: Path):
        home = Home(tmp_path, internal_token="")
        for token in (None, "", TOKEN):
            answer = await home.get(internal(), token)
            assert (answer.status_code, answer.json()["detail"]) == (401, "Internal endpoint not configured")

    async def test_a_claim_is_enough_before_the_read_model_knows(self, home: Home):
        digest = sha256(home.sound).hexdigest()
        answer = await home.get(internal(uuid.uuid4(), "audio") + f"?sha256={digest}")
        assert answer.content == home.sound
        answer = await home.get(internal(CHUNK, "audio") + f"?sha256={'cd' * 32}")
        assert (answer.status_code, answer.json()["detail"]) == (404, "Chunk file not found on disk")
        for bad in ("../" * 8 + "etc/passwd", "AB" * 32, "ab"):
            assert (await home.get(internal(CHUNK, "audio") + f"?sha256={bad}")).status_code == 422

    async def test_nothing_outside_the_folder_is_given_out(self, home: Home, tmp_path: Path):
        (tmp_path.parent / "secret").write_bytes(b"secret")
        for path in ("../secret", str(tmp_path.parent / "secret"), "audio/../../secret"):
            home.database.chunks[CHUNK] = {"file_path": path, "sha256": "ab" * 32}
            assert (await home.get(internal())).status_code == 404


class TestRange:
    @pytest.mark.parametrize("path", [internal(last="audio"), f"/v1/sales/chunks/{CHUNK}/audio"])
    async def test_parts(self, home: Home, path: str):
        token = TOKEN if "internal" in path else "admin"
        size = len(home.sound)
        whole = await home.get(path, token)
        assert (whole.status_code, whole.content) == (200, home.sound)
        assert (whole.headers["accept-ranges"], whole.headers["content-type"]) == ("bytes", "audio/ogg")
        etag = whole.headers["etag"]
        assert etag == f'"{sha256(home.sound).hexdigest()}"'
        part = await home.get(path, token, range="bytes=10-19")
        assert (part.status_code, part.content) == (206, home.sound[10:20])
        assert part.headers["content-range"] == f"bytes 10-19/{size}"
        assert (await home.get(path, token, range="bytes=-5")).content == home.sound[-5:]
        assert (await home.get(path, token, range="bytes=5-", if_range=etag)).content == home.sound[5:]
        assert (await home.get(path, token, range="bytes=5-", if_range='"other"')).status_code == 200
        beyond = await home.get(path, token, range=f"bytes={size}-")
        assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{size}")
        assert (await home.get(path, token, if_none_match=etag)).status_code == 304


class TestDialogue:
    def pieces(self, home: Home) -> list[dict[str, Any]]:
        low, high = put(home.folder, tone(300, 2)), put(home.folder, tone(1200, 3, 24_000))
        return [
            low | {"start_ms": 500, "end_ms": 1000},
            high | {"start_ms": 0, "end_ms": 250},
            high | {"start_ms": 1000, "end_ms": 1750},
            low | {"start_ms": 1800, "end_ms": 2600},
        ]

    async def test_its_pieces_end_to_end(self, home: Home):
        home.database.dialogues[DIALOGUE] = self.pieces(home)
        answer = await home.get(f"/v1/sales/dialogues/{DIALOGUE}/audio", "admin")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "audio/ogg")
        (file,) = (home.folder / "audio/dialogues").glob("*.ogg")
        assert file.read_bytes() == answer.content
        samples = heard(file)
        assert samples.size == pytest.approx(2.3 * RATE, abs=0.03 * RATE)
        for begin, end, hertz in ((0.05, 0.45, 300), (0.55, 0.7, 1200), (0.8, 1.4, 1200), (1.55, 1.65, 300)):
            assert loudest(samples[int(begin * RATE) : int(end * RATE)]) == pytest.approx(hertz, abs=12)
        assert loudest(samples[int(1.8 * RATE) : int(2.2 * RATE)]) == 0

    async def test_made_once_and_kept(self, home: Home, monkeypatch: pytest.MonkeyPatch):
        home.database.dialogues[DIALOGUE] = self.pieces(home)
        path = f"/v1/sales/dialogues/{DIALOGUE}/audio"
        answers = await asyncio.gather(*[home.get(path, "admin") for _ in range(5)])
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.headers["etag"] for answer in answers}) == 1

        async def never(*_: Any, **__: Any) -> None:
            raise AssertionError("made again")

        monkeypatch.setattr("api.audio_files.asyncio.create_subprocess_exec", never)
        part = await home.get(path, "admin", range="bytes=0-3")
        assert (part.status_code, part.content) == (206, b"OggS")

    async def test_it_is_silent_once_a_recording_is_deleted(self, home: Home):
        pieces = home.database.dialogues[DIALOGUE] = self.pieces(home)
        path = f"/v1/sales/dialogues/{DIALOGUE}/audio"
        assert (await home.get(path, "admin")).status_code == 200
        (home.folder / pieces[1]["file_path"]).unlink()
        answer = await home.get(path, "admin")
        assert (answer.status_code, answer.json()) == (404, {"detail": "Chunk file not found on disk"})

    async def test_what_is_not_there_and_who_is_not_let_in(self, home: Home):
        home.database.dialogues[EMPTY] = []
        for dialogue in (uuid.uuid4(), EMPTY):
            answer = await home.get(f"/v1/sales/dialogues/{dialogue}/audio", "admin")
            assert (answer.status_code, answer.json()) == (404, {"detail": "Dialogue not found"})
        for path in (f"/v1/sales/dialogues/{EMPTY}/audio", "/v1/sales/dialogues/x/audio", "/v1/sales/chunks/x/audio"):
            assert (await home.get(path, TOKEN)).status_code == 401
        assert (await home.get("/v1/sales/dialogues/x/audio", "admin")).status_code == 422

    @pytest.mark.parametrize(
        "data", [b"", b"not sound", b"OggS" + bytes(5000), tone(300, 1)[:60]], ids=["empty", "text", "zeros", "cut"]
    )
    async def test_broken_recordings_are_told(self, home: Home, data: bytes):
        home.database.dialogues[DIALOGUE] = [put(home.folder, data) | {"start_ms": 0, "end_ms": 100}]
        answer = await home.get(f"/v1/sales/dialogues/{DIALOGUE}/audio", "admin")
        assert (answer.status_code, answer.json()["detail"]) == (
            500,
            "The dialogue's recordings cannot be put together",
        )
        assert list((home.folder / "audio/dialogues").iterdir()) == []

    async def test_a_playlist_opens_no_other_file(self, home: Home):
        (home.folder / "other.ogg").write_bytes(home.sound)
        playlist = f"#EXTM3U\n#EXTINF:2,\nfile://{home.folder}/other.ogg\n".encode()
        home.database.dialogues[DIALOGUE] = [put(home.folder, playlist) | {"start_ms": 0, "end_ms": 100}]
        assert (await home.get(f"/v1/sales/dialogues/{DIALOGUE}/audio", "admin")).status_code == 500

    async def test_limits(self, home: Home):
        pieces = self.pieces(home)
        with pytest.raises(TooLong):
            await AudioFiles(AudioOptions(home.folder, longest_s=2)).dialogue(pieces)
        with pytest.raises(TransientFailure):
            await AudioFiles(AudioOptions(home.folder, patience_s=0.01)).dialogue(pieces)
        with pytest.raises(NoFile):
            await AudioFiles(AudioOptions(home.folder / "elsewhere")).dialogue(pieces)
        with pytest.raises(Unplayable):
            await AudioFiles(AudioOptions(home.folder)).dialogue([pieces[0] | {"start_ms": 5, "end_ms": 5}])

    async def test_a_file_that_somebody_deletes_meanwhile_is_never_an_empty_one(
        self, home: Home, monkeypatch: pytest.MonkeyPatch
    ):
        files, pieces = AudioFiles(AudioOptions(home.folder)), self.pieces(home)[:1]
        target, _ = await files.dialogue(pieces)
        is_file = Path.is_file

        def seen_then_gone(path: Path) -> bool:
            found = is_file(path)
            if path == target:
                path.unlink(missing_ok=True)
            return found

        monkeypatch.setattr(Path, "is_file", seen_then_gone)
        again, _ = await files.dialogue(pieces)
        assert again.stat().st_size > 0

    async def test_the_cache_stays_small(self, home: Home, tmp_path: Path):
        cache = tmp_path / "cache"
        files = AudioFiles(AudioOptions(home.folder, cache=cache, kept=2))
        pieces = self.pieces(home)
        for number in range(4):
            await files.dialogue(pieces[number : number + 1])
        assert len(list(cache.iterdir())) == 2
