"""The robot's machine: `step(world, event) -> (world, effects)`. Pure; what does not fit the state changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from edge_agents.robot.effects import (
    Buy,
    CheckTicket,
    CloseConsole,
    Effect,
    Identify,
    LoadDestination,
    LoadPlaces,
    LoadRecommendations,
    LoadStore,
    OpenGate,
    Ring,
    Say,
    StartDeviance,
    UseBoard,
)
from edge_agents.robot.events import (
    AuthenticateUsers,
    BindTrain,
    Bought,
    CategoryPressed,
    CheckTickets,
    DeleteVariable,
    DestinationKnown,
    Due,
    Event,
    Failed,
    Identified,
    ItemPressed,
    Judged,
    NotBought,
    OpenBoard,
    PlacesKnown,
    Pressed,
    RecommendationsKnown,
    RunDeviance,
    SetVariable,
    StopConfig,
    StoreKnown,
)
from edge_agents.robot.states import (
    CATEGORIES,
    LOOK_EVERY_S,
    VERDICT_SHOWN_S,
    Auth,
    Catalog,
    DestinationInfo,
    State,
    StoreCategorySelection,
    StoreItem,
    TicketChecking,
    TicketCheckingResult,
    UserMenu,
    World,
)

Step = tuple[World, tuple[Effect, ...]]
_CONFIGURING: Final = (
    CheckTickets, AuthenticateUsers, SetVariable, DeleteVariable, BindTrain, RunDeviance, OpenBoard, StopConfig
)  # fmt: skip


def step(world: World, event: Event) -> Step:
    """What becomes of the robot when this happens, and what it wants done."""
    if isinstance(event, _CONFIGURING):
        world = replace(world, configured=True)
        return _CONSOLE[type(event)](world, event)
    if isinstance(event, Bought | NotBought):
        return _settle(world, event)
    if getattr(event, "visit", world.visit) != world.visit:
        return world, ()
    handler = _HANDLERS.get((type(world.state), type(event)))
    return handler(world, world.state, event) if handler else (world, ())


def enter(world: World, state: State, *effects: Effect) -> Step:
    """Begin a state: what was under way in the one before is nobody's any more."""
    world = replace(world, state=state, visit=world.visit + 1)
    match state:
        case TicketChecking() | Auth():
            begun: tuple[Effect, ...] = (Ring(world.visit, LOOK_EVERY_S),)
        case TicketCheckingResult():
            begun = (Ring(world.visit, VERDICT_SHOWN_S),)
        case DestinationInfo(destination_id=str(place), hotels=None):
            begun = (LoadPlaces(world.visit, place),)
        case Catalog(items=None):
            begun = (LoadRecommendations(world.visit, state.back.store.id, state.back.back.user.id),)
        case _:
            begun = ()
    return world, (*effects, *begun)


def _stay(world: World, state: State, *effects: Effect) -> Step:
    return replace(world, state=state), effects


# Console


def _check_tickets(world: World, event: CheckTickets) -> Step:
    return enter(_without_passenger(world), TicketChecking(event.door))


def _authenticate(world: World, _event: AuthenticateUsers) -> Step:
    return enter(_without_passenger(world), Auth())


def _set_variable(world: World, event: SetVariable) -> Step:
    try:
        if event.name == "train_number":
            context = replace(world.context, train_number=int(event.value))
        elif event.name == "train_start_date":
            context = replace(world.context, start_date=datetime.fromisoformat(event.value))
        else:
            context = replace(world.context, variables={**world.context.variables, event.name: event.value})
    except ValueError:
        return world, (Say(f"{event.name} cannot be {event.value!r}."),)
    return replace(world, context=context), (Say(f"{event.name} is set."),)


def _delete_variable(world: World, event: DeleteVariable) -> Step:
    context = world.context
    if event.name == "train_number" and context.train_number is not None:
        context = replace(context, train_number=None)
    elif event.name == "train_start_date" and context.start_date is not None:
        context = replace(context, start_date=None)
    elif event.name in context.variables:
        left = {name: value for name, value in context.variables.items() if name != event.name}
        context = replace(context, variables=left)
    else:
        return world, (Say(f"There is no variable {event.name!r}."),)
    return replace(world, context=context), (Say(f"{event.name} is deleted."),)


