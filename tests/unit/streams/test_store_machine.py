"""A store under any sequence of commands: nothing is sold twice, and money and pieces add up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from schemas import serde
from streams import persistent
from streams.deciders import store
from streams.decisions import Accepted, Command, Refused

BY: dict[str, Any] = {"store_id": "s", "by": None}
ITEMS = [f"i{n}" for n in range(3)]
SAME: dict[str, Any] = dict.fromkeys(("name", "description", "logo_url", "balance", "price_penny", "category"))
items = st.sampled_from(ITEMS)
stocks = st.one_of(st.none(), st.integers(0, 4))
lines = st.lists(st.tuples(items, st.sampled_from([1, 2, 3, 4, 5, 1, 2, 0, -1])), max_size=3)


class StoreMachine(RuleBasedStateMachine):
    """The store beside a simple account of what should be in it."""

    @initialize()
    def opened(self) -> None:
        """Two items to begin with, so that there is something to buy."""
        self.state = store.State()
        self.stock: dict[str, int | None] = {}
        self.put_in, self.sold = Counter[str](), Counter[str]()
        self.price: dict[str, int] = {}
        self.taken = self.due = self.purchases = self.added = 0
        self.tasks: dict[str, bool] = {}
        self.tell("OpenStore", {})
        self.add("i0", 3, 10)
        self.add("i1", None, 7)

    def tell(self, name: str, record: Mapping[str, Any]) -> Accepted | Refused:
        verdict = store.decide(self.state, Command(name, {**BY, **record}, 1, "c"))
        for fact in verdict.events if isinstance(verdict, Accepted) else ():
            _, read_back = serde.decode(serde.encode(fact.name, fact.record))
            self.state = store.evolve(self.state, fact.name, read_back)
            for told in store.announce(self.state, fact.name, read_back):
                self.taken += serde.decode(serde.encode(told.name, told.record))[1]["total_penny"]
        return verdict

    @rule(item=items, stock=stocks, price=st.integers(0, 100))
    def add(self, item: str, stock: int | None, price: int) -> None:
        told = {"name": item, "description": "", "logo_url": "", "category": "food"}
        verdict = self.tell("AddItem", told | {"item_id": item, "balance": stock, "price_penny": price})
        assert isinstance(verdict, Accepted) == (item not in self.stock)
        if isinstance(verdict, Accepted):
            assert verdict.events[0].record["number"] == self.added
            self.stock[item], self.price[item] = stock, price
            self.added += 1
            self.put_in[item] += stock or 0

    @rule(item=items, stock=stocks, given=st.booleans(), price=st.one_of(st.none(), st.integers(0, 100)))
    def change(self, item: str, stock: int | None, given: bool, price: int | None) -> None:
        told = {"item_id": item, "balance_given": given, "balance": stock, "price_penny": price}
        verdict = self.tell("ChangeItem", SAME | told)
        assert isinstance(verdict, Accepted) == (item in self.stock)
        if isinstance(verdict, Accepted):
            self.price[item] = self.price[item] if price is None else price
            if given:
                self.put_in[item] += (stock or 0) - (self.stock[item] or 0)
                self.stock[item] = stock

    @rule(item=items)
    def remove(self, item: str) -> None:
        verdict = self.tell("RemoveItem", {"item_id": item})
        assert isinstance(verdict, Accepted) == (item in self.stock)
        self.put_in[item] -= self.stock.pop(item, None) or 0

    @rule(wanted=lines, ready=st.booleans())
    def buy(self, wanted: list[tuple[str, int]], ready: bool) -> None:
        self.purchases += 1
        told = [{"item_id": item, "count": count} for item, count in wanted]
        ids = {"purchase_id": f"p{self.purchases}", "task_id": f"t{self.purchases}", "user_id": "u"}
        rest = {"is_default_ready": ready, "additional_data": "{}", "channel": "STORE"}
        verdict = self.tell("MakePurchase", ids | rest | {"lines": told})
        expected = self.refusal(wanted)
        assert (verdict.code if isinstance(verdict, Refused) else None) == expected
        if expected is None:
            self.tasks[ids["task_id"]] = ready
            for item, count in wanted:
                self.due += count * self.price[item]
                if (left := self.stock[item]) is not None:
                    self.stock[item] = left - count
                    self.sold[item] += count

    @rule(item=items, more=st.integers(-1, 1))
    def buy_about_all(self, item: str, more: int) -> None:
        self.buy([(item, (self.stock.get(item) or 0) + more)], ready=False)

    def refusal(self, wanted: list[tuple[str, int]]) -> str | None:
        if not wanted or min(count for _, count in wanted) < 1:
            return "invalid_purchase"
        if len(dict(wanted)) < len(wanted) or any(self.stock.get(item, 0) == 0 for item, _ in wanted):
            return "items_not_found"
        stocks = [(self.stock[item], count) for item, count in wanted]
        return "not_enough" if any(left is not None and left < count for left, count in stocks) else None

    @rule(n=st.integers(0, 30))
    def complete(self, n: int) -> None:
        verdict = self.tell("CompleteTask", {"task_id": f"t{n}"})
        assert isinstance(verdict, Accepted) == (f"t{n}" in self.tasks)
        if isinstance(verdict, Accepted):
            assert bool(verdict.events) != self.tasks[f"t{n}"]
            self.tasks[f"t{n}"] = True

    @rule()
    def restart(self) -> None:
        """From a snapshot it goes on as it was."""
        self.state = persistent.decode(persistent.encode(self.state), store.State)

    @precondition(lambda self: self.purchases > 8)
    @rule()
    def close_for_good(self) -> None:
        self.tell("CloseStore", {})
        assert self.state == store.State()
        self.opened()

    @invariant()
    def nothing_is_sold_that_was_not_there(self) -> None:
        left = {item: kept.balance for item, kept in self.state.items.items()}
        assert left == self.stock
        assert all(balance is None or balance >= 0 for balance in left.values())
        for item in ITEMS:
            assert self.sold[item] == self.put_in[item] - (left.get(item) or 0)

    @invariant()
    def money_adds_up(self) -> None:
        assert self.taken == self.due


TestStore = StoreMachine.TestCase
TestStore.settings = settings(max_examples=50, stateful_step_count=40, deadline=None)
