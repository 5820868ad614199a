"""Decider `users`: who may sign in, under which name, as what. Names stay sealed; the state holds marks of them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec

from schemas.envelope import KeyRing, unseal
from schemas.errors import Forgotten, InvalidEvent
from streams.decisions import Accepted, Command, Decide, Evolve, Fact, Refused
from streams.marks import USERNAME, mark_of, marks_of


class User(msgspec.Struct, frozen=True):
    """A user; the mark stands for the user name, empty when its key is gone."""

    mark: str
    is_admin: bool
    is_active: bool = True


class State(msgspec.Struct, frozen=True):
    """All users, in one partition: a name belongs to one user only."""

    users: dict[str, User] = {}
    marks: dict[str, str] = {}
    """Mark of a user name -> user."""


def decider(ring: KeyRing) -> tuple[Decide[State], Evolve[State]]:
    """Give (decide, evolve) that open envelopes with this ring."""
    return partial(decide, ring=ring), partial(evolve, ring=ring)


def decide(state: State, command: Command, ring: KeyRing) -> Accepted | Refused:
    """Give the events of a command, or why not."""
    record = command.record
    user_id: str = record["user_id"]
    if command.name == "CreateUser":
        return _create(state, command, ring)
    if user_id not in state.users:
        return Refused("user_not_found", "User not found")
    match command.name:
        case "ChangeUser":
            return _change(state.users[user_id], command)
        case "DeleteUser":
            if record["by"] == user_id:
                return Refused("self", "Cannot delete yourself")
            return Accepted((Fact("UserDeleted", user_id, {"user_id": user_id} | _at(command)),))
        case "RecordSignIn":
            if not state.users[user_id].is_active:
                return Refused("inactive", "The user is not active")
            return Accepted((Fact("UserSignedIn", user_id, {"user_id": user_id, "at_us": command.at_us}),))
        case _:
            raise InvalidEvent(f"{command.name} is no command for users.")


def evolve(state: State, name: str, record: Mapping[str, Any], ring: KeyRing) -> State:
    """Give the state after an event."""
    user_id = record["user_id"]
    match name:
        case "UserCreated":
            mark = _own_mark(record["details"], ring)
            users = {**state.users, user_id: User(mark, record["is_admin"])}
            return State(users, {**state.marks, mark: user_id} if mark else state.marks)
        case "UserChanged":
            changes = {key: record[key] for key in ("is_admin", "is_active") if record[key] is not None}
            changed = msgspec.structs.replace(state.users[user_id], **changes)
            return State({**state.users, user_id: changed}, state.marks)
        case "UserDeleted":
            users = {key: user for key, user in state.users.items() if key != user_id}
            return State(users, {mark: owner for mark, owner in state.marks.items() if owner != user_id})
        case _:
            return state


def _create(state: State, command: Command, ring: KeyRing) -> Accepted | Refused:
    record = command.record
    details = unseal(ring, record["details"], "UserDetails")
    if isinstance(details, Forgotten) or not details["username"]:
        return Refused("unreadable", "The user's name cannot be read: its key is gone")
    if record["user_id"] in state.users:
        return Refused("user_exists", "User already exists")
    if any(mark in state.marks for mark in marks_of(details["username"], ring, USERNAME)):
        return Refused("username_taken", "Username already exists")
    event = {key: record[key] for key in ("user_id", "details", "is_admin")} | _at(command)
    return Accepted(
        (Fact("UserCreated", record["user_id"], event),), {"user_id": record["user_id"], "created_us": command.at_us}
    )


def _change(user: User, command: Command) -> Accepted:
    record = command.record
    kept = {"is_admin": user.is_admin, "is_active": user.is_active}
    changes = {key: None if record[key] == now else record[key] for key, now in kept.items()}
    if record["details"] is None and not any(value is not None for value in changes.values()):
        return Accepted()
    event = {"user_id": record["user_id"], "details": record["details"]} | changes | _at(command)
    return Accepted((Fact("UserChanged", record["user_id"], event),))


def _at(command: Command) -> dict[str, Any]:
    return {"at_us": command.at_us, "by": command.record["by"]}


def _own_mark(details: Mapping[str, Any], ring: KeyRing) -> str:
    """Under the key that seals the name: a mark lives as long as its key."""
    opened = unseal(ring, details, "UserDetails")
    if isinstance(opened, Forgotten):
        return ""
    return mark_of(opened["username"] or "", ring.keys[details["key_id"]])
