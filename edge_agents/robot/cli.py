"""The command line of the robot: `sensorium agent robot`. Flags are made from the settings table."""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
import logging
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NoReturn

import typer

from edge_agents.robot import settings as settings_table
from edge_agents.robot.errors import RobotError
from edge_agents.robot.settings import RobotSettings

app = typer.Typer(
    help="A train's robot: checks tickets, greets passengers, shows places and shops, watches over the wagon.",
    no_args_is_help=False,
    add_completion=False,
)


def _flag(field: dataclasses.Field[Any], kind: type) -> inspect.Parameter:
    name = f"--{field.name.replace('_', '-')}"
    names = f"{name}/--no-{name[2:]}" if kind is bool else name
    default = "" if field.default in (None, False, "") else f" Default: {field.default}."
    about = settings_table.about(field.name)
    text = f"{about.text}{default} ({settings_table.variable(field.name)})"
    option = typer.Option(None, names, help=text, rich_help_panel=about.panel, show_default=False)
    annotation: Any = kind | None
    return inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=option, annotation=annotation)


def work(**flags: Any) -> None:
    """Work until told to stop. Configure it on the console, which can always be typed at."""
    _configure_log()
    try:
        settings = settings_table.load(flags)
        if settings.headless:
            _run_headless(settings)
        else:
            from edge_agents.robot.screen.application import run

            run(settings)
    except ImportError as missing:
        extra = "robot" if settings_table.load(flags).headless else "robot-screen"
        _fail(f"{missing.name} is not installed: install sensorium with its extra `{extra}`, or say --headless")
    except RobotError as error:
        _fail(str(error))


def _signed() -> None:
    """Typer reads a function's signature: give it one flag for each setting."""
    kinds = settings_table.kinds()
    flags = [_flag(field, kinds[field.name]) for field in dataclasses.fields(RobotSettings)]
    work.__signature__ = inspect.Signature(flags)  # pyright: ignore[reportFunctionMemberAccess]
    work.__annotations__ = {flag.name: flag.annotation for flag in flags}


_signed()
app.command()(work)


def _run_headless(settings: RobotSettings) -> None:
    from edge_agents.robot.assembly import run

    async def until_told() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            with suppress(NotImplementedError):  # Windows
                asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await run(settings, stop)

    asyncio.run(until_told())


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code. What it writes is about people: for this account's eyes only."""
    os.umask(0o077)
    try:
        app(args=None if argv is None else list(argv), prog_name="sensorium agent robot", standalone_mode=True)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 1
    return 0


def _configure_log() -> None:
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)


def _fail(text: str) -> NoReturn:
    print(f"robot: {text}", file=sys.stderr)
    raise typer.Exit(1)
