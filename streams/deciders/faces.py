"""Decider `faces`: who is known by a face. The face goes into the compacted gallery only, so that it can be deleted.

A person has one face: another one replaces it. Whether two people have the same face is not decided here, since no
event says what a face looks like: whoever asks has compared (`api.railway.face_desk`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

import immutables
import msgspec

from schemas.envelope import KeyRing, unseal
from schemas.errors import Forgotten, InvalidEvent
from schemas.faces import MODEL
from streams.decisions import Accepted, Command, Decide, Evolve, Fact, Refused

COMMANDS: Final[frozenset[str]] = frozenset({"EnrolFace", "RemoveFace"})
EVENTS: Final[frozenset[str]] = frozenset({"FaceEnrolled", "FaceRemoved"})
GALLERY: Final = "faces.gallery"
TEMPLATE: Final = "FaceTemplate"
MODELS: Final[dict[str, int]] = {MODEL: 512}
"""Known ways to describe a face, and how many bytes it takes."""


class State(msgspec.Struct, frozen=True):
    """Everybody who has a face, and the model that described it."""

    models: immutables.Map[str, str] = immutables.Map()


def decider(ring: KeyRing) -> tuple[Decide[State], Evolve[State]]:
    """Give (decide, evolve) that open envelopes with this ring."""
    return partial(decide, ring=ring), evolve


def decide(state: State, command: Command, ring: KeyRing) -> Accepted | Refused:
    """Give the events of a command, or why not. Removing a face that is not there is done already."""
    user_id: str = command.record["user_id"]
    match command.name:
        case "EnrolFace":
            return _enrol(state, command, ring)
        case "RemoveFace" if user_id in state.models:
            removed = Fact("FaceRemoved", user_id, {"user_id": user_id} | _at(command))
            return Accepted((removed, _gallery(command, None)))
        case "RemoveFace":
            return Accepted()
        case _:
            raise InvalidEvent(f"{command.name} is no command for faces.")


def evolve(state: State, name: str, record: Mapping[str, Any]) -> State:
    """Give the state after an event."""
    match name:
        case "FaceEnrolled":
            return State(state.models.set(record["user_id"], record["model"]))
        case "FaceRemoved" if record["user_id"] in state.models:
            return State(state.models.delete(record["user_id"]))
        case _:
            return state


def announce(_state: State, name: str, record: Mapping[str, Any]) -> Sequence[Fact]:
    """Who is known by no face any more is not watched for."""
    if name != "FaceRemoved":
        return ()
    asked = {"user_id": record["user_id"], "by": record["by"]}
    return (Fact("UnwatchPerson", "security", asked, topic="security.commands"),)


def _enrol(state: State, command: Command, ring: KeyRing) -> Accepted | Refused:
    record = command.record
    user_id: str = record["user_id"]
    if record["face"]["subject"] != f"face/{user_id}":
        raise InvalidEvent("The face is somebody else's.")
    template = unseal(ring, record["face"], TEMPLATE)
    if isinstance(template, Forgotten):
        return Refused("unreadable", "The face cannot be read: its key is gone")
    if len(template["vector"]) != MODELS.get(template["model"]):
        return Refused("unknown_model", "The face was described in a way that is not known here")
    event = {"user_id": user_id, "model": template["model"], "replaced": user_id in state.models} | _at(command)
    happened = (Fact("FaceEnrolled", user_id, event), _gallery(command, record["face"]))
    return Accepted(happened, {"replaced": event["replaced"]})


def _gallery(command: Command, face: Any) -> Fact:
    """The newest of a person's face; none makes the older one go at the next compaction."""
    user_id: str = command.record["user_id"]
    record = {"user_id": user_id, "face": face, "at_us": command.at_us}
    return Fact("GalleryFaceSet", user_id, record, topic=GALLERY)


def _at(command: Command) -> dict[str, Any]:
    return {"at_us": command.at_us, "by": command.record["by"]}
