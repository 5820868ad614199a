"""Tables of the read model `railway_stores`: the seed's columns and types first, then ours.

Wider than the seed's: stock and prices have 64 bits. Ids are unique within a store; what a store holds is written in
the order of its own events, and the directory of stores in the order of its own.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from projections import page_counts
from projections.sales_rows import Table

COUNTS: Final = "railway_stores_pages"
DIRECTORY: Final = UUID(int=0)
"""In the place of a store's id: the directory's own line in `store_ledgers`."""
_PLACE: Final = {"topic": "text", "kafka_partition": "smallint", "kafka_offset": "bigint"}

LEDGERS: Final = Table(
    "store_ledgers",
    {"store_id": "uuid", "counted": "bigint", "read_to": "bigint"},
    key=("store_id",),
    owner="store_id",
)
STORES: Final = Table(
    "stores",
    {"name": "text", "description": "text", "logo_url": "text", "store_type": "store_type_enum",
     "created_at": "timestamptz", "id": "uuid", "number": "bigint", **_PLACE},
    key=("id",),
    owner="id",
)  # fmt: skip
TRAIN_STORES: Final = Table(
    "train_stores",
    {"store_id": "uuid", "train_number": "int", "train_date": "timestamptz", "id": "uuid",
     "created_at": "timestamptz", **_PLACE},
    key=("train_number", "train_date", "store_id"),
    owner="store_id",
)  # fmt: skip
STORE_ITEMS: Final = Table(
    "store_items",
    {"store_id": "uuid", "name": "text", "description": "text", "logo_url": "text", "balance": "bigint",
     "price_penny": "bigint", "category": "text", "created_at": "timestamptz", "id": "uuid", "number": "bigint",
     **_PLACE},
    key=("id", "store_id"),
    owner="id",
)  # fmt: skip
PURCHASES: Final = Table(
    "purchases",
    {"store_id": "uuid", "user_id": "uuid", "created_at": "timestamptz", "id": "uuid", "total_penny": "bigint",
     "channel": "text", "number": "bigint", **_PLACE},
    key=("id", "store_id"),
    owner="store_id",
)  # fmt: skip
PURCHASE_ITEMS: Final = Table(
    "purchase_items",
    {"purchase_id": "uuid", "store_item_id": "uuid", "count": "int", "id": "uuid", "price_penny": "bigint",
     "line": "int", "store_id": "uuid", "user_id": "uuid", "number": "bigint"},
    key=("purchase_id", "store_id", "line"),
    owner="store_id",
)  # fmt: skip
TASKS: Final = Table(
    "tasks",
    {"store_id": "uuid", "user_id": "uuid", "purchase_id": "uuid", "is_ready": "boolean", "additional_data": "json",
     "created_at": "timestamptz", "id": "uuid", "completed_at": "timestamptz", "number": "bigint", **_PLACE},
    key=("id", "store_id"),
    owner="store_id",
)  # fmt: skip
BOUGHT: Final = Table(
    "bought_items",
    {"store_id": "uuid", "item_id": "uuid", "count": "bigint"},
    key=("store_id", "item_id"),
    owner="store_id",
)
BOUGHT_BY: Final = Table(
    "bought_by_user",
    {"store_id": "uuid", "user_id": "uuid", "item_id": "uuid", "count": "bigint"},
    key=("store_id", "user_id", "item_id"),
    owner="store_id",
)
OF_A_STORE: Final = (STORE_ITEMS, PURCHASES, PURCHASE_ITEMS, TASKS, BOUGHT, BOUGHT_BY)
"""What goes when a store is closed; the accounts keep its purchases."""
SHOWN: Final = (STORES, TRAIN_STORES, STORE_ITEMS, PURCHASES, PURCHASE_ITEMS, TASKS, BOUGHT, BOUGHT_BY)
"""What the live views show."""

_DDL: Final = """
CREATE TYPE {s}.store_type_enum AS ENUM ('SHOP', 'RESTAURANT');
CREATE TABLE {s}.store_ledgers (       -- how far the events of each store are in here, and of the directory
    store_id uuid PRIMARY KEY,
    counted  bigint NOT NULL,          -- purchases so far; of the directory: stores
    read_to  bigint NOT NULL           -- offset of the newest event
) WITH (fillfactor = 50);
CREATE TABLE {s}.stores (
    name        varchar(100) NOT NULL,
    description varchar(255) NOT NULL,
    logo_url    varchar(255) NOT NULL,
    store_type  {s}.store_type_enum NOT NULL,
    created_at  timestamptz NOT NULL,
    id          uuid PRIMARY KEY,
    number      bigint NOT NULL UNIQUE, -- so many stores were made before
    {place}
);
CREATE TABLE {s}.train_stores (
    store_id     uuid NOT NULL,
    train_number int NOT NULL,
    train_date   timestamptz NOT NULL,
    id           uuid NOT NULL,
    created_at   timestamptz NOT NULL,
    {place},
    PRIMARY KEY (train_number, train_date, store_id)
);
CREATE TABLE {s}.store_items (
    store_id    uuid NOT NULL,
    name        varchar(100) NOT NULL,
    description varchar(255) NOT NULL,
    logo_url    varchar(255) NOT NULL,
    balance     bigint,                 -- null: it does not run out
    price_penny bigint NOT NULL,
    category    varchar(100) NOT NULL,
    created_at  timestamptz NOT NULL,
    id          uuid NOT NULL,
    number      bigint NOT NULL,        -- so many items were added to the store before
    {place},
    PRIMARY KEY (id, store_id)
) WITH (fillfactor = 80);
CREATE INDEX store_items_of_store ON {s}.store_items (store_id, number);
CREATE TABLE {s}.purchases (
    store_id    uuid NOT NULL,
    user_id     uuid NOT NULL,
    created_at  timestamptz NOT NULL,
    id          uuid NOT NULL,
    total_penny bigint NOT NULL,
    channel     text NOT NULL,          -- ROBOT or STORE
    number      bigint NOT NULL,        -- so many purchases were made in the store before
    {place},
    PRIMARY KEY (id, store_id)
);
CREATE INDEX purchases_of_store ON {s}.purchases (store_id, number);
CREATE TABLE {s}.purchase_items (
    purchase_id   uuid NOT NULL,
    store_item_id uuid NOT NULL,
    count         int NOT NULL,
    id            uuid NOT NULL,
    price_penny   bigint NOT NULL,      -- of one piece, when it was bought
    line          int NOT NULL,
    store_id      uuid NOT NULL,
    user_id       uuid NOT NULL,
    number        bigint NOT NULL,      -- the purchase's
    PRIMARY KEY (purchase_id, store_id, line)
);
CREATE INDEX purchase_items_of_user ON {s}.purchase_items (store_id, user_id, number DESC, store_item_id);
CREATE TABLE {s}.tasks (
    store_id        uuid NOT NULL,
    user_id         uuid NOT NULL,
    purchase_id     uuid NOT NULL,
    is_ready        boolean NOT NULL,
    additional_data json NOT NULL,
    created_at      timestamptz NOT NULL,
    id              uuid NOT NULL,
    completed_at    timestamptz,        -- null: not yet, or from the beginning
    number          bigint NOT NULL,    -- the purchase's
    {place},
    PRIMARY KEY (id, store_id)
);
CREATE INDEX tasks_of_store ON {s}.tasks (store_id, number);
CREATE INDEX open_tasks_of_store ON {s}.tasks (store_id, number) WHERE NOT is_ready;
CREATE TABLE {s}.bought_items (         -- pieces bought so far
    store_id uuid NOT NULL, item_id uuid NOT NULL, count bigint NOT NULL, PRIMARY KEY (store_id, item_id)
) WITH (fillfactor = 70);
CREATE INDEX bought_items_most ON {s}.bought_items (store_id, count DESC, item_id);
CREATE TABLE {s}.bought_by_user (
    store_id uuid NOT NULL, user_id uuid NOT NULL, item_id uuid NOT NULL, count bigint NOT NULL,
    PRIMARY KEY (store_id, user_id, item_id)
) WITH (fillfactor = 70);
CREATE INDEX bought_by_user_most ON {s}.bought_by_user (store_id, user_id, count DESC, item_id);
"""
_PLACE_DDL: Final = "topic text NOT NULL, kafka_partition smallint NOT NULL, kafka_offset bigint NOT NULL"


def tables(schema: str) -> str:
    """SQL of one version."""
    return _DDL.format(s=schema, place=_PLACE_DDL) + page_counts.ddl(schema, COUNTS)


def checksum(table: Table) -> str:
    """Every column; an enum's own hash differs between versions, JSON has none."""
    kinds = {"store_type_enum": "::text", "json": "::text"}
    columns = ", ".join(name + kinds.get(kind, "") for name, kind in table.columns.items())
    return f"{columns} | {{s}}.{table.name}"
