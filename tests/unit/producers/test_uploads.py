"""Resumable uploads: cut, gone on with after a restart, finished once; and the chunk is the one posted whole."""

import asyncio
import errno
import os
import time
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from producers.uploads import DONE_S
from schemas.errors import TransientFailure
from tests.drivers.recorders import SOUND, TOKEN, RecorderDriver, bearer, device, form, new_id

TUS = {"tus-resumable": "1.0.0"}
STREAM = {"content-type": "application/offset+octet-stream"}
SIZE = len(SOUND)


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[RecorderDriver]:
    async with RecorderDriver(tmp_path).running() as driver:
        yield driver


def metadata(**changed: Any) -> str:
    """`Upload-Metadata` of a chunk."""
    return ",".join(f"{name} {b64encode(text.encode()).decode()}" for name, text in form(**changed).items())


async def create(
    home: RecorderDriver, size: int | str = SIZE, token: str | None = TOKEN, **changed: Any
) -> httpx.Response:
    headers = TUS | bearer(token) | {"upload-length": str(size), "upload-metadata": metadata(**changed)}
    return await home.client.post("/api/v1/uploads", headers=headers)


async def begun(home: RecorderDriver, size: int = SIZE, **changed: Any) -> str:
    """The address of a new upload."""
    answer = await create(home, size, **changed)
    assert answer.status_code == 201, answer.text
    return answer.headers["location"]


async def patch(home: RecorderDriver, place: str, offset: int, data: Any, token: str = TOKEN) -> httpx.Response:
    headers = TUS | STREAM | bearer(token) | {"upload-offset": str(offset)}
    return await home.client.patch(place, content=data, headers=headers)


async def head(home: RecorderDriver, place: str, token: str = TOKEN) -> httpx.Response:
    return await home.client.head(place, headers=TUS | bearer(token))


async def offset_of(home: RecorderDriver, place: str) -> int:
    answer = await head(home, place)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    return int(answer.headers["upload-offset"])


class TestWhole:
    async def test_in_pieces_it_is_the_chunk_that_it_is_whole(self, home: RecorderDriver):
        place = await begun(home)
        for start in range(0, SIZE, 3000):
            assert home.events() == []
            answer = await patch(home, place, start, SOUND[start : start + 3000])
            assert (answer.status_code, answer.headers["tus-resumable"]) == (204, "1.0.0")
            assert int(answer.headers["upload-offset"]) == min(SIZE, start + 3000)
        (event,) = home.events()
        assert (answer.headers["chunk-id"], answer.headers["stored-path"]) == (event["chunk_id"], event["stored_path"])
        assert (home.folder / event["stored_path"]).read_bytes() == SOUND
        whole = await home.chunk()
        assert whole.json()["chunk_id"] == event["chunk_id"]
        assert len(home.events()) == 1
        assert list((home.folder / "audio/uploads").glob("*.part")) == []

    async def test_asked_again_it_says_the_same(self, home: RecorderDriver):
        place = await begun(home)
        last = await patch(home, place, 0, SOUND)
        for answer in (await head(home, place), await patch(home, place, SIZE, b"")):
            assert answer.headers["chunk-id"] == last.headers["chunk-id"]
            assert answer.headers["upload-offset"] == str(SIZE)
        assert (await patch(home, place, SIZE, b"more")).status_code == 413
        assert len(home.events()) == 1

    async def test_what_it_can_do_needs_no_token(self, home: RecorderDriver):
        answer = await home.client.options("/api/v1/uploads")
        assert (answer.status_code, answer.headers["tus-version"]) == (204, "1.0.0")
        assert answer.headers["tus-extension"] == "creation,expiration,termination"
        assert answer.headers["tus-max-size"] == "10485760"

    async def test_a_clock_is_compared_at_creation(self, home: RecorderDriver):
        place = await begun(home, clock_ts="2020-01-01T00:00:00Z", boot_id="b", sequence=1)
        await patch(home, place, 0, SOUND)
        assert home.events()[0]["clock_offset_us"] > 150_000_000_000_000

    async def test_large_ones(self, home: RecorderDriver):
        sound = bytes(range(256)) * 4096
        place = await begun(home, len(sound))
        assert (await patch(home, place, 0, sound)).status_code == 204
        assert home.kept()[0].read_bytes() == sound


