"""Read model `railway_stores`: stores, items, what was bought, what is to be done, which train has which store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from projections import page_counts
from projections import railway_store_tables as tables
from projections.kept_rows import add, append, flush, load
from projections.railway_store_folds import EVENTS, Change, Work, fold, understood
from projections.read_model import Effects, Event, ReadModel, Reply, Target
from projections.store import Transaction
from schemas.record import Record

TASK_LIST: Final = "tasks"
OPEN_LIST: Final = "open_tasks"
_COMPLETE: Final = """
UPDATE tasks AS t SET is_ready = true, completed_at = d.completed_at, topic = d.topic,
    kafka_partition = d.kafka_partition, kafka_offset = d.kafka_offset
FROM unnest(%s::uuid[], %s::uuid[], %s::timestamptz[], %s::text[], %s::smallint[], %s::bigint[])
    AS d(id, store_id, completed_at, topic, kafka_partition, kafka_offset)
WHERE t.id = d.id AND t.store_id = d.store_id AND NOT t.is_ready
RETURNING t.store_id, t.number
"""


@dataclass(slots=True)
class Prepared:
    """A batch: what changes, in its order, and who waits for a command."""

    changes: list[Change] = field(default_factory=list[Change])
    settled: list[Record] = field(default_factory=list[Record])

    def __bool__(self) -> bool:
        return bool(self.changes or self.settled)


class RailwayStores:
    """Writes what stores and their directory decided: some dozen statements a batch, however many events it has."""

    def __init__(self, target: Target) -> None:
        del target  # nothing of it matters here

    def prepare(self, events: Sequence[Event]) -> Prepared:
        """Pick out what is about stores. Raises InvalidEvent for an id that is no UUID."""
        prepared = Prepared()
        for event in events:
            if event.name == "CommandSettled":
                prepared.settled.append(event.record)
            elif change := understood(event):
                prepared.changes.append(change)
        return prepared

    def prepare_undecoded(self, records: Sequence[Record]) -> None:
        """Decoding costs little here."""

    def write(self, transaction: Transaction, prepared: Prepared) -> Effects:
        """Load what the batch is about, fold, and write what is different."""
        rows = 0
        if prepared.changes:
            work = loaded(transaction, prepared.changes)
            fold(work, prepared.changes)
            rows = _write(transaction, work)
        return Effects(replies=[Reply(record) for record in prepared.settled], rows=rows)

    def forget(self, *, distrust: bool = False) -> None:
        """Nothing is remembered."""


def loaded(transaction: Transaction, changes: Sequence[Change]) -> Work:
    """The rows that these changes are about."""
    owners = sorted({change.owner for change in changes})
    stores = {change.ids["store_id"] for change in changes if change.owner == tables.DIRECTORY}
    items = {item_id for change in changes for item_id in change.item_ids}
    return Work(
        ledgers=load(transaction, tables.LEDGERS, owners),
        stores=load(transaction, tables.STORES, sorted(stores)),
        items=load(transaction, tables.STORE_ITEMS, sorted(items)),
    )


def _write(transaction: Transaction, work: Work) -> int:
    if work.closed:
        _close(transaction, sorted(work.closed))
    rows = sum(flush(transaction, kept) for kept in (work.stores, work.bindings, work.items))
    rows += _write_purchases(transaction, work)
    work.counts.write(transaction)
    flush(transaction, work.ledgers)
    return rows


def _write_purchases(transaction: Transaction, work: Work) -> int:
    new = append(transaction, tables.PURCHASES, work.purchases, "number")
    append(transaction, tables.PURCHASE_ITEMS, work.lines, "line")
    add(transaction, tables.BOUGHT, "count", work.bought)
    add(transaction, tables.BOUGHT_BY, "count", work.bought_by)
    for store_id, number, is_ready in append(transaction, tables.TASKS, work.tasks, "store_id, number, is_ready"):
        work.counts.count(TASK_LIST, str(store_id), number)
        if not is_ready:
            work.counts.count(OPEN_LIST, str(store_id), number)
    for store_id, number in _complete(transaction, work):
        work.counts.count(OPEN_LIST, str(store_id), number, -1)
    return len(new) + len(work.completed)


def _complete(transaction: Transaction, work: Work) -> list[tuple[UUID, int]]:
    """Which tasks are open no more: store and number."""
    if not work.completed:
        return []
    names = ("completed_at", "topic", "kafka_partition", "kafka_offset")
    rows = [(*key, *(work.completed[key][name] for name in names)) for key in sorted(work.completed)]
    found = transaction.rows(_COMPLETE, *(list(column) for column in zip(*rows, strict=True)))
    return [(store_id, number) for store_id, number in found]


def _close(transaction: Transaction, stores: Sequence[UUID]) -> None:
    """What they held goes; the accounts keep what was bought."""
    for table in tables.OF_A_STORE:
        transaction.run(f"DELETE FROM {table.name} WHERE store_id = ANY(%s)", list(stores))  # noqa: S608 - own name


READ_MODEL = ReadModel(
    name="railway_stores",
    topics=("railway.events",),
    ddl=tables.tables,
    views={table.name: tuple(table.columns) for table in tables.SHOWN} | {tables.COUNTS: page_counts.COLUMNS},
    projector=RailwayStores,
    checksums={table.name: tables.checksum(table) for table in (*tables.SHOWN, tables.LEDGERS)}
    | {tables.COUNTS: page_counts.checksum(tables.COUNTS)},
    events=EVENTS,
)
