"""How events of stores change the rows of `railway_stores`, in memory. Pure.

Each store's events stand in one partition in their order, the directory's in another. Nothing here depends on the
order between partitions: what a store holds goes with its own `StoreClosed`, not with the directory's `StoreDeleted`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID, uuid5

from projections.kept_rows import Kept
from projections.page_counts import PageCounts
from projections.railway_store_tables import COUNTS, DIRECTORY, LEDGERS, STORE_ITEMS, STORES, TRAIN_STORES
from projections.read_model import Event
from projections.sales_rows import Key, Row, moment, storable, uuid_of

ITEM_LIST: Final = "store_items"
STORE_LIST: Final = "stores"
_IDS: Final = ("store_id", "item_id", "binding_id", "purchase_id", "task_id", "user_id")
_DIRECTORY_EVENTS: Final = frozenset({"StoreCreated", "StoreDeleted", "TrainStoreBound", "TrainStoreUnbound"})
_BYSTANDERS: Final = frozenset({"StoreOpened"})


@dataclass(frozen=True, slots=True)
class Change:
    """An event of a store or of the directory, its ids and times read."""

    name: str
    body: Mapping[str, Any]
    ids: Mapping[str, UUID]
    place: Row

    @property
    def owner(self) -> UUID:
        """Whose order it stands in."""
        return DIRECTORY if self.name in _DIRECTORY_EVENTS else self.ids["store_id"]

    @property
    def item_ids(self) -> Sequence[UUID]:
        """Items it is about."""
        lines = self.body.get("lines", ())
        return [UUID(line["item_id"]) for line in lines] + ([self.ids["item_id"]] if "item_id" in self.ids else [])


@dataclass(slots=True)
class Work:
    """What is known of a batch's rows, and what becomes of them.

    First what `closed` stores held before the batch is deleted; `completed` tasks are written after new ones.
    """

    ledgers: Kept = field(default_factory=lambda: Kept(LEDGERS))
    stores: Kept = field(default_factory=lambda: Kept(STORES))
    bindings: Kept = field(default_factory=lambda: Kept(TRAIN_STORES))
    items: Kept = field(default_factory=lambda: Kept(STORE_ITEMS))
    purchases: list[Row] = field(default_factory=list[Row])
    lines: list[Row] = field(default_factory=list[Row])
    tasks: list[Row] = field(default_factory=list[Row])
    completed: dict[Key, Row] = field(default_factory=dict[Key, Row])
    bought: dict[Key, int] = field(default_factory=dict[Key, int])
    bought_by: dict[Key, int] = field(default_factory=dict[Key, int])
    closed: set[UUID] = field(default_factory=set[UUID])
    counts: PageCounts = field(default_factory=lambda: PageCounts(COUNTS))


def understood(event: Event) -> Change | None:
    """Read an event's ids; None for one that is about something else.

    Raises InvalidEvent for an id or a date that is none: here, where it costs its own event and not a batch.
    """
    if event.name not in EVENTS:
        return None
    ids = {name: uuid_of(event.body[name], name) for name in _IDS if name in event.body}
    for line in event.body.get("lines", ()):
        uuid_of(line["item_id"], "item_id")
    for name in ("at_us", "train_date_us"):
        moment(event.body.get(name, 0))
    record = event.record
    place = {"topic": record.topic, "kafka_partition": record.partition, "kafka_offset": record.offset}
    return Change(event.name, event.body, ids, place)


def fold(work: Work, changes: Iterable[Change]) -> int:
    """Take changes in, in their order; how many were new."""
    return sum(_taken_in(work, change) for change in changes)


def _taken_in(work: Work, change: Change) -> bool:
    """Whatever was read before changes nothing."""
    offset = change.place["kafka_offset"]
    ledger = work.ledgers.get(change.owner) or {"store_id": change.owner, "counted": 0, "read_to": -1}
    if ledger["read_to"] >= offset:
        return False
    work.ledgers.put(ledger | {"read_to": offset})
    if change.name in _FOLDS:
        _FOLDS[change.name](work, change)
    return True


def _store_created(work: Work, change: Change) -> None:
    store_id = change.ids["store_id"]
    texts = {name: storable(change.body[name]) for name in ("name", "description", "logo_url", "store_type")}
    number = _counted(work, change)
    row = {"created_at": moment(change.body["at_us"]), "id": store_id, "number": number}
    _store_deleted(work, change)
    work.stores.put(texts | row | change.place)
    work.counts.count(STORE_LIST, "", number)


def _store_deleted(work: Work, change: Change) -> None:
    store_id = change.ids["store_id"]
    if (row := work.stores.get(store_id)) is not None:
        work.stores.drop(store_id)
        work.counts.count(STORE_LIST, "", row["number"], -1)


def _bound(work: Work, change: Change) -> None:
    number, date, store_id = _train(change)
    row = {"store_id": store_id, "train_number": number, "train_date": date, "id": change.ids["binding_id"]}
    work.bindings.put(row | {"created_at": moment(change.body["at_us"])} | change.place)


def _unbound(work: Work, change: Change) -> None:
    work.bindings.drop(*_train(change))


def _item_added(work: Work, change: Change) -> None:
    _item_removed(work, change)
    body, (item_id, store_id) = change.body, _item_key(change)
    texts = {name: storable(body[name]) for name in ("name", "description", "logo_url", "category")}
    row = {name: body[name] for name in ("balance", "price_penny", "number")}
    row |= {"store_id": store_id, "id": item_id, "created_at": moment(body["at_us"])}
    work.items.put(texts | row | change.place)
    work.counts.count(ITEM_LIST, str(store_id), body["number"])


def _item_changed(work: Work, change: Change) -> None:
    row, body = work.items.get(*_item_key(change)), change.body
    if row is None:
        return
    texts = {name: body[name] for name in ("name", "description", "logo_url", "category")}
    changes: Row = {name: storable(text) for name, text in texts.items() if text is not None}
    if body["price_penny"] is not None:
        changes["price_penny"] = body["price_penny"]
    if body["balance_given"]:
        changes["balance"] = body["balance"]
    work.items.put(row | changes | change.place)


def _item_removed(work: Work, change: Change) -> None:
    item_id, store_id = _item_key(change)
    if (row := work.items.get(item_id, store_id)) is not None:
        work.items.drop(item_id, store_id)
        work.counts.count(ITEM_LIST, str(store_id), row["number"], -1)


def _purchase_made(work: Work, change: Change) -> None:
    body, ids = change.body, change.ids
    number = _counted(work, change)
    bought: Row = {"store_id": ids["store_id"], "user_id": ids["user_id"], "number": number}
    purchase = bought | {"created_at": moment(body["at_us"])} | change.place
    told = {"id": ids["purchase_id"], "total_penny": body["total_penny"], "channel": storable(body["channel"])}
    work.purchases.append(purchase | told)
    task = {"purchase_id": ids["purchase_id"], "id": ids["task_id"], "completed_at": None}
    work.tasks.append(
        purchase | task | {"is_ready": body["is_ready"], "additional_data": storable(body["additional_data"])}
    )
    for line, told in enumerate(body["lines"]):
        _line_bought(work, change, bought | {"line": line}, told)


def _line_bought(work: Work, change: Change, bought: Row, told: Mapping[str, Any]) -> None:
    item_id, count = UUID(told["item_id"]), told["count"]
    store_id, purchase_id = bought["store_id"], change.ids["purchase_id"]
    line_id = uuid5(store_id, f"{purchase_id}/{bought['line']}")
    line = {"purchase_id": purchase_id, "store_item_id": item_id, "count": count, "id": line_id}
    work.lines.append(bought | line | {"price_penny": told["price_penny"]})
    for sums, key in ((work.bought, (store_id, item_id)), (work.bought_by, (store_id, bought["user_id"], item_id))):
        sums[key] = sums.get(key, 0) + count
    item = work.items.get(item_id, store_id)
    if item is not None and item["balance"] is not None:
        work.items.put(item | {"balance": item["balance"] - count} | change.place)


def _task_completed(work: Work, change: Change) -> None:
    key = change.ids["task_id"], change.ids["store_id"]
    work.completed.setdefault(key, {"completed_at": moment(change.body["at_us"])} | change.place)


def _store_closed(work: Work, change: Change) -> None:
    """What it held is forgotten, in here and, before anything else is written, in the tables."""
    store_id = change.ids["store_id"]
    for item_key in [key for key in {*work.items.rows, *work.items.dropped} if key[1] == store_id]:
        work.items.forget(item_key)
    for rows in (work.purchases, work.lines, work.tasks):
        rows[:] = [row for row in rows if row["store_id"] != store_id]
    work.completed = {key: row for key, row in work.completed.items() if key[1] != store_id}
    work.bought, work.bought_by = (
        {key: count for key, count in sums.items() if key[0] != store_id} for sums in (work.bought, work.bought_by)
    )
    work.counts.clear(str(store_id))
    work.ledgers.put((work.ledgers.get(store_id) or {}) | {"counted": 0})
    work.closed.add(store_id)


_FOLDS: Final[Mapping[str, Callable[[Work, Change], None]]] = {
    "StoreCreated": _store_created,
    "StoreDeleted": _store_deleted,
    "TrainStoreBound": _bound,
    "TrainStoreUnbound": _unbound,
    "ItemAdded": _item_added,
    "ItemChanged": _item_changed,
    "ItemRemoved": _item_removed,
    "PurchaseMade": _purchase_made,
    "TaskCompleted": _task_completed,
    "StoreClosed": _store_closed,
}
EVENTS: Final = frozenset({*_FOLDS, *_BYSTANDERS})


def _counted(work: Work, change: Change) -> int:
    """The number of what is counted: so many came before."""
    ledger = work.ledgers.get(change.owner) or {}
    work.ledgers.put(ledger | {"counted": ledger["counted"] + 1})
    return ledger["counted"]


def _train(change: Change) -> tuple[int, Any, UUID]:
    return change.body["train_number"], moment(change.body["train_date_us"]), change.ids["store_id"]


def _item_key(change: Change) -> tuple[UUID, UUID]:
    return change.ids["item_id"], change.ids["store_id"]
