"""The command line. Everything heavy is imported by the command that needs it, so that a sensor-only install works."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Annotated

import typer

from ops.errors import OperatorError

app = typer.Typer(
    name="sensorium",
    help="Sensorium: what devices sense becomes events in Kafka, read models in PostgreSQL, and answers.\n\n"
    "`sensorium up` runs everything on this machine; the other commands look after it.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

FOREIGN = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
RUNNING, DATA, DEVICES, TOOLS = "Run", "Data", "Devices", "Tools"


@app.command(rich_help_panel=RUNNING)
def up(
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Return when everything runs; stop with `down`.")
    ] = False,
    demo: Annotated[
        bool,
        typer.Option(
            "--demo/--no-demo", help="Also run the sample devices: a face sensor, and a shop counter that speaks."
        ),
    ] = True,
    video: Annotated[str | None, typer.Option(help="The sample face sensor watches this video file or stream.")] = None,
    camera: Annotated[
        int | None, typer.Option(help="The sample face sensor watches this camera (0 is the first).")
    ] = None,
    audio: Annotated[
        str | None,
        typer.Option(help="The sample shop counter hears this sound file instead of its scripted dialogues."),
    ] = None,
) -> None:
    """Run everything: Kafka, PostgreSQL, all services and the sample devices.

    The first start downloads Kafka (45 MB). State is kept in SENSORIUM_HOME (default .sensorium).
    """
    from ops import commands
    from ops.plan import Demo

    commands.up(Demo(enabled=demo, video=video, camera=camera, audio=audio), detach=detach)


@app.command(rich_help_panel=RUNNING)
def status(json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """What runs, since when, and at which addresses. Exit code 3 when nothing runs."""
    from ops import commands

    raise typer.Exit(commands.status(as_json=json))


@app.command(rich_help_panel=RUNNING)
def down() -> None:
    """Stop what `up` started, and whatever a killed run left behind."""
    from ops import commands

    commands.down()


@app.command(rich_help_panel=RUNNING)
def reset(
    yes: Annotated[bool, typer.Option("--yes", help="Really delete; nothing is asked.")] = False,
) -> None:
    """Delete all state of this home: the log, read models, keys, and what devices here have not sent yet.

    Servers that you named are not touched.
    """
    from ops import commands

    commands.reset(yes=yes)


@app.command(rich_help_panel=RUNNING)
def serve(
    name: Annotated[
        str,
        typer.Argument(
            help="front, gateway, api, projector, processors, asr, deciders, orchestrator, cameras, runner."
        ),
    ],
    host: Annotated[str | None, typer.Option(help="Address to listen on (default SENSORIUM_HOST).")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on (default SENSORIUM_PORT).")] = None,
    reload: Annotated[bool, typer.Option("--reload", help="Start again when the code changes.")] = False,
) -> None:
    """Run one service here, against the servers of a running `up` or those named by the environment."""
    from ops import commands

    raise typer.Exit(commands.serve(name, host, port, reload))


@app.command(rich_help_panel=DATA)
def topics(
    create: Annotated[bool, typer.Option("--create", help="Create the missing ones.")] = False,
) -> None:
    """The topics, and whether the broker has them as agreed. Exit code 1 when it does not."""
    from ops import commands

    raise typer.Exit(commands.topics(create=create))


@app.command(rich_help_panel=DATA)
def migrate(
    direction: Annotated[str, typer.Argument(help="up, down (the last step only) or history.")],
) -> None:
    """Migrate the control schema. Read models are not migrated: they are rebuilt by `replay`."""
    from ops import commands

    commands.migrate(direction)


@app.command(context_settings=FOREIGN, add_help_option=False, rich_help_panel=DATA)
def replay(context: typer.Context) -> None:
    """Rebuild a read model from the log beside the live one, compare, and switch."""
    _hand_over("ops.replay_cli", ["replay", *context.args], "sensorium")


@app.command(context_settings=FOREIGN, add_help_option=False, rich_help_panel=DATA)
def rollback(context: typer.Context) -> None:
    """Switch a read model back to the version before."""
    _hand_over("ops.replay_cli", ["rollback", *context.args], "sensorium")


@app.command(context_settings=FOREIGN, add_help_option=False, rich_help_panel=DATA)
def retire(context: typer.Context) -> None:
    """Drop a version of a read model that is no longer wanted, or a view of the past."""
    _hand_over("ops.replay_cli", ["retire", *context.args], "sensorium")


@app.command("dead-letters", context_settings=FOREIGN, add_help_option=False, rich_help_panel=DATA)
def dead_letters(context: typer.Context) -> None:
    """Events that could not be processed: list, show, redrive, discard."""
    _hand_over("ops.dead_letters_cli", context.args or ["--help"], "sensorium dead-letters")


@app.command(rich_help_panel=DATA)
def psql(
    command: Annotated[str | None, typer.Option("-c", "--command", help="Run this SQL and return.")] = None,
) -> None:
    """Ask the live read models in SQL by their plain table names, read only: `psql -c "SELECT * FROM sessions"`."""
    from ops import commands

    raise typer.Exit(commands.psql(command))


@app.command("debug-data", rich_help_panel=DATA)
def debug_data(
    seed: Annotated[int, typer.Option(help="Another number makes other passengers and engineers.")] = 1,
    users: Annotated[int, typer.Option(min=0, max=100_000, help="Passengers; each has a ticket.")] = 40,
    trains: Annotated[int, typer.Option(min=0, max=100, help="Trains of the day, between MOSCOW and SPB.")] = 4,
    stores: Annotated[int, typer.Option(min=0, max=100, help="Stores on board of each train, of 22 items.")] = 2,
    engineers: Annotated[int, typer.Option(min=1, max=100, help="The first may do everything and has a card.")] = 3,
    day: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The trains' day (default today).")] = None,
    url: Annotated[str | None, typer.Option(help="Where the railway is (default: this home's).")] = None,
    password: Annotated[str | None, typer.Option(help="The engineers' (default: one is made, shown and kept).")] = None,
) -> None:
    """Fill the railway with a demo: engineers, passengers, tickets, stores with items, hotels and sights.

    Doing it again adds only what is missing. Elsewhere than on the server's machine it needs ADMIN_TOKEN.
    """
    from ops import debug_data as demo
    from ops.debug_plan import Size

    size = Size(seed, users, trains, stores, engineers, day.date() if day else None)
    demo.run(size, demo.Goal(url, password))


@app.command(context_settings=FOREIGN, add_help_option=False, rich_help_panel=DEVICES)
def agent(context: typer.Context) -> None:
    """Run a device's program, for example `sensorium agent emotion-sensor --demo`."""
    from ops import agents

    raise typer.Exit(agents.run(context.args))


