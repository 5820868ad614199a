"""Runs the robot with its screen: Qt and asyncio in one loop."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import Any

import qasync
from PySide6.QtWidgets import QApplication

from edge_agents.robot import assembly
from edge_agents.robot.assembly import Parts
from edge_agents.robot.screen.pages import Desk
from edge_agents.robot.screen.shown import Shown
from edge_agents.robot.screen.texts import TEXTS
from edge_agents.robot.screen.window import Screen
from edge_agents.robot.settings import RobotSettings


def screen_of(parts: Parts, language: str) -> Screen:
    """A window for a robot that runs; it is told of every change from now on."""
    shown = Shown(parts.servers.picture)
    screen = Screen(Desk(parts.robot.happen, TEXTS[language], shown, lambda: parts.eye.newest))
    parts.closing.append(shown.close)
    parts.robot.face = screen
    screen.show(parts.robot.world)
    return screen


def qt_application() -> Any:
    """The process's one Qt application."""
    return QApplication.instance() or QApplication(sys.argv[:1])


def run(settings: RobotSettings) -> None:
    """Run until the window is closed or a signal comes. Raises RobotError as assembly.run does."""
    application = qt_application()
    loop: Any = qasync.QEventLoop(application)
    with loop:
        loop.run_until_complete(_until_told(settings, application))


async def _until_told(settings: RobotSettings, application: Any) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    application.setQuitOnLastWindowClosed(False)
    application.lastWindowClosed.connect(stop.set)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
    await assembly.run(settings, stop, lambda parts: screen_of(parts, settings.language))
