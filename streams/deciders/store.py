"""One store: its items with their stock, what is bought, and the tasks that come of it.

All commands of a store stand in one partition, one after the other, so its stock cannot be sold twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
import orjson
from immutables import Map

from schemas.errors import InvalidEvent
from streams.decisions import Accepted, Command, Fact, Refused

COMMANDS: Final[frozenset[str]] = frozenset(
    {"OpenStore", "CloseStore", "AddItem", "ChangeItem", "RemoveItem", "MakePurchase", "CompleteTask"}
)
EVENTS: Final[frozenset[str]] = frozenset(
    {"StoreOpened", "StoreClosed", "ItemAdded", "ItemChanged", "ItemRemoved", "PurchaseMade", "TaskCompleted"}
)
LARGEST: Final = 2**63 - 1
"""No stock and no sum of money is larger: the log and the tables hold 64 bits."""
DONE_REMEMBERED: Final = 1_000
"""Of the tasks that are done, at least this many newest are known; a store must not grow with its history."""
_PURCHASES_TOPIC: Final = "railway.purchases"
_NO_STORE: Final = Refused("store_not_found", "Store not found")
_NO_ITEM: Final = Refused("item_not_found", "Item not found")
_NO_ITEMS: Final = Refused("items_not_found", "Some items not found")


class Item(msgspec.Struct, frozen=True, array_like=True):
    """An item; `balance` null: it does not run out. Prices in the smallest unit."""

    name: str
    category: str
    price_penny: int
    balance: int | None


class State(msgspec.Struct, frozen=True):
    """A store; one that is not open was never opened, or is closed for good, and knows nothing else.

    `added` counts its items, removed ones too. `open_tasks` are to be done, `done` and `done_before` are done.
    """

    is_open: bool = False
    items: Map[str, Item] = Map()
    added: int = 0
    open_tasks: Map[str, None] = Map()
    done: Map[str, None] = Map()
    done_before: Map[str, None] = Map()


def decide(state: State, command: Command) -> Accepted | Refused:
    """Give the events of a command, or why not."""
    if command.name not in COMMANDS:
        raise InvalidEvent(f"{command.name} is no command for a store.")
    if command.name in ("OpenStore", "CloseStore"):
        return _open_or_close(state, command)
    return _DECISIONS[command.name](state, command) if state.is_open else _NO_STORE


def evolve(state: State, name: str, record: Mapping[str, Any]) -> State:
    """Give the state after an event."""
    match name:
        case "StoreOpened":
            return State(is_open=True)
        case "StoreClosed":
            return State()
        case "ItemAdded":
            item = Item(record["name"], record["category"], record["price_penny"], record["balance"])
            items = state.items.set(record["item_id"], item)
            return msgspec.structs.replace(state, items=items, added=record["number"] + 1)
        case "ItemChanged":
            item = _changed(state.items[record["item_id"]], record)
            return msgspec.structs.replace(state, items=state.items.set(record["item_id"], item))
        case "ItemRemoved":
            return msgspec.structs.replace(state, items=state.items.delete(record["item_id"]))
        case "PurchaseMade":
            return _bought(state, record)
        case "TaskCompleted":
            left = msgspec.structs.replace(state, open_tasks=state.open_tasks.delete(record["task_id"]))
            return _with_done(left, record["task_id"])
        case _:
            return state


def announce(state: State, name: str, record: Mapping[str, Any]) -> Sequence[Fact]:
    """Tell the accounts of a purchase, with the names that its items have now."""
    if name != "PurchaseMade":
        return ()
    told = ("store_id", "purchase_id", "user_id", "total_penny", "channel", "at_us")
    booked = {key: record[key] for key in told} | {"lines": [_named(state, line) for line in record["lines"]]}
    return (Fact("PurchaseBooked", record["store_id"], booked, _PURCHASES_TOPIC),)


def _open_or_close(state: State, command: Command) -> Accepted:
    opens = command.name == "OpenStore"
    if state.is_open == opens:
        return Accepted()
    return _accepted("StoreOpened" if opens else "StoreClosed", command, {})


def _add_item(state: State, command: Command) -> Accepted | Refused:
    record = command.record
    if record["item_id"] in state.items:
        return Refused("item_exists", "Item already exists")
    if wrong := _wrong_numbers(record):
        return wrong
    told = ("item_id", "name", "description", "logo_url", "balance", "price_penny", "category")
    event = {key: record[key] for key in told} | {"number": state.added}
    result = {"item_id": record["item_id"], "number": state.added, "created_us": command.at_us}
    return _accepted("ItemAdded", command, event, result)


def _change_item(state: State, command: Command) -> Accepted | Refused:
    """What is as it was is no change; of description and logo the store does not know how they were."""
    record = command.record
    item = state.items.get(record["item_id"])
    if item is None:
        return _NO_ITEM
    if wrong := _wrong_numbers(record):
        return wrong
    kept = {"name": item.name, "category": item.category, "price_penny": item.price_penny}
    event = {key: None if record[key] == now else record[key] for key, now in kept.items()}
    event |= {key: record[key] for key in ("description", "logo_url")}
    is_new = record["balance_given"] and record["balance"] != item.balance
    if not is_new and not any(value is not None for value in event.values()):
        return Accepted()
    event |= {"balance_given": is_new, "balance": record["balance"] if is_new else None}
    return _accepted("ItemChanged", command, {"item_id": record["item_id"]} | event)


def _remove_item(state: State, command: Command) -> Accepted | Refused:
    item_id = command.record["item_id"]
    return _accepted("ItemRemoved", command, {"item_id": item_id}) if item_id in state.items else _NO_ITEM


def _make_purchase(state: State, command: Command) -> Accepted | Refused:
    record = command.record
    if refused := _unsellable(state, record):
        return refused
    lines = [dict(line) | {"price_penny": state.items[line["item_id"]].price_penny} for line in record["lines"]]
    total = sum(line["count"] * line["price_penny"] for line in lines)
    if total > LARGEST:
        return Refused("invalid_purchase", "The total is too large")
    told = ("purchase_id", "task_id", "user_id", "additional_data", "channel")
    event = {key: record[key] for key in told}
    event |= {"lines": lines, "total_penny": total, "is_ready": record["is_default_ready"]}
    result = {"purchase_id": record["purchase_id"], "task_id": record["task_id"], "total_penny": total}
    return _accepted("PurchaseMade", command, event, result | {"bought_us": command.at_us})


def _unsellable(state: State, record: Mapping[str, Any]) -> Refused | None:
    """Why it cannot be sold, the reasons in this order: the request itself, the items, their stock."""
    lines = record["lines"]
    if not lines or any(line["count"] < 1 for line in lines):
        return Refused("invalid_purchase", "A purchase has items, each with a count of 1 or more")
    if not _is_object(record["additional_data"]):
        return Refused("invalid_purchase", "Additional data is no JSON object")
    if _is_known(state, record["task_id"]):
        return Refused("purchase_exists", "Purchase already exists")
    items = [state.items.get(line["item_id"]) for line in lines]
    twice = len({line["item_id"] for line in lines}) < len(lines)
    if twice or any(item is None or item.balance == 0 for item in items):
        return _NO_ITEMS
    stocks = zip(lines, (item.balance if item else 0 for item in items), strict=True)
    if any(stock is not None and line["count"] > stock for line, stock in stocks):
        return Refused("not_enough", "Not enough items")
    return None


def _complete_task(state: State, command: Command) -> Accepted | Refused:
    task_id = command.record["task_id"]
    if task_id in state.open_tasks:
        return _accepted("TaskCompleted", command, {"task_id": task_id})
    return Accepted() if _is_known(state, task_id) else Refused("task_not_found", "Task not found")


_DECISIONS: Final[Mapping[str, Callable[[State, Command], Accepted | Refused]]] = {
    "AddItem": _add_item,
    "ChangeItem": _change_item,
    "RemoveItem": _remove_item,
    "MakePurchase": _make_purchase,
    "CompleteTask": _complete_task,
}


def _accepted(
    name: str, command: Command, event: Mapping[str, Any], result: Mapping[str, Any] | None = None
) -> Accepted:
    store_id = command.record["store_id"]
    whole = {"store_id": store_id, **event, "at_us": command.at_us, "by": command.record["by"]}
    return Accepted((Fact(name, store_id, whole),), result)


def _wrong_numbers(record: Mapping[str, Any]) -> Refused | None:
    told = (record["balance"], record["price_penny"])
    if any(number is not None and not 0 <= number <= LARGEST for number in told):
        return Refused("invalid_item", "Balance and price are 0 or more")
    return None


def _changed(item: Item, record: Mapping[str, Any]) -> Item:
    changes = {key: record[key] for key in ("name", "category", "price_penny") if record[key] is not None}
    if record["balance_given"]:
        changes["balance"] = record["balance"]
    return msgspec.structs.replace(item, **changes)


def _bought(state: State, record: Mapping[str, Any]) -> State:
    items = state.items.mutate()
    for line in record["lines"]:
        item = items[line["item_id"]]
        if item.balance is not None:
            items[line["item_id"]] = msgspec.structs.replace(item, balance=item.balance - line["count"])
    sold = msgspec.structs.replace(state, items=items.finish())
    if record["is_ready"]:
        return _with_done(sold, record["task_id"])
    return msgspec.structs.replace(sold, open_tasks=sold.open_tasks.set(record["task_id"], None))


def _with_done(state: State, task_id: str) -> State:
    """Once there are enough newer ones, the older half is forgotten."""
    done = state.done.set(task_id, None)
    if len(done) < DONE_REMEMBERED:
        return msgspec.structs.replace(state, done=done)
    return msgspec.structs.replace(state, done=Map[str, None](), done_before=done)


def _is_known(state: State, task_id: str) -> bool:
    return task_id in state.open_tasks or task_id in state.done or task_id in state.done_before


def _is_object(text: str) -> bool:
    try:
        return isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        return False


def _named(state: State, line: Mapping[str, Any]) -> dict[str, Any]:
    item = state.items[line["item_id"]]
    return {**line, "name": item.name, "category": item.category}
