"""Silences and drops: what is in the log of them, and what is refused."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from schemas.errors import TransientFailure
from tests.drivers.recorders import DEVICE, POINT, REGISTER, TOKEN, RecorderDriver, bearer, new_id

WHO = {"device_id": DEVICE, "point_id": POINT, "register_id": REGISTER}
SILENCE = WHO | {"start_ts": "2026-01-01T09:01:00+01:00", "end_ts": "2026-01-01T09:07:00+01:00"}
DROPS = WHO | {"report_id": new_id(), "files": 3, "bytes": 540_672, "reason": "AGE"}
PATHS = {"/api/v1/silences": SILENCE, "/api/v1/recorders/drops": DROPS}


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[RecorderDriver]:
    async with RecorderDriver(tmp_path).running() as driver:
        yield driver


async def test_a_silence(home: RecorderDriver):
    answer = await home.tell("/api/v1/silences", SILENCE | {"boot_id": "b", "sequence": 8, "more": 1})
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    (event,) = home.events("SilenceReported")
    assert event.pop("received_us") > 1_767_258_000_000_000
    times = {"start_us": 1_767_254_460_000_000, "end_us": 1_767_254_820_000_000, "clock_offset_us": None}
    assert event == WHO | times | {"boot_id": "b", "sequence": 8}
    assert home.log.messages[-1].key == DEVICE.encode()


async def test_a_silence_of_a_wrong_clock_is_corrected(home: RecorderDriver):
    clock = datetime.now(UTC) - timedelta(hours=1)
    await home.tell("/api/v1/silences", SILENCE | {"clock_ts": clock.isoformat()})
    (event,) = home.events("SilenceReported")
    assert event["clock_offset_us"] == pytest.approx(3600e6, abs=4e6)
    assert event["start_us"] == 1_767_254_460_000_000 + event["clock_offset_us"]


async def test_drops(home: RecorderDriver):
    more = {"oldest_ts": "2026-01-01T09:00:00", "newest_ts": "2026-01-01T09:02:00Z", "reason": "size"}
    answer = await home.tell("/api/v1/recorders/drops", DROPS | more)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    (event,) = home.events("RecordingsDropped")
    assert (event["oldest_us"], event["newest_us"]) == (1_767_258_000_000_000, 1_767_258_120_000_000)
    assert (event["reason"], event["files"], event["bytes"]) == ("SIZE", 3, 540_672)
    assert event["report_id"] == DROPS["report_id"]
    await home.tell("/api/v1/recorders/drops", DROPS)
    assert home.events("RecordingsDropped")[1]["oldest_us"] is None


@pytest.mark.parametrize(
    ("path", "changed", "field"),
    [
        ("/api/v1/silences", {"device_id": "x"}, "device_id"),
        ("/api/v1/silences", {"start_ts": "soon"}, "start_ts"),
        ("/api/v1/silences", {"boot_id": "/", "sequence": 1}, "boot_id"),
        ("/api/v1/recorders/drops", {"files": -1}, "files"),
        ("/api/v1/recorders/drops", {"bytes": 2**63}, "bytes"),
        ("/api/v1/recorders/drops", {"reason": "whim"}, "reason"),
        ("/api/v1/recorders/drops", {"report_id": None}, "report_id"),
    ],
)
async def test_wrong_fields(home: RecorderDriver, path: str, changed: dict[str, Any], field: str):
    answer = await home.tell(path, PATHS[path] | changed)
    assert answer.status_code == 422
    assert [error["loc"] for error in answer.json()["detail"]] == [["body", field]]
    assert set(answer.json()["detail"][0]) - {"ctx"} == {"type", "loc", "msg", "input"}
    assert home.events("SilenceReported") == home.events("RecordingsDropped") == []


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b'{"device_id": NaN}', b"[" * 60_000])
async def test_what_is_no_report(home: RecorderDriver, path: str, body: bytes):
    headers = {"content-type": "application/json"} | bearer(TOKEN)
    answer = await home.client.post(path, content=body, headers=headers)
    assert answer.status_code in {400, 422}
    assert answer.json()["detail"]
    answer = await home.client.post(path, content=body, headers=bearer(TOKEN))
    assert answer.status_code == 422


@pytest.mark.parametrize("path", PATHS)
async def test_other_refusals(home: RecorderDriver, path: str):
    answer = await home.tell(path, PATHS[path] | {"point_id": new_id()})
    assert answer.json() == {"detail": "point_id or register_id does not match device registration"}
    answer = await home.tell(path, PATHS[path] | {"device_id": new_id()})
    assert answer.json() == {"detail": "device_id does not match authenticated device"}
    answer = await home.tell(path, PATHS[path] | {"more": "x" * 70_000})
    assert answer.status_code == 413
    home.log.failure = TransientFailure("away")
    answer = await home.tell(path, PATHS[path])
    assert (answer.status_code, "retry-after" in answer.headers) == (503, True)


async def test_a_silence_backwards(home: RecorderDriver):
    answer = await home.tell("/api/v1/silences", SILENCE | {"end_ts": SILENCE["start_ts"]})
    assert (answer.status_code, answer.json()) == (422, {"detail": "end_ts must be after start_ts"})
