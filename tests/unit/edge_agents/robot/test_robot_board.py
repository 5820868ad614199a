"""The board's lines and the map: a line that hurts does not exist, a command is sent once, a route is found again."""

from __future__ import annotations

import os
import threading
import tty
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agents.emotion_sensor.backoff import Backoff
from edge_agents.robot.errors import RobotError
from edge_agents.robot.hardware.board import Board, Port, Timing, opener
from edge_agents.robot.hardware.lines import Key, Line, LineReader, Telemetry, TelemetryFailed, Unknown, parse
from edge_agents.robot.hardware.track import WAGON, Direction, load, track
from tests.drivers.waiting import eventually

FORWARD, BACKWARD, LEFT, RIGHT = Direction


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        (b"key 0xAB 0x3 0x4 0x5F \r", Key("0xAB 0x3 0x4 0x5F")),
        (b"telemetry 41.00 23.50\r", Telemetry(41.0, 23.5)),
        (b"!telemetry failed\r", TelemetryFailed()),
        (b"telemetry nan 1\r", Unknown("telemetry nan 1")),
        (b"telemetry failed", Unknown("telemetry failed")),
        (b"key ", Unknown("key ")),
        (b"key 0xAB'; DROP", Unknown("key 0xAB'; DROP")),
        (b"servo 1\r", Unknown("servo 1")),
        (b"\r", None),
        (b"\xff\xfe", None),
    ],
)
def test_lines(raw: bytes, line: Line | None) -> None:
    assert parse(raw) == line


@settings(deadline=None, max_examples=60)
@given(st.lists(st.binary(max_size=700)))
def test_no_bytes_hurt_and_the_next_line_is_heard(chunks: list[bytes]) -> None:
    reader = LineReader()
    for chunk in chunks:
        reader.feed(chunk)
    reader.feed(b"\n")
    assert reader.feed(b"key 0xA 0xB 0xC 0xD \r\n") == [Key("0xA 0xB 0xC 0xD")]


@settings(deadline=None, max_examples=60)
@given(st.binary(min_size=1, max_size=40))
def test_chunks_do_not_matter(data: bytes) -> None:
    whole = data + b"\nkey 0x1 0x2 0x3 0x4 \r\n"
    one, other = LineReader(), LineReader()
    assert [line for byte in whole for line in one.feed(bytes([byte]))] == other.feed(whole)


class Wire:
    """A port in memory; `cut` makes it fail."""

    def __init__(self) -> None:
        self.to_robot = b""
        self.written: list[bytes] = []
        self.cut = False

    @property
    def in_waiting(self) -> int:
        return len(self.to_robot)

    def read(self, size: int = 1) -> bytes:
        if self.cut:
            raise OSError("unplugged")
        data, self.to_robot = self.to_robot[:size], self.to_robot[size:]
        if not data:
            threading.Event().wait(0.005)
        return data

    def write(self, data: bytes) -> int:
        self.written.append(data)
        return len(data)

    def close(self) -> None:
        pass


def board_on(open_port: Callable[[], Port], heard: list[Line], timing: Timing | None = None) -> Board:
    board = Board("wire", open_port, heard.append, timing or Timing(0.0, 5.0), Backoff(0.01, 0.02))
    board.start()
    return board


def test_commands_go_out_once_and_a_lost_board_is_found_again() -> None:
    wires: list[Wire] = []
    heard: list[Line] = []

    def plugged() -> Wire:
        wires.append(Wire())
        return wires[-1]

    board = board_on(plugged, heard)
    board.send("servo 1\n")
    eventually(lambda: wires and wires[0].written == [b"servo 1\n"])
    wires[0].to_robot = b"noise\r\nkey 0x1 0x2 0x3 0x4 \r\n!telemetry failed\r\n"
    eventually(lambda: TelemetryFailed() in heard)
    assert Key("0x1 0x2 0x3 0x4") in heard
    wires[0].cut = True
    eventually(lambda: len(wires) == 2)
    board.send("tone")
    eventually(lambda: wires[1].written == [b"tone"])
    board.stop()
    assert wires[0].written == [b"servo 1\n"]


def test_commands_keep_apart_and_none_comes_late() -> None:
    wire = Wire()
    board = board_on(lambda: wire, [], Timing(60.0, 0.05))
    board.send("open\n")
    eventually(lambda: wire.written == [b"open\n"])
    board.send("open\n")
    eventually(lambda: not board._commands)
    board.stop()
    assert wire.written == [b"open\n"]


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="no pseudo terminals here")
def test_a_board_at_a_terminal() -> None:
    pytest.importorskip("serial")
    ours, theirs = os.openpty()
    tty.setraw(theirs)  # a terminal that echoes would read its own words
    heard: list[Line] = []
    board = Board("pty", opener(os.ttyname(theirs)), heard.append, Timing(0.0, 5.0))
    board.start()
    # What is written before the port is open is lost, as with a board.
    eventually(lambda: os.write(ours, b"key 0xAB 0x3 0x4 0x5F \r\n") and heard, interval=0.1)
    assert heard[0] == Key("0xAB 0x3 0x4 0x5F")
    board.send("servo 1\n")
    assert os.read(ours, 100).rstrip() == b"servo 1"
    board.stop()
    for end in (ours, theirs):
        with suppress(OSError):
            os.close(end)


def test_routes_are_found_again_and_again() -> None:
    for _ in range(3):
        assert WAGON.route("welcome", "work_3") == (LEFT, FORWARD, RIGHT, RIGHT, RIGHT)
        assert WAGON.route("work_3", "welcome") == (LEFT, LEFT, LEFT, BACKWARD, RIGHT)
    assert WAGON.tagged("work") == "work_1"
    assert WAGON.tagged("bar") is None
    assert WAGON.route("welcome", "nowhere") is None
    assert WAGON.route("welcome", "welcome") == ()


def test_the_shortest_route_and_none() -> None:
    ways = [("a", LEFT, "b"), ("b", LEFT, "c"), ("a", RIGHT, "c"), ("c", FORWARD, "a")]
    made = track({"a": "", "b": "", "c": "", "d": ""}, ways)
    assert made.route("a", "c") == (RIGHT,)
    assert made.route("a", "d") is None
    with pytest.raises(RobotError):
        track({"a": ""}, [("a", LEFT, "x")])


def test_a_map_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "map.json"
    path.write_text('{"points": {"a": "door", "b": null}, "connections": [["a", "left", "b"]]}')
    assert load(path).route("a", "b") == (LEFT,)
    for text in ("", "[]", '{"points": {}, "connections": [["a", "UP", "b"]]}'):
        path.write_text(text)
        with pytest.raises(RobotError):
            load(path)
