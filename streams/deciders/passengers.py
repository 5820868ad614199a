"""Decisions about passengers, their tickets and their sign-ins. Names stay sealed; the state holds marks of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

import msgspec
from immutables import Map

from schemas.envelope import KeyRing, unseal
from schemas.errors import Forgotten, InvalidEvent
from streams.decisions import Accepted, Command, Decide, Evolve, Fact, Refused
from streams.marks import mark_of, marks_of

COMMANDS: Final = frozenset({
    "AddPassenger", "ChangePassenger", "RemovePassenger", "LinkKeycloakUser", "UnlinkKeycloakUser",
    "IssueTicket", "UseTicket", "CancelTicket",
})  # fmt: skip
EVENTS: Final = frozenset({
    "PassengerAdded", "PassengerChanged", "PassengerRemoved", "KeycloakUserLinked", "KeycloakUserUnlinked",
    "TicketIssued", "TicketUsed", "TicketCancelled",
})  # fmt: skip
KEY: Final = "passengers"
"""Key of every message about passengers."""

_MARKED: Final = {"name": "passenger name", "username": "passenger username", "email": "passenger e-mail"}
"""Details that are held apart, and the kind of their marks."""
_NOBODY: Final = Refused("user_not_found", "User not found")
_EXISTS: Final = "User already exists"
_UNREADABLE: Final = Refused("unreadable", "What is said of the passenger cannot be read: its key is gone")


class Passenger(msgspec.Struct, frozen=True):
    """A passenger: marks (empty: not said, or its key is gone), tickets and Keycloak ids."""

    name: str = ""
    username: str = ""
    email: str = ""
    tickets: Map[str, bool] = Map()
    links: Map[str, bool] = Map()


class Ticket(msgspec.Struct, frozen=True):
    """A ticket: whose it is, its place on its train, whether it was used."""

    user_id: str
    place: str
    is_used: bool = False


class State(msgspec.Struct, frozen=True):
    """All passengers and tickets."""

    passengers: Map[str, Passenger] = Map()
    names: Map[str, int] = Map()
    """Mark of a name -> how many passengers have it."""
    usernames: Map[str, str] = Map()
    emails: Map[str, str] = Map()
    """Mark -> passenger."""
    links: Map[str, str] = Map()
    """Keycloak id -> passenger."""
    tickets: Map[str, Ticket] = Map()
    places: Map[str, int] = Map()
    """Place of a train on a date -> how many tickets there are for it."""


def decider(ring: KeyRing) -> tuple[Decide[State], Evolve[State]]:
    """Give (decide, evolve) that open envelopes with this ring."""
    return partial(decide, ring=ring), partial(evolve, ring=ring)


def decide(state: State, command: Command, ring: KeyRing) -> Accepted | Refused:
    """Give the events of a command, or why not."""
    match command.name:
        case "AddPassenger":
            return _add(state, command, ring)
        case "ChangePassenger":
            return _change(state, command, ring)
        case "RemovePassenger":
            return _remove(state, command)
        case "LinkKeycloakUser":
            return _link(state, command)
        case "UnlinkKeycloakUser":
            owner = state.links.get(command.record["keycloak_id"])
            return Accepted((_unlinked(command, owner, command.record["keycloak_id"]),) if owner else ())
        case "IssueTicket":
            return _issue(state, command)
        case "UseTicket":
            return _use(state, command)
        case "CancelTicket":
            ticket_id = command.record["ticket_id"]
            return Accepted((_cancelled(command, ticket_id),) if ticket_id in state.tickets else ())
        case _:
            raise InvalidEvent(f"{command.name} is no command for passengers.")


def evolve(state: State, name: str, record: Mapping[str, Any], ring: KeyRing) -> State:
    """Give the state after an event."""
    match name:
        case "PassengerAdded" | "PassengerChanged":
            return _told(state, record["user_id"], record["details"], ring)
        case "PassengerRemoved":
            return _without(state, record["user_id"])
        case "KeycloakUserLinked" | "KeycloakUserUnlinked":
            return _linked(state, record, holds=name == "KeycloakUserLinked")
        case "TicketIssued":
            return _ticketed(state, record["ticket_id"], Ticket(record["user_id"], place_of(record)), 1)
        case "TicketUsed":
            used = msgspec.structs.replace(state.tickets[record["ticket_id"]], is_used=True)
            return msgspec.structs.replace(state, tickets=state.tickets.set(record["ticket_id"], used))
        case "TicketCancelled":
            return _ticketed(state, record["ticket_id"], state.tickets[record["ticket_id"]], -1)
        case _:
            return state


def announce(_state: State, name: str, record: Mapping[str, Any]) -> Sequence[Fact]:
    """Who is removed is to be known by no face any more, and not to be watched for."""
    if name != "PassengerRemoved":
        return ()
    asked = {"user_id": record["user_id"], "by": record["by"]}
    return (
        Fact("RemoveFace", record["user_id"], asked, topic="faces.commands"),
        Fact("UnwatchPerson", "security", asked, topic="security.commands"),
    )


def place_of(record: Mapping[str, Any]) -> str:
    """What a ticket is for: a place of a train on a date."""
    return "/".join(str(record[name]) for name in ("train_number", "wagon_number", "place_number", "date_us"))


def _add(state: State, command: Command, ring: KeyRing) -> Accepted | Refused:
    record = command.record
    user_id: str = record["user_id"]
    details = unseal(ring, record["details"], "PassengerDetails")
    if isinstance(details, Forgotten):
        return _UNREADABLE
    if user_id in state.passengers:
        return Refused("user_exists", _EXISTS)
    if record["name_is_taken_once"] and any(mark in state.names for mark in _marks(details, "name", ring)):
        return Refused("user_exists", _EXISTS)
    taken = _taken(state, user_id, details, ring)
    if taken is not None:
        return taken
    event = {"user_id": user_id, "details": record["details"]} | _at(command)
    return Accepted((Fact("PassengerAdded", KEY, event),), {"user_id": user_id, "created_us": command.at_us})


def _change(state: State, command: Command, ring: KeyRing) -> Accepted | Refused:
    record = command.record
    details = unseal(ring, record["details"], "PassengerDetails")
    if record["user_id"] not in state.passengers:
        return _NOBODY
    if isinstance(details, Forgotten):
        return _UNREADABLE
    if all(value is None for value in details.values()):
        return Accepted()
    taken = _taken(state, record["user_id"], details, ring)
    if taken is not None:
        return taken
    event = {"user_id": record["user_id"], "details": record["details"]} | _at(command)
    return Accepted((Fact("PassengerChanged", KEY, event),))


def _taken(state: State, user_id: str, details: Mapping[str, Any], ring: KeyRing) -> Refused | None:
    """Why these details cannot be this passenger's: somebody else has the user name or the e-mail."""
    for field, held in (("username", state.usernames), ("email", state.emails)):
        if any(held.get(mark, user_id) != user_id for mark in _marks(details, field, ring)):
            return Refused(f"{field}_taken", _EXISTS)
    return None


