"""The console: eight commands, nothing that ends it, nothing that waits for it."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agents.robot import events
from edge_agents.robot.console import MENU, Console, LineInput, Talk, hear, prompt, unseen
from edge_agents.robot.tickets import Door
from tests.drivers.waiting import until

AT = datetime(2026, 3, 1, tzinfo=UTC)


def heard(*lines: str) -> list[events.Event]:
    happened: list[events.Event] = []
    console = Console(lambda _: None, happened.append)
    for line in lines:
        console.line(line)
    return happened


@pytest.mark.parametrize(
    ("lines", "event"),
    [
        (["1", "1012", "5", "2026-03-01T00:00:00Z", "MOSCOW"], events.CheckTickets(Door("MOSCOW", 1012, 5, AT))),
        (["1 1012 5 2026-03-01T00:00:00Z St. Petersburg"], events.CheckTickets(Door("St. Petersburg", 1012, 5, AT))),
        (["2"], events.AuthenticateUsers()),
        (["3", "mood", "very good"], events.SetVariable("mood", "very good")),
        (["4", "mood"], events.DeleteVariable("mood")),
        (["5", "7", "2026-03-01"], events.BindTrain(7, datetime(2026, 3, 1))),  # noqa: DTZ001
        (["6"], events.RunDeviance()),
        (["7", "/dev/ttyUSB0"], events.OpenBoard("/dev/ttyUSB0")),
        (["8"], events.StopConfig()),
    ],
)
def test_the_eight_commands(lines: list[str], event: events.Event) -> None:
    assert heard(*lines) == [event]


def test_wrong_input_asks_again_and_an_empty_line_leads_back() -> None:
    assert heard("one", "9", "", "1", "x", "1012", "", "5 seven", "7", "yesterday", "2026-03-01") == [
        events.BindTrain(7, datetime(2026, 3, 1))  # noqa: DTZ001
    ]
    talk, _, said = hear(Talk("1"), "many")
    assert talk == Talk("1")
    assert "Train number" in said
    assert prompt(talk) == "Train number: "


@settings(max_examples=50, deadline=None)
@given(st.lists(st.one_of(st.text(max_size=20), st.sampled_from(["1", "2", "3", "4", "5", "7", "12", "9" * 5000]))))
def test_no_line_ends_it(lines: list[str]) -> None:
    heard(*lines)
    assert heard(*lines, "", "2")[-1] == events.AuthenticateUsers()


def test_the_menu_is_the_contract_s() -> None:
    titles = [command.title for command in MENU.values()]
    assert titles[0] == "Check tickets"
    assert titles[-1] == "Stop config"
    assert list(MENU) == [str(number) for number in range(1, 9)]


async def test_a_question_takes_the_next_line_and_a_closed_console_answers_nobody() -> None:
    happened: list[events.Event] = []
    console = Console(lambda _: None, happened.append)
    login, password = console.ask("Login"), console.ask("Password")
    for line in (" eva ", "2"):
        console.line(line)
    assert (await login, await password) == ("eva", "2")
    console.line("2")
    asking = console.ask("Password")
    console.close()
    assert await asking is None
    assert await console.ask("Anything") is None
    console.line("6")
    assert happened == [events.AuthenticateUsers()]


@pytest.mark.parametrize("kind", ["pipe", "file"])
async def test_reading_leaves_the_loop_free(kind: str, tmp_path: Path) -> None:
    lines: list[str] = []
    ended = asyncio.Event()
    if kind == "file":
        (tmp_path / "typed").write_bytes("5 7\n\xd0".encode("latin-1") + b"\nlast")
        descriptor = os.open(tmp_path / "typed", os.O_RDONLY)
    else:
        descriptor, writing = os.pipe()
    reader = LineInput(descriptor, lines.append, ended.set)
    reader.start()
    if kind == "pipe":
        turns = [await asyncio.sleep(0) for _ in range(100)]
        assert len(turns) == 100
        assert lines == []
        os.write(writing, "5 7\n\xd0".encode("latin-1") + b"\nla")
        await until(lambda: len(lines) == 2)
        os.write(writing, b"st")
        os.close(writing)
    await asyncio.wait_for(ended.wait(), 5)
    assert lines == ["5 7", "\ufffd", "last"]
    os.close(descriptor)


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="no pseudo terminals here")
def test_a_password_is_not_shown() -> None:
    termios = pytest.importorskip("termios")
    ours, theirs = os.openpty()
    with os.fdopen(theirs) as terminal:
        with unseen(terminal):
            assert not termios.tcgetattr(theirs)[3] & termios.ECHO
        assert termios.tcgetattr(theirs)[3] & termios.ECHO
    os.close(ours)
    with unseen(None):
        pass
