"""POST /api/v1/chunks: every answer of the contract, what lies on disk and in the log afterwards."""

import asyncio
import errno
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI, File, Form, UploadFile

from schemas.errors import Overloaded, TransientFailure
from schemas.identity import NAMESPACE
from tests.drivers.recorders import (
    DEVICE,
    POINT,
    REGISTER,
    SOUND,
    TOKEN,
    RecorderDriver,
    bearer,
    device,
    form,
    new_id,
)
from tests.drivers.waiting import until


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[RecorderDriver]:
    async with RecorderDriver(tmp_path).running() as driver:
        yield driver


class TestTaken:
    async def test_the_file_lies_under_its_content_and_its_claim_is_in_the_log(self, home: RecorderDriver):
        answer = await home.chunk()
        assert answer.status_code == 200
        (event,) = home.events()
        (file,) = home.kept()
        assert answer.json() == {
            "status": "ok",
            "chunk_id": event["chunk_id"],
            "stored_path": str(file.relative_to(home.folder)),
            "queued": True,
        }
        assert file.read_bytes() == SOUND
        assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
        assert file.name == f"{event['sha256']}.ogg"
        assert file.parent.name == event["sha256"][:2]
        assert home.unfinished() == []

    async def test_the_event_says_what_was_sent(self, home: RecorderDriver):
        await home.chunk(start_ts="2026-01-01T09:00:00", end_ts="2026-01-01T10:01:00+01:00", codec="OPUS", channels=-1)
        (event,) = home.events()
        assert (event["device_id"], event["point_id"], event["register_id"]) == (DEVICE, POINT, REGISTER)
        assert (event["start_us"], event["end_us"]) == (1_767_258_000_000_000, 1_767_258_060_000_000)
        assert (event["sent_start"], event["sent_end"]) == ("2026-01-01T09:00:00", "2026-01-01T10:01:00+01:00")
        assert (event["site_zone"], event["clock_offset_us"]) == ("UTC", None)
        assert (event["codec"], event["sample_rate"], event["channels"]) == ("OPUS", 48000, -1)
        assert (event["size_bytes"], event["boot_id"], event["sequence"]) == (len(SOUND), None, None)
        assert home.log.messages[-1].key == DEVICE.encode()

    async def test_times_without_a_zone_are_the_sites(self, tmp_path: Path):
        async with RecorderDriver(tmp_path, zone="Europe/Belgrade").running() as home:
            await home.chunk(start_ts="2026-01-01T09:00:00", end_ts="2026-01-01T09:01:00Z")
            (event,) = home.events()
            assert (event["start_us"], event["site_zone"]) == (1_767_254_400_000_000, "Europe/Belgrade")

    @pytest.mark.parametrize(
        "start", ["1767258000", "1767258000.0", "2026-01-01 09:00:00Z", "2026-01-01T09:00:00.000Z"]
    )
    async def test_times_in_all_the_shapes_of_the_original(self, home: RecorderDriver, start: str):
        assert (await home.chunk(start_ts=start, end_ts="1767258060")).status_code == 200
        assert home.events()[0]["start_us"] == 1_767_258_000_000_000
        assert home.events()[0]["site_zone"] is None

    async def test_ids_in_any_case(self, home: RecorderDriver):
        assert (await home.chunk(device_id=DEVICE.upper(), point_id=POINT.replace("-", ""))).status_code == 200

    async def test_what_is_no_sound_is_taken_as_it_is(self, home: RecorderDriver):
        assert (await home.chunk(b"<html>not sound</html>")).status_code == 200

    async def test_unknown_fields_are_ignored_and_of_equal_ones_the_last_counts(self, home: RecorderDriver):
        fields: Any = [(name, (None, value)) for name, value in ({"codec": "first", "more": "x"} | form()).items()]
        fields += [("codec", (None, "last")), ("picture", ("a.png", b"x" * 100)), ("chunk_file", ("a", b"first"))]
        fields += [("chunk_file", ("b", b"second"))]
        answer = await home.client.post("/api/v1/chunks", files=fields, headers=bearer(TOKEN))
        assert answer.status_code == 200
        assert home.events()[0]["codec"] == "last"
        assert home.kept()[0].read_bytes() == b"second"

    async def test_the_file_may_come_first(self, home: RecorderDriver):
        fields: Any = [("chunk_file", ("a", SOUND)), *((name, (None, value)) for name, value in form().items())]
        answer = await home.client.post("/api/v1/chunks", files=fields, headers=bearer(TOKEN))
        assert answer.status_code == 200

    async def test_a_large_file_goes_to_the_disk_in_pieces(self, home: RecorderDriver):
        sound = bytes(range(256)) * 8192
        assert (await home.chunk(sound)).status_code == 200
        assert home.kept()[0].read_bytes() == sound
        assert home.unfinished() == []

    async def test_past_the_dispatcher_it_is_the_same(self, home: RecorderDriver):
        home.app._hot_routes = {}
        assert (await home.chunk()).status_code == 200
        assert (await home.client.get("/api/v1/chunks")).status_code == 405


