from __future__ import annotations

import gzip
import json
import sqlite3
from pathlib import Path
from typing import Any

import httpx
import pytest

from edge_agents.emotion_sensor.backoff import Backoff
from edge_agents.emotion_sensor.delivery import (
    Delivery,
    Later,
    Refused,
    ServerAddress,
    Stored,
    judge,
    says_ok,
    says_status_ok,
)
from edge_agents.emotion_sensor.outbox import Outbox
from edge_agents.emotion_sensor.sender import Sender
from tests.unit.edge_agents.test_outbox import NOON, point

OK = b'{"ok": true, "inserted": 3}'


@pytest.mark.parametrize("status", [200, 202])
def test_success_is_200_or_202_that_says_ok(status: int) -> None:
    assert judge(status, None, OK, says_ok) == Stored({"ok": True, "inserted": 3})


@pytest.mark.parametrize(
    "body", [b"", b"<html>Welcome to our hotel</html>", b"[]", b'{"ok": "true"}', b'{"ok": false}']
)
def test_a_200_that_does_not_say_ok_is_no_success(body: bytes) -> None:
    assert isinstance(judge(200, None, body, says_ok), Later)


@pytest.mark.parametrize("status", [400, 409, 413, 415, 422])
def test_what_the_body_causes_is_refused_for_good(status: int) -> None:
    assert judge(status, None, b'{"detail": "no"}', says_ok) == Refused(status, '{"detail": "no"}')


@pytest.mark.parametrize("status", [400, 409, 413, 415, 422])
@pytest.mark.parametrize("body", [b"<html>Please log in</html>", b"", b'["detail"]', b'{"error": "no"}'])
def test_a_refusal_that_is_not_the_server_s_own_passes_this_post_over(status: int, body: bytes) -> None:
    verdict = judge(status, "7", body, says_ok)
    assert isinstance(verdict, Later)
    assert (verdict.this_post, verdict.retry_after_s) == (True, 7)


def test_what_a_server_says_cannot_write_lines_of_its_own_into_the_log() -> None:
    for status in (200, 422, 503):
        verdict = judge(status, None, b"gone\n2026-01-01 INFO all is well", says_ok)
        assert isinstance(verdict, Later)
        assert "\n" not in verdict.reason


@pytest.mark.parametrize("status", [201, 204, 301, 307, 401, 403, 404, 405, 408, 429, 500, 502, 503, 504])
def test_everything_else_is_tried_again(status: int) -> None:
    verdict = judge(status, "7", OK, says_ok)
    assert isinstance(verdict, Later)
    assert verdict.retry_after_s == 7
    assert verdict.this_post == (status == 500)


def test_totals_success_is_a_status_of_ok() -> None:
    assert isinstance(judge(200, None, b'{"status": "ok", "updated_count": 1}', says_status_ok), Stored)
    assert isinstance(judge(200, None, b'{"status": "degraded"}', says_status_ok), Later)


def delivery(answers: list[Any], seen: list[httpx.Request], **address: Any) -> Delivery:
    """A connection whose server gives `answers` in turn; an exception among them is raised."""

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        given = answers.pop(0)
        if isinstance(given, Exception):
            raise given
        return given

    return Delivery(ServerAddress("http://gateway.test", **address), httpx.MockTransport(answer))


def test_a_post_is_gzipped_and_carries_the_token() -> None:
    seen: list[httpx.Request] = []
    with_token = delivery([httpx.Response(200, content=OK)], seen, token="secret")
    with_token.post_gzipped("/api/v1/logs/bulk", gzip.compress(b"{}"), says_ok)
    assert seen[0].headers["content-encoding"] == "gzip"
    assert seen[0].headers["authorization"] == "Bearer secret"
    assert gzip.decompress(seen[0].content) == b"{}"
    with_token.close()


def test_without_compression_the_same_json_goes_plain() -> None:
    seen: list[httpx.Request] = []
    plain = delivery([httpx.Response(200, content=OK)], seen, compress=False)
    plain.post_gzipped("/api/v1/logs/bulk", gzip.compress(b"{}"), says_ok)
    assert "content-encoding" not in seen[0].headers
    assert seen[0].content == b"{}"
    plain.close()


class Bench:
    """A sender that is driven step by step."""

    def __init__(self, tmp_path: Path, answers: list[Any], posts: int = 1) -> None:
        self.requests: list[httpx.Request] = []
        self.delivery = delivery(answers, self.requests)
        self.outbox = Outbox(tmp_path, 10**8)
        self.session = self.outbox.open_session("d", NOON)
        for person in range(1, posts + 1):
            self.outbox.add(self.session, [point(person, 1000)])
            self.outbox.finish(self.session, person)
        self.sender = Sender(lambda: self.outbox, self.delivery, Backoff())

    def step(self) -> float | None:
        return self.sender.step(self.outbox)

    def people(self) -> list[int]:
        bodies = [json.loads(gzip.decompress(request.content)) for request in self.requests]
        return [body["records"][0]["session_person_id"] for body in bodies]

    def close(self) -> None:
        self.outbox.close()
        self.delivery.close()


