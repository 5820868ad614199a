"""Decisions about places to tell passengers of: hotels and attractions of a destination."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from immutables import Map

from schemas.errors import InvalidEvent
from streams.decisions import Accepted, Command, Fact, Refused

COMMANDS: Final = frozenset({"AddPlace", "RemovePlace"})
EVENTS: Final = frozenset({"PlaceAdded", "PlaceRemoved"})
KEY: Final = "places"
"""Key of every message about places."""


class State(msgspec.Struct, frozen=True):
    """All places: id -> HOTEL or ATTRACTION."""

    places: Map[str, str] = Map()


def decide(state: State, command: Command) -> Accepted | Refused:
    """Give the events of a command, or why not."""
    record = command.record
    at = {"at_us": command.at_us, "by": record["by"]}
    match command.name:
        case "AddPlace":
            if record["place_id"] in state.places:
                return Refused("place_exists", "Place already exists")
            told = ("place_id", "kind", "destination_id", "name", "description", "logo_url")
            event = {name: record[name] for name in told} | at
            return Accepted((Fact("PlaceAdded", KEY, event),), {"place_id": record["place_id"]})
        case "RemovePlace":
            if state.places.get(record["place_id"]) != record["kind"]:
                return Accepted()
            event = {"place_id": record["place_id"], "kind": record["kind"]} | at
            return Accepted((Fact("PlaceRemoved", KEY, event),))
        case _:
            raise InvalidEvent(f"{command.name} is no command for places.")


def evolve(state: State, name: str, record: Mapping[str, Any]) -> State:
    """Give the state after an event."""
    match name:
        case "PlaceAdded":
            return State(state.places.set(record["place_id"], record["kind"]))
        case "PlaceRemoved":
            return State(state.places.delete(record["place_id"]))
        case _:
            return state


def announce(_state: State, _name: str, _record: Mapping[str, Any]) -> Sequence[Fact]:
    """Nothing follows elsewhere."""
    return ()