class TestCut:
    async def cut_after(self, home: RecorderDriver, place: str, offset: int, data: bytes) -> None:
        """Send these bytes of a longer body, then vanish."""
        messages: list[dict[str, Any]] = [
            {"type": "http.request", "body": data, "more_body": True},
            {"type": "http.disconnect"},
        ]

        async def receive() -> dict[str, Any]:
            return messages.pop(0)

        async def send(message: Any) -> None:
            raise AssertionError(f"nobody is left to hear {message}")

        headers = TUS | STREAM | bearer(TOKEN) | {"upload-offset": str(offset)}
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        scope = {"type": "http", "method": "PATCH", "path": place, "headers": raw, "query_string": b""}
        await home.app(scope | {"root_path": "", "scheme": "http", "server": ("localhost", 80)}, receive, send)

    async def test_what_came_before_a_cut_is_kept(self, home: RecorderDriver):
        place = await begun(home)
        await self.cut_after(home, place, 0, SOUND[:1000])
        assert await offset_of(home, place) == 1000
        await self.cut_after(home, place, 1000, SOUND[1000:1001])
        assert (await patch(home, place, 1001, SOUND[1001:])).status_code == 204
        assert home.kept()[0].read_bytes() == SOUND

    async def test_a_restart_loses_nothing(self, home: RecorderDriver, tmp_path: Path):
        place = await begun(home, boot_id="b", sequence=1)
        await patch(home, place, 0, SOUND[:5000])
        async with RecorderDriver(tmp_path).running() as again:
            assert await offset_of(again, place) == 5000
            assert (await patch(again, place, 5000, SOUND[5000:])).status_code == 204
            assert again.events()[0]["boot_id"] == "b"
        async with RecorderDriver(tmp_path).running() as third:
            answer = await head(third, place)
            assert (answer.headers["upload-offset"], answer.headers["chunk-id"]) == (
                str(SIZE),
                again.events()[0]["chunk_id"],
            )

    async def test_it_is_not_finished_before_the_log_has_it(self, home: RecorderDriver, tmp_path: Path):
        place = await begun(home)
        home.log.failure = TransientFailure("away")
        answer = await patch(home, place, 0, SOUND)
        assert (answer.status_code, answer.headers["tus-resumable"]) == (503, "1.0.0")
        assert await offset_of(home, place) == SIZE - 1
        async with RecorderDriver(tmp_path).running() as again:  # nor after a crash between the two
            assert await offset_of(again, place) == SIZE - 1
            assert (await patch(again, place, SIZE - 1, SOUND[-1:])).status_code == 204
            assert len(again.events()) == 1
        assert home.kept()[0].read_bytes() == SOUND

    async def test_a_hanging_request_makes_way(self, home: RecorderDriver):
        place = await begun(home)
        never, sent = asyncio.Event(), asyncio.Event()

        async def hang() -> AsyncIterator[bytes]:
            yield SOUND[:700]
            sent.set()
            await never.wait()

        hanging = asyncio.create_task(patch(home, place, 0, hang()))
        await sent.wait()
        assert await offset_of(home, place) == 700
        assert (await patch(home, place, 700, SOUND[700:])).status_code == 204
        never.set()
        await asyncio.gather(hanging, return_exceptions=True)
        assert len(home.events()) == 1

    async def test_two_at_once_do_not_mix(self, home: RecorderDriver):
        place = await begun(home)
        answers = await asyncio.gather(*[patch(home, place, 0, SOUND) for _ in range(4)])
        assert sorted(answer.status_code for answer in answers) == [204, 409, 409, 409]
        assert home.kept()[0].read_bytes() == SOUND


