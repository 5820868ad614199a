"""Command line of the dead letters: list, show, redrive, discard."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from ops import dead_letters
from ops import settings as ops_settings
from ops.dead_letters import Letter
from ops.errors import OperatorError
from ops.state import connected_kafka
from producers.publisher import Publisher
from schemas.errors import SensoriumError
from streams.log_reader import LogReader

app = typer.Typer(
    help="Events that could not be processed: see why, then redrive them (after a fix) or discard them.",
    add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, no_args_is_help=True,
)  # fmt: skip
Ids = Annotated[list[str] | None, typer.Argument(help="Ids, or their first characters.")]
Consumer = Annotated[str | None, typer.Option(help="All open ones of this consumer.")]
Everything = Annotated[bool, typer.Option("--all", help="All open ones.")]
SHOWN_BYTES = 512
PIPED_WIDTH = 240
NAMED = 5


@app.command("list")
def list_letters(
    consumer: Annotated[str | None, typer.Option(help="Only of this consumer.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Settled ones too.")] = False,
) -> None:
    """The open dead letters, oldest first."""
    with _kafka() as bootstrap:
        letters = dead_letters.read(bootstrap)
    shown = [x for x in letters if consumer in (None, x.consumer) and (everything or x.settled is None)]
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = PIPED_WIDTH
    if not shown:
        console.print("No dead letters." if everything else "No open dead letters.")
        return
    table = Table("id", "since (UTC)", "consumer", "record", "cause", *(["settled"] if everything else []), box=None)
    for letter in shown:
        row = (letter.id[:8], _time(letter.since_ms), letter.consumer, letter.record.coordinates, letter.cause)
        table.add_row(*row, *([(letter.settled or "").lower()] if everything else []))
    console.print(table)


@app.command()
def show(
    identity: Annotated[str, typer.Argument(metavar="ID", help="The id, or its first characters.")],
    save: Annotated[Path | None, typer.Option(help="Write the original bytes to this file.")] = None,
) -> None:
    """Cause, coordinates, headers and original bytes of one dead letter."""
    with _kafka() as bootstrap:
        letters = [x for x in dead_letters.read(bootstrap) if x.id.startswith(identity)]
        if len(letters) != 1:
            found = f"{len(letters)} dead letters begin" if letters else "No dead letter begins"
            raise OperatorError(f"{found} with {identity}: see `sensorium dead-letters list --all`.")
        with LogReader(bootstrap, "dead-letters") as reader:
            letter = dead_letters.whole(reader, letters[0])
    typer.echo(describe(letter))
    if save is not None:
        try:
            save.write_bytes(letter.record.value or b"")
        except OSError as error:
            raise OperatorError(f"{save} cannot be written: {error.strerror}.") from error
        typer.echo(f"The original value is in {save}.")


@app.command()
def redrive(
    ids: Ids = None,
    consumer: Consumer = None,
    everything: Everything = False,
    force: Annotated[bool, typer.Option("--force", help="Also what a truncation has deleted since.")] = False,
) -> None:
    """Process again: the record goes to the consumer that failed, and to no other."""
    with _kafka() as bootstrap, LogReader(bootstrap, "dead-letters") as reader:

        def action(publisher: Publisher, letter: Letter) -> None:
            dead_letters.redrive(publisher, dead_letters.whole(reader, letter))

        chosen = _chosen(bootstrap, ids, consumer, everything)
        if not force:
            _refuse_deleted(dead_letters.deleted(reader, chosen))
        _settle(bootstrap, chosen, action, "Redriven")


@app.command()
def discard(
    ids: Ids = None,
    consumer: Consumer = None,
    everything: Everything = False,
    note: Annotated[str, typer.Option(help="Why; kept with it.")] = "",
) -> None:
    """Close without processing; the original stays in the log."""
    with _kafka() as bootstrap:
        chosen = _chosen(bootstrap, ids, consumer, everything)
        _settle(bootstrap, chosen, lambda publisher, x: dead_letters.discard(publisher, x, note), "Discarded")


def describe(letter: Letter) -> str:
    """Everything about a letter, as text."""
    record = letter.record
    lines = [
        f"id        {letter.id}",
        f"state     {(letter.settled or 'open').lower()}",
        f"consumer  {letter.consumer}",
        f"record    {record.coordinates}, appended {_time(record.timestamp_ms)} UTC",
        f"cause     {letter.error}: {letter.cause}",
        f"key       {_readable(record.key)}",
        "headers",
        *(f"          {name}: {_readable(value)}" for name, value in record.headers),
        f"value     {len(record.value or b''):,} bytes",
        *(f"          {line}" for line in hex_lines((record.value or b"")[:SHOWN_BYTES])),
    ]
    if len(record.value or b"") > SHOWN_BYTES:
        lines.append("          ... (--save FILE writes them all)")
    if letter.traceback:
        lines += ["traceback", letter.traceback]
    return "\n".join(lines)


def hex_lines(content: bytes) -> list[str]:
    """Offset, 16 bytes in hexadecimal, and what of them is printable ASCII."""
    lines: list[str] = []
    for at in range(0, len(content), 16):
        part = content[at : at + 16]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        lines.append(f"{at:06x}  {part.hex(' '):<47}  {text}")
    return lines


def _chosen(bootstrap: str, ids: list[str] | None, consumer: str | None, everything: bool) -> list[Letter]:
    return dead_letters.choose(dead_letters.read(bootstrap), ids or (), consumer=consumer, everything=everything)


def _refuse_deleted(letters: list[Letter]) -> None:
    if letters:
        named = ", ".join(f"{letter.id[:8]} ({letter.record.coordinates})" for letter in letters[:NAMED])
        more = f" and {len(letters) - NAMED} more" if len(letters) > NAMED else ""
        raise OperatorError(
            f"Nothing was redriven: what {named}{more} hold was deleted by a truncation since, and would be back."
            " Discard them, or redrive with --force."
        )


def _settle(bootstrap: str, chosen: list[Letter], action: Callable[[Publisher, Letter], None], done: str) -> None:
    publisher = Publisher(bootstrap, client_id="dead-letters", linger_ms=0)
    try:
        for letter in chosen:
            action(publisher, letter)
            typer.echo(f"{done} {letter.id[:8]} ({letter.consumer}, {letter.record.coordinates}).")
    finally:
        publisher.close()
    if not chosen:
        typer.echo("No open dead letters.")


@contextmanager
def _kafka() -> Generator[str]:
    bootstrap = connected_kafka(ops_settings.load())
    try:
        yield bootstrap
    except SensoriumError as error:
        raise OperatorError(f"The dead letters cannot be reached at {bootstrap}: {error}") from error


def _time(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M:%S}"


def _readable(value: bytes | None) -> str:
    if value is None:
        return "none"
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return value.hex(" ")
    return text if text.isprintable() else value.hex(" ")
