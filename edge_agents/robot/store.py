"""Shops on board: what they sell, what a passenger may like, buying."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

from edge_agents.robot import shapes
from edge_agents.robot.errors import Refused
from edge_agents.robot.servers import Servers, part
from edge_agents.robot.shapes import Item, Purchase, Store


async def one(servers: Servers, store_id: str) -> Store | None:
    """A store with its items; None when there is none."""
    try:
        return shapes.store(shapes.record(await servers.store("GET", f"/robot/store/{part(store_id)}")))
    except Refused as refused:
        if refused.status == HTTPStatus.NOT_FOUND:
            return None
        raise


async def recommendations(servers: Servers, store_id: str, user_id: str) -> tuple[Item, ...]:
    """What a passenger may like here; nothing where the store knows nobody."""
    path = f"/robot/store/{part(store_id)}/user/{part(user_id)}/recommendations?page=1&size=50"
    try:
        return shapes.page(await servers.store("GET", path), shapes.item)[0]
    except Refused as refused:
        if refused.status == HTTPStatus.NOT_FOUND:
            return ()
        raise


async def buy(servers: Servers, store_id: str, user_id: str, item_id: str, once: str) -> Purchase:
    """Buy one piece. The same `once` again is the same purchase. Raises Refused, ServerAway, BadAnswer."""
    body = {
        "user_id": user_id,
        "items": [{"item_id": item_id, "count": 1}],
        "is_default_ready": True,
        "additional_data": {},
    }
    path = f"/robot/store/{part(store_id)}/make_purchase"
    return shapes.purchase(shapes.record(await servers.store("POST", path, body, once=once)))


async def on_train(servers: Servers, train_number: int, train_date: str) -> tuple[Store, ...]:
    """The stores on board of a train, without their items."""
    body = {"train_number": train_number, "train_date": train_date}
    return shapes.rows(await servers.base("GET", "/robot/train/stores", body), shapes.store)


async def by_ids(servers: Servers, ids: Sequence[str]) -> tuple[Store, ...]:
    """Stores, without their items; unknown ids are left out."""
    return shapes.rows(await servers.store("POST", "/robot/stores/list", {"ids": list(ids)}), shapes.store)
