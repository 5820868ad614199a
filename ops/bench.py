"""`sensorium bench`: runs the checkout's benchmarks one after the other, on private servers unless some are named."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import typer

from ops import plan, processes, settings
from ops.embedded import jars, servers
from ops.embedded.kafka import Kafka
from ops.errors import OperatorError
from ops.service import Service, bring_up
from ops.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "tests" / "benchmarks"
PREFIX = "bench_"

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def bench(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="Which ones (default all); see --list.")
    ] = None,
    show: Annotated[bool, typer.Option("--list", help="Say which there are, and run none.")] = False,
) -> None:
    """Measure this machine. Each figure stands beside the raw limit of the same run on the same machine.

    Options that are not known here go to the benchmark, for example `sensorium bench projector --posts 1000`.
    """
    there = available()
    chosen = list(itertools.takewhile(lambda word: not word.startswith("-"), words or [])) or list(there)
    options = [] if words is None else words[len(chosen) if words[0] in chosen else 0 :]
    unknown = [name for name in chosen if name not in there]
    if unknown:
        raise OperatorError(f"There is no benchmark {unknown[0]!r}; there are {', '.join(there) or 'none here'}.")
    if show:
        print("\n".join(there))
        return
    with stores(settings.load()) as environ:
        failed = [name for name in chosen if run(there[name], options, environ)]
    if failed:
        raise OperatorError(f"These benchmarks failed: {', '.join(failed)}.")


def available() -> dict[str, str]:
    """Module by name of every benchmark of the checkout. OperatorError outside a checkout."""
    if not FOLDER.is_dir():
        raise OperatorError("The benchmarks are in the source checkout only: run `make bench` there.")
    return {
        path.stem.removeprefix(PREFIX): f"tests.benchmarks.{path.stem}" for path in sorted(FOLDER.glob(f"{PREFIX}*.py"))
    }


def run(module: str, options: Sequence[str], environ: Mapping[str, str]) -> bool:
    """Run one benchmark in a process of its own; whether it failed."""
    print(f"\n== {module.rpartition('.')[2].removeprefix(PREFIX)}", flush=True)
    begin = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", module, *options], cwd=ROOT, env=settings.child_environment(environ), check=False
    )
    print(f"   ({time.monotonic() - begin:.0f} s)", flush=True)
    return done.returncode != 0


@contextmanager
def stores(ours: Settings) -> Generator[dict[str, str]]:
    """Addresses of a Kafka and a PostgreSQL for the benchmarks: those named, else private ones that go afterwards."""
    with ExitStack() as stack:
        home = Path(tempfile.mkdtemp(prefix="sensorium-bench-"))
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        environ = {"KAFKA_BOOTSTRAP_SERVERS": ours.kafka_bootstrap or "", "DATABASE_URL": ours.database_url or ""}
        if not ours.kafka_bootstrap:
            port, controller = servers.free_port(), servers.free_port()
            kafka = Kafka(home / "kafka", jars.ensure(ours.cache, lambda _: None), port, controller, plan.jvm(ours))
            _running(servers.kafka_service(kafka, home), stack)
            environ["KAFKA_BOOTSTRAP_SERVERS"] = kafka.bootstrap
        if not ours.database_url:
            server = servers.postgres(home)
            _running(servers.postgres_service(server, home), stack)
            environ["DATABASE_URL"] = server.url
        yield environ


def _running(service: Service, stack: ExitStack) -> None:
    process = bring_up(service)
    stack.callback(processes.stop, process, service.stop_signal, service.stop_patience_s)
