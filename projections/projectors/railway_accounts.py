"""Read model `railway_accounts`: what was bought, for the accounts. It stays when stores and items go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from projections.kept_rows import append
from projections.read_model import Effects, Event, ReadModel, Target
from projections.sales_rows import Row, Table, moment, storable, uuid_of
from projections.store import Transaction
from schemas.record import Record

_PLACE: Final = {"topic": "text", "kafka_partition": "smallint", "kafka_offset": "bigint"}
_PURCHASES: Final = Table(
    "booked_purchases",
    {"purchase_id": "uuid", "store_id": "uuid", "user_id": "uuid", "total_penny": "bigint", "channel": "text",
     "booked_at": "timestamptz", **_PLACE},
    key=("kafka_partition", "kafka_offset"),
)  # fmt: skip
_LINES: Final = Table(
    "booked_lines",
    {"purchase_id": "uuid", "line": "int", "item_id": "uuid", "count": "int", "name": "text", "category": "text",
     "price_penny": "bigint", "kafka_partition": "smallint", "kafka_offset": "bigint"},
    key=("kafka_partition", "kafka_offset", "line"),
)  # fmt: skip
_TABLES: Final = """
CREATE TABLE {s}.booked_purchases (
    purchase_id     uuid NOT NULL,
    store_id        uuid NOT NULL,
    user_id         uuid NOT NULL,
    total_penny     bigint NOT NULL,
    channel         text NOT NULL,     -- ROBOT or STORE
    booked_at       timestamptz NOT NULL,
    topic           text NOT NULL,
    kafka_partition smallint NOT NULL,
    kafka_offset    bigint NOT NULL,
    PRIMARY KEY (kafka_partition, kafka_offset)
);
CREATE INDEX booked_purchases_in_time ON {s}.booked_purchases (booked_at, kafka_partition, kafka_offset);
CREATE TABLE {s}.booked_lines (
    purchase_id     uuid NOT NULL,
    line            int NOT NULL,
    item_id         uuid NOT NULL,
    count           int NOT NULL,
    name            text NOT NULL,     -- name, category and price as they were
    category        text NOT NULL,
    price_penny     bigint NOT NULL,   -- of one piece
    kafka_partition smallint NOT NULL,
    kafka_offset    bigint NOT NULL,   -- the purchase's
    PRIMARY KEY (kafka_partition, kafka_offset, line)
);
"""


def tables(schema: str) -> str:
    """SQL of one version."""
    return _TABLES.format(s=schema)


def laid_out(events: Sequence[Event]) -> tuple[list[Row], list[Row]]:
    """Rows of purchases and of their lines. Raises InvalidEvent when an id is no UUID."""
    purchases: list[Row] = []
    lines: list[Row] = []
    for event in events:
        if event.name == "PurchaseBooked":
            body, record = event.body, event.record
            place: Row = {"kafka_partition": record.partition, "kafka_offset": record.offset}
            ids = {name: uuid_of(body[name], name) for name in ("purchase_id", "store_id", "user_id")}
            row: Row = {"total_penny": body["total_penny"], "channel": storable(body["channel"]), "topic": record.topic}
            purchases.append(ids | row | {"booked_at": moment(body["at_us"])} | place)
            lines += [_line(ids["purchase_id"], n, line) | place for n, line in enumerate(body["lines"])]
    return purchases, lines


def _line(purchase_id: UUID, number: int, line: dict[str, Any]) -> Row:
    texts = {name: storable(line[name]) for name in ("name", "category")}
    numbers = {"line": number, "count": line["count"], "price_penny": line["price_penny"]}
    return {"purchase_id": purchase_id, "item_id": uuid_of(line["item_id"], "item_id"), **numbers, **texts}


class RailwayAccounts:
    """Writes purchases; each record of the topic is one, under its place in the log."""

    def __init__(self, target: Target) -> None:
        del target  # nothing of it matters here

    def prepare(self, events: Sequence[Event]) -> tuple[list[Row], list[Row]]:
        """Lay them out."""
        return laid_out(events)

    def prepare_undecoded(self, records: Sequence[Record]) -> None:
        """Decoding costs little here."""

    def write(self, transaction: Transaction, prepared: tuple[list[Row], list[Row]]) -> Effects:
        """Append both kinds of rows."""
        purchases, lines = prepared
        new = append(transaction, _PURCHASES, purchases, "kafka_offset")
        append(transaction, _LINES, lines, "line")
        return Effects(rows=len(new))

    def forget(self, *, distrust: bool = False) -> None:
        """Nothing is remembered."""


READ_MODEL = ReadModel(
    name="railway_accounts",
    topics=("railway.purchases",),
    ddl=tables,
    views={table.name: tuple(table.columns) for table in (_PURCHASES, _LINES)},
    projector=RailwayAccounts,
    checksums={table.name: f"{', '.join(table.columns)} | {{s}}.{table.name}" for table in (_PURCHASES, _LINES)},
)