class TestIdentity:
    async def test_a_repeat_is_the_same_chunk_and_appends_nothing(self, home: RecorderDriver):
        first, second = await home.chunk(), await home.chunk()
        assert first.json() == second.json()
        assert len(home.events()) == 1

    async def test_a_hundred_at_once_are_one(self, tmp_path: Path):
        async with RecorderDriver(tmp_path, uploads=100, uploads_per_device=100).running() as home:
            answers = await asyncio.gather(*[home.chunk() for _ in range(100)])
            assert {answer.status_code for answer in answers} == {200}
            assert len({answer.json()["chunk_id"] for answer in answers}) == 1
            assert len(home.events()) == len(home.kept()) == 1

    async def test_after_a_restart_it_has_the_same_id(self, home: RecorderDriver, tmp_path: Path):
        first = await home.chunk()
        async with RecorderDriver(tmp_path).running() as again:
            second = await again.chunk()
            assert first.json() == second.json()
            assert len(again.events()) == 1

    async def test_another_start_or_content_is_another_chunk(self, home: RecorderDriver):
        answers = [await home.chunk(), await home.chunk(start_ts="2026-01-01T09:00:01"), await home.chunk(SOUND + b"x")]
        assert len({answer.json()["chunk_id"] for answer in answers}) == 3
        assert len(home.kept()) == 2

    async def test_boot_and_sequence_are_the_identity_where_they_are_sent(self, home: RecorderDriver):
        first = await home.chunk(boot_id="b-1", sequence=7)
        second = await home.chunk(boot_id="b-1", sequence=7, start_ts="2026-01-01T09:00:03")
        assert first.json() == second.json()
        assert first.json()["chunk_id"] == str(uuid.uuid5(NAMESPACE, f"chunk/{DEVICE}/b-1/7"))
        assert len(home.events()) == 1

    async def test_one_number_for_two_recordings_is_409_after_a_restart_too(self, home: RecorderDriver, tmp_path: Path):
        await home.chunk(boot_id="b-1", sequence=7)
        async with RecorderDriver(tmp_path).running() as again:
            for driver in (home, again):
                answer = await driver.chunk(SOUND + b"x", boot_id="b-1", sequence=7)
                assert (answer.status_code, answer.json()) == (
                    409,
                    {"detail": "Another chunk has this boot_id and sequence"},
                )
            assert again.events() == []
            assert (await again.chunk(SOUND + b"x")).status_code == 200


