"""The directory of stores: which there are, their names, and on board of which train each of them is.

What is in a store, each store decides for itself: it is told to open and to close.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from immutables import Map

from schemas.errors import InvalidEvent
from streams.decisions import Accepted, Command, Fact, Refused

KEY: Final = "stores"
"""Key of every command and event of the directory: a name belongs to one store only."""
COMMANDS: Final[frozenset[str]] = frozenset({"CreateStore", "DeleteStore", "BindTrainStore", "UnbindTrainStore"})
EVENTS: Final[frozenset[str]] = frozenset({"StoreCreated", "StoreDeleted", "TrainStoreBound", "TrainStoreUnbound"})
_COMMANDS_TOPIC: Final = "railway.commands"
_UNKNOWN: Final = Refused("store_not_found", "Store not found")


class Binding(msgspec.Struct, frozen=True, array_like=True):
    """A store is on board of this train at this time (UTC epoch microseconds)."""

    binding_id: str
    train_number: int
    train_date_us: int


class Store(msgspec.Struct, frozen=True, array_like=True):
    """A store's name and its bindings by train and time, as `_train` writes them."""

    name: str
    bindings: Map[str, Binding] = Map()


class State(msgspec.Struct, frozen=True):
    """All stores there are; `names` leads from a name to its store."""

    stores: Map[str, Store] = Map()
    names: Map[str, str] = Map()


def decide(state: State, command: Command) -> Accepted | Refused:
    """Give the events of a command, or why not."""
    match command.name:
        case "CreateStore":
            return _create(state, command)
        case "DeleteStore":
            return _delete(state, command)
        case "BindTrainStore":
            return _bind(state, command)
        case "UnbindTrainStore":
            return _unbind(state, command)
        case _:
            raise InvalidEvent(f"{command.name} is no command for the directory of stores.")


def evolve(state: State, name: str, record: Mapping[str, Any]) -> State:
    """Give the state after an event."""
    store_id = record["store_id"]
    match name:
        case "StoreCreated":
            store = Store(record["name"])
            return State(state.stores.set(store_id, store), state.names.set(store.name, store_id))
        case "StoreDeleted":
            return State(state.stores.delete(store_id), state.names.delete(state.stores[store_id].name))
        case "TrainStoreBound":
            binding = Binding(record["binding_id"], record["train_number"], record["train_date_us"])
            return _rebound(state, store_id, state.stores[store_id].bindings.set(_train(record), binding))
        case "TrainStoreUnbound":
            return _rebound(state, store_id, state.stores[store_id].bindings.delete(_train(record)))
        case _:
            return state


def announce(_state: State, name: str, record: Mapping[str, Any]) -> Sequence[Fact]:
    """Give the commands that follow: a store opens and closes itself, its terminal is forgotten with it."""
    told = {key: record[key] for key in ("store_id", "by")} if name in EVENTS else {}
    match name:
        case "StoreCreated":
            return (Fact("OpenStore", record["store_id"], told, _COMMANDS_TOPIC),)
        case "StoreDeleted":
            return (
                Fact("CloseStore", record["store_id"], told, _COMMANDS_TOPIC),
                Fact("ForgetTerminal", "access", told, _COMMANDS_TOPIC),
            )
        case _:
            return ()


def _create(state: State, command: Command) -> Accepted | Refused:
    record = command.record
    if record["name"] in state.names or record["store_id"] in state.stores:
        return Refused("store_exists", "Store with this name already exists")
    told = ("store_id", "name", "description", "logo_url", "store_type")
    event = {key: record[key] for key in told} | _at(command)
    return Accepted((Fact("StoreCreated", KEY, event),), {"store_id": record["store_id"], "created_us": command.at_us})


def _delete(state: State, command: Command) -> Accepted | Refused:
    """Its bindings go one by one: whoever reads bindings need not know of stores."""
    store_id: str = command.record["store_id"]
    if store_id not in state.stores:
        return _UNKNOWN
    bindings = sorted(state.stores[store_id].bindings.values(), key=lambda one: (one.train_date_us, one.train_number))
    unbound = [Fact("TrainStoreUnbound", KEY, _binding(store_id, one) | _at(command)) for one in bindings]
    return Accepted((*unbound, Fact("StoreDeleted", KEY, {"store_id": store_id} | _at(command))))


def _bind(state: State, command: Command) -> Accepted | Refused:
    record = command.record
    store = state.stores.get(record["store_id"])
    if store is None:
        return _UNKNOWN
    if _train(record) in store.bindings:
        return Refused("binding_exists", "Binding already exists")
    told = ("binding_id", "store_id", "train_number", "train_date_us")
    event = {key: record[key] for key in told} | _at(command)
    return Accepted((Fact("TrainStoreBound", KEY, event),), {"binding_id": record["binding_id"]})


def _unbind(state: State, command: Command) -> Accepted:
    """What is not bound, or not there at all, is unbound already."""
    record = command.record
    store = state.stores.get(record["store_id"])
    binding = store.bindings.get(_train(record)) if store else None
    if binding is None:
        return Accepted()
    return Accepted((Fact("TrainStoreUnbound", KEY, _binding(record["store_id"], binding) | _at(command)),))


def _rebound(state: State, store_id: str, bindings: Map[str, Binding]) -> State:
    store = msgspec.structs.replace(state.stores[store_id], bindings=bindings)
    return State(state.stores.set(store_id, store), state.names)


def _train(record: Mapping[str, Any]) -> str:
    return f"{record['train_number']}/{record['train_date_us']}"


def _binding(store_id: str, binding: Binding) -> dict[str, Any]:
    return {"store_id": store_id, **msgspec.structs.asdict(binding)}


def _at(command: Command) -> dict[str, Any]:
    return {"at_us": command.at_us, "by": command.record["by"]}
