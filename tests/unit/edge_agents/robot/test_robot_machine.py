"""The robot's machine: a table of what leads where, and anything at all in any order."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agents.robot import effects, events
from edge_agents.robot.events import Event
from edge_agents.robot.fsm import step
from edge_agents.robot.shapes import Item, Place, Store, Ticket, User
from edge_agents.robot.states import (
    CATEGORIES,
    Auth,
    Catalog,
    Context,
    DestinationInfo,
    Idle,
    StoreCategorySelection,
    StoreItem,
    TicketChecking,
    TicketCheckingResult,
    UserMenu,
    World,
)
from edge_agents.robot.tickets import Door, Verdict

AT = datetime(2026, 3, 1, tzinfo=UTC)
DOOR, ANNA = Door("MOSCOW", 1012, 5, AT), User("u1", "Anna")
TEA, MUG = (
    Item(one, one, "", f"{one}.jpg", kind, 1, 100) for one, kind in (("tea", "food"), ("mug", "city_souvenirs"))
)
SHOP = Store("s1", "Shop", "", "", "SHOP", (TEA, MUG))
TICKET = Ticket("t", "u1", "MOSCOW", "c", 1012, 5, 12, AT)
VALID, REFUSED = Verdict(True, TICKET), Verdict(False, None, "No")
KNOWN = Context(1012, AT, run="r")
MENU = UserMenu(ANNA)
SHELVES = StoreCategorySelection(MENU, SHOP)
FOOD = Catalog(SHELVES, "food", (TEA,))
THING = StoreItem(FOOD, TEA)
BUSY = replace(MENU, waiting=True)
PLACE = Place("p", "Hotel", "", "/static/p.png")


def at(state: Any, **context: Any) -> World:
    return World(state, replace(KNOWN, **context), 7, configured=True)


TABLE: list[tuple[Any, Event, Any, list[type]]] = [
    (Idle(), events.CheckTickets(DOOR), TicketChecking(DOOR), [effects.Ring]),
    (Idle(), events.AuthenticateUsers(), Auth(), [effects.Ring]),
    (Idle(), events.Due(7), Idle(), []),
    (TicketChecking(DOOR), events.Due(7), TicketChecking(DOOR, looking=True), [effects.CheckTicket]),
    (TicketChecking(DOOR, looking=True), events.Due(7), TicketChecking(DOOR, looking=True), []),
    (TicketChecking(DOOR, looking=True), events.Judged(7, None), TicketChecking(DOOR), [effects.Ring]),
    (TicketChecking(DOOR, looking=True), events.Failed(7), TicketChecking(DOOR), [effects.Ring]),
    (TicketChecking(DOOR, looking=True), events.Judged(7, VALID, ANNA), TicketCheckingResult(DOOR, VALID, ANNA),
     [effects.OpenGate, effects.Ring]),
    (TicketChecking(DOOR, looking=True), events.Judged(7, REFUSED), TicketCheckingResult(DOOR, REFUSED, None),
     [effects.Ring]),
    (TicketChecking(DOOR, looking=True), events.Judged(6, VALID, ANNA), TicketChecking(DOOR, looking=True), []),
    (TicketCheckingResult(DOOR, VALID, ANNA), events.Due(7), TicketChecking(DOOR), [effects.Ring]),
    (TicketCheckingResult(DOOR, VALID, ANNA), events.Judged(7, VALID, ANNA), TicketCheckingResult(DOOR, VALID, ANNA),
     []),
    (Auth(), events.Due(7), Auth(looking=True), [effects.Identify]),
    (Auth(looking=True), events.Due(7), Auth(looking=True), []),
    (Auth(looking=True), events.Identified(7, None), Auth(), [effects.Ring]),
    (Auth(looking=True), events.Failed(7), Auth(), [effects.Ring]),
    (Auth(looking=True), events.Identified(7, ANNA), MENU, []),
    (MENU, events.Identified(6, User("u2", "Boris")), MENU, []),
    (MENU, events.Pressed("shops"), BUSY, [effects.LoadStore]),
    (BUSY, events.Pressed("shops"), BUSY, []),
    (MENU, events.Pressed("information"), BUSY, [effects.LoadDestination]),
    (BUSY, events.StoreKnown(7, SHOP), SHELVES, []),
    (BUSY, events.StoreKnown(7, None), UserMenu(ANNA, notice="no_store"), []),
    (BUSY, events.Failed(7), UserMenu(ANNA, notice="failed"), []),
    (BUSY, events.Pressed("exit"), Auth(), [effects.Ring]),
    (BUSY, events.DestinationKnown(7, "SPB"), DestinationInfo(MENU, "SPB"), [effects.LoadPlaces]),
    (BUSY, events.DestinationKnown(7, None), DestinationInfo(MENU, None), []),
    (DestinationInfo(MENU, "SPB"), events.PlacesKnown(7, (PLACE,), ()), DestinationInfo(MENU, "SPB", (PLACE,), ()), []),
    (DestinationInfo(MENU, "SPB"), events.Failed(7), DestinationInfo(MENU, "SPB", (), (), "failed"), []),
    (DestinationInfo(MENU, "SPB"), events.Pressed("back"), MENU, []),
    (SHELVES, events.CategoryPressed("food"), FOOD, []),
    (SHELVES, events.CategoryPressed("recommendations"), Catalog(SHELVES, "recommendations", None),
     [effects.LoadRecommendations]),
    (SHELVES, events.CategoryPressed("weapons"), SHELVES, []),
    (SHELVES, events.Pressed("back"), MENU, []),
    (Catalog(SHELVES, "recommendations", None), events.RecommendationsKnown(7, (TEA,)),
     Catalog(SHELVES, "recommendations", (TEA,)), []),
    (Catalog(SHELVES, "recommendations", None), events.Failed(7),
     Catalog(SHELVES, "recommendations", (), "failed"), []),
    (FOOD, events.ItemPressed("tea"), THING, []),
    (FOOD, events.ItemPressed("mug"), FOOD, []),
    (FOOD, events.Pressed("back"), SHELVES, []),
    (THING, events.Pressed("back"), FOOD, []),
    (THING, events.Pressed("buy"), replace(THING, buying=True), [effects.Buy]),
    (replace(THING, buying=True), events.Pressed("buy"), replace(THING, buying=True), []),
    (replace(THING, item=replace(TEA, balance=0)), events.Pressed("buy"), replace(THING, item=replace(TEA, balance=0)),
     []),
    (THING, events.Pressed("exit"), THING, []),
]  # fmt: skip


@pytest.mark.parametrize(("before", "event", "after", "wanted"), TABLE)
def test_what_leads_where(before: Any, event: Event, after: Any, wanted: list[type]) -> None:
    world, doing = step(at(before), event)
    assert world.state == after
    assert [type(one) for one in doing] == wanted


def test_without_a_train_there_is_nothing_to_offer() -> None:
    for button in ("shops", "information"):
        world, doing = step(at(MENU, train_number=None), events.Pressed(button))
        assert (world.state, doing) == (MENU, ())


def test_a_purchase_that_may_have_been_made_is_repeated_under_its_key() -> None:
    world, (first,) = step(at(THING), events.Pressed("buy"))
    assert isinstance(first, effects.Buy)
    world, _ = step(world, events.NotBought(first.once, "tea", unknown=True))
    for press in (events.Pressed("back"), events.ItemPressed("tea")):
        world, _ = step(world, press)
    world, (again,) = step(world, events.Pressed("buy"))
    assert again == first
    world, _ = step(world, events.Bought(first.once, "tea"))
    assert isinstance(world.state, StoreItem)
    assert (world.state.item.balance, world.state.bought, world.state.notice) == (0, 1, "bought")
    assert world.state.back.back.store.items[0].balance == 0
    assert world.context.unsettled == {}


def test_what_was_refused_or_bought_gets_a_new_key() -> None:
    many = replace(THING, item=replace(TEA, balance=None))
    world, (first,) = step(at(many), events.Pressed("buy"))
    assert isinstance(first, effects.Buy)
    world, _ = step(world, events.NotBought(first.once, "tea", unknown=False))
    assert isinstance(world.state, StoreItem)
    assert world.state.notice == "refused"
    world, (second,) = step(world, events.Pressed("buy"))
    assert isinstance(second, effects.Buy)
    assert second.once != first.once


def test_the_end_of_a_purchase_of_somebody_who_left_changes_nothing() -> None:
    world, (first,) = step(at(THING), events.Pressed("buy"))
    assert isinstance(first, effects.Buy)
    for press in (*[events.Pressed("back")] * 3, events.Pressed("exit")):
        world, _ = step(world, press)
    assert isinstance(world.state, Auth)
    assert step(world, events.Bought(first.once, "tea")) == (world, ())


def test_a_purchase_of_somebody_who_left_is_not_the_next_passengers() -> None:
    left = events.Bought("r-1", "tea")
    world, (own,) = step(at(THING, purchases=1), events.Pressed("buy"))
    assert isinstance(own, effects.Buy)
    assert own.once != left.once
    assert step(world, left) == (world, ())
    assert step(world, events.NotBought("r-1", "tea", unknown=False)) == (world, ())


def test_variables() -> None:
    world, _ = step(World(), events.SetVariable("train_number", "7"))
    assert world.context.train_number == 7
    world, said = step(world, events.SetVariable("train_number", "seven"))
    assert world.context.train_number == 7
    assert isinstance(said[0], effects.Say)
    world, _ = step(world, events.SetVariable("mood", "good"))
    world, _ = step(world, events.DeleteVariable("train_number"))
    assert (world.context.train_number, world.context.variables) == (None, {"mood": "good"})
    for name in ("mood", "mood", "never"):
        world, said = step(world, events.DeleteVariable(name))
        assert isinstance(said[0], effects.Say)
    assert world.context.variables == {}


VISITS = st.integers(0, 12)
ANYTHING: st.SearchStrategy[Any] = st.one_of(
    st.just(events.CheckTickets(DOOR)),
    st.just(events.AuthenticateUsers()),
    st.builds(events.SetVariable, st.sampled_from(["train_number", "train_start_date", "x"]), st.text(max_size=5)),
    st.builds(events.DeleteVariable, st.sampled_from(["train_number", "train_start_date", "x"])),
    st.builds(events.BindTrain, st.integers(), st.just(AT)),
    st.just(events.RunDeviance()),
    st.just(events.StopConfig()),
    st.builds(events.OpenBoard, st.text(max_size=3)),
    st.builds(events.Due, VISITS),
    st.builds(events.Judged, VISITS, st.sampled_from([None, VALID, REFUSED]), st.sampled_from([None, ANNA])),
    st.builds(events.Identified, VISITS, st.sampled_from([None, ANNA])),
    st.builds(events.Pressed, st.sampled_from(["shops", "information", "exit", "back", "buy", "?"])),
    st.builds(events.CategoryPressed, st.sampled_from([*CATEGORIES, "?"])),
    st.builds(events.ItemPressed, st.sampled_from(["tea", "mug", "?"])),
    st.builds(events.DestinationKnown, VISITS, st.sampled_from([None, "SPB"])),
    st.builds(events.PlacesKnown, VISITS, st.just((PLACE,)), st.just(())),
    st.builds(events.StoreKnown, VISITS, st.sampled_from([None, SHOP])),
    st.builds(events.RecommendationsKnown, VISITS, st.just((TEA, MUG))),
    st.builds(events.Failed, VISITS),
)


@settings(max_examples=80, deadline=None)
@given(st.lists(ANYTHING, max_size=40), st.data())
def test_anything_in_any_order_leaves_a_robot_that_can_go_on(happened: list[Event], data: st.DataObject) -> None:
    world, waiting, sent = World(context=Context(run="r")), dict[str, effects.Buy](), set[str]()
    for event in happened:
        if data.draw(st.booleans(), label="mean the present visit") and hasattr(event, "visit"):
            event = replace(event, visit=world.visit)  # type: ignore[call-arg]
        if waiting and data.draw(st.booleans(), label="a purchase ends"):
            once, bought = waiting.popitem()
            lost = events.NotBought(once, bought.item_id, unknown=True)
            refused = events.NotBought(once, bought.item_id, unknown=False)
            event = data.draw(st.sampled_from([events.Bought(once, bought.item_id), lost, refused]))
        before = world
        world, wanted = step(world, event)
        assert world.visit in (before.visit, before.visit + 1)
        for one in wanted:
            if isinstance(one, effects.Buy):
                assert one.once not in waiting, "bought twice at a time"
                waiting[one.once] = one
                sent.add(one.once)
            elif hasattr(one, "visit"):
                assert one.visit == world.visit  # type: ignore[attr-defined]
        _is_possible(world)
    assert len(sent) == world.context.purchases


def _is_possible(world: World) -> None:
    """Every page knows the way back to a passenger's menu; whoever looks or waits has something to wait for."""
    state: Any = world.state
    while hasattr(state, "back"):
        state = state.back
    assert isinstance(state, Idle | TicketChecking | TicketCheckingResult | Auth | UserMenu)
    if isinstance(world.state, StoreItem):
        assert world.state.item.balance is None or world.state.item.balance >= 0
        assert not world.state.buying or world.state.item.id in world.context.unsettled
    if isinstance(world.state, Idle | TicketChecking | Auth):
        assert not isinstance(world.state, Auth) or world.context.unsettled == {}
