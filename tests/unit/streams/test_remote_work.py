"""Workers elsewhere lease tasks over HTTP: two of them, dead ones, late ones, strangers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from schemas.errors import InvalidEvent, TransientFailure
from streams.steps import WorkFailed
from streams.workers.journal import Journal
from streams.workers.remote_work import RemoteWorkers
from streams.workers.remote_work_app import BODY_BYTES, app
from streams.workers.remote_work_leases import Terms
from tests.drivers.speech import task as task_of
from tests.drivers.speech import transcript

LEASES = "/api/v1/internal/asr/leases"
PIECE = {"chunk_id": "c", "chunk_start_us": 0, "sha256": "s", "stored_path": "p", "start_ms": 0, "end_ms": 9}
BOTH = {"FAST": "base", "ACCURATE": "small"}


@dataclass
class Clock:
    now_s: float = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Site:
    """The process that has the work, and HTTP to it. The sweep comes as often as the loop turns."""

    def __init__(self, journal: Journal | None = None, token: str = "secret") -> None:
        self.clock = Clock()
        self.workers = RemoteWorkers(Terms(lease_s=60, losses=3), journal, clock=self.clock, sweep_s=0.0)
        transport = httpx.ASGITransport(app(self.workers, token))
        self.http = httpx.AsyncClient(
            transport=transport, base_url="http://asr", headers={"Authorization": "Bearer secret"}
        )
        self.asked: list[asyncio.Task[Any]] = []

    def ask(self, name: str = "d", asr_pass: str = "FAST") -> asyncio.Task[Any]:
        self.asked.append(asyncio.create_task(self.workers(task_of([PIECE], name, asr_pass))))
        return self.asked[-1]

    async def post(self, path: str, body: Any, **more: Any) -> httpx.Response:
        return await self.http.post(path, content=json.dumps(body), **more)

    async def lease(self, worker: str = "w1", models: Any = BOTH, wait_s: float = 0) -> dict[str, Any] | None:
        await asyncio.sleep(0)
        answer = await self.post(LEASES, {"worker": worker, "models": models, "wait_s": wait_s})
        return answer.json() if answer.status_code == 200 else None

    async def result(self, lease: dict[str, Any], text: str = "Да.") -> int:
        body = {"task_id": lease["task"]["task_id"], "transcript": transcript(text)}
        return (await self.post(f"{LEASES}/{lease['lease_id']}/result", body)).status_code

    async def failure(self, lease: dict[str, Any], kind: str) -> int:
        body = {"kind": kind, "error": "why"}
        return (await self.post(f"{LEASES}/{lease['lease_id']}/failure", body)).status_code

    async def heartbeat(self, lease: dict[str, Any]) -> int:
        return (await self.post(f"{LEASES}/{lease['lease_id']}/heartbeat", {"elapsed_s": 1})).status_code

    async def pass_time(self, seconds: float) -> None:
        """Let the clock go on and the sweep see it."""
        self.clock.now_s += seconds
        swept = self.workers.progress
        while self.workers.progress < swept + 2:  # noqa: ASYNC110
            await asyncio.sleep(0)

    async def close(self) -> None:
        await self.workers.close()
        await asyncio.gather(*self.asked, return_exceptions=True)
        await self.http.aclose()


@pytest.fixture
async def site(tmp_path) -> AsyncGenerator[Site]:
    made = Site(Journal(tmp_path / "journal"))
    yield made
    await made.close()


async def test_a_task_goes_to_a_worker_and_its_result_comes_back(site):
    asked = site.ask()
    lease = await site.lease()
    assert lease["task"] == task_of([PIECE])
    assert (lease["epoch"], lease["lease_s"], lease["heartbeat_s"]) == (1, 60, 15)
    assert await site.heartbeat(lease) == 200
    assert await site.result(lease) == 200
    heard = await asked
    assert heard["text"] == "Да."
    assert heard["finished_us"] > 7  # by the clock of this machine
    assert await site.lease() is None


async def test_two_workers_get_two_tasks_in_their_order(site):
    asked = [site.ask("d1"), site.ask("d2")]
    first, second = await site.lease("w1"), await site.lease("w2")
    assert [one["task"]["dialogue_id"] for one in (first, second)] == ["d1", "d2"]
    assert await site.lease("w3") is None
    assert await site.result(second, "второй") == await site.result(first, "первый") == 200
    assert [(await one)["text"] for one in asked] == ["первый", "второй"]


async def test_a_worker_waits_for_work(site):
    waiting = asyncio.create_task(site.lease(wait_s=20))
    while not site.workers.book.seen:  # noqa: ASYNC110
        await asyncio.sleep(0)
    site.ask()
    assert (await waiting)["task"]["dialogue_id"] == "d"


async def test_a_task_needs_a_worker_with_its_model(site):
    site.ask("d", "ACCURATE")
    assert await site.lease(models={"FAST": "base"}) is None
    assert (await site.lease(models=BOTH))["task"]["asr_pass"] == "ACCURATE"


async def test_the_task_of_a_dead_worker_goes_to_the_next(site):
    asked = site.ask()
    dead = await site.lease("dead")
    await site.pass_time(59)
    assert await site.lease("w2") is None
    await site.pass_time(2)
    lease = await site.lease("w2")
    assert (lease["task"], lease["epoch"]) == (dead["task"], 2)
    assert await site.heartbeat(dead) == 409
    assert await site.result(lease) == 200
    assert (await asked)["text"] == "Да."


async def test_heartbeats_keep_a_slow_task(site):
    site.ask()
    slow = await site.lease("slow")
    for _ in range(20):
        await site.pass_time(50)
        assert await site.heartbeat(slow) == 200
    assert await site.lease("w2") is None


async def test_a_late_result_is_taken_while_nobody_else_has_finished(site):
    asked = site.ask()
    late = await site.lease("late")
    await site.pass_time(61)
    now = await site.lease("w2")
    assert await site.result(late, "зато раньше") == 200
    assert (await asked)["text"] == "зато раньше"
    assert await site.heartbeat(now) == 409
    assert await site.result(now, "поздно") == 409


async def test_a_late_result_is_refused_when_another_has_finished(site):
    asked = site.ask()
    late = await site.lease("late")
    await site.pass_time(61)
    assert await site.result(await site.lease("w2"), "первый") == 200
    assert await site.result(late, "второй") == 409
    assert (await asked)["text"] == "первый"


async def test_a_result_sent_again_is_the_same_result(site):
    asked = site.ask()
    lease = await site.lease()
    assert [await site.result(lease), await site.result(lease)] == [200, 200]
    assert (await asked)["text"] == "Да."


async def test_a_task_whose_result_is_lost_can_be_done_again():
    site = Site(journal=None)  # as after a journal has let an old result go
    first = site.ask()
    assert await site.result(await site.lease(), "первый") == 200
    assert (await first)["text"] == "первый"
    again = site.ask()
    assert await site.result(await site.lease(), "второй") == 200
    assert (await again)["text"] == "второй"
    await site.close()


async def test_a_result_is_in_the_journal_before_the_worker_hears_of_it(tmp_path):
    journal = Journal(tmp_path)
    site = Site(journal)
    site.ask()
    lease = await site.lease()
    assert await site.result(lease) == 200
    assert journal.get("d/1/FAST")["text"] == "Да."
    await site.close()


async def test_a_result_outlives_the_process_that_asked_for_it(tmp_path):
    before = Site(Journal(tmp_path))
    before.ask()
    lease = await before.lease()
    await before.close()
    after = Site(Journal(tmp_path))
    assert await after.result(lease) == 200
    assert Journal(tmp_path).get("d/1/FAST")["text"] == "Да."
    assert await after.result({**lease, "lease_id": "another"}) == 409
    await after.close()


async def test_a_result_of_what_was_never_lent_is_not_kept(tmp_path):
    journal = Journal(tmp_path)
    site = Site(journal)
    asked = site.ask("d1")
    lease = await site.lease()
    other = {**lease, "task": {**lease["task"], "task_id": "d2/1/FAST"}}
    assert await site.result(other) == 409
    assert await site.result({**lease, "lease_id": "made up"}) == 409
    assert (journal.get("d1/1/FAST"), journal.get("d2/1/FAST")) == (None, None)
    assert not asked.done()
    assert await site.result(lease) == 200
    assert (await asked)["text"] == "Да."
    await site.close()


async def test_workers_with_ever_new_names_are_not_all_remembered(site, monkeypatch):
    monkeypatch.setattr("streams.workers.remote_work_leases.MOST_WORKERS", 3)
    for name in ("w1", "w2", "w3", "w1", "w4"):
        await site.lease(name)
    assert list(site.workers.book.seen) == ["w3", "w1", "w4"]


async def test_a_result_that_cannot_be_kept_is_asked_for_again(site, monkeypatch):
    def full(*_):
        raise OSError("No space left on device")

    asked = site.ask()
    lease = await site.lease()
    with monkeypatch.context() as broken:
        broken.setattr(Journal, "put", full)
        assert await site.result(lease) == 503
    assert not asked.done()
    assert await site.result(lease) == 200
    assert (await asked)["text"] == "Да."


@pytest.mark.parametrize(
    ("kind", "verdict"),
    [("bad_input", InvalidEvent), ("not_now", TransientFailure), ("failed", WorkFailed)],
)
async def test_what_a_worker_says_of_a_failure_is_the_verdict(site, kind, verdict):
    asked = site.ask()
    assert await site.failure(await site.lease(), kind) == 200
    with pytest.raises(verdict, match="why"):
        await asked


async def test_a_worker_that_stops_gives_its_task_back(site):
    asked = site.ask()
    first = await site.lease("w1")
    assert await site.failure(first, "given_back") == 200
    second = await site.lease("w2")
    assert second["task"] == first["task"]
    assert await site.failure(first, "failed") == 409
    assert await site.result(second) == 200
    assert await asked


async def test_a_task_that_loses_every_worker_is_blamed(site):
    asked = site.ask()
    for name in ("w1", "w2", "w3"):
        assert await site.lease(name)
        await site.pass_time(61)
    with pytest.raises(WorkFailed, match="3 asr workers were lost with it, the last was w3"):
        await asked
    assert await site.lease() is None


async def test_the_second_pass_does_not_wait_for_ever_for_a_model(site):
    asked = site.ask("d", "ACCURATE")
    assert await site.lease(models={"FAST": "base"}) is None
    await site.pass_time(700)
    assert not asked.done()  # nobody is there at all: they may come
    assert await site.lease(models={"FAST": "base"}) is None
    await site.pass_time(1)
    with pytest.raises(InvalidEvent, match="No asr worker has a model for the ACCURATE pass"):
        await asked


async def test_who_no_longer_waits_is_forgotten(site):
    asked = site.ask()
    await asyncio.sleep(0)
    asked.cancel()
    await asyncio.wait((asked,))
    assert await site.lease() is None


async def test_the_status_tells_what_waits_and_who_is_there(site):
    site.ask("d1")
    site.ask("d2")
    await site.lease("w1")
    answer = await site.http.get("/api/v1/internal/asr")
    assert answer.json() == {"waiting": 1, "leased": 1, "workers": {"w1": BOTH}}


@pytest.mark.parametrize(
    ("header", "detail"),
    [
        (None, "Missing Authorization header"),
        ("bearer secret", "Invalid authorization scheme"),
        ("Bearer other", "Invalid internal token"),
        ("Bearer ", "Invalid internal token"),
    ],
)
async def test_strangers_get_nothing(site, header, detail):
    site.http.headers.pop("authorization")
    headers = {"Authorization": header} if header else {}
    answer = await site.post(LEASES, {"worker": "w", "models": BOTH}, headers=headers)
    assert (answer.status_code, answer.json()) == (401, {"detail": detail})
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_without_a_token_it_is_closed():
    site = Site(token="")
    answer = await site.post(LEASES, {"worker": "w", "models": BOTH})
    assert (answer.status_code, answer.json()) == (401, {"detail": "Internal endpoint not configured"})
    await site.close()


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (LEASES, {"worker": "", "models": BOTH}, 422),
        (LEASES, {"worker": "w", "models": {}}, 422),
        (LEASES, {"worker": "w", "models": {"SLOW": "x"}}, 422),
        (LEASES, {"worker": "w", "models": BOTH, "wait_s": 1e9}, 422),
        (LEASES, [], 422),
        (f"{LEASES}/x/result", {"task_id": "d/1/FAST", "transcript": {}}, 422),
        (f"{LEASES}/x/result", {"task_id": "d/1/FAST", "transcript": transcript(text=7)}, 422),
        (f"{LEASES}/x/heartbeat", {}, 409),
        (f"{LEASES}/x/failure", {"kind": "failed"}, 409),
        (f"{LEASES}/x/failure", {"kind": "bored"}, 422),
        (f"{LEASES}/x/other", {}, 404),
        (f"{LEASES}/x", {}, 404),
        ("/api/v1/internal/other", {}, 404),
    ],
)
async def test_what_is_not_understood_is_refused(site, path, body, status):
    assert (await site.post(path, body)).status_code == status


async def test_other_methods_and_endless_bodies_are_refused(site):
    assert (await site.http.get(LEASES)).status_code == 405
    assert (await site.http.post("/api/v1/internal/asr")).status_code == 405
    assert (await site.http.post(LEASES, content=b" " * (BODY_BYTES + 1))).status_code == 413
    assert (await site.http.post(LEASES, content=b"\xff")).status_code == 422
