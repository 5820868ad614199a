"""Purchases of scarce stock while their decider is killed or frozen: nothing oversold, lost or done twice."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Generator
from pathlib import Path
from typing import Any

import pytest

from producers.commands import CommandAnswer, Writer
from producers.publisher import Publisher
from producers.replies import ReplyReader
from schemas import serde
from schemas.errors import TransientFailure
from schemas.identity import murmur2_partition
from streams.deciding.history import History
from tests.drivers.deciding import DecidingSite
from tests.drivers.waiting import eventually, until

POINTS = ("deciders.decided", "deciders.sent", "deciders.uncommitted", "deciders.committed", "deciders.unanswered")
TOPICS = ("railway.commands", "railway.events", "railway.purchases", "faces.commands")
STORES = tuple(
    next(one for one in (str(uuid.UUID(int=n)) for n in range(99)) if murmur2_partition(one.encode(), 2) == partition)
    for partition in (0, 1)
)
STOCK, BUYERS = 10, 16
Row = dict[str, Any]


class Market:
    """Stores with scarce items, and buyers who ask again under the same id until they are answered."""

    def __init__(self, site: DecidingSite, writer: Writer) -> None:
        self.site, self.writer = site, writer
        self.answers: dict[str, CommandAnswer] = {}
        self.asked: dict[str, tuple[str, str, Row]] = {}

    async def say(self, command: str, store_id: str, more: Row) -> CommandAnswer:
        """Have a command decided; its first answer."""
        command_id = str(uuid.uuid4())
        self.asked[command_id] = (command, store_id, {"store_id": store_id, **more, "by": None})
        self.answers[command_id] = await self.again(command_id)
        return self.answers[command_id]

    async def again(self, command_id: str) -> CommandAnswer:
        """Ask under this id until there is an answer."""
        while True:
            with contextlib.suppress(TransientFailure):
                return await self.writer.command(*self.asked[command_id], command_id=command_id)

    async def open(self) -> None:
        await asyncio.gather(*(self.say("OpenStore", one, {}) for one in STORES))

    async def rush(self, before: asyncio.Event | None = None) -> None:
        """A new item in each store, and more buyers than pieces of it, all at once."""
        item_id = str(uuid.uuid4())
        told = {"item_id": item_id, "name": "n", "description": "", "logo_url": "", "category": "c"}
        item = told | {"balance": STOCK, "price_penny": 7_00}
        await asyncio.gather(*(self.say("AddItem", one, item) for one in STORES))
        if before:
            before.set()
        await asyncio.gather(*(self._buy(n, store_id, item_id) for n in range(BUYERS) for store_id in STORES))

    async def _buy(self, number: int, store_id: str, item_id: str) -> None:
        names = ("purchase_id", "task_id", "user_id")
        purchase: Row = {name: str(uuid.uuid4()) for name in names} | {"is_default_ready": bool(number % 2)}
        purchase |= {"lines": [{"item_id": item_id, "count": 1 + number % 3}], "additional_data": "{}"}
        await self.say("MakePurchase", store_id, purchase | {"channel": "STORE"})


@pytest.fixture
async def market(kafka_bootstrap: str) -> AsyncIterator[Market]:
    with contextlib.closing(DecidingSite(kafka_bootstrap, *TOPICS, partitions=2)) as site:
        publisher = Publisher(kafka_bootstrap, client_id="buyers")
        replies = ReplyReader(kafka_bootstrap, uuid.uuid4().hex)
        await replies.start()
        await until(lambda: replies.ready)
        yield Market(site, Writer(publisher, replies, deadline_s=1.5, topic_of=site.topic_of))
        await replies.stop()
        publisher.close()


@contextlib.contextmanager
def ended(*processes: subprocess.Popen[bytes]) -> Generator[None]:
    try:
        yield
    finally:
        for process in processes:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()


def decider(site: DecidingSite, instance: str, faults: Path | None = None) -> subprocess.Popen[bytes]:
    return site.process("railway", faults=faults, instance=instance, snapshot_events=40)


async def test_killed_at_any_point_under_concurrent_purchases(market: Market, tmp_path: Path) -> None:
    process = decider(market.site, "a", tmp_path)
    try:
        await market.open()
        for point in POINTS:
            ready = asyncio.Event()
            buying = asyncio.create_task(market.rush(ready))
            await ready.wait()
            (tmp_path / point).write_text("")
            assert await asyncio.to_thread(process.wait, 30) == -signal.SIGKILL
            process = decider(market.site, "a", tmp_path)
            await buying
        await audit(market, rushes=len(POINTS))
    finally:
        process.kill()
        process.wait()


async def test_frozen_past_its_session_and_woken(market: Market, tmp_path: Path) -> None:
    zombie = decider(market.site, "zombie", tmp_path)
    with ended(zombie):
        await market.open()
        ready = asyncio.Event()
        buying = asyncio.create_task(market.rush(ready))
        await ready.wait()
        (tmp_path / "deciders.uncommitted").write_text("stop")
        await until((tmp_path / "deciders.uncommitted.done").exists)
        heir = decider(market.site, "heir")
        with ended(heir):
            await buying
            zombie.send_signal(signal.SIGCONT)
            assert await asyncio.to_thread(zombie.wait, 30) == 1
            await market.rush()
            await audit(market, rushes=2)


async def audit(market: Market, rushes: int) -> None:
    """Each repeat gets the first answer; commands, events, accounts and a fold from zero say the same."""
    again = await asyncio.gather(*(market.again(one) for one in market.asked))
    assert dict(zip(market.asked, again, strict=True)) == market.answers
    await asyncio.to_thread(agree, market, rushes)


def agree(market: Market, rushes: int) -> None:
    eventually(lambda: all_settled(market), timeout=30, interval=0.2)
    events = market.site.events("railway.events")
    once_each(market, events)
    bought = [body for name, body in events if name == "PurchaseMade"]
    booked = [body for _, body in market.site.events("railway.purchases")]
    told = [answer.result for answer in market.answers.values() if answer.result and "total_penny" in answer.result]
    money = [sorted(one["total_penny"] for one in every) for every in (bought, booked, told)]
    assert money[0] == money[1] == money[2] == sorted(700 * body["lines"][0]["count"] for body in bought)
    assert {one["purchase_id"] for one in bought} == {one["purchase_id"] for one in booked}
    left = stock_left(market, events)
    assert len(left) == rushes * len(STORES)
    sold: Counter[tuple[str, str]] = Counter()
    for body in bought:
        for line in body["lines"]:
            sold[body["store_id"], line["item_id"]] += line["count"]
    assert all(sold[item] + pieces == STOCK for item, pieces in left.items())
    assert all(0 <= pieces <= 2 for pieces in left.values())  # who went away wanted more: three at most


def all_settled(market: Market) -> bool:
    """An answer may have been that to an earlier try of the same command, with later ones still to be settled."""
    settled = market.site.settled("railway.events").values()
    return sum(map(len, settled)) == len(market.site.records("railway.commands"))


def once_each(market: Market, events: list[tuple[str, Row]]) -> None:
    """Every command is settled as often as it was sent, always the same, and has its effect once."""
    sent = Counter(dict(one.headers)["ce_id"].decode() for one in market.site.records("railway.commands"))
    settled = [body for name, body in events if name == "CommandSettled"]
    assert Counter(body["command_id"] for body in settled) == sent
    verdicts = {(body["command_id"], body["accepted"], body["refusal"], body["result"]) for body in settled}
    assert len(verdicts) == len(market.asked) == len(sent)
    effects = Counter(body["command_id"] for body in settled if body["events"])
    accepted = {command_id for command_id, answer in market.answers.items() if answer.accepted}
    assert effects == Counter(accepted)


def stock_left(market: Market, events: list[tuple[str, Row]]) -> dict[tuple[str, str], int]:
    """What the deciders know (with snapshots), which is what a fold of all events from zero gives."""
    (railway,) = market.site.deciders("railway")
    folded = railway.state.empty()
    for record in market.site.records("railway.events"):
        folded = railway.evolve(folded, *serde.decode(record.value))
    known: dict[tuple[str, str], int] = {}
    with contextlib.closing(History(market.site.bootstrap, railway, [0, 1])) as history:
        for partition in (0, 1):
            for store_id, store in history.read(partition).ledger.state.each.items():
                assert store == folded.each[store_id]
                known |= {(store_id, item_id): item.balance for item_id, item in store.items.items()}
    assert known.keys() == {(body["store_id"], body["item_id"]) for name, body in events if name == "ItemAdded"}
    return known
