"""Command line of replay, rollback and retire: options, progress and the words an operator reads."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeRemainingColumn

from ops import settings as ops_settings
from ops.errors import OperatorError
from ops.replay import Outcome, Replay, Servers, Stopped
from ops.state import connected
from ops.wiring import keyring
from projections.read_model import ReadModel
from projections.registry import READ_MODELS
from schemas.errors import SensoriumError

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, no_args_is_help=True)
Model = Annotated[str, typer.Argument(help=f"One of {', '.join(READ_MODELS)}.")]
Name = Annotated[str | None, typer.Option(help="Name of a view of the past: small letters, digits, underscores.")]
LONGEST_NAME = 30


@app.command()
def replay(
    model: Model,
    until: Annotated[
        str | None, typer.Option(help="Show the past: only what was in the log at this time (ISO 8601).")
    ] = None,
    name: Name = None,
    check: Annotated[bool, typer.Option("--check", help="Build and compare only; switch nothing.")] = False,
    accept_differences: Annotated[
        bool, typer.Option("--accept-differences", help="Switch although the comparison found differences.")
    ] = False,
) -> None:
    """Rebuild a read model from the log beside the live one, compare both, and switch.

    Ctrl-C or a crash loses nothing: the same command goes on. The version before stays fed until `retire`, so that
    `rollback` is never stale. With --until and --name the result is a view of the past, read with ?as_of=NAME.
    """
    with _replay(model) as (job, console):
        if until is not None or name is not None:
            past_name, until_ms = _past(until, name)
            outcome = job.past(past_name, until_ms)
            console.print(f"{outcome.schema} is ready: add ?as_of={past_name} to a query. {_counts(outcome)}")
            return
        outcome = job.next_version(check=check, accept_differences=accept_differences)
    _conclude(outcome, console, model, check=check)


@app.command()
def rollback(model: Model) -> None:
    """Switch back to the version before, which has been fed all the time."""
    with _replay(model) as (job, console):
        version = job.roll_back()
        console.print(f"{version.schema} is live again. The other one stays fed: `rollback` once more returns to it.")


@app.command()
def retire(model: Model, name: Name = None) -> None:
    """Drop the versions that are not live, or the view of the past --name."""
    with _replay(model) as (job, console):
        console.print(f"Dropped {', '.join(job.retire(name))}.")


class Bar:
    """Progress on the terminal: phase, offsets, rows, rate, estimate."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID | None = None
        self._rows, self._began, self._name = 0, time.monotonic(), ""

    def phase(self, name: str, total: int) -> None:
        """Begin a phase."""
        if self._task is not None:
            self._progress.remove_task(self._task)
        if name != self._name:
            self._rows, self._began, self._name = 0, time.monotonic(), name
            if not self._progress.console.is_terminal:
                self._progress.console.print(f"{name} ...")
        self._task = self._progress.add_task(name, total=total or None, told="")

    def advanced(self, rows: int, offsets: int) -> None:
        """Move on."""
        self._rows += rows
        rate = self._rows / max(time.monotonic() - self._began, 1e-3)
        if self._task is not None:
            told = f"offset {offsets:,}, {self._rows:,} rows, {rate:,.0f} rows/s"
            self._progress.update(self._task, completed=offsets, told=told)


@contextmanager
def _replay(name: str) -> Generator[tuple[Replay, Console]]:
    """A replay of the model that was named; Ctrl-C asks it to stop between two batches."""
    model, console, stop = _model(name), Console(highlight=False, soft_wrap=True), threading.Event()
    settings = connected(ops_settings.load())
    servers = Servers(settings.kafka_bootstrap or "", settings.database_url or "", keyring(settings))
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[told]}"))
    try:
        estimate, silent = TimeRemainingColumn(), not console.is_terminal
        with Progress(*columns, estimate, console=console, transient=True, disable=silent) as progress:
            yield Replay(servers, model, stop, Bar(progress)), console
    except Stopped as stopped:
        raise OperatorError("Stopped. Nothing is lost: the same command goes on from here.") from stopped
    except SensoriumError as error:
        raise OperatorError(f"{error} (the same command goes on from here)") from error
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _model(name: str) -> ReadModel:
    if name not in READ_MODELS:
        raise OperatorError(f"There is no read model {name}. The read models are {', '.join(READ_MODELS)}.")
    return READ_MODELS[name]


def _past(until: str | None, name: str | None) -> tuple[str, int]:
    if until is None or name is None:
        raise OperatorError("A view of the past needs both --until TIME and --name NAME.")
    if not (name.isascii() and name.replace("_", "").isalnum() and name == name.lower() and len(name) <= LONGEST_NAME):
        raise OperatorError(
            f"{name!r} cannot name a view: use up to {LONGEST_NAME} small letters, digits, underscores."
        )
    try:
        moment = datetime.fromisoformat(until)
    except ValueError as error:
        raise OperatorError(f"{until!r} is not a time: write it like 2026-03-02T09:00:00+03:00.") from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=ZoneInfo(ops_settings.load().site_timezone))
    until_ms = int(moment.timestamp() * 1000)
    if until_ms > time.time() * 1000:
        raise OperatorError(f"{until} has not come yet.")
    return name, until_ms


def _conclude(outcome: Outcome, console: Console, model: str, *, check: bool) -> None:
    for difference in outcome.differences:
        console.print(f"differs: {difference}")
    if outcome.switched:
        console.print(
            f"{outcome.schema} is live. {_counts(outcome)} The version before stays fed: `sensorium rollback {model}`"
            f" returns to it, `sensorium retire {model}` drops it."
        )
    elif not outcome.differences:
        console.print(f"A fresh replay of {model} gives the same rows and checksums as the live version.")
    if outcome.differences and not outcome.switched:
        hint = (
            " The live version is as before. The next `sensorium replay` drops this build and makes a new one;"
            " with --accept-differences it switches to that all the same."
        )
        hint = "" if check else hint
        raise OperatorError(f"The replay of {model} differs from the live version.{hint}")


def _counts(outcome: Outcome) -> str:
    return ", ".join(f"{table} {rows:,}" for table, rows in outcome.rows.items()) + " rows."
