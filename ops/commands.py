"""What the commands of the command line do, for a person at a terminal."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import psutil

from ops import processes, settings, state
from ops.embedded import postgres
from ops.errors import OperatorError
from ops.plan import Demo
from ops.service import telling_line
from ops.settings import Settings

NOT_RUNNING = 3
STOP_PATIENCE_S = 120.0
# What `reset` deletes; anything else in the home was put there by somebody else.
OWN_FILES = (
    "kafka", "postgres", "logs", "run", "audio_storage", "asr", "analysis", "emotion-sensor", "shop-recorder",
    "debug-data", "vision-demo",
    "admin-token", "jwt-secret", "personal-keys",
)  # fmt: skip


def up(demo: Demo, *, detach: bool) -> None:
    """Run everything until stopped; detached, return when it runs."""
    from ops.supervisor import Supervisor
    from ops.terminal import Terminal

    ours = settings.load()
    settings.share_certificates()
    if detach:
        _detach(ours, demo)
    else:
        Supervisor(ours, demo, Terminal()).run()


def _detach(ours: Settings, demo: Demo) -> None:
    log = ours.log_dir / "up.log"
    with state.lock(ours.home):
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_bytes(b"")
    command = [sys.executable, "-m", "ops.cli", "up", *up_arguments(demo)]
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    print(f"Starting; what happens is written to {log}.")
    while True:
        now = state.read(ours.home)
        if now is not None and now.pid == process.pid and now.phase == "running":
            print(f"Sensorium runs at {now.base_url}/ui (process {now.pid}).")
            return
        if process.poll() is not None:
            raise OperatorError(telling_line(log.read_text(errors="replace")) + ".")
        time.sleep(0.1)


def up_arguments(demo: Demo) -> list[str]:
    """The flags of `up` that make this demo."""
    arguments = [] if demo.enabled else ["--no-demo"]
    chosen = {"--video": demo.video, "--camera": demo.camera, "--audio": demo.audio}
    return arguments + [part for flag, value in chosen.items() if value is not None for part in (flag, str(value))]


def status(*, as_json: bool) -> int:
    """Print what runs; the exit code."""
    ours = settings.load()
    now = state.read(ours.home)
    if now is None or not now.is_alive:
        print(json.dumps({"phase": "stopped"}) if as_json else f"Nothing runs on {ours.home}.")
        return NOT_RUNNING
    if as_json:
        print(json.dumps(asdict(now), indent=1))
        return 0
    print(f"{now.phase} (process {now.pid}), page {now.base_url}/ui")
    print(f"Kafka      {now.kafka_bootstrap or 'starting'}")
    print(f"PostgreSQL {without_password(now.database_url) if now.database_url else 'starting'}")
    for name, service in now.services.items():
        since = datetime.fromtimestamp(service.since, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        restarts = f", restarted {service.restarts} x" if service.restarts else ""
        print(f"  {name:15} {service.state:9} since {since}, process {service.pid or '-'}{restarts}")
    for line in read_models(now.database_url):
        print(line)
    return 0


def read_models(database_url: str | None) -> list[str]:
    """One line per version of a read model, with the sentence why it stopped where it did; none without PostgreSQL."""
    from projections.store_models import Models
    from schemas.errors import TransientFailure

    if database_url is None:
        return []
    try:
        with Models(database_url) as models:
            versions = [version for version in models.listing() if version.state != "retired"]
    except TransientFailure as away:
        return [f"Read models: {away}"]
    problems = {version.schema: f": {version.problem}" if version.problem else "" for version in versions}
    return [f"  {one.schema:24} {one.state}, {one.phase}{problems[one.schema]}" for one in versions]


def without_password(url: str) -> str:
    """The address as it may be shown."""
    scheme, _, rest = url.partition("://")
    who, at, where = rest.rpartition("@")
    return f"{scheme}://{who.partition(':')[0]}{at}{where}"


def down() -> None:
    """Ask the supervisor to stop and wait; then end what was left behind."""
    ours = settings.load()
    now = state.read(ours.home)
    if now is not None and now.is_alive:
        os.kill(now.pid, signal.SIGTERM)
        until = time.monotonic() + STOP_PATIENCE_S
        while now.is_alive:
            if time.monotonic() > until:
                raise OperatorError(f"Process {now.pid} has not stopped within {STOP_PATIENCE_S:.0f} s: see the logs.")
            time.sleep(0.1)
        print("Stopped.")
    left = leftovers(ours.home)
    processes.end(left)
    if left:
        print(f"Ended {len(left)} processes that a killed run had left behind.")
    elif now is None:
        print(f"Nothing runs on {ours.home}.")


def leftovers(home: Path) -> list[psutil.Process]:
    """Processes of this home whose supervisor is gone."""
    server = postgres.postmaster(home / "postgres" / "data")
    return [*processes.orphans(home), *([server] if server else [])]


def reset(*, yes: bool) -> None:
    """Delete the home's own files; refused while it runs or without --yes."""
    ours = settings.load()
    there = [path for path in (ours.home / name for name in OWN_FILES) if path.exists()]
    if not yes:
        raise OperatorError(
            f"This deletes every event, read model and key in {ours.home}, for good: say `sensorium reset --yes`."
        )
    if not there:
        print(f"Nothing to delete in {ours.home}.")
        return
    with state.lock(ours.home):
        processes.end(leftovers(ours.home))
        shutil.rmtree(postgres.Postgres(ours.home / "postgres", None).socket_dir, ignore_errors=True)
        for path in {*there, ours.run_dir}:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    print(f"Deleted {', '.join(path.name for path in there)} in {ours.home}.")
    if ours.kafka_bootstrap or ours.database_url:
        print("The servers named by KAFKA_BOOTSTRAP_SERVERS and DATABASE_URL were not touched.")


