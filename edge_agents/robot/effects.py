"""What the robot wants done. Data only; `hands` does it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from edge_agents.robot.tickets import Door


@dataclass(frozen=True, slots=True)
class Ring:
    """A timer: a Due after so many seconds."""

    visit: int
    after_s: float


@dataclass(frozen=True, slots=True)
class CheckTicket:
    """Look once: a Judged, or a Failed."""

    visit: int
    door: Door


@dataclass(frozen=True, slots=True)
class Identify:
    """Look once: an Identified, or a Failed."""

    visit: int


@dataclass(frozen=True, slots=True)
class OpenGate:
    """Tell the board, once."""


@dataclass(frozen=True, slots=True)
class LoadDestination:
    """A DestinationKnown."""

    visit: int
    user_id: str
    train_number: int
    start_date: datetime


@dataclass(frozen=True, slots=True)
class LoadPlaces:
    """A PlacesKnown."""

    visit: int
    destination_id: str


@dataclass(frozen=True, slots=True)
class LoadStore:
    """A StoreKnown."""

    visit: int


@dataclass(frozen=True, slots=True)
class LoadRecommendations:
    """A RecommendationsKnown."""

    visit: int
    store_id: str
    user_id: str


@dataclass(frozen=True, slots=True)
class Buy:
    """A Bought or NotBought."""

    once: str
    store_id: str
    user_id: str
    item_id: str


@dataclass(frozen=True, slots=True)
class StartDeviance:
    """Watch for deviant behaviour from now on."""


@dataclass(frozen=True, slots=True)
class UseBoard:
    """Talk to the board at this port from now on."""

    port: str


@dataclass(frozen=True, slots=True)
class CloseConsole:
    """Read no more commands."""


@dataclass(frozen=True, slots=True)
class Say:
    """A line for whoever configures the robot."""

    text: str


Effect = (
    Ring
    | CheckTicket
    | Identify
    | OpenGate
    | LoadDestination
    | LoadPlaces
    | LoadStore
    | LoadRecommendations
    | Buy
    | StartDeviance
    | UseBoard
    | CloseConsole
    | Say
)
