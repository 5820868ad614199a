"""Whatever a child does, its parent goes on: crashes, loops, memory, chatter, and its own death."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from schemas.errors import InvalidEvent, TransientFailure
from streams.steps import WorkFailed
from streams.workers.pool import ChildLimits, ChildPool
from tests.drivers.waiting import eventually, until

TARGET = "tests.drivers.heavy_work:open_worker"
ROOT = Path(__file__).resolve().parents[3]


@asynccontextmanager
async def pool(
    *, size: int = 1, warm: bool = False, limits: dict[str, Any] | None = None, **options: Any
) -> AsyncGenerator[ChildPool]:
    made = ChildPool(TARGET, options, ChildLimits(**(limits or {})), size=size, name="work", warm=warm)
    try:
        yield made
    finally:
        await made.close()


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_a_request_is_done_by_a_child_that_stays() -> None:
    async with pool() as heavy:
        first = await heavy({"do": "echo", "say": {"text": "да", "bytes": b"\x00\xff", "numbers": [1, 2.5, None]}})
        second = await heavy({"do": "echo", "say": 2})
    assert first["echo"] == {"text": "да", "bytes": b"\x00\xff", "numbers": [1, 2.5, None]}
    assert first["pid"] == second["pid"] != os.getpid()


async def test_as_many_requests_run_at_once_as_there_are_children() -> None:
    async with pool(size=2) as heavy:
        answers = await asyncio.gather(*(heavy({"do": "wait", "seconds": 0.3}) for _ in range(4)))
    assert len({one["pid"] for one in answers}) == 2


@pytest.mark.parametrize(
    ("do", "kind", "words"),
    [
        ("bad", InvalidEvent, "not audio"),
        ("later", TransientFailure, "the service is away"),
        ("bug", WorkFailed, "KeyError 'a bug'"),
        ("unsayable", WorkFailed, "cannot be told"),
        ("none", WorkFailed, "no mapping"),
    ],
)
async def test_verdicts_come_back_and_the_child_goes_on(do: str, kind: type[Exception], words: str) -> None:
    async with pool() as heavy:
        before = await heavy({"do": "echo", "say": 1})
        with pytest.raises(kind, match=words):
            await heavy({"do": do})
        assert await heavy({"do": "echo", "say": 1}) == before


@pytest.mark.parametrize(
    ("do", "words"), [("crash", "SIGSEGV"), ("eat", "ran out of its 1024 MiB"), ("spin", "longer than 3 s")]
)
async def test_a_child_that_crashes_eats_memory_or_loops_is_replaced(do: str, words: str) -> None:
    async with pool(limits={"seconds": 3}) as heavy:
        before = await heavy({"do": "echo", "say": 1})
        with pytest.raises(WorkFailed, match=words):
            await heavy({"do": do})
        after = await heavy({"do": "echo", "say": 1})
        await until(lambda: not running(before["pid"]))
    assert after["pid"] != before["pid"]


async def test_a_request_may_name_its_own_time_up_to_a_limit() -> None:
    async with pool(limits={"seconds": 60, "longest_s": 1}) as heavy:
        with pytest.raises(WorkFailed, match=r"longer than 0\.2 s"):
            await heavy({"do": "spin", "limit_s": 0.2})
        with pytest.raises(WorkFailed, match="longer than 1 s"):
            await heavy({"do": "spin", "limit_s": 1000})


async def test_messages_are_limited_both_ways() -> None:
    async with pool(limits={"message_bytes": 100_000}) as heavy:
        with pytest.raises(WorkFailed, match="more than 100000"):
            await heavy({"do": "large", "bytes": 200_000})
        with pytest.raises(InvalidEvent, match="bytes"):
            await heavy({"do": "echo", "say": bytes(200_000)})
        assert len((await heavy({"do": "large", "bytes": 90_000}))["data"]) == 90_000


async def test_what_a_child_prints_is_logged_in_measure_and_never_taken_for_an_answer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO):
        async with pool() as heavy:
            assert await heavy({"do": "talk"}) == {"read": ""}
    said = [one.getMessage() for one in caplog.records if one.getMessage().startswith("work[")]
    assert any(one.endswith(": loading") for one in said)
    assert any(one.endswith("printed, not answered") for one in said)
    assert len(said) < 110
    assert max(map(len, said)) < 1100


async def test_a_cancelled_request_costs_its_child() -> None:
    async with pool() as heavy:
        before = await heavy({"do": "echo", "say": 1})
        asking = asyncio.create_task(heavy({"do": "spin"}))
        await asyncio.sleep(0)
        await until(lambda: running(before["pid"]))
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await until(lambda: not running(before["pid"]))
        assert (await heavy({"do": "echo", "say": 2}))["echo"] == 2


async def test_children_know_no_secrets_and_keep_to_their_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    async with pool(limits={"threads": 2, "nice": 5}) as heavy:
        told = await heavy({"do": "environment"})
    assert "OPENAI_API_KEY" not in told["names"]
    assert told["names"]["OMP_NUM_THREADS"] == "2"
    assert told["nice"] >= 5


@pytest.mark.parametrize(
    ("load", "words"), [("fail", "no such model"), ("crash", "SIGSEGV"), ("hang", "longer than 1 s")]
)
async def test_a_child_that_does_not_load_is_an_outage_not_the_requests_fault(load: str, words: str) -> None:
    async with pool(load=load, limits={"load_s": 1 if load == "hang" else 60}) as heavy:
        for _ in range(2):
            with pytest.raises(TransientFailure, match=words):
                await heavy({"do": "echo", "say": 1})


async def test_a_system_without_room_for_a_process_is_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    async with pool() as heavy:
        with monkeypatch.context() as broken:
            broken.setattr(sys, "executable", "/nonexistent/python")
            with pytest.raises(TransientFailure, match="does not start"):
                await heavy({"do": "echo", "say": 1})
        assert (await heavy({"do": "echo", "say": 1}))["echo"] == 1


async def test_warm_children_load_before_they_are_asked_and_tell_progress(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        async with pool(warm=True, size=2) as heavy:
            heavy.start()
            await until(lambda: caplog.text.count("is ready") == 2)
            assert heavy.progress > 2


async def test_progress_moves_while_work_is_within_its_time() -> None:
    async with pool() as heavy:
        asking = asyncio.create_task(heavy({"do": "wait", "seconds": 30}))
        await until(lambda: heavy.progress > 3)
        before = heavy.progress
        await until(lambda: heavy.progress > before)
        asking.cancel()


async def test_closing_ends_children_in_the_middle_of_work_with_all_that_they_started(tmp_path: Path) -> None:
    file = tmp_path / "pids"
    async with pool() as heavy:
        asking = asyncio.create_task(heavy({"do": "spawn", "file": str(file)}))
        await until(lambda: file.exists() and len(file.read_text().split()) == 2)
    with pytest.raises((WorkFailed, TransientFailure)):
        await asking
    for pid in map(int, file.read_text().split()):
        await until(lambda pid=pid: not running(pid))


PARENT = """
import asyncio, sys
from streams.workers.pool import ChildPool
async def main():
    pool = ChildPool("tests.drivers.heavy_work:open_worker")
    print((await pool({"do": "echo", "say": 1}))["pid"], flush=True)
    await pool({"do": sys.argv[1], "seconds": 600})
asyncio.run(main())
"""


@pytest.mark.parametrize("do", ["spin", "wait"])
def test_children_die_with_a_parent_that_is_killed(do: str) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, do], stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    assert parent.stdout
    with parent, parent.stdout:
        pid = int(parent.stdout.readline())
        assert running(pid)
        parent.send_signal(signal.SIGKILL)
    eventually(lambda: not running(pid))