class TestClock:
    async def offset(self, home: RecorderDriver, behind_s: float, **more: Any) -> int | None:
        clock = datetime.now(UTC) - timedelta(seconds=behind_s)
        start = datetime(2026, 1, 1, 9, 0, len(home.events()), tzinfo=UTC)
        await home.chunk(clock_ts=clock.isoformat(), start_ts=start.isoformat(), **more)
        return home.events()[-1]["clock_offset_us"]

    async def test_a_clock_that_is_off_is_corrected(self, home: RecorderDriver):
        offset = await self.offset(home, 86_400)
        assert offset == pytest.approx(86_400e6, abs=4e6)
        event = home.events()[0]
        assert event["start_us"] == 1_767_258_000_000_000 + offset
        assert event["end_us"] == 1_767_258_060_000_000 + offset
        assert await self.offset(home, -86_400) == pytest.approx(-86_400e6, abs=4e6)

    async def test_a_good_clock_is_left_alone(self, home: RecorderDriver):
        assert await self.offset(home, 2) is None

    async def test_one_offset_a_boot_so_that_chunks_stay_gapless(self, home: RecorderDriver):
        first = await self.offset(home, 100, boot_id="a", sequence=1)
        assert await self.offset(home, 103, boot_id="a", sequence=2) == first
        assert await self.offset(home, 200, boot_id="a", sequence=3) == pytest.approx(200e6, abs=2e6)
        assert await self.offset(home, 0, boot_id="a", sequence=4) is None
        assert await self.offset(home, 103, boot_id="b", sequence=1) != first

    async def test_no_correction_leads_out_of_the_calendar(self, home: RecorderDriver):
        first, second = "0001-01-01T00:00:00Z", "0001-01-01T00:00:01Z"
        answer = await home.chunk(start_ts=first, end_ts=second, clock_ts="9000-01-01T00:00:00Z")
        assert answer.status_code == 200
        assert home.events()[0]["clock_offset_us"] is None


class TestLetIn:
    @pytest.mark.parametrize(
        ("headers", "detail"),
        [
            ({}, "Missing Authorization header"),
            ({"authorization": f"bearer {TOKEN}"}, "Invalid authorization scheme"),
            ({"authorization": f"Basic {TOKEN}"}, "Invalid authorization scheme"),
            ({"authorization": "Bearer  "}, "Empty token"),
            ({"authorization": "Bearer nonsense"}, "Invalid or disabled device token"),
        ],
    )
    async def test_401_before_anything_else(self, home: RecorderDriver, headers: dict[str, str], detail: str):
        for path in ("/api/v1/chunks", "/api/v1/silences", "/api/v1/recorders/drops", "/api/v1/uploads"):
            answer = await home.client.post(path, content=b"nonsense", headers=headers)
            assert (answer.status_code, answer.json()) == (401, {"detail": detail})
            assert answer.headers["www-authenticate"] == "Bearer"
        assert home.log.messages == []

    async def test_a_disabled_device_is_not_let_in(self, tmp_path: Path):
        async with RecorderDriver(tmp_path, device(enabled=False)).running() as home:
            answer = await home.chunk()
            assert (answer.status_code, answer.json()["detail"]) == (401, "Invalid or disabled device token")

    async def test_a_device_registered_a_moment_ago_is_let_in(self, home: RecorderDriver):
        await home.chunk()
        other = new_id()
        home.directory.registered.append(device(other, "another-token"))
        assert (await home.chunk(token="another-token", device_id=other)).status_code == 200

    async def test_revoked_at_once(self, home: RecorderDriver):
        assert (await home.chunk()).status_code == 200
        home.directory.registered.append(device(enabled=False))
        await home.directory.catch_up()
        assert (await home.chunk()).status_code == 401

    async def test_503_rather_than_401_while_tokens_cannot_be_checked(self, home: RecorderDriver):
        home.directory.reachable = False
        answer = await home.chunk(token="nonsense")
        assert (answer.status_code, answer.json()["detail"]) == (503, "Device tokens cannot be checked now")
        assert "retry-after" in answer.headers
        home.directory.ready = False
        assert (await home.chunk()).status_code == 503

    async def test_known_tokens_need_no_catching_up(self, home: RecorderDriver):
        await home.chunk()
        caught_up, home.directory.reachable = home.directory.caught_up, False
        assert (await home.chunk()).status_code == 200
        assert home.directory.caught_up == caught_up

    async def test_another_devices_token(self, tmp_path: Path):
        other = new_id()
        async with RecorderDriver(tmp_path, device(), device(other, "another-token")).running() as home:
            answer = await home.chunk(token="another-token")
            assert answer.status_code == 422
            assert answer.json() == {"detail": "device_id does not match authenticated device"}

    @pytest.mark.parametrize("field", ["point_id", "register_id"])
    async def test_another_place(self, home: RecorderDriver, field: str):
        answer = await home.chunk(**{field: new_id()})
        assert answer.status_code == 422
        assert answer.json() == {"detail": "point_id or register_id does not match device registration"}

    async def test_two_devices_with_one_token_are_told_apart_by_the_form(self, tmp_path: Path):
        other = new_id()
        async with RecorderDriver(tmp_path, device(), device(other)).running() as home:
            assert (await home.chunk()).status_code == 200
            assert (await home.chunk(device_id=other)).status_code == 200
            assert (await home.chunk(device_id=new_id())).status_code == 422
            assert {event["device_id"] for event in home.events("DeviceSeen")} == {DEVICE, other}

    async def test_a_device_is_seen_once_a_minute_even_if_refused(self, home: RecorderDriver):
        assert (await home.chunk(sound=None)).status_code == 422
        assert [event["device_id"] for event in home.events("DeviceSeen")] == [DEVICE]
        now = home.recorders.chunks.auth._clock()
        home.recorders.chunks.auth._clock = lambda: now + 59
        await home.chunk()
        assert len(home.events("DeviceSeen")) == 1
        home.recorders.chunks.auth._clock = lambda: now + 61
        await home.chunk()
        assert len(home.events("DeviceSeen")) == 2

    async def test_what_was_not_noted_is_noted_next_time(self, home: RecorderDriver):
        home.log.failure = TransientFailure("away")
        assert (await home.chunk()).status_code == 503
        home.log.failure = None
        await home.chunk()
        assert len(home.events("DeviceSeen")) == 1


