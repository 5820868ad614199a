"""The table of deciders: what is asked, who decides, where it is told. A new decider is one more line."""

from __future__ import annotations

from typing import Any

from schemas.envelope import KeyRing
from streams import railway
from streams.deciders import devices, faces, scenarios, security, users
from streams.decisions import Decider
from streams.topology import StateCodec


def deciders(keyring: KeyRing) -> tuple[Decider[Any], ...]:
    """Every decider; `keyring` opens what is sealed."""
    decide_users, evolve_users = users.decider(keyring)
    decide_faces, evolve_faces = faces.decider(keyring)
    return (
        Decider(
            name="devices",
            commands="devices.commands",
            events="devices.events",
            decide=devices.decide,
            evolve=devices.evolve,
            state=StateCodec(devices.State, version=1),
            announce=devices.announce,
        ),
        Decider(
            name="users",
            commands="users.commands",
            events="users.events",
            decide=decide_users,
            evolve=evolve_users,
            state=StateCodec(users.State, version=1),
        ),
        railway.decider(keyring),
        Decider(
            name="faces",
            commands="faces.commands",
            events="faces.events",
            decide=decide_faces,
            evolve=evolve_faces,
            state=StateCodec(faces.State, version=1),
            announce=faces.announce,
        ),
        Decider(
            name="scenarios",
            commands="scenarios.commands",
            events="scenarios",
            decide=scenarios.decide,
            evolve=scenarios.evolve,
            state=StateCodec(scenarios.State, version=1),
        ),
        Decider(
            name="security",
            commands="security.commands",
            events="security.threats",
            decide=security.decide,
            evolve=security.evolve,
            state=StateCodec(security.State, version=1),
        ),
    )
