"""The console that configures the robot: eight commands, asked for line by line. Wrong input is said, never fatal.

`hear` is pure; Console keeps where the talk stands; LineInput reads without blocking anything.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, TextIO

from edge_agents.robot.events import (
    AuthenticateUsers,
    BindTrain,
    CheckTickets,
    DeleteVariable,
    Event,
    OpenBoard,
    RunDeviance,
    SetVariable,
    StopConfig,
)
from edge_agents.robot.tickets import Door

log = logging.getLogger(__name__)
Read = Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Command:
    """A line of the menu: what it asks, in order, and the event that comes of the answers."""

    title: str
    questions: tuple[tuple[str, Read], ...]
    made: Callable[..., Event]


def _iso(text: str) -> datetime:
    return datetime.fromisoformat(text)


MENU: Final[Mapping[str, Command]] = MappingProxyType(
    {
        "1": Command(
            "Check tickets",
            (("Train number", int), ("Wagon number", int), ("Date (ISO 8601)", _iso), ("Station id", str)),
            lambda train, wagon, date, station: CheckTickets(Door(station, train, wagon, date)),
        ),
        "2": Command("User auth", (), AuthenticateUsers),
        "3": Command("Set context var", (("Name", str), ("Value", str)), SetVariable),
        "4": Command("Delete context var", (("Name", str),), DeleteVariable),
        "5": Command("Bind train", (("Train number", int), ("Start date (ISO 8601)", _iso)), BindTrain),
        "6": Command("Run deviant loop", (), RunDeviance),
        "7": Command("Start robot loop", (("Serial port", str),), OpenBoard),
        "8": Command("Stop config", (), StopConfig),
    }
)
MENU_TEXT: Final = "\n".join(f"{number}. {command.title}" for number, command in MENU.items())


@dataclass(frozen=True, slots=True)
class Talk:
    """Where a talk stands: the command that is being asked for (None: the menu), and the answers so far."""

    command: str | None = None
    answers: tuple[Any, ...] = ()


def prompt(talk: Talk) -> str:
    """What is asked now."""
    if talk.command is None:
        return "> "
    return f"{MENU[talk.command].questions[len(talk.answers)][0]}: "


def hear(talk: Talk, line: str) -> tuple[Talk, Event | None, str]:
    """The talk after a line, the event that it came to, and what is said to it.

    Answers may stand on the line of their command (`5 1012 2026-03-01T14:30`); an empty line leads back to the menu.
    """
    line = line.strip()
    if talk.command is None:
        number, _, rest = line.partition(" ")
        if number not in MENU:
            return Talk(), None, MENU_TEXT if line else ""
        questions = len(MENU[number].questions)
        answers = rest.split(maxsplit=questions - 1) if questions else []
        return _answered(Talk(number), answers)
    return _answered(talk, [line]) if line else (Talk(), None, "Nothing is changed.")


def _answered(talk: Talk, answers: list[str]) -> tuple[Talk, Event | None, str]:
    command = MENU[talk.command or ""]
    for answer in answers:
        question, read = command.questions[len(talk.answers)]
        try:
            talk = Talk(talk.command, (*talk.answers, read(answer.strip())))
        except (ValueError, OverflowError):
            return talk, None, f"{answer!r:.100} will not do for: {question}"
    if len(talk.answers) < len(command.questions):
        return talk, None, ""
    return Talk(), command.made(*talk.answers), ""


class Console:
    """Hears lines, in the loop's thread. `say` writes a text, `happen` takes what was commanded."""

    def __init__(self, say: Callable[[str], None], happen: Callable[[Event], None]) -> None:
        self._say = say
        self._happen = happen
        self._talk = Talk()
        self._asked: deque[tuple[str, asyncio.Future[str | None]]] = deque()
        self.closed = False

    def greet(self) -> None:
        """Show the menu."""
        self._say(f"{MENU_TEXT}\n{prompt(self._talk)}")

    def line(self, text: str) -> None:
        """A line was typed: the answer to a question of ours, or part of a command."""
        if self.closed:
            return
        while self._asked:
            _, asked = self._asked.popleft()
            if not asked.done():
                asked.set_result(text.strip())
                if self._asked:
                    self._say(f"{self._asked[0][0]}: ")
                return
        self._talk, event, answer = hear(self._talk, text)
        if event is not None:
            self._happen(event)
        if not self.closed:
            self._say(f"{answer}\n{prompt(self._talk)}" if answer else prompt(self._talk))

    def ask(self, question: str) -> asyncio.Future[str | None]:
        """What is typed next, after the answers to questions asked before; None when nobody can type any more."""
        asked: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        if self.closed:
            asked.set_result(None)
            return asked
        self._asked.append((question, asked))
        if len(self._asked) == 1:
            self._say(f"{question}: ")
        return asked

    def close(self) -> None:
        """Nothing more is heard: the input has ended, or Stop config was commanded."""
        self.closed = True
        for _, asked in self._asked:
            if not asked.done():
                asked.set_result(None)
        self._asked.clear()


@contextmanager
def unseen(terminal: TextIO | None) -> Generator[None]:
    """What is typed meanwhile is not shown, where there is a terminal that can do that."""
    if terminal is None or not terminal.isatty() or sys.platform == "win32":
        yield
        return
    import termios

    descriptor = terminal.fileno()
    before = termios.tcgetattr(descriptor)
    silent = [*before[:3], before[3] & ~termios.ECHO, *before[4:]]
    termios.tcsetattr(descriptor, termios.TCSADRAIN, silent)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


class LineInput:
    """Lines of a file descriptor: watched by the loop where it can, read by a thread of its own where it cannot.

    A loop cannot watch regular files, nor Windows' console. Nothing is forked here, so a waiting read locks nobody out.
    """

    def __init__(self, descriptor: int, line: Callable[[str], None], ended: Callable[[], None]) -> None:
        self._descriptor = descriptor
        self._line = line
        self._ended = ended
        self._rest = b""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watched = False

    def start(self) -> None:
        """Begin to read; to be called in the running loop."""
        self._loop = asyncio.get_running_loop()
        try:
            self._loop.add_reader(self._descriptor, self._readable)
            self._watched = True
        except (NotImplementedError, OSError, ValueError):
            threading.Thread(target=self._run, args=(self._loop,), name="console", daemon=True).start()

    def stop(self) -> None:
        """Read no more."""
        if self._loop is not None and self._watched:
            self._loop.remove_reader(self._descriptor)
        self._loop, self._watched = None, False

    def _readable(self) -> None:
        self._take(_read(self._descriptor))

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        while self._loop is not None:
            data = _read(self._descriptor)
            try:
                loop.call_soon_threadsafe(self._take, data)
            except RuntimeError:  # the loop is closed
                return
            if not data:
                return

    def _take(self, data: bytes) -> None:
        if self._loop is None:
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        if not data and self._rest:
            lines, self._rest = [self._rest], b""
        self._rest = self._rest[-65536:]
        for line in lines:
            self._line(line.decode("utf-8", "replace"))
        if not data:
            self.stop()
            self._ended()


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 4096)
    except OSError as error:
        log.debug("The console's input is gone (%s).", error)
        return b""
