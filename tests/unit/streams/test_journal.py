"""Results outlive their makers, but not for ever; work is done once however often it is asked for."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from schemas.errors import TransientFailure
from streams.steps import WorkFailed
from streams.workers import journal as journal_module
from streams.workers.journal import Journal, Journalled

RESULT = {"text": "Здравствуйте", "segments": [[0.0, 1.5]], "raw": b"\x00"}


def files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def test_a_result_is_found_again_by_whoever_opens_the_folder(tmp_path: Path) -> None:
    Journal(tmp_path / "a" / "journal").put("d/1/fast", RESULT)
    assert Journal(tmp_path / "a" / "journal").get("d/1/fast") == RESULT
    assert Journal(tmp_path / "a" / "journal").get("d/2/fast") is None


def test_files_are_their_owners_alone_and_say_nothing_by_their_names(tmp_path: Path) -> None:
    Journal(tmp_path / "journal").put("../../secret", RESULT)
    (file,) = files(tmp_path / "journal")
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert "secret" not in file.name


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "other"])
def test_a_damaged_file_is_as_good_as_none(tmp_path: Path, damage: str) -> None:
    journal = Journal(tmp_path)
    journal.put("one", RESULT)
    (file,) = files(tmp_path)
    data = file.read_bytes()
    changed = {"flip": data[:-1] + bytes([data[-1] ^ 1]), "cut": data[:-3], "empty": b"", "other": data}[damage]
    target = journal.path_of("two") if damage == "other" else file
    target.write_bytes(changed)
    assert journal.get("two" if damage == "other" else "one") is None
    journal.put("one", RESULT)
    assert journal.get("one") == RESULT


def test_what_is_too_old_or_too_much_goes(tmp_path: Path) -> None:
    journal = Journal(tmp_path, max_age_s=100, max_count=3)
    for n in range(6):
        journal.put(str(n), {"n": n})
        os.utime(journal.path_of(str(n)), (1000 + n, 1000 + n))
    (tmp_path / "left.over.making").touch()
    os.utime(tmp_path / "left.over.making", (900, 900))
    Journal(tmp_path, max_age_s=100, max_count=3, clock=lambda: 1005.0)
    assert [journal.get(str(n)) for n in range(6)] == [None, None, None, {"n": 3}, {"n": 4}, {"n": 5}]
    assert len(files(tmp_path)) == 3
    Journal(tmp_path, max_age_s=100, clock=lambda: 1104.5)
    assert [one for one in map(journal.get, "345") if one] == [{"n": 5}]


def test_it_tidies_itself_as_it_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "TIDY_EVERY", 5)
    journal = Journal(tmp_path, max_count=3)
    for n in range(10):
        journal.put(str(n), {})
    assert len(files(tmp_path)) == 3


class Counting:
    """A heavy part that counts; `failures` come first, `gate` holds it."""

    def __init__(self, *failures: Exception) -> None:
        self.calls, self.failures, self.closed = 0, list(failures), False
        self.gate, self.begun = asyncio.Event(), asyncio.Event()
        self.gate.set()

    async def __call__(self, request: Mapping[str, Any], /) -> Mapping[str, Any]:
        self.calls += 1
        self.begun.set()
        await self.gate.wait()
        if self.failures:
            raise self.failures.pop(0)
        return {"of": request["task_id"]}

    async def close(self) -> None:
        self.closed = True


async def test_work_is_done_once_across_lives(tmp_path: Path) -> None:
    heavy = Counting()
    assert await Journalled(heavy, Journal(tmp_path))({"task_id": "a"}) == {"of": "a"}
    assert await Journalled(heavy, Journal(tmp_path))({"task_id": "a"}) == {"of": "a"}
    assert heavy.calls == 1


async def test_failures_are_not_kept(tmp_path: Path) -> None:
    heavy = Journalled(counting := Counting(TransientFailure("away"), WorkFailed("crash")), Journal(tmp_path))
    with pytest.raises(TransientFailure):
        await heavy({"task_id": "a"})
    with pytest.raises(WorkFailed):
        await heavy({"task_id": "a"})
    assert await heavy({"task_id": "a"}) == {"of": "a"}
    assert counting.calls == 3


async def test_cancelled_work_goes_on_and_is_there_when_it_is_asked_for_again(tmp_path: Path) -> None:
    counting = Counting()
    counting.gate.clear()
    heavy = Journalled(counting, Journal(tmp_path))
    first = asyncio.create_task(heavy({"task_id": "a"}))
    await counting.begun.wait()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    again = asyncio.create_task(heavy({"task_id": "a"}))
    counting.gate.set()
    assert await again == {"of": "a"}
    assert counting.calls == 1


async def test_a_disk_that_is_full_costs_the_safety_not_the_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(journal_module, "_write_through", full)
    assert await Journalled(Counting(), Journal(tmp_path))({"task_id": "a"}) == {"of": "a"}
    assert "No space left" in caplog.text
    assert files(tmp_path) == []


async def test_closing_gives_up_what_is_under_way(tmp_path: Path) -> None:
    counting = Counting()
    counting.gate.clear()
    heavy = Journalled(counting, Journal(tmp_path))
    asking = asyncio.create_task(heavy({"task_id": "a"}))
    await counting.begun.wait()
    await heavy.close()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert counting.closed


async def test_a_request_without_a_task_just_passes(tmp_path: Path) -> None:
    async def heavy(request: Mapping[str, Any], /) -> Mapping[str, Any]:
        return request

    assert await Journalled(heavy, Journal(tmp_path))({"a": 1}) == {"a": 1}
    assert files(tmp_path) == []