def _remove(state: State, command: Command) -> Accepted | Refused:
    user_id: str = command.record["user_id"]
    passenger = state.passengers.get(user_id)
    if passenger is None:
        return _NOBODY
    return Accepted((
        *(_cancelled(command, ticket_id) for ticket_id in sorted(passenger.tickets)),
        *(_unlinked(command, user_id, keycloak_id) for keycloak_id in sorted(passenger.links)),
        Fact("PassengerRemoved", KEY, {"user_id": user_id} | _at(command)),
    ))  # fmt: skip


def _link(state: State, command: Command) -> Accepted | Refused:
    record = command.record
    if record["user_id"] not in state.passengers:
        return _NOBODY
    if record["keycloak_id"] in state.links:
        return Refused("keycloak_id_taken", "Keycloak user already exists")
    event = {"keycloak_id": record["keycloak_id"], "user_id": record["user_id"]} | _at(command)
    return Accepted((Fact("KeycloakUserLinked", KEY, event),))


def _issue(state: State, command: Command) -> Accepted | Refused:
    record = command.record
    if record["user_id"] not in state.passengers:
        return _NOBODY
    is_taken = record["place_is_taken_once"] and place_of(record) in state.places
    if is_taken or record["ticket_id"] in state.tickets:
        return Refused("ticket_exists", "Ticket already exists")
    event = {name: value for name, value in record.items() if name != "place_is_taken_once"} | _at(command)
    result = {"ticket_id": record["ticket_id"], "created_us": command.at_us}
    return Accepted((Fact("TicketIssued", KEY, event),), result)


