"""The command line of the emotion sensor: `sensorium agent emotion-sensor`. Flags are made from the settings table."""

from __future__ import annotations

import dataclasses
import inspect
import logging
import os
import signal
import sqlite3
import sys
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from edge_agents.emotion_sensor import settings as settings_table
from edge_agents.emotion_sensor.errors import SensorError
from edge_agents.emotion_sensor.settings import SensorSettings

app = typer.Typer(
    help="Watch faces: a camera, a video, a folder of pictures or the demo become points of valence and arousal.",
    no_args_is_help=False,
    add_completion=False,
)
log = logging.getLogger(__name__)


def _flag(field: dataclasses.Field[Any], kind: type) -> inspect.Parameter:
    name = f"--{field.name.replace('_', '-')}"
    names = f"{name}/--no-{name[2:]}" if kind is bool else name
    default = "" if field.default is None or field.default is False else f" Default: {str(field.default).lower()}."
    about = settings_table.about(field.name)
    text = f"{about.text}{default} ({settings_table.variable(field.name)})"
    option = typer.Option(None, names, help=text, rich_help_panel=about.panel, show_default=False)
    annotation: Any = kind | None
    return inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=option, annotation=annotation)


def _with_flags(names: Sequence[str] | None = None) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the flags of the settings (all, or the named ones): typer reads a function's signature."""
    kinds = settings_table.kinds()
    chosen = [f for f in dataclasses.fields(SensorSettings) if names is None or f.name in names]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        flags = [_flag(field, kinds[field.name]) for field in chosen]
        own = [p for p in inspect.signature(command, eval_str=True).parameters.values() if p.kind is not p.VAR_KEYWORD]
        own = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own]
        command.__signature__ = inspect.Signature([*own, *flags])  # pyright: ignore[reportFunctionMemberAccess]
        command.__annotations__ = {p.name: p.annotation for p in [*own, *flags]}
        return command

    return decorate


@app.callback(invoke_without_command=True)
@_with_flags()
def sense(context: typer.Context, **flags: Any) -> None:
    """Watch faces and post their points.

    A visit is posted when the person is gone; what the server does not take yet waits on the disk, over restarts and
    power cuts. Without a command the sensor runs until its source ends or it is told to stop.
    """
    context.obj = flags
    if context.invoked_subcommand is not None:
        return
    _configure_log()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        from edge_agents.emotion_sensor.assembly import run

        run(settings_table.load(flags), stop)
    except ImportError as missing:
        _fail(f"{missing.name} is not installed: install sensorium with its extra `sensor`")
    except (SensorError, sqlite3.DatabaseError) as error:
        _fail(f"{error}")


@app.command()
@_with_flags(("home", "device_id", "outbox_mb"))
def status(context: typer.Context, **flags: Any) -> None:
    """How many posts wait, and how many hours of points the outbox can still hold."""
    from edge_agents.emotion_sensor.assembly import open_outbox
    from edge_agents.emotion_sensor.status import sentence

    settings = _settings(context, flags)
    with _said_in_words():
        backlog = open_outbox(settings, may_mend=False).backlog()
    print(f"{settings.device_id!r} in {settings.directory}: {sentence(backlog)}")


@app.command()
@_with_flags(("home", "device_id", "outbox_mb"))
def refused(
    context: typer.Context,
    retry: Annotated[
        bool, typer.Option("--retry", help="Put them back among the posts, after the cause was mended.")
    ] = False,
    **flags: Any,
) -> None:
    """Posts that the server refused, with what it said."""
    from edge_agents.emotion_sensor.assembly import open_outbox

    outbox = open_outbox(_settings(context, flags), may_mend=False)
    with _said_in_words():
        rows = outbox.refusals()
        for post_id, points, refused_ms, code, answer in rows:
            when = datetime.fromtimestamp(refused_ms / 1000, UTC).isoformat(timespec="seconds")
            print(f"post {post_id}, {points} points, {when}, status {code}: {answer!r}")
        print(f"{outbox.retry_refused()} put back." if retry else f"{len(rows)} refused.")


@app.command()
@_with_flags(("home", "device_id", "model"))
def measure(
    context: typer.Context,
    faces: Annotated[Path | None, typer.Option(help="A folder of happy.jpg, sad.jpg, angry.png ...")] = None,
    video: Annotated[Path | None, typer.Option(help="A video with faces.")] = None,
    variants: Annotated[bool, typer.Option("--variants", help="Compare all detectors and crops (minutes).")] = False,
    **flags: Any,
) -> None:
    """How well faces are found and expressions named."""
    from edge_agents.emotion_sensor import measure as measuring
    from edge_agents.emotion_sensor.model_store import model_file

    settings = _settings(context, flags)
    model = model_file(settings.directory / "models", settings.model)
    if faces is not None:
        lines = measuring.report_variants(faces, model) if variants else measuring.report_pictures(faces, model)
        _print_all(lines)
    if video is not None:
        _print_all(measuring.report_video(video))


@app.command()
@_with_flags(("home", "device_id", "model"))
def model(context: typer.Context, **flags: Any) -> None:
    """Build the expression model now, and say where it lies."""
    from edge_agents.emotion_sensor.model_store import model_file

    settings = _settings(context, flags)
    try:
        print(model_file(settings.directory / "models", settings.model))
    except SensorError as error:
        _fail(str(error))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code. What it writes is about people: for this account's eyes only."""
    os.umask(0o077)
    try:
        app(args=None if argv is None else list(argv), prog_name="sensorium agent emotion-sensor", standalone_mode=True)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 1
    return 0


def _settings(context: typer.Context, flags: dict[str, Any]) -> SensorSettings:
    """Flags may stand before or after the command's name."""
    given = {**(context.obj or {}), **{name: value for name, value in flags.items() if value is not None}}
    try:
        return settings_table.load(given)
    except SensorError as error:
        _fail(str(error))


@contextmanager
def _said_in_words() -> Generator[None]:
    """A command beside a sensor that may be running touches no damaged file: that is the sensor's to put aside."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        _fail(f"the outbox cannot be read ({error}): if it is damaged, the sensor puts it aside at its next start")
    except SensorError as error:
        _fail(str(error))


def _print_all(lines: Any) -> None:
    for line in lines:
        print(line, flush=True)


def _configure_log() -> None:
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # one line a post is ours


def _fail(text: str) -> NoReturn:
    print(f"emotion-sensor: {text}", file=sys.stderr)
    raise typer.Exit(1)
