"""Cameras and network streams: the newest frame counts, a silent source is restarted, and told when it stays silent."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from av.error import FFmpegError

from streams.vision import live
from streams.vision.addresses import nameless
from streams.vision.frames import Frame
from streams.vision.live import Live, Patience, address, camera
from streams.workers import BadInput, NotNow
from streams.workers.vision import opened
from tests.drivers.video import count, number_of, numbered

SOON = Patience(silence_s=0.15, pause_s=0.05, give_up_s=20)


class Scripted:
    """A source whose attempts are scripted: numbers are frames, events are waited for, errors are raised."""

    def __init__(self, *attempts: list[int | threading.Event | Exception]) -> None:
        self.attempts, self.opened = iter(attempts), 0

    def __call__(self) -> Iterator[np.ndarray]:
        self.opened += 1
        for step in next(self.attempts, []):
            if isinstance(step, Exception):
                raise step
            if isinstance(step, int):
                yield numbered(step)
            else:
                step.wait(10)


def awaited(source: Live) -> Frame:
    """The next frame, however many attempts it takes."""
    for _ in range(200):
        if frame := source.next(0.1):
            return frame
    raise AssertionError("no frame came")


def test_the_newest_frame_counts_and_the_dropped_are_counted() -> None:
    go, stay = threading.Event(), threading.Event()
    source = Live("test", Scripted([0, go, 1, 2, 3, 4, stay]), Patience())
    assert source.next(10).number == 0  # type: ignore[union-attr]
    go.set()
    frame = awaited(source)
    while frame.number < 4:
        frame = awaited(source)
    assert number_of(frame.pixels()) == 4
    assert (source.size, source.frames_total, source.live) == ((64, 48), None, True)
    assert source.next(0) is None
    stay.set()
    source.close()


def test_a_source_that_ends_or_fails_is_opened_again_and_counting_goes_on() -> None:
    stay = threading.Event()
    script = Scripted([7], [OSError("away")], [], [8, stay])
    source = Live("test", script, SOON)
    assert awaited(source).number == 0
    second = awaited(source)
    assert (second.number, number_of(second.pixels()), script.opened) == (1, 8, 4)
    stay.set()
    source.close()


def test_a_source_that_hangs_is_left_behind() -> None:
    for_ever = threading.Event()
    source = Live("test", Scripted([0, for_ever, 1], [2, for_ever]), SOON)
    assert number_of(awaited(source).pixels()) == 0
    assert number_of(awaited(source).pixels()) == 2
    for_ever.set()
    source.close()


def test_who_is_silent_for_long_is_told() -> None:
    now = step = 0.0

    def clock() -> float:
        nonlocal now
        now += step
        return now

    source = Live("camera 7", Scripted([0]), Patience(pause_s=0), clock)
    assert source.next(10)
    step = 5.0
    with pytest.raises(NotNow, match=r"^failed_to_read_frame: camera 7 gives no frames: it ended"):
        source.next(500)


@pytest.mark.parametrize("attempt", [[], [OSError("away")], [threading.Event()]])
def test_who_gives_nothing_from_the_beginning_is_told_at_once(attempt: list[Any]) -> None:
    script = Scripted(attempt, [0])
    source = Live("camera 7", script, SOON)
    with pytest.raises(NotNow, match=r"^failed_to_read_frame: camera 7 gives no frames: "):
        awaited(source)
    assert script.opened == 1
    for step in attempt:
        if isinstance(step, threading.Event):
            step.set()


def test_who_takes_the_call_and_says_nothing_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "TIMEOUT_S", (0.1, 0.1))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        source = opened(f"http://127.0.0.1:{silent.getsockname()[1]}/stream", patience=Patience())
        with pytest.raises(NotNow, match=r"/stream gives no frames: it does not answer$"):
            awaited(source)


def test_starts_are_apart(caplog: pytest.LogCaptureFixture) -> None:
    script = Scripted([0])
    source = Live("test", script, Patience(pause_s=1000))
    assert awaited(source).number == 0
    for _ in range(5):
        assert source.next(0.02) is None
    assert script.opened == 1
    assert "started again" in caplog.text


def test_frames_that_are_too_large_end_it() -> None:
    def huge() -> Iterator[np.ndarray]:
        yield np.broadcast_to(np.zeros((1, 1, 3), np.uint8), (9000, 9000, 3))

    source = Live("test", huge, SOON)
    with pytest.raises(BadInput, match=r"^failed_to_read_frame: .*larger than"):
        awaited(source)


def test_counting_goes_on_where_somebody_else_ended() -> None:
    stay = threading.Event()
    source = Live("test", Scripted([0, stay]), SOON)
    source.go_to(5000)
    assert awaited(source).number == 5000
    stay.set()
    source.close()


# --- over the network ---------------------------------------------------------------------------------------------


class Server(BaseHTTPRequestHandler):
    """Says one body and ends."""

    def __init__(self, body: bytes, *rest: object) -> None:
        self.body = body
        super().__init__(*rest)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        """Nothing is logged."""


@pytest.fixture
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    body: bytes = request.param(tmp_path) if callable(request.param) else request.param
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Server, body)) as server:
        threading.Thread(target=partial(server.serve_forever, 0.02), daemon=True).start()
        yield f"http://user:secret@127.0.0.1:{server.server_port}/stream"
        server.shutdown()


@pytest.mark.parametrize(
    "served", [lambda folder: count(folder / "v.mkv", 5, codec="mjpeg", pix_fmt="yuvj420p").read_bytes()], indirect=True
)
def test_a_stream_over_http_is_read_and_opened_again(served: str) -> None:
    assert len(list(address(served)())) == 5
    source = opened(served, patience=SOON)
    while awaited(source).number < 5:  # type: ignore[arg-type]
        pass
    source.close()


@pytest.mark.parametrize("served", [lambda folder: playlist(folder)], indirect=True)
def test_a_playlist_leads_to_no_file_of_this_machine(served: str) -> None:
    with pytest.raises(FFmpegError):
        list(address(served)())


def playlist(folder: Path) -> bytes:
    path = count(folder / "v.ts", 5, codec="mpeg2video")
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile://{path}\n#EXT-X-ENDLIST\n".encode()


def test_a_camera_that_is_not_there_is_said() -> None:
    with pytest.raises(OSError, match="plugged in"):
        next(camera(97)())


@pytest.mark.parametrize(
    ("source", "named"),
    [
        ("rtsp://user:secret@cam.example:554/live?key=abc", "rtsp://cam.example:554/live"),
        ("http://user:secret@[x", "http://..."),
        ("what?is#this.mp4", "what?is#this.mp4"),
    ],
)
def test_no_password_gets_into_the_log(source: str, named: str) -> None:
    assert nameless(source) == named


def test_what_only_looks_like_an_address_is_refused_without_its_password() -> None:
    with pytest.raises(BadInput, match=r"^failed_to_read_frame: rtsp://\.\.\. is no address"):
        opened("rtsp://user:secret@[x")
