"""What the servers answer, read from JSON: unknown keys are ignored, wrong ones raise BadAnswer. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from edge_agents.robot.errors import BadAnswer

T = TypeVar("T")
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class User:
    """A passenger."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Admin:
    """An engineer whose card was read."""

    id: str
    login: str


@dataclass(frozen=True, slots=True)
class Ticket:
    """Where a passenger sits, and when the train leaves."""

    id: str
    user_id: str
    station_id: str
    code: str
    train_number: int
    wagon_number: int
    place_number: int
    date: datetime


@dataclass(frozen=True, slots=True)
class Item:
    """Something a store sells. `balance` None: not counted; price in kopecks."""

    id: str
    name: str
    description: str
    logo_url: str
    category: str
    balance: int | None
    price_penny: int


@dataclass(frozen=True, slots=True)
class Store:
    """A store on board and what it sells."""

    id: str
    name: str
    description: str
    logo_url: str
    store_type: str
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Purchase:
    """What was bought: (item id, count)."""

    id: str
    store_id: str
    user_id: str
    items: tuple[tuple[str, int], ...]
    date: datetime


@dataclass(frozen=True, slots=True)
class Place:
    """A hotel or a sight."""

    id: str
    name: str
    description: str
    logo_url: str


def user(row: Row) -> User:
    """A passenger."""
    return User(text(row, "id"), text(row, "name"))


def admin(row: Row) -> Admin:
    """An engineer."""
    return Admin(text(row, "id"), text(row, "login"))


def ticket(row: Row) -> Ticket:
    """A ticket."""
    texts = [text(row, key) for key in ("id", "user_id", "station_id", "code")]
    numbers = [integer(row, key) for key in ("train_number", "wagon_number", "place_number")]
    return Ticket(texts[0], texts[1], texts[2], texts[3], numbers[0], numbers[1], numbers[2], moment(row, "date"))


def item(row: Row) -> Item:
    """An item; `balance` and `price_penny` are 0 when absent."""
    told = [text(row, key) for key in ("id", "name", "description", "logo_url", "category")]
    balance = None if "balance" in row and row["balance"] is None else integer({"balance": 0, **row}, "balance")
    return Item(told[0], told[1], told[2], told[3], told[4], balance, integer({"price_penny": 0, **row}, "price_penny"))


def store(row: Row) -> Store:
    """A store; `items` must be there and may be null."""
    told = [text(row, key) for key in ("id", "name", "description", "logo_url", "store_type")]
    if told[4] not in ("SHOP", "RESTAURANT") or "items" not in row:
        raise BadAnswer(f"no store: {dict(row)!r:.200}")
    items = rows(row["items"] or [], item)
    return Store(told[0], told[1], told[2], told[3], told[4], items)


def purchase(row: Row) -> Purchase:
    """A purchase."""
    lines = rows(row.get("items"), lambda line: (text(line, "item_id"), integer(line, "count")))
    return Purchase(text(row, "id"), text(row, "store_id"), text(row, "user_id"), lines, moment(row, "date"))


def place(row: Row) -> Place:
    """A hotel or a sight."""
    return Place(text(row, "id"), text(row, "name"), text(row, "description"), text(row, "logo_url"))


def page(answer: object, read: Callable[[Row], T]) -> tuple[tuple[T, ...], int]:
    """The items of a page, and how many pages there are. All five keys of a page have to be there."""
    told = record(answer)
    for key in ("total", "page", "size", "pages"):
        integer(told, key)
    return rows(told.get("items"), read), integer(told, "pages")


def rows(answer: object, read: Callable[[Row], T]) -> tuple[T, ...]:
    """A list of records."""
    if not isinstance(answer, list):
        raise BadAnswer(f"no list: {answer!r:.200}")
    return tuple(read(record(row)) for row in answer)


def record(answer: object) -> Row:
    """A JSON object."""
    if not isinstance(answer, dict):
        raise BadAnswer(f"no object: {answer!r:.200}")
    return answer


def text(row: Row, key: str) -> str:
    """A string that has to be there."""
    found = row.get(key)
    if not isinstance(found, str):
        raise BadAnswer(f"{key} is {found!r:.100}, not a text")
    return found


def integer(row: Row, key: str) -> int:
    """A whole number, also as text or as 3.0."""
    found = row.get(key)
    try:
        if isinstance(found, str) or (isinstance(found, int | float) and not isinstance(found, bool)):
            whole = int(found)
            if isinstance(found, str) or whole == found:
                return whole
    except (ValueError, OverflowError):
        pass
    raise BadAnswer(f"{key} is {found!r:.100}, not a whole number")


def moment(row: Row, key: str) -> datetime:
    """A time in ISO 8601; zone and time of day may be missing."""
    found = row.get(key)
    try:
        return datetime.fromisoformat(found) if isinstance(found, str) else datetime.fromisoformat("")
    except ValueError as error:
        raise BadAnswer(f"{key} is {found!r:.100}, not a time") from error
