"""Stores, their items and tasks, and who is on board. Reads `stores`, `store_items`, `tasks` ... of `railway_stores`.

Ids are texts of UUIDs. Rows have the columns of the tables they come from, ids and times as PostgreSQL gives them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from projections.queries.paging import Numbered
from projections.queries.paging import page as page_of

if TYPE_CHECKING:
    from projections.queries.database import Connection

Row = dict[str, Any]
Page = tuple[list[Row], int]
"""Rows of a page, and how many rows there are on all of them."""

MOST_ITEMS: Final = 10_000
"""Items that are shown of a store at once; all of them are on its pages."""
_COUNTS: Final = "railway_stores_pages"
_STORE: Final = "id, name, description, logo_url, store_type::text AS store_type, created_at"
_ITEM: Final = "id, store_id, name, description, logo_url, balance, price_penny, category, created_at"
_TASK: Final = "id, purchase_id, store_id, user_id, is_ready, additional_data::text AS additional_data, created_at"
_OF_STORE: Final = "store_id = %(scope)s::uuid"
_STORES: Final = Numbered("stores", _COUNTS, "stores", _STORE)
_ITEMS: Final = Numbered("store_items", _COUNTS, "store_items", _ITEM, _OF_STORE)
_TASKS: Final = Numbered("tasks", _COUNTS, "tasks", f"{_TASK}, completed_at", _OF_STORE)
_OPEN_TASKS: Final = Numbered("open_tasks", _COUNTS, "tasks", f"{_TASK}, completed_at", f"{_OF_STORE} AND NOT is_ready")

# Each part by its own index; an item that is not sold any more is passed over.
_RECOMMENDED: Final = f"""
WITH likely AS (
    (SELECT 1 AS part, row_number() OVER (ORDER BY l.number DESC, l.store_item_id) AS place, l.store_item_id AS item_id
     FROM purchase_items l JOIN store_items i ON i.id = l.store_item_id AND i.store_id = l.store_id
     WHERE l.store_id = %(store_id)s AND l.user_id = %(user_id)s
     ORDER BY l.number DESC, l.store_item_id LIMIT 2)
    UNION ALL
    (SELECT 2, row_number() OVER (ORDER BY b.count DESC, b.item_id), b.item_id
     FROM bought_by_user b JOIN store_items i ON i.id = b.item_id AND i.store_id = b.store_id
     WHERE b.store_id = %(store_id)s AND b.user_id = %(user_id)s
     ORDER BY b.count DESC, b.item_id LIMIT 4)
    UNION ALL
    (SELECT 3, row_number() OVER (ORDER BY b.count DESC, b.item_id), b.item_id
     FROM bought_items b JOIN store_items i ON i.id = b.item_id AND i.store_id = b.store_id
     WHERE b.store_id = %(store_id)s
     ORDER BY b.count DESC, b.item_id LIMIT 2)
), once AS (
    SELECT item_id, min(part * 10 + place) AS place FROM likely GROUP BY item_id
)
SELECT {_ITEM} FROM once JOIN store_items ON id = item_id AND store_id = %(store_id)s ORDER BY place LIMIT 8
"""  # noqa: S608 - made of constants
_AT: Final = "'epoch'::timestamptz + %(train_date_us)s * interval '1 microsecond'"
_BOUND: Final = f"FROM train_stores b WHERE train_number = %(train_number)s AND train_date = {_AT}"


async def one(connection: Connection, store_id: str) -> Row | None:
    """A store without its items, or None."""
    return await _one(connection, f"SELECT {_STORE} FROM stores WHERE id = %(store_id)s", store_id=store_id)  # noqa: S608


async def listing(connection: Connection, page: int, size: int) -> Page:
    """A page of all stores, the oldest first; pages count from 1."""
    return await page_of(connection, _STORES, "", page, size)


async def by_ids(connection: Connection, ids: Sequence[str]) -> list[Row]:
    """Those of these stores that there are, in any order."""
    return await _all(connection, f"SELECT {_STORE} FROM stores WHERE id = ANY(%(ids)s::uuid[])", ids=list(ids))  # noqa: S608


async def items(connection: Connection, store_id: str, page: int, size: int) -> Page:
    """A page of a store's items, the oldest first; `balance` None: it does not run out."""
    return await page_of(connection, _ITEMS, store_id, page, size)


