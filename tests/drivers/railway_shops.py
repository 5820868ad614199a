"""Shops in memory: the real decider, what it announces decided too, and read models that know at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from api.railway import sessions
from producers.commands import CommandAnswer
from streams.decisions import Command
from tests.drivers.railway_office import AS_ROBOT, ROBOT, Office, Row, cut, moment

SHOP, RIVAL = (f"0f9d3c1e-0000-4000-8000-0000000000{n}" for n in ("a1", "a2"))
PASSENGER = "0f9d3c1e-0000-4000-8000-0000000000b1"
NOBODY = "0f9d3c1e-0000-4000-8000-0000000000ff"
S, B = "/store_api/v1", "/base_api/v1"
TEA = {"name": "Чай", "description": "Чёрный", "logo_url": "tea.jpg", "balance": "10", "price_penny": "5000"}
KIOSK = {"name": "Киоск", "description": "Вагон 5", "logo_url": "k.png", "store_type": "RESTAURANT"}
AS_SHOP = {"Authorization": "Bearer token-of-shop"}
AS_RIVAL = {"Authorization": "Bearer token-of-rival"}
SESSIONS = {
    sessions.hash_of(who["Authorization"].split()[1]): (kind, one)
    for who, kind, one in ((AS_SHOP, "STORE", SHOP), (AS_RIVAL, "STORE", RIVAL), (AS_ROBOT, "ROBOT", ROBOT))
}


class Shops(Office):
    """An office where SHOP and RIVAL are open. `late` read models see nothing new."""

    def __init__(self) -> None:
        super().__init__()
        self.late = False
        self.stores: dict[str, Row] = {}
        self.items: dict[str, Row] = {}
        self.tasks: dict[str, Row] = {}
        self.bindings: list[Row] = []
        self.recommended: list[str] = []
        self.reads |= self._reads()
        for store_id, name in ((SHOP, "Кафе"), (RIVAL, "Сувениры")):
            told = {"store_id": store_id, "name": name, "description": "", "logo_url": "", "store_type": "SHOP"}
            self.decide("CreateStore", told | {"by": None})

    def decide(self, command: str, record: Mapping[str, Any]) -> CommandAnswer:
        """Decide, and whatever that asks for in turn."""
        before = self.decider.decide(self.state, Command(command, record, self.now_us + 1_000_000, "c"))
        answer = super().decide(command, record)
        for fact in getattr(before, "events", ()):
            for asked in self.decider.announce(self.state, fact.name, fact.record):
                if asked.topic == "railway.commands":
                    super().decide(asked.name, asked.record)
        return answer

    def take_in(self, name: str, body: Row) -> None:
        taking = getattr(self, f"_{name}", None)
        if taking is None:
            super().take_in(name, body)
        elif not self.late:
            taking(body)

    def _StoreCreated(self, body: Row) -> None:  # noqa: N802 - the events' names
        told = {key: body[key] for key in ("name", "description", "logo_url", "store_type")}
        self.stores[body["store_id"]] = told | {"id": body["store_id"]}

    def _StoreDeleted(self, body: Row) -> None:  # noqa: N802
        del self.stores[body["store_id"]]

    def _StoreClosed(self, body: Row) -> None:  # noqa: N802
        for rows in (self.items, self.tasks):
            for one in [one for one, row in rows.items() if row["store_id"] == body["store_id"]]:
                del rows[one]

    def _TrainStoreBound(self, body: Row) -> None:  # noqa: N802
        self.bindings.append(body)

    def _TrainStoreUnbound(self, body: Row) -> None:  # noqa: N802
        train = ("store_id", "train_number", "train_date_us")
        self.bindings = [row for row in self.bindings if any(row[key] != body[key] for key in train)]

    def _ItemAdded(self, body: Row) -> None:  # noqa: N802
        self.items[body["item_id"]] = body | {"id": body["item_id"]}

    def _ItemChanged(self, body: Row) -> None:  # noqa: N802
        told = {key: body[key] for key in ("name", "description", "logo_url", "price_penny", "category")}
        told |= {"balance": body["balance"]} if body["balance_given"] else {}
        given = {key: value for key, value in told.items() if value is not None or key == "balance"}
        self.items[body["item_id"]] |= given

    def _ItemRemoved(self, body: Row) -> None:  # noqa: N802
        del self.items[body["item_id"]]

    def _TaskCompleted(self, body: Row) -> None:  # noqa: N802
        self.tasks[body["task_id"]]["is_ready"] = True

    def _PurchaseMade(self, body: Row) -> None:  # noqa: N802
        for line in body["lines"]:
            item = self.items[line["item_id"]]
            if item["balance"] is not None:
                item["balance"] -= line["count"]
        told = {key: body[key] for key in ("store_id", "user_id", "purchase_id", "is_ready", "additional_data")}
        items = [{"item_id": line["item_id"], "count": line["count"]} for line in body["lines"]]
        more = {"id": body["task_id"], "items": items, "created_at": moment(body["at_us"])}
        self.tasks[body["task_id"]] = told | more

    def _reads(self) -> dict[str, Any]:
        def of(store_id: str) -> list[Row]:
            return [row for row in self.items.values() if row["store_id"] == store_id]

        def tasks(store_id: str, also_ready: bool, page: int, size: int) -> Any:
            mine = [row for row in self.tasks.values() if row["store_id"] == store_id]
            return cut([row for row in mine if also_ready or not row["is_ready"]], page, size)

        def own(rows: dict[str, Row], store_id: str, one: str) -> Row | None:
            return rows[one] if one in rows and rows[one]["store_id"] == store_id else None

        def bound(train_number: int, train_date_us: int, page: int = 1, size: int = 50) -> Any:
            asked = (train_number, train_date_us)
            return cut([b for b in self.bindings if (b["train_number"], b["train_date_us"]) == asked], page, size)

        def found(token_sha256s: list[str]) -> dict[str, Row]:
            known = {token: SESSIONS[token] for token in token_sha256s if token in SESSIONS}
            return {
                token: {"session_id": one, "client_type": kind, "component_id": one, "expires_at": moment(2**52)}
                for token, (kind, one) in known.items()
            }

        return {
            "sessions": found,
            "one": lambda store_id: self.stores.get(store_id),
            "listing": lambda page, size: cut(list(self.stores.values()), page, size),
            "by_ids": lambda ids: [row for one, row in reversed(self.stores.items()) if one in ids],
            "items": lambda store_id, page, size: cut(of(store_id), page, size),
            "all_items": of,
            "item": lambda store_id, item_id: own(self.items, store_id, item_id),
            "tasks": tasks,
            "task": lambda store_id, task_id: own(self.tasks, store_id, task_id),
            "recommended": lambda store_id, user_id: [self.items[one] for one in self.recommended],
            "on_board": lambda limit, **train: [self.stores[b["store_id"]] for b in bound(**train, size=limit)[0]],
            "bound": bound,
        }

    def asked(self) -> tuple[str, str, Row, str | None]:
        """The newest command that was sent: its name, its key, its record, and the read model that was waited for."""
        return self.sent[-1]


def purchase(item_id: str, count: int = 1, **changed: Any) -> Row:
    """What a client sends to buy."""
    lines = [{"item_id": item_id, "count": count}]
    return {"user_id": PASSENGER, "items": lines, "is_default_ready": True} | changed


def told(answer: httpx.Response) -> tuple[int, Any]:
    """An answer's status and what it says."""
    return answer.status_code, answer.json()