def serve(name: str, host: str | None, port: int | None, reload: bool) -> int:
    """Run one service in this process; the exit code."""
    ours = settings.load()
    settings.check_exposure(replace(ours, host=host or ours.host))
    from ops import wiring

    os.umask(0o077)  # what a service writes is personal data
    return wiring.serve(name, ours, host, port, reload)


def topics(*, create: bool) -> int:
    """Print the topics against their contract; the exit code."""
    from ops import topics as contract
    from schemas.topics import TOPICS

    bootstrap = state.connected_kafka(settings.load())
    states = contract.check(bootstrap, TOPICS, create=create)
    for topic in states:
        verdict = "created" if topic.created else "; ".join(topic.differences) or "as agreed"
        print(f"{topic.name:18} {topic.partitions:2} partitions  {verdict}")
    return 1 if any(topic.differences for topic in states) else 0


def migrate(direction: str) -> None:
    """Run or list the migrations of the control schema."""
    from projections import migrations

    url = state.connected_database(settings.load())
    if direction == "history":
        for step in migrations.history(url):
            when = f"applied {step.applied_at:%Y-%m-%d %H:%M:%S %Z}" if step.applied_at else "not applied"
            print(f"{step.name}  {when}")
    elif direction in ("up", "down"):
        (migrations.up if direction == "up" else migrations.down)(url)
        print(f"Migrated {direction}.")
    else:
        raise OperatorError(f"There is no `migrate {direction}`: say up, down or history.")


def psql(command: str | None) -> int:
    """Run PostgreSQL's own client on the live database, reading only; the exit code.

    Nobody but the projector writes read models. Everybody on the machine may read the command line, so the password
    goes through the environment.
    """
    from psycopg.conninfo import conninfo_to_dict, make_conninfo

    where = conninfo_to_dict(state.connected_database(settings.load()))
    password = where.pop("password", None)
    secret = {} if password is None else {"PGPASSWORD": str(password)}
    env = settings.child_environment({"PGOPTIONS": "-c default_transaction_read_only=on", **secret})
    program = postgres.bin_dir() / "psql"
    once = ["-v", "ON_ERROR_STOP=1", "-P", "pager=off", "-c", command] if command is not None else []
    sys.stdout.flush()
    return subprocess.run([str(program), "-X", *once, make_conninfo("", **where)], check=False, env=env).returncode
