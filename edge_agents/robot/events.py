"""What can happen to the robot. Data only.

What answers an effect, and a timer, carry the `visit` they were meant for: late ones are nobody's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from edge_agents.robot.shapes import Item, Place, Store, User
from edge_agents.robot.tickets import Door, Verdict


@dataclass(frozen=True, slots=True)
class CheckTickets:
    """Console 1."""

    door: Door


@dataclass(frozen=True, slots=True)
class AuthenticateUsers:
    """Console 2."""


@dataclass(frozen=True, slots=True)
class SetVariable:
    """Console 3."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class DeleteVariable:
    """Console 4."""

    name: str


@dataclass(frozen=True, slots=True)
class BindTrain:
    """Console 5."""

    train_number: int
    start_date: datetime


@dataclass(frozen=True, slots=True)
class RunDeviance:
    """Console 6."""


@dataclass(frozen=True, slots=True)
class OpenBoard:
    """Console 7."""

    port: str


@dataclass(frozen=True, slots=True)
class StopConfig:
    """Console 8: nothing more is read there; everything else goes on, and can be begun before or after."""


@dataclass(frozen=True, slots=True)
class Due:
    """A timer rang."""

    visit: int


@dataclass(frozen=True, slots=True)
class Judged:
    """A ticket check is over; `verdict` None: neither yes nor no."""

    visit: int
    verdict: Verdict | None
    user: User | None = None


@dataclass(frozen=True, slots=True)
class Identified:
    """A look at a face is over; None: nobody known."""

    visit: int
    user: User | None


@dataclass(frozen=True, slots=True)
class Pressed:
    """A button: information, shops, exit, back, buy."""

    button: str


@dataclass(frozen=True, slots=True)
class CategoryPressed:
    """A tile of the shop."""

    category: str


@dataclass(frozen=True, slots=True)
class ItemPressed:
    """A tile of the catalogue."""

    item_id: str


@dataclass(frozen=True, slots=True)
class DestinationKnown:
    """Where the journey goes; None: no journey."""

    visit: int
    destination_id: str | None


@dataclass(frozen=True, slots=True)
class PlacesKnown:
    """What there is."""

    visit: int
    hotels: tuple[Place, ...]
    attractions: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class StoreKnown:
    """The shop; None: there is none."""

    visit: int
    store: Store | None


@dataclass(frozen=True, slots=True)
class RecommendationsKnown:
    """What the passenger may like."""

    visit: int
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Bought:
    """A purchase was made, once."""

    once: str
    item_id: str


@dataclass(frozen=True, slots=True)
class NotBought:
    """It was not (`unknown` False), or nobody can tell: then the next press repeats it under the same key."""

    once: str
    item_id: str
    unknown: bool
    why: str = ""


@dataclass(frozen=True, slots=True)
class Failed:
    """Something asked for did not come; the reason is in the log."""

    visit: int


Event = (
    CheckTickets
    | AuthenticateUsers
    | SetVariable
    | DeleteVariable
    | BindTrain
    | RunDeviance
    | OpenBoard
    | StopConfig
    | Due
    | Judged
    | Identified
    | Pressed
    | CategoryPressed
    | ItemPressed
    | DestinationKnown
    | PlacesKnown
    | StoreKnown
    | RecommendationsKnown
    | Bought
    | NotBought
    | Failed
)