async def all_items(connection: Connection, store_id: str, limit: int = MOST_ITEMS) -> list[Row]:
    """A store's items, the oldest first, at most `limit`."""
    statement = f"SELECT {_ITEM} FROM store_items WHERE store_id = %(store_id)s ORDER BY number LIMIT %(limit)s"  # noqa: S608
    return await _all(connection, statement, store_id=store_id, limit=limit)


async def item(connection: Connection, store_id: str, item_id: str) -> Row | None:
    """One of a store's own items, or None."""
    statement = f"SELECT {_ITEM} FROM store_items WHERE id = %(item_id)s AND store_id = %(store_id)s"  # noqa: S608
    return await _one(connection, statement, store_id=store_id, item_id=item_id)


async def tasks(connection: Connection, store_id: str, also_ready: bool, page: int, size: int) -> Page:
    """A page of a store's tasks, the oldest first, each with `items`: `item_id` and `count` of what was bought.

    `additional_data` is JSON as text. Without `also_ready` only those that are still to be done.
    """
    found, total = await page_of(connection, _TASKS if also_ready else _OPEN_TASKS, store_id, page, size)
    return await _with_lines(connection, store_id, found), total


async def task(connection: Connection, store_id: str, task_id: str) -> Row | None:
    """One of a store's own tasks as in the list, or None. Also of tasks that the decider has forgotten as done."""
    statement = f"SELECT {_TASK}, completed_at FROM tasks WHERE id = %(task_id)s AND store_id = %(store_id)s"  # noqa: S608
    row = await _one(connection, statement, store_id=store_id, task_id=task_id)
    return (await _with_lines(connection, store_id, [row]))[0] if row else None


async def recommended(connection: Connection, store_id: str, user_id: str) -> list[Row]:
    """At most 8 items of this store, in this order and each once; ties by id, balances not looked at.

    Those of the user's 2 latest lines bought here, his 4 most bought here, the store's 2 most bought.
    """
    return await _all(connection, _RECOMMENDED, store_id=store_id, user_id=user_id)


async def on_board(connection: Connection, train_number: int, train_date_us: int, limit: int = 50) -> list[Row]:
    """Stores without items on board of a train (its time in UTC epoch microseconds), the first `limit` bound."""
    columns = ", ".join(f"s.{column}" for column in _STORE.split(", "))
    statement = f"SELECT {columns} {_BOUND.replace(' WHERE', ' JOIN stores s ON s.id = b.store_id WHERE', 1)}"
    train = {"train_number": train_number, "train_date_us": train_date_us}
    return await _all(connection, f"{statement} ORDER BY b.created_at, b.id LIMIT %(limit)s", **train, limit=limit)


async def bound(connection: Connection, train_number: int, train_date_us: int, page: int, size: int) -> Page:
    """A page of `store_id`s on board of a train, in the order in which they were bound."""
    train = {"train_number": train_number, "train_date_us": train_date_us}
    total = await _one(connection, f"SELECT count(*) AS total {_BOUND}", **train)
    statement = f"SELECT b.store_id {_BOUND} ORDER BY b.created_at, b.id OFFSET %(offset)s LIMIT %(size)s"
    rows = await _all(connection, statement, **train, offset=(page - 1) * size, size=size)
    return rows, total["total"] if total else 0


async def is_bound(connection: Connection, store_id: str, train_number: int, train_date_us: int) -> bool:
    """Whether a store is on board of a train."""
    train = {"train_number": train_number, "train_date_us": train_date_us}
    found = await _one(connection, f"SELECT 1 AS yes {_BOUND} AND store_id = %(store_id)s", **train, store_id=store_id)
    return found is not None


async def _with_lines(connection: Connection, store_id: str, found: list[Row]) -> list[Row]:
    statement = (
        "SELECT purchase_id, store_item_id AS item_id, count FROM purchase_items"
        " WHERE purchase_id = ANY(%(ids)s) AND store_id = %(store_id)s ORDER BY purchase_id, line"
    )
    ids = [row["purchase_id"] for row in found]
    lines: dict[Any, list[Row]] = {purchase_id: [] for purchase_id in ids}
    for line in await _all(connection, statement, ids=ids, store_id=store_id) if found else ():
        lines[line.pop("purchase_id")].append(line)
    return [row | {"items": lines[row["purchase_id"]]} for row in found]


async def _all(connection: Connection, statement: str, **asked: Any) -> list[Row]:
    return await (await connection.execute(cast("Any", statement), asked)).fetchall()


async def _one(connection: Connection, statement: str, **asked: Any) -> Row | None:
    return await (await connection.execute(cast("Any", statement), asked)).fetchone()
