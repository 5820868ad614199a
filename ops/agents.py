"""Finds a device's program by name. Imports nothing of the server rooms."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from ops.errors import OperatorError

AGENTS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "asr-worker": ("streams.asr_worker.__main__", "a server's dialogues -> text, on another machine"),
        "emotion-sensor": ("edge_agents.emotion_sensor.cli", "faces -> valence and arousal -> the gateway"),
        "recorder": ("edge_agents.recorder.cli", "a shop counter's microphone -> OGG/Opus chunks -> the gateway"),
        "robot": ("edge_agents.robot.cli", "a train's robot: tickets, passengers, shops, and an eye on the wagon"),
    }
)


def run(arguments: Sequence[str]) -> int:
    """Run `NAME ...`; without a name, say which there are. Returns the exit code."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print("Usage: sensorium agent NAME [OPTIONS]\n\nDevices:")
        for name, (_, about) in AGENTS.items():
            print(f"  {name}  {about}")
        return 0
    name, *rest = arguments
    if name not in AGENTS:
        raise OperatorError(f"There is no agent {name!r}; there is: {', '.join(AGENTS)}.")
    return int(importlib.import_module(AGENTS[name][0]).main(rest) or 0)
