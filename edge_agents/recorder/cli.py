"""The recorder's command line: `recorder-agent`, `python -m recorder_agent`, `sensorium agent recorder`."""

from __future__ import annotations

import argparse
import logging
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edge_agents.recorder.errors import ConfigError, RecorderError
from edge_agents.recorder.json_log import LEVELS, set_up

log = logging.getLogger("recorder_agent")


def parser() -> argparse.ArgumentParser:
    """The options. An unknown one ends with code 2."""
    made = argparse.ArgumentParser(
        prog="recorder-agent", description="Records a shop counter's microphone and sends it, chunk by chunk."
    )
    made.add_argument("-c", "--config", type=Path, help="YAML file (default: /etc/recorder-agent/config.yaml)")
    made.add_argument("--log-level", type=str.upper, choices=LEVELS, help="what to log (default: INFO)")
    made.add_argument("--check", action="store_true", help="say which microphone would be used, and end")
    demo = made.add_argument_group("demo", "Without a microphone: a synthesised shop dialogue, or a sound file.")
    demo.add_argument("--demo", action="store_true", help="speak the scripted dialogues, send them, and end")
    demo.add_argument("--languages", default="ru,en", help="which dialogues: ru, en or both (default: ru,en)")
    demo.add_argument("--file", help="record this sound file instead of a microphone, once, and end when it is sent")
    demo.add_argument("--speed", type=float, help="times real time; 0: as fast as the machine goes")
    for name, about in _FLAGS.items():
        demo.add_argument(f"--{name}", help=about)
    return made


_FLAGS = {
    "server": "address of the server (ingest_base_url)",
    "token": "the device's token (ingest_token)",
    "point-id": "point_id",
    "register-id": "register_id",
    "device-id": "device_id",
    "spool-dir": "spool_dir",
    "chunk-seconds": "chunk_seconds (demo: 15)",
    "health-port": "health_port (demo: 0, none)",
}
# Its chunks come soon, and it leaves the health page's port to a real recorder.
_OF_THE_DEMO = {"chunk_seconds": 15, "health_port": 0}
_KEYS = {"server": "ingest_base_url", "token": "ingest_token"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT; the exit code: 0 then, 1 for a setting or start that cannot be, 2 unknown option."""
    os.umask(0o077)  # What it writes is what people said: for this account's eyes only.
    try:
        options = parser().parse_args(arguments)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 2
    set_up(options.log_level or "INFO")
    try:
        return _run(options)
    except ConfigError as error:
        log.error("config_load_failed", extra={"error": str(error)})  # noqa: TRY400
    except ImportError as error:
        text = f"{error.name} is not installed: install sensorium with its extra `recorder`"
        log.error("library_missing", extra={"error": text})  # noqa: TRY400
    except (RecorderError, OSError) as error:
        log.error("service_failed", extra={"error": str(error)})  # noqa: TRY400
    return 1


def given(options: argparse.Namespace) -> dict[str, Any]:
    """Settings that flags say."""
    flags = vars(options)
    found = {_KEYS.get(name, name.replace("-", "_")): flags[name.replace("-", "_")] for name in _FLAGS}
    found |= {"speed": options.speed, "log_level": options.log_level}
    if options.file:
        found["audio_device"] = f"file:{Path(options.file).absolute()}"
    return found


def _run(options: argparse.Namespace) -> int:
    from edge_agents.recorder import settings as table

    instead = _OF_THE_DEMO if options.demo or options.file else {}
    settings = table.load(options.config or table.CONFIG, given=given(options), instead=instead)
    if options.log_level is None:
        logging.getLogger().setLevel(settings.log_level)
    if options.config and not options.config.exists():
        log.warning("config_file_missing", extra={"file": str(options.config)})
    if options.check:
        return _check(settings)
    from edge_agents.recorder.agent import Agent, Surroundings

    around = Surroundings(notifier=table.notifier(), until_sent=bool(options.demo or options.file))
    if options.demo:
        from edge_agents.recorder.demo import surroundings

        around = surroundings(options.languages.split(","), settings)
    agent = Agent(settings, around)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda got, _: _stop(agent, got))
    agent.run()
    return 0


def _stop(agent: Any, number: int) -> None:
    log.info("signal_received", extra={"signal": signal.Signals(number).name})
    agent.stop.set()


def _check(settings: Any) -> int:
    from edge_agents.recorder.clock import Clock
    from edge_agents.recorder.settings import point_to_alsa
    from edge_agents.recorder.sources import Sources, Wanted

    point_to_alsa()
    wanted = Wanted(settings.audio_device, settings.sample_rate, settings.capture)
    feed, _ = Sources(wanted, Clock().steady_us).open()
    feed.close()
    log.info("check_ok", extra={"microphone": feed.microphone.name})
    return 0