def original() -> FastAPI:
    """The contract's form as FastAPI itself reads it."""
    app = FastAPI()

    @app.post("/api/v1/chunks")
    async def post_chunk(
        point_id: Annotated[UUID, Form()],
        register_id: Annotated[UUID, Form()],
        device_id: Annotated[UUID, Form()],
        start_ts: Annotated[datetime, Form()],
        end_ts: Annotated[datetime, Form()],
        codec: Annotated[str, Form()],
        sample_rate: Annotated[int, Form()],
        channels: Annotated[int, Form()],
        chunk_file: Annotated[UploadFile, File()],
    ) -> dict[str, str]:
        return {}

    return app


class TestRefused:
    @pytest.mark.parametrize(
        "changed",
        [
            {"point_id": "x"},
            {"point_id": ""},
            {"register_id": "0f9d3c1e-0000-4000-8000-00000000000g"},
            {"device_id": None},
            {"start_ts": "yesterday", "end_ts": "2026-13-01T00:00:00"},
            {"start_ts": None, "channels": "1.5"},
            {"sample_rate": "", "codec": ""},
            {"sample_rate": "many", "channels": "9" * 5000},
            {"start_ts": "nan", "end_ts": "1e400"},
            dict.fromkeys(form()),
        ],
    )
    @pytest.mark.parametrize("file", [("a.ogg", b"x"), None, "text"])
    async def test_fields_in_the_originals_very_words(self, home: RecorderDriver, changed: dict[str, Any], file: Any):
        sent: Any = [(name, (None, value)) for name, value in form(**changed).items()] + [("x", (None, "y"))]
        if file:
            sent += [("chunk_file", (None, "text") if file == "text" else file)]
        transport = httpx.ASGITransport(original())
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            expected = await client.post("/api/v1/chunks", files=sent)
        answer = await home.client.post("/api/v1/chunks", files=sent, headers=bearer(TOKEN))
        assert (answer.status_code, answer.json()) == (expected.status_code, expected.json())
        assert answer.status_code == 422
        assert home.kept() == []

    @pytest.mark.parametrize(
        ("headers", "body"),
        [
            ({"content-type": "multipart/form-data"}, b"abc"),
            ({"content-type": "multipart/form-data; boundary=xx"}, b"abc"),
            ({"content-type": "multipart/form-data; boundary=xx"}, b"--xx\r\nContent-Disposition: form-data\r\n\r\na"),
            ({"content-type": "application/json"}, b"{}"),
            ({}, b""),
        ],
    )
    async def test_bodies_in_the_originals_very_words(self, home: RecorderDriver, headers: dict[str, str], body: bytes):
        transport = httpx.ASGITransport(original())
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            expected = await client.post("/api/v1/chunks", content=body, headers=headers)
        answer = await home.client.post("/api/v1/chunks", content=body, headers=headers | bearer(TOKEN))
        assert (answer.status_code, answer.json()) == (expected.status_code, expected.json())

    async def test_a_body_that_ends_within_the_file_is_no_file(self, home: RecorderDriver):
        request = httpx.Request("POST", "http://x", data=form(), files={"chunk_file": ("a", SOUND)})
        answer = await home.client.post(
            "/api/v1/chunks",
            content=request.read()[:-60],
            headers={"content-type": request.headers["content-type"]} | bearer(TOKEN),
        )
        assert answer.status_code == 422
        assert answer.json()["detail"][0]["loc"] == ["body", "chunk_file"]
        assert home.kept() == home.unfinished() == []

    @pytest.mark.parametrize("start", ["2026-01-01T09:01:00", "2026-01-01T09:01:00Z", "2026-01-01T09:01:01"])
    async def test_an_end_that_is_not_after_the_start(self, home: RecorderDriver, start: str):
        answer = await home.chunk(start_ts=start)
        assert (answer.status_code, answer.json()) == (422, {"detail": "end_ts must be after start_ts"})

    async def test_lying_times_are_no_500(self, home: RecorderDriver):
        assert (await home.chunk(start_ts="0001-01-01T00:00:00")).json()["detail"].startswith("end_ts must be within")
        for zone in ("UTC", "Asia/Tokyo", "America/New_York"):
            async with RecorderDriver(home.folder, zone=zone).running() as other:
                answer = await other.chunk(start_ts="9999-12-31T23:59:58", end_ts="9999-12-31T23:59:59")
                assert answer.status_code == 200
                answer = await other.chunk(start_ts="0001-01-01T00:00:00", end_ts="0001-01-01T00:00:01")
                assert answer.status_code == 200

    @pytest.mark.parametrize(
        ("changed", "field"),
        [
            ({"codec": "x" * 33}, "codec"),
            ({"codec": "a\0b"}, "codec"),
            ({"sample_rate": 2**31}, "sample_rate"),
            ({"channels": -(2**31) - 1}, "channels"),
            ({"boot_id": "a/b", "sequence": 1}, "boot_id"),
            ({"boot_id": "x" * 65, "sequence": 1}, "boot_id"),
            ({"boot_id": "b", "sequence": -1}, "sequence"),
            ({"boot_id": "b", "sequence": 2**63}, "sequence"),
            ({"clock_ts": "2026-01-01T00:00:00"}, "clock_ts"),
        ],
    )
    async def test_what_the_tables_cannot_hold(self, home: RecorderDriver, changed: dict[str, Any], field: str):
        answer = await home.chunk(**changed)
        assert answer.status_code == 422
        assert [error["loc"] for error in answer.json()["detail"]] == [["body", field]]
        assert home.kept() == []

    async def test_the_largest_that_the_tables_hold(self, home: RecorderDriver):
        assert (await home.chunk(codec="x" * 32, sample_rate=2**31 - 1, channels=-(2**31))).status_code == 200

    @pytest.mark.parametrize("changed", [{"boot_id": "b"}, {"sequence": 1}])
    async def test_boot_and_sequence_go_together(self, home: RecorderDriver, changed: dict[str, Any]):
        answer = await home.chunk(**changed)
        assert (answer.status_code, answer.json()) == (422, {"detail": "boot_id and sequence go together"})

    async def test_an_empty_file(self, home: RecorderDriver):
        answer = await home.chunk(b"")
        assert (answer.status_code, answer.json()) == (422, {"detail": "Empty file"})
        assert home.kept() == []