def _use(state: State, command: Command) -> Accepted | Refused:
    record = command.record
    ticket = state.tickets.get(record["ticket_id"])
    if ticket is None:
        return Refused("ticket_not_found", "Ticket not found")
    if ticket.is_used:
        return Accepted((), {"is_first": False})
    event = {"ticket_id": record["ticket_id"], "robot_id": record["robot_id"]} | _at(command)
    return Accepted((Fact("TicketUsed", KEY, event),), {"is_first": True})


def _unlinked(command: Command, user_id: str, keycloak_id: str) -> Fact:
    return Fact("KeycloakUserUnlinked", KEY, {"keycloak_id": keycloak_id, "user_id": user_id} | _at(command))


def _cancelled(command: Command, ticket_id: str) -> Fact:
    return Fact("TicketCancelled", KEY, {"ticket_id": ticket_id} | _at(command))


def _at(command: Command) -> dict[str, Any]:
    return {"at_us": command.at_us, "by": command.record["by"]}


def _marks(details: Mapping[str, Any], field: str, ring: KeyRing) -> Iterator[str]:
    """The marks that a detail may be held under; none of one that is not said, or empty."""
    return marks_of(details[field], ring, _MARKED[field]) if details[field] else iter(())


def _told(state: State, user_id: str, envelope: Mapping[str, Any], ring: KeyRing) -> State:
    """Take in what is said of a passenger; null leaves it as it was. What nobody can read any more is not held."""
    before = state.passengers.get(user_id, Passenger())
    details = unseal(ring, envelope, "PassengerDetails")
    marks: dict[str, str] = {}
    if not isinstance(details, Forgotten):
        said = {field: details[field] for field in _MARKED if details[field] is not None}
        key = ring.keys[envelope["key_id"]]
        marks = {field: mark_of(text, key, _MARKED[field]) if text else "" for field, text in said.items()}
    after = msgspec.structs.replace(before, **marks)
    return msgspec.structs.replace(
        state,
        passengers=state.passengers.set(user_id, after),
        names=_counted(_counted(state.names, before.name, -1), after.name, 1),
        usernames=_owned(state.usernames, before.username, after.username, user_id),
        emails=_owned(state.emails, before.email, after.email, user_id),
    )


def _without(state: State, user_id: str) -> State:
    gone = state.passengers[user_id]
    return msgspec.structs.replace(
        state,
        passengers=state.passengers.delete(user_id),
        names=_counted(state.names, gone.name, -1),
        usernames=_owned(state.usernames, gone.username, "", user_id),
        emails=_owned(state.emails, gone.email, "", user_id),
    )


def _linked(state: State, record: Mapping[str, Any], *, holds: bool) -> State:
    user_id, keycloak_id = record["user_id"], record["keycloak_id"]
    passenger = state.passengers[user_id]
    links = passenger.links.set(keycloak_id, True) if holds else passenger.links.delete(keycloak_id)
    return msgspec.structs.replace(
        state,
        passengers=state.passengers.set(user_id, msgspec.structs.replace(passenger, links=links)),
        links=state.links.set(keycloak_id, user_id) if holds else state.links.delete(keycloak_id),
    )


def _ticketed(state: State, ticket_id: str, ticket: Ticket, step: int) -> State:
    """A ticket more (`step` 1) or less (-1)."""
    passenger = state.passengers[ticket.user_id]
    more = step > 0
    tickets = passenger.tickets.set(ticket_id, True) if more else passenger.tickets.delete(ticket_id)
    return msgspec.structs.replace(
        state,
        passengers=state.passengers.set(ticket.user_id, msgspec.structs.replace(passenger, tickets=tickets)),
        tickets=state.tickets.set(ticket_id, ticket) if more else state.tickets.delete(ticket_id),
        places=_counted(state.places, ticket.place, step),
    )


def _counted(counts: Map[str, int], key: str, step: int) -> Map[str, int]:
    """A count changed by `step`; what is at 0 is not kept, nor the empty key."""
    if not key:
        return counts
    after = counts.get(key, 0) + step
    return counts.set(key, after) if after > 0 else counts.delete(key)


def _owned(owners: Map[str, str], before: str, after: str, user_id: str) -> Map[str, str]:
    """The owners of marks, when one passenger's changes."""
    if before:
        owners = owners.delete(before)
    return owners.set(after, user_id) if after else owners
