"""Requests go on to a process on a Unix socket, whole and streaming; without it they are told to come again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from producers.forwarding import Forwarder
from tests.drivers.waiting import until


class Behind:
    """The process behind: what it was asked, and when its client went."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, bytes, bytes]] = []
        self.gone = asyncio.Event()
        self.waiting = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        headers = dict(scope["headers"])
        self.requests.append(
            (scope["method"], scope["path"], scope["query_string"] + b"|" + headers.get(b"authorization", b""), body)
        )
        if scope["path"] == "/wait":
            self.waiting.set()
            await receive()
            self.gone.set()
            return
        status = 204 if scope["path"] == "/nothing" else 200
        await send(
            {"type": "http.response.start", "status": status, "headers": [(b"content-type", b"x/y"), (b"x-a", b"1")]}
        )
        for part in (b"one", b"two") if status == 200 else ():
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


class Server(uvicorn.Server):
    def install_signal_handlers(self) -> None:
        """The test's process keeps its own."""

    @contextlib.contextmanager
    def capture_signals(self):
        yield


@pytest.fixture
async def behind(tmp_path: Path) -> AsyncGenerator[tuple[Behind, str]]:
    app, path = Behind(), str(tmp_path / "s")
    server = Server(uvicorn.Config(app, uds=path, log_level="critical", lifespan="off"))
    serving = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    yield app, f"unix:{path}"
    server.should_exit = server.force_exit = True
    await serving


def asking(forwarder: Forwarder) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(forwarder), base_url="http://front")


async def test_a_request_goes_on_as_it_is_and_so_does_its_answer(behind):
    app, address = behind
    forwarder = Forwarder(address, "asr process")
    async with asking(forwarder) as http:
        answer = await http.post("/a%20b?x=1&y=%2F", content=b"hello" * 1000, headers={"authorization": "Bearer t"})
    assert (answer.status_code, answer.text) == (200, "onetwo")
    assert (answer.headers["content-type"], answer.headers["x-a"]) == ("x/y", "1")
    assert app.requests == [("POST", "/a b", b"x=1&y=%2F|Bearer t", b"hello" * 1000)]
    await forwarder.close()


async def test_a_body_without_a_length_and_none_at_all(behind):
    app, address = behind
    forwarder = Forwarder(address, "asr process")

    async def parts() -> AsyncGenerator[bytes]:
        yield b"a"
        yield b"b"

    async with asking(forwarder) as http:
        await http.post("/p", content=parts())
        answer = await http.get("/nothing")
    assert (answer.status_code, answer.content) == (204, b"")
    assert [(method, body) for method, _, _, body in app.requests] == [("POST", b"ab"), ("GET", b"")]
    await forwarder.close()


async def test_without_the_process_it_is_503_and_come_again(tmp_path):
    forwarder = Forwarder(f"unix:{tmp_path / 'nobody'}", "asr process")
    async with asking(forwarder) as http:
        answer = await http.post("/p", content=b"x")
    assert answer.status_code == 503
    assert "asr process does not answer" in answer.json()["detail"]
    assert answer.headers["retry-after"] == "2"
    await forwarder.close()


async def test_a_client_that_goes_ends_its_request_there_too(behind):
    app, address = behind
    forwarder, gone = Forwarder(address, "asr process"), asyncio.Event()
    scope = {"type": "http", "method": "GET", "path": "/wait", "query_string": b"", "headers": []}

    async def receive() -> dict[str, Any]:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        raise AssertionError(f"nobody is there for {message}")

    running = asyncio.create_task(forwarder(scope, receive, send))
    async with asyncio.timeout(10):
        await app.waiting.wait()
        gone.set()
        await running
        await app.gone.wait()
    await forwarder.close()


async def test_what_is_not_http_is_passed_over(behind):
    await Forwarder(behind[1], "asr process")({"type": "lifespan"}, None, None)  # pyright: ignore