def _bind_train(world: World, event: BindTrain) -> Step:
    context = replace(world.context, train_number=event.train_number, start_date=event.start_date)
    return replace(world, context=context), (Say(f"Train {event.train_number} of {event.start_date.isoformat()}."),)


_CONSOLE: Final[Mapping[type, Callable[[World, Any], Step]]] = MappingProxyType(
    {
        CheckTickets: _check_tickets,
        AuthenticateUsers: _authenticate,
        SetVariable: _set_variable,
        DeleteVariable: _delete_variable,
        BindTrain: _bind_train,
        RunDeviance: lambda world, _: (world, (StartDeviance(),)),
        OpenBoard: lambda world, event: (world, (UseBoard(event.port),)),
        StopConfig: lambda world, _: (world, (CloseConsole(),)),
    }
)


# Tickets


def _look_at_ticket(world: World, state: TicketChecking, _event: Due) -> Step:
    if state.looking:
        return world, ()
    return _stay(world, replace(state, looking=True), CheckTicket(world.visit, state.door))


def _judged(world: World, state: TicketChecking, event: Judged) -> Step:
    if event.verdict is None:
        return _look_again(world, state, event)
    gate = (OpenGate(),) if event.verdict.valid else ()
    return enter(world, TicketCheckingResult(state.door, event.verdict, event.user), *gate)


def _look_again(world: World, state: TicketChecking | Auth, _event: Judged | Identified | Failed) -> Step:
    if not state.looking:
        return world, ()
    return _stay(world, replace(state, looking=False), Ring(world.visit, LOOK_EVERY_S))


def _next_ticket(world: World, state: TicketCheckingResult, _event: Due) -> Step:
    return enter(world, TicketChecking(state.door))


# Passengers


def _look_at_face(world: World, state: Auth, _event: Due) -> Step:
    return (world, ()) if state.looking else _stay(world, Auth(looking=True), Identify(world.visit))


def _identified(world: World, state: Auth, event: Identified) -> Step:
    return _look_again(world, state, event) if event.user is None else enter(world, UserMenu(event.user))


def knows_train(world: World) -> bool:
    """Whether shops and information can be offered."""
    return world.context.train_number is not None


def _menu_pressed(world: World, state: UserMenu, event: Pressed) -> Step:
    if event.button == "exit":
        return enter(_without_passenger(world), Auth())
    if state.waiting or not knows_train(world):
        return world, ()
    waiting = UserMenu(state.user, waiting=True)
    if event.button == "shops":
        return _stay(world, waiting, LoadStore(world.visit))
    number, start = world.context.train_number, world.context.start_date
    if event.button == "information" and number is not None:
        if start is None:
            return enter(world, DestinationInfo(UserMenu(state.user), None))
        return _stay(world, waiting, LoadDestination(world.visit, state.user.id, number, start))
    return world, ()


def _destination(world: World, state: UserMenu, event: DestinationKnown) -> Step:
    return enter(world, DestinationInfo(UserMenu(state.user), event.destination_id)) if state.waiting else (world, ())


def _store(world: World, state: UserMenu, event: StoreKnown) -> Step:
    if not state.waiting:
        return world, ()
    if event.store is None:
        return _stay(world, UserMenu(state.user, notice="no_store"))
    return enter(world, StoreCategorySelection(UserMenu(state.user), event.store))


def _menu_failed(world: World, state: UserMenu, _event: Failed) -> Step:
    return _stay(world, UserMenu(state.user, notice="failed")) if state.waiting else (world, ())


def _without_passenger(world: World) -> World:
    """Nobody's purchases may be taken for the next passenger's."""
    return replace(world, context=replace(world.context, unsettled={}))


# Places


def _places(world: World, state: DestinationInfo, event: PlacesKnown) -> Step:
    return _stay(world, replace(state, hotels=event.hotels, attractions=event.attractions))


def _places_failed(world: World, state: DestinationInfo, _event: Failed) -> Step:
    return _stay(world, replace(state, hotels=(), attractions=(), notice="failed"))


def _back(world: World, state: DestinationInfo | StoreCategorySelection | Catalog, event: Pressed) -> Step:
    return enter(world, state.back) if event.button == "back" else (world, ())


# Shops


