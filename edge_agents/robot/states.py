"""What the robot can be doing, and what it knows. Data only.

A state keeps the state it came from, so "back" returns to the very same page.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from edge_agents.robot.shapes import Item, Place, Store, User
from edge_agents.robot.tickets import Door, Verdict

LOOK_EVERY_S: Final = 2.0
VERDICT_SHOWN_S: Final = 2.0
CATEGORIES: Final = ("recommendations", "city_souvenirs", "train_souvenirs", "food")


@dataclass(frozen=True, slots=True)
class Idle:
    """Nothing was asked for yet; the window is hidden."""


@dataclass(frozen=True, slots=True)
class TicketChecking:
    """Looks into the camera at a door. `looking`: a check is under way."""

    door: Door
    looking: bool = False


@dataclass(frozen=True, slots=True)
class TicketCheckingResult:
    """A verdict is shown for two seconds. `user` is None when there is no ticket, or its owner's name is unknown."""

    door: Door
    verdict: Verdict
    user: User | None


@dataclass(frozen=True, slots=True)
class Auth:
    """Looks for a passenger it knows."""

    looking: bool = False


@dataclass(frozen=True, slots=True)
class UserMenu:
    """A passenger chooses. `waiting`: a page is being loaded; `notice`: why none came."""

    user: User
    waiting: bool = False
    notice: str = ""


@dataclass(frozen=True, slots=True)
class DestinationInfo:
    """Hotels and sights. `destination_id` None: no journey is known; `places` None: being loaded."""

    back: UserMenu
    destination_id: str | None
    hotels: tuple[Place, ...] | None = None
    attractions: tuple[Place, ...] | None = None
    notice: str = ""


@dataclass(frozen=True, slots=True)
class StoreCategorySelection:
    """Four kinds of things."""

    back: UserMenu
    store: Store


@dataclass(frozen=True, slots=True)
class Catalog:
    """Things of a kind. `items` None: recommendations are being loaded."""

    back: StoreCategorySelection
    category: str
    items: tuple[Item, ...] | None
    notice: str = ""


@dataclass(frozen=True, slots=True)
class StoreItem:
    """One thing. `buying`: a purchase is under way; `bought` pieces so far on this page."""

    back: Catalog
    item: Item
    buying: bool = False
    bought: int = 0
    notice: str = ""


State = (
    Idle
    | TicketChecking
    | TicketCheckingResult
    | Auth
    | UserMenu
    | DestinationInfo
    | StoreCategorySelection
    | Catalog
    | StoreItem
)


@dataclass(frozen=True, slots=True)
class Context:
    """What the robot knows beside its state. `unsettled`: item id -> key of a purchase that may have been made."""

    train_number: int | None = None
    start_date: datetime | None = None
    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    unsettled: Mapping[str, str] = field(default_factory=dict[str, str])
    run: str = "0"
    purchases: int = 0


@dataclass(frozen=True, slots=True)
class World:
    """State and context; `visit` counts the states that were entered, `configured` whether the window may be seen."""

    state: State = field(default_factory=Idle)
    context: Context = field(default_factory=Context)
    visit: int = 0
    configured: bool = False