@app.command(context_settings=FOREIGN, add_help_option=False, rich_help_panel=TOOLS)
def bench(context: typer.Context) -> None:
    """Measure this machine: gateway, projector, replay, freshness and queries, as ratios to raw limits."""
    _hand_over("ops.bench", context.args, "sensorium bench")


@app.command(rich_help_panel=TOOLS)
def doctor() -> None:
    """Check everything that `up` needs, and say what to do about what is missing. Exit code 1 when something is."""
    from ops import doctor as surgery

    raise typer.Exit(surgery.examine())


def _hand_over(module: str, arguments: list[str], program: str) -> None:
    """Run another room's typer app (`app`) with what was typed."""
    import importlib

    try:
        room = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise OperatorError(
            f"This command is not installed here ({error.name} is missing): pip install 'sensorium[server]'."
        ) from error
    room.app(args=arguments, prog_name=program)


def main() -> None:
    """Entry point of `sensorium`: an OperatorError is one sentence and exit code 1."""
    try:
        app(prog_name="sensorium")
    except OperatorError as error:
        print(f"sensorium: {error}", file=sys.stderr)
        sys.exit(1)
    except ModuleNotFoundError as error:
        if error.name and error.name.split(".")[0] in ("schemas", "ops", "producers", "streams", "projections", "api"):
            raise
        print(f"sensorium: {error.name} is not installed: pip install 'sensorium[server]'.", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