def test_a_retry_is_the_same_post_byte_for_byte(tmp_path: Path) -> None:
    answers = [httpx.ConnectError("refused"), httpx.ReadTimeout("late"), httpx.Response(200, content=OK)]
    bench = Bench(tmp_path, answers)
    pauses = [bench.step() for _ in range(4)]
    assert pauses[2:] == [0.0, None]
    assert all(pause is not None and pause > 0 for pause in pauses[:2])
    assert len({request.content for request in bench.requests}) == 1
    assert bench.outbox.backlog().posts == 0
    bench.close()


def test_a_refused_post_does_not_stop_the_others_and_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(tmp_path, [httpx.Response(422, json={"detail": "no"}), httpx.Response(200, content=OK)], posts=2)
    assert [bench.step() for _ in range(3)] == [0.0, 0.0, None]
    assert bench.people() == [1, 2]
    assert (bench.outbox.backlog().posts, bench.outbox.backlog().refused) == (0, 1)
    assert "refused post 1" in caplog.text
    bench.close()


def test_a_post_that_makes_the_server_fail_is_passed_over(tmp_path: Path) -> None:
    answers = [
        httpx.Response(500),
        httpx.Response(200, content=OK),
        httpx.Response(500),
        httpx.Response(200, content=OK),
    ]
    bench = Bench(tmp_path, answers, posts=2)
    while bench.step() is not None:
        pass
    assert bench.people() == [1, 2, 1, 1]
    bench.close()


def test_what_a_login_page_refuses_is_delivered_afterwards(tmp_path: Path) -> None:
    page = httpx.Response(422, html="<html>Please log in</html>")
    bench = Bench(tmp_path, [page, *[httpx.Response(200, content=OK)] * 2], posts=2)
    while bench.step() is not None:
        pass
    assert bench.people() == [1, 2, 1]
    assert (bench.outbox.backlog().posts, bench.outbox.backlog().refused) == (0, 0)
    bench.close()


def test_a_post_that_is_too_large_goes_in_halves_and_a_single_point_is_set_aside(tmp_path: Path) -> None:
    too_large = httpx.Response(413, json={"detail": "too large"})
    good = httpx.Response(200, content=OK)
    # 3 points; 1 of them and 2; the 2 again in halves, of which the last one is refused by itself.
    bench = Bench(tmp_path, [too_large, good, too_large, good, too_large], posts=0)
    bench.outbox.add(bench.session, [point(1, 1000), point(1, 2000), point(1, 3000)])
    bench.outbox.finish(bench.session, 1)
    while bench.step() is not None:
        pass
    bodies = [json.loads(gzip.decompress(request.content)) for request in bench.requests]
    whole = bodies[0]["records"]
    assert [body["records"] for body in bodies[1:]] == [whole[:1], whole[1:], whole[1:2], whole[2:]]
    assert {(body["device_id"], body["session_id"]) for body in bodies} == {("d", bench.session)}
    assert (bench.outbox.backlog().posts, [row[1:2] for row in bench.outbox.refusals()]) == (0, [(1,)])
    bench.close()


def test_the_sender_goes_on_with_the_file_that_replaced_a_damaged_one(tmp_path: Path) -> None:
    bench = Bench(tmp_path, [httpx.Response(200, content=OK)] * 2, posts=1)
    mine = Outbox(tmp_path, 10**8)
    bench.sender.step(mine)
    bench.sender._delivered.add(1)  # as if it could not be deleted: the new file has another post of this number
    assert bench.outbox.mend(sqlite3.DatabaseError("malformed"))
    bench.outbox.add(bench.session, [point(7, 1000)])
    bench.outbox.finish(bench.session, 7)
    assert bench.sender.step(mine) == 0.0
    assert bench.people() == [1, 7]
    mine.close()
    bench.close()


def test_retry_after_is_waited_for(tmp_path: Path) -> None:
    bench = Bench(tmp_path, [httpx.Response(503, headers={"retry-after": "90"})])
    assert bench.step() == 90
    bench.close()


def test_with_a_full_disk_a_delivered_post_is_not_sent_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(tmp_path, [httpx.Response(200, content=OK), httpx.Response(200, content=OK)], posts=2)
    done, full = bench.outbox.done, [True]

    def fail(post_id: int) -> None:
        if full[0]:
            raise sqlite3.OperationalError("database or disk is full")
        done(post_id)

    monkeypatch.setattr(bench.outbox, "done", fail)
    assert [bench.step() for _ in range(3)] == [0.0, 0.0, None]
    assert bench.people() == [1, 2]
    full[0] = False
    assert bench.step() is None
    assert bench.outbox.backlog().posts == 0
    bench.close()
