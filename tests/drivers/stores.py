"""A railway's stores without a log: commands in, and the events of each partition as they would stand there."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from projections.read_model import Event
from schemas import serde
from schemas.record import Record
from streams.deciders import store, stores
from streams.decisions import Accepted, Command, Fact, Refused

START_US = 1_767_258_000_000_000
MINUTE_US = 60_000_000
DIRECTORY = 0
PARTITIONS = 3
USERS = [str(UUID(int=0xA000 + n)) for n in range(4)]
TRAINS = [(7, START_US), (7, START_US + MINUTE_US), (8, START_US)]
NOTHING: dict[str, Any] = dict.fromkeys(("name", "description", "logo_url", "balance", "price_penny", "category"))


def made_id(n: int) -> str:
    """The n-th id."""
    return str(UUID(int=(0x4000 << 64) | (0x8000 << 48) | n))


@dataclass
class Stores:
    """The directory, the stores and what they have decided: events by partition, and what the accounts hear."""

    directory: stores.State = field(default_factory=stores.State)
    each: dict[str, store.State] = field(default_factory=dict[str, store.State])
    log: dict[int, list[Event]] = field(default_factory=lambda: {n: [] for n in range(PARTITIONS + 1)})
    booked: list[Event] = field(default_factory=list[Event])
    offsets: Counter[int] = field(default_factory=Counter[int])
    said: int = 0

    def tell(self, name: str, record: Mapping[str, Any]) -> Accepted | Refused:
        """A command, and what follows from it; its time is a minute after the last one's."""
        self.said += 1
        command = Command(name, {"by": None, **record}, START_US + self.said * MINUTE_US, f"c{self.said}")
        store_id = record["store_id"]
        if name in stores.COMMANDS:
            verdict = stores.decide(self.directory, command)
        else:
            verdict = store.decide(self.each.get(store_id, store.State()), command)
        for fact in verdict.events if isinstance(verdict, Accepted) else ():
            self._happened(store_id, fact)
        return verdict

    def partition_of(self, store_id: str) -> int:
        """Where a store's events stand."""
        return 1 + int(store_id.replace("-", ""), 16) % PARTITIONS

    def since_opened(self, store_id: str) -> list[Event]:
        """What a store has decided since it opened last."""
        own = [event for event in self.log[self.partition_of(store_id)] if event.body["store_id"] == store_id]
        opened = [n for n, event in enumerate(own) if event.name == "StoreOpened"]
        return own[opened[-1] :] if opened else []

    def _happened(self, store_id: str, fact: Fact) -> None:
        is_directory = fact.name in stores.EVENTS
        topic, partition = "railway.events", DIRECTORY if is_directory else self.partition_of(store_id)
        event = _event(topic, partition, len(self.log[partition]), fact)
        self.log[partition].append(event)
        if is_directory:
            self.directory = stores.evolve(self.directory, event.name, event.body)
            follow = stores.announce(self.directory, event.name, event.body)
        else:
            self.each[store_id] = store.evolve(self.each.get(store_id, store.State()), event.name, event.body)
            follow = store.announce(self.each[store_id], event.name, event.body)
        for one in follow:
            if one.name in store.COMMANDS:
                self.tell(one.name, one.record)
            elif one.topic == "railway.purchases":
                self.booked.append(_event(one.topic, partition, self.offsets[partition], one))
                self.offsets[partition] += 1

    def in_some_order(self, chance: random.Random) -> list[Event]:
        """All events, each partition in its order, the partitions one into the other as it happens."""
        places = [partition for partition, events in self.log.items() for _ in events]
        chance.shuffle(places)
        left = {partition: iter(events) for partition, events in self.log.items()}
        return [next(left[partition]) for partition in places]


def _event(topic: str, partition: int, offset: int, fact: Fact) -> Event:
    value = serde.encode(fact.name, fact.record)
    record = Record(topic, partition, offset, 0, fact.key.encode(), value, ())
    return Event(record, *serde.decode(value))


def created(number: int, **changed: str) -> dict[str, str]:
    """CreateStore's record of the store of that number."""
    told = {"name": f"Store {number}", "description": "On board", "logo_url": "/s.png", "store_type": "SHOP"}
    return {"store_id": made_id(number)} | told | changed


def item(store_id: str, number: int, **changed: Any) -> dict[str, Any]:
    """AddItem's record."""
    told = {"name": f"Item {number}", "description": "Good", "logo_url": "1.jpg", "category": "food"}
    return {"store_id": store_id, "item_id": made_id(1000 + number), "balance": 5, "price_penny": 100 + number} | (
        told | changed
    )


def purchase(store_id: str, number: int, user_id: str, *lines: tuple[str, int], **changed: Any) -> dict[str, Any]:
    """MakePurchase's record."""
    ids = {"store_id": store_id, "purchase_id": made_id(10**6 + number), "task_id": made_id(2 * 10**6 + number)}
    told = {"user_id": user_id, "lines": [{"item_id": item_id, "count": count} for item_id, count in lines]}
    return ids | told | {"is_default_ready": False, "additional_data": '{"seat": 7}', "channel": "ROBOT"} | changed


def history(chance: random.Random, commands: int) -> Stores:
    """Whatever may happen in four stores, in so many commands."""
    world = Stores()
    for number in range(4):
        world.tell("CreateStore", created(number))
        world.tell("AddItem", item(made_id(number), 10 * number))
    for number in range(commands):
        _anything(world, chance, number)
    return world


def _anything(world: Stores, chance: random.Random, number: int) -> None:
    shop = chance.choice(sorted(world.directory.stores) or [made_id(0)])
    known = sorted(world.each.get(shop, store.State()).items) or [made_id(1)]
    item_id = chance.choice(known)
    train, date_us = chance.choice(TRAINS)
    trip: Mapping[str, Any] = {"store_id": shop, "train_number": train, "train_date_us": date_us}
    wanted = [(one, chance.randint(1, 3)) for one in chance.sample(known, min(len(known), chance.randint(1, 3)))]
    change = {"balance": chance.choice([None, 0, 9]), "balance_given": chance.random() < 0.5, "name": f"Now {number}"}
    open_tasks = sorted(world.each.get(shop, store.State()).open_tasks) or [made_id(1)]
    bought = purchase(shop, number, chance.choice(USERS), *wanted, is_default_ready=chance.random() < 0.3)
    may = [
        (20, "AddItem", item(shop, 100 + number, balance=chance.choice([None, 0, 5, 50]))),
        (10, "ChangeItem", NOTHING | {"store_id": shop, "item_id": item_id} | change),
        (6, "RemoveItem", {"store_id": shop, "item_id": item_id}),
        (50, "MakePurchase", bought),
        (15, "CompleteTask", {"store_id": shop, "task_id": chance.choice(open_tasks)}),
        (6, "BindTrainStore", {**trip, "binding_id": made_id(10**7 + number)}),
        (3, "UnbindTrainStore", trip),
        (1, "DeleteStore", {"store_id": shop}),
        (2, "CreateStore", created(chance.randrange(4, 9))),
    ]
    _, name, record = chance.choices(may, [weight for weight, _, _ in may])[0]
    world.tell(name, record)