def _category(world: World, state: StoreCategorySelection, event: CategoryPressed) -> Step:
    if event.category not in CATEGORIES:
        return world, ()
    if event.category == "recommendations":
        return enter(world, Catalog(state, event.category, None))
    items = tuple(item for item in state.store.items if item.category == event.category)
    return enter(world, Catalog(state, event.category, items))


def _recommended(world: World, state: Catalog, event: RecommendationsKnown) -> Step:
    return _stay(world, replace(state, items=event.items)) if state.items is None else (world, ())


def _recommendations_failed(world: World, state: Catalog, _event: Failed) -> Step:
    return _stay(world, replace(state, items=(), notice="failed")) if state.items is None else (world, ())


def _item(world: World, state: Catalog, event: ItemPressed) -> Step:
    found = next((item for item in state.items or () if item.id == event.item_id), None)
    return enter(world, StoreItem(state, found)) if found else (world, ())


def _item_pressed(world: World, state: StoreItem, event: Pressed) -> Step:
    if event.button == "back":
        return enter(world, state.back)
    if event.button != "buy" or state.buying or state.item.balance == 0:
        return world, ()
    context = world.context
    once = context.unsettled.get(state.item.id)
    if once is None:
        context = replace(context, purchases=context.purchases + 1)
        once = f"{context.run}-{context.purchases}"
        context = replace(context, unsettled={**context.unsettled, state.item.id: once})
    categories = state.back.back
    bought = Buy(once, categories.store.id, categories.back.user.id, state.item.id)
    return _stay(replace(world, context=context), replace(state, buying=True, notice=""), bought)


def _settle(world: World, event: Bought | NotBought) -> Step:
    """The end of a purchase, wherever the passenger is by now."""
    if world.context.unsettled.get(event.item_id) != event.once:
        return world, ()  # of a passenger who has left
    if isinstance(event, Bought) or not event.unknown:
        left = {item: once for item, once in world.context.unsettled.items() if item != event.item_id}
        world = replace(world, context=replace(world.context, unsettled=left))
    if isinstance(event, Bought):
        world = replace(world, state=_sold(world.state, event.item_id))
    state = world.state
    if not (isinstance(state, StoreItem) and state.item.id == event.item_id and state.buying):
        return world, ()
    if isinstance(event, Bought):
        return _stay(world, replace(state, buying=False, bought=state.bought + 1, notice="bought"))
    notice = "unknown" if event.unknown else "refused"
    return _stay(world, replace(state, buying=False, notice=notice))


def _sold(state: State, item_id: str) -> State:
    """One piece less on every page that shows this item."""
    match state:
        case StoreItem():
            return replace(state, back=_sold(state.back, item_id), item=_one_less(state.item, item_id))
        case Catalog(items=items):
            shown = None if items is None else tuple(_one_less(item, item_id) for item in items)
            return replace(state, back=_sold(state.back, item_id), items=shown)
        case StoreCategorySelection(store=store):
            left = replace(store, items=tuple(_one_less(item, item_id) for item in store.items))
            return replace(state, store=left)
        case _:
            return state


def _one_less(item: Any, item_id: str) -> Any:
    if item.id != item_id or not item.balance:
        return item
    return replace(item, balance=item.balance - 1)


_HANDLERS: Final[Mapping[tuple[type, type], Callable[[World, Any, Any], Step]]] = MappingProxyType(
    {
        (TicketChecking, Due): _look_at_ticket,
        (TicketChecking, Judged): _judged,
        (TicketChecking, Failed): _look_again,
        (TicketCheckingResult, Due): _next_ticket,
        (Auth, Due): _look_at_face,
        (Auth, Identified): _identified,
        (Auth, Failed): _look_again,
        (UserMenu, Pressed): _menu_pressed,
        (UserMenu, DestinationKnown): _destination,
        (UserMenu, StoreKnown): _store,
        (UserMenu, Failed): _menu_failed,
        (DestinationInfo, PlacesKnown): _places,
        (DestinationInfo, Failed): _places_failed,
        (DestinationInfo, Pressed): _back,
        (StoreCategorySelection, CategoryPressed): _category,
        (StoreCategorySelection, Pressed): _back,
        (Catalog, RecommendationsKnown): _recommended,
        (Catalog, Failed): _recommendations_failed,
        (Catalog, Pressed): _back,
        (Catalog, ItemPressed): _item,
        (StoreItem, Pressed): _item_pressed,
    }
)
