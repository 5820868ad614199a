"""The table of deciders: what is asked, who decides, where it is told. A new decider is one more line."""

from __future__ import annotations

from typing import Any

from schemas.envelope import KeyRing
from streams import railway
from streams.deciders import devices, faces, scenarios, security, users
from streams.decisions import Decider
from streams.topology import StateCodec


def deciders(keyring: KeyRing) -> tuple[Decider[Any], ...]:
    """Every decider (name, topics of commands and events, functions, state); `keyring` opens what is sealed."""
    return (
        Decider(
            "devices", "devices.commands", "devices.events", devices.decide, devices.evolve,
            StateCodec(devices.State, version=1), devices.announce,
        ),
        Decider(
            "users", "users.commands", "users.events", *users.decider(keyring), StateCodec(users.State, version=1)
        ),
        railway.decider(keyring),
        Decider(
            "faces", "faces.commands", "faces.events", *faces.decider(keyring), StateCodec(faces.State, version=1),
            faces.announce,
        ),
        Decider(
            "scenarios", "scenarios.commands", "scenarios", scenarios.decide, scenarios.evolve,
            StateCodec(scenarios.State, version=1),
        ),
        Decider(
            "security", "security.commands", "security.threats", security.decide, security.evolve,
            StateCodec(security.State, version=1),
        ),
    )  # fmt: skip