class TestLimits:
    async def test_equal_to_the_limit_passes_and_one_more_does_not(self, tmp_path: Path):
        async with RecorderDriver(tmp_path, max_upload_bytes=1000).running() as home:
            assert (await home.chunk(b"x" * 1000)).status_code == 200
            answer = await home.chunk(b"x" * 1001)
            assert (answer.status_code, answer.json()) == (413, {"detail": "File exceeds maximum size of 1000 bytes"})
            answer = await home.chunk(b"x" * 400_000)
            assert (answer.status_code, answer.json()) == (413, {"detail": "File exceeds maximum size of 1000 bytes"})
            assert len(home.kept()) == 1

    async def test_the_documented_limit(self, home: RecorderDriver):
        assert (await home.chunk(bytes(10_485_760))).status_code == 200
        answer = await home.chunk(bytes(10_485_761))
        assert answer.json() == {"detail": "File exceeds maximum size of 10485760 bytes"}
        assert home.unfinished() == []

    async def test_many_or_large_fields_are_refused(self, home: RecorderDriver):
        many: Any = [(f"f{number}", (None, "x")) for number in range(100)]
        answer = await home.client.post("/api/v1/chunks", files=many, headers=bearer(TOKEN))
        assert (answer.status_code, answer.json()["detail"]) == (
            400,
            "Too many fields. Maximum number of fields is 64.",
        )
        assert (await home.chunk(codec="x" * 10_000)).status_code == 400
        ignored: Any = [("other", ("x", b"x" * 200_000))]
        answer = await home.client.post("/api/v1/chunks", files=ignored, headers=bearer(TOKEN))
        assert (answer.status_code, home.kept()) == (400, [])

    async def test_more_uploads_at_once_than_there_is_room_for(self, tmp_path: Path):
        async with RecorderDriver(tmp_path, uploads=2).running() as home:
            async with hanging(home), hanging(home):
                answer = await home.chunk()
                assert (answer.status_code, answer.json()["detail"]) == (503, "Too many uploads are under way")
                assert "retry-after" in answer.headers
            assert home.recorders.health()["uploads_under_way"] == 0
            assert (await home.chunk()).status_code == 200

    async def test_more_uploads_of_one_device_than_it_may_have(self, tmp_path: Path):
        other = device(new_id(), "another-token")
        driver = RecorderDriver(tmp_path, device(), other, uploads_per_device=1)
        async with driver.running() as home, hanging(home):
            assert (await home.chunk()).status_code == 429
            assert (await home.chunk(token="another-token", device_id=other.device_id)).status_code == 200

    @pytest.mark.parametrize(
        ("options", "detail"),
        [
            ({"quiet_s": 0.05}, "Nothing came for 0.05 s"),
            ({"upload_s": 0.05, "quiet_s": 10}, "The upload took longer than 0.05 s"),
        ],
    )
    async def test_slow_senders_are_sent_away(self, tmp_path: Path, options: dict[str, float], detail: str):
        async with RecorderDriver(tmp_path, **options).running() as home:

            async def trickle() -> AsyncIterator[bytes]:
                yield b"--xx\r\n"
                await asyncio.Event().wait()

            answer = await home.client.post(
                "/api/v1/chunks",
                content=trickle(),
                headers={"content-type": "multipart/form-data; boundary=xx"} | bearer(TOKEN),
            )
            assert (answer.status_code, answer.json()) == (408, {"detail": detail})
            assert answer.headers["connection"] == "close"