class TestRefused:
    async def test_the_fields_are_checked_before_anything_is_sent(self, home: RecorderDriver):
        answer = await create(home, codec="x" * 33, channels="many")
        assert answer.status_code == 422
        assert [error["loc"] for error in answer.json()["detail"]] == [["body", "codec"], ["body", "channels"]]
        answer = await create(home, device_id=new_id())
        assert answer.json() == {"detail": "device_id does not match authenticated device"}
        answer = await create(home, end_ts="2026-01-01T09:00:00")
        assert answer.json() == {"detail": "end_ts must be after start_ts"}
        assert (await create(home, 0)).json() == {"detail": "Empty file"}
        answer = await create(home, 10_485_761)
        assert (answer.status_code, answer.json()["detail"]) == (413, "File exceeds maximum size of 10485760 bytes")
        assert list((home.folder / "audio/uploads").iterdir()) == []

    @pytest.mark.parametrize("length", ["-1", "1e3", "", "9" * 30])
    async def test_lengths_that_are_none(self, home: RecorderDriver, length: str):
        assert (await create(home, length)).status_code == 400

    @pytest.mark.parametrize("sent", ["codec !!!", "codec /w==", ",".join(["a YQ=="] * 65)])
    async def test_metadata_that_is_none(self, home: RecorderDriver, sent: str):
        headers = TUS | bearer(TOKEN) | {"upload-length": "5", "upload-metadata": sent}
        assert (await home.client.post("/api/v1/uploads", headers=headers)).status_code == 400

    async def test_another_offset_is_409_and_says_the_right_one(self, home: RecorderDriver):
        place = await begun(home)
        await patch(home, place, 0, SOUND[:10])
        for offset in (0, 9, 11):
            answer = await patch(home, place, offset, SOUND[offset:])
            assert (answer.status_code, answer.headers["upload-offset"]) == (409, "10")

    async def test_a_number_that_another_recording_has(self, home: RecorderDriver):
        await home.chunk(b"other sound", boot_id="b", sequence=1)
        place = await begun(home, boot_id="b", sequence=1)
        answer = await patch(home, place, 0, SOUND)
        assert (answer.status_code, "upload-offset" in answer.headers) == (409, False)
        assert answer.json() == {"detail": "Another chunk has this boot_id and sequence"}
        assert (await head(home, place)).status_code == 404
        assert len(home.events()) == 1

    async def test_more_than_was_said_is_413_and_not_kept(self, home: RecorderDriver):
        place = await begun(home, 10)
        assert (await patch(home, place, 0, b"x" * 11)).status_code == 413
        assert (await patch(home, place, 0, b"y" * 10)).status_code == 204
        assert home.kept()[0].read_bytes() == b"y" * 10

    async def test_other_types_and_versions(self, home: RecorderDriver):
        place = await begun(home)
        answer = await home.client.patch(place, content=b"x", headers=TUS | bearer(TOKEN) | {"upload-offset": "0"})
        assert answer.status_code == 415
        answer = await home.client.head(place, headers=bearer(TOKEN))
        assert (answer.status_code, answer.headers["tus-version"]) == (412, "1.0.0")

    async def test_the_token_is_checked_on_every_request(self, tmp_path: Path):
        other = device(new_id(), "another-token")
        async with RecorderDriver(tmp_path, device(), other).running() as home:
            place = await begun(home)
            for answer in (
                await patch(home, place, 0, SOUND, "another-token"),
                await head(home, place, "another-token"),
                await home.client.delete(place, headers=TUS | bearer("another-token")),
            ):
                assert answer.status_code == 404
            home.directory.registered.append(device(enabled=False))
            await home.directory.catch_up()
            assert (await patch(home, place, 0, SOUND)).status_code == 401
            assert home.events() == []

    async def test_unknown_ones(self, home: RecorderDriver):
        for name in ("nothing", "..%2f..%2fetc", "a" * 5000):
            assert (await head(home, f"/api/v1/uploads/{name}")).status_code == 404

    async def test_so_many_unfinished_ones_a_device(self, tmp_path: Path):
        async with RecorderDriver(tmp_path, resumable_per_device=2).running() as home:
            first, second = await begun(home), await begun(home)
            assert (await create(home)).status_code == 429
            assert (await home.client.delete(first, headers=TUS | bearer(TOKEN))).status_code == 204
            assert (await head(home, first)).status_code == 404
            third = await begun(home)
            assert (await create(home)).status_code == 429
            await patch(home, second, 0, SOUND)
            assert (await create(home)).status_code == 201
            assert third != first

    async def test_a_device_has_one_room_for_chunks_whole_and_in_pieces(self, tmp_path: Path):
        async with RecorderDriver(tmp_path, uploads_per_device=1).running() as home:
            place = await begun(home)
            with home.recorders.chunks.room.enter(device().token_sha256):  # a chunk posted whole is under way
                assert (await patch(home, place, 0, SOUND)).status_code == 429
            assert (await patch(home, place, 0, SOUND)).status_code == 204

    async def test_so_many_finished_ones_a_device(self, home: RecorderDriver, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr("producers.uploads.MOST_DONE", 2)
        places: list[str] = []
        for second in range(4):
            places.append(await begun(home, start_ts=f"2026-01-01T09:00:0{second}"))
            assert (await patch(home, places[-1], 0, SOUND)).status_code == 204
        found = [(await head(home, place)).status_code for place in places]
        assert sorted(found) == [200, 200, 404, 404]
        assert found[-1] == 200

    async def test_room_is_left_on_the_disk(self, tmp_path: Path):
        async with RecorderDriver(tmp_path).running() as home:
            place = await begun(home)
            home.recorders.store.min_free_bytes = 1 << 62
            assert (await patch(home, place, 0, SOUND)).status_code == 507
            assert await offset_of(home, place) == 0

    async def test_they_expire(self, home: RecorderDriver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
        place, done = await begun(home), await begun(home, start_ts="2026-01-01T08:00:00")
        await patch(home, place, 0, SOUND[:10])
        await patch(home, done, 0, SOUND)
        now = time.time()
        monkeypatch.setattr("producers.uploads.time.time", lambda: now + DONE_S + 60)
        assert (await head(home, done)).status_code == 410
        assert await offset_of(home, place) == 10
        monkeypatch.setattr("producers.uploads.time.time", lambda: now + 86_401)
        assert (await patch(home, place, 10, SOUND[10:])).status_code == 410
        assert (await head(home, place)).status_code == 404
        assert list((tmp_path / "audio/uploads").iterdir()) == []

    async def test_a_full_disk_is_507_and_it_goes_on_later(self, home: RecorderDriver, monkeypatch: pytest.MonkeyPatch):
        place = await begun(home)
        await patch(home, place, 0, SOUND[:100])

        def fail(_descriptor: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr("producers.upload_files.os.fsync", fail)
        assert (await patch(home, place, 100, SOUND[100:])).status_code == 507
        assert (await create(home)).status_code == 507
        monkeypatch.undo()
        offset = await offset_of(home, place)
        assert (await patch(home, place, offset, SOUND[offset:])).status_code == 204
        assert home.kept()[0].read_bytes() == SOUND
        assert (await create(home)).status_code == 201
