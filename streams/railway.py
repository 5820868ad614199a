"""Decider `railway`: aggregates that know nothing of each other behind one log, chosen by a command's name. Pure.

What must be consistent shares a key and so a partition: `passengers`, `places`, `access`, `stores`, and each store by
its id. A partition holds the state of those whose key falls into it; the others' stay empty there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final, cast

import immutables
import msgspec

from schemas.envelope import KeyRing
from schemas.errors import InvalidEvent
from streams.deciders import access, passengers, places, store, stores
from streams.decisions import Accepted, Announce, Command, Decide, Decider, Evolve, Fact, Refused
from streams.topology import StateCodec


class State(msgspec.Struct, frozen=True):
    """All aggregates of a partition. `each`: a store's own state by its id, for stores that were ever opened."""

    passengers: passengers.State = passengers.State()
    places: places.State = places.State()
    access: access.State = access.State()
    stores: stores.State = stores.State()
    each: immutables.Map[str, store.State] = immutables.Map()


NO_STORE: Final = store.State()


@dataclass(frozen=True, slots=True)
class Part:
    """An aggregate: what it is asked, what it says, and where the state has its own."""

    commands: frozenset[str]
    events: frozenset[str]
    decide: Decide[Any]
    evolve: Evolve[Any]
    announce: Announce[Any]
    own: Callable[[State, Mapping[str, Any]], Any]
    with_own: Callable[[State, Mapping[str, Any], Any], State]


def decider(ring: KeyRing) -> Decider[State]:
    """Compose the railway's decider; `ring` opens names and logins where they have to be unique."""
    asked, said = _tables(parts(ring))

    def decide(state: State, command: Command) -> Accepted | Refused:
        part = asked.get(command.name)
        if part is None:
            raise InvalidEvent(f"{command.name} is no command for the railway.")
        return part.decide(part.own(state, command.record), command)

    def evolve(state: State, name: str, record: Mapping[str, Any]) -> State:
        part = said.get(name)
        if part is None:
            return state
        return part.with_own(state, record, part.evolve(part.own(state, record), name, record))

    def announce(state: State, name: str, record: Mapping[str, Any]) -> Sequence[Fact]:
        part = said.get(name)
        return part.announce(part.own(state, record), name, record) if part else ()

    return Decider(
        name="railway",
        commands="railway.commands",
        events="railway.events",
        decide=decide,
        evolve=evolve,
        state=StateCodec(State, version=1),
        announce=announce,
    )


def parts(ring: KeyRing) -> tuple[Part, ...]:
    """Every aggregate."""
    return (
        _whole("passengers", passengers, *passengers.decider(ring)),
        _whole("places", places, places.decide, places.evolve),
        _whole("access", access, *access.decider(ring)),
        _whole("stores", stores, stores.decide, stores.evolve),
        Part(store.COMMANDS, store.EVENTS, store.decide, store.evolve, store.announce, _store, _with_store),
    )


def _whole(field: str, module: ModuleType, decide: Decide[Any], evolve: Evolve[Any]) -> Part:
    """An aggregate that exists once, in this field of the state."""

    def own(state: State, _record: Mapping[str, Any]) -> Any:
        return getattr(state, field)

    def with_own(state: State, _record: Mapping[str, Any], changed: Any) -> State:
        return msgspec.structs.replace(state, **{field: changed})

    said = cast("Any", module)
    return Part(said.COMMANDS, said.EVENTS, decide, evolve, said.announce, own, with_own)


def _store(state: State, record: Mapping[str, Any]) -> store.State:
    return state.each.get(record["store_id"], NO_STORE)


def _with_store(state: State, record: Mapping[str, Any], changed: store.State) -> State:
    store_id = record["store_id"]
    if changed != NO_STORE:
        return msgspec.structs.replace(state, each=state.each.set(store_id, changed))
    return msgspec.structs.replace(state, each=state.each.delete(store_id)) if store_id in state.each else state


def _tables(every: Sequence[Part]) -> tuple[dict[str, Part], dict[str, Part]]:
    """(part by command, part by event); each name belongs to one."""
    asked = {name: part for part in every for name in part.commands}
    said = {name: part for part in every for name in part.events}
    if len(asked) != sum(len(part.commands) for part in every) or len(said) != sum(len(one.events) for one in every):
        raise ValueError("Two aggregates claim the same command or event.")
    return asked, said