class hanging:  # noqa: N801 - reads as a sentence in `async with`
    """An upload that stays under way until the block ends."""

    def __init__(self, home: RecorderDriver) -> None:
        self.home, self.end = home, asyncio.Event()

    async def __aenter__(self) -> None:
        taken = self.home.recorders.chunks.room.taken

        begun = asyncio.Event()

        async def body() -> AsyncIterator[bytes]:
            begun.set()
            yield b"--xx\r\n"
            await self.end.wait()

        headers = {"content-type": "multipart/form-data; boundary=xx"} | bearer(TOKEN)
        post = self.home.client.post("/api/v1/chunks", content=body(), headers=headers)
        self.task = asyncio.create_task(post)
        await begun.wait()
        assert self.home.recorders.chunks.room.taken == taken + 1

    async def __aexit__(self, *_: object) -> None:
        self.end.set()
        assert (await self.task).status_code == 422


class TestFailures:
    @pytest.mark.parametrize("failure", [TransientFailure("late"), Overloaded("full")])
    async def test_kafka_away_is_503_and_the_retry_the_same_chunk(self, home: RecorderDriver, failure: Exception):
        home.log.failure = failure
        answer = await home.chunk(boot_id="b", sequence=1)
        assert (answer.status_code, answer.json()) == (503, {"detail": str(failure)})
        assert "retry-after" in answer.headers
        home.log.failure = None
        assert (await home.chunk(boot_id="b", sequence=1)).status_code == 200
        assert len(home.events()) == len(home.kept()) == 1

    async def test_a_full_disk_is_507_and_leaves_nothing(self, tmp_path: Path):
        async with RecorderDriver(tmp_path, min_free_bytes=1 << 62).running() as home:
            for sound in (SOUND, bytes(1 << 20)):
                answer = await home.chunk(sound)
                assert (answer.status_code, answer.json()) == (507, {"detail": "The audio folder has no room left"})
                assert answer.headers["retry-after"] == "60"
            assert home.kept() == home.unfinished() == home.events() == []
            assert home.recorders.health()["storage_writable"] is False

    async def test_before_the_folder_is_open_it_is_503_and_then_it_works(self, tmp_path: Path):
        place = tmp_path / "not yet"
        place.write_bytes(b"in the way")
        home = RecorderDriver(place)
        home.recorders.start()
        await until(lambda: home.recorders.ready)
        answer = await home.chunk()
        assert (answer.status_code, answer.json()) == (503, {"detail": "The audio folder is not open yet"})
        assert (await home.chunk(token="nonsense")).status_code == 401
        assert home.recorders.health()["storage_writable"] is False
        place.unlink()
        await until(lambda: home.recorders.health()["storage_writable"])
        assert (await home.chunk()).status_code == 200
        await home.recorders.stop()
        await home.client.aclose()

    @pytest.mark.parametrize("fault", [errno.EIO, errno.EROFS])
    async def test_a_failing_disk_is_500_in_the_contracts_words(
        self, home: RecorderDriver, monkeypatch: pytest.MonkeyPatch, fault: int
    ):
        def fail(_descriptor: int) -> None:
            raise OSError(fault, "broken")

        monkeypatch.setattr("producers.audio_store.os.fsync", fail)
        answer = await home.chunk()
        assert (answer.status_code, answer.json()) == (500, {"detail": "Failed to save chunk"})
        assert home.kept() == home.unfinished() == home.events() == []
        monkeypatch.undo()
        assert (await home.chunk()).status_code == 200
        assert home.recorders.health()["storage_writable"] is True
