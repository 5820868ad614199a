"""What is asked of the Store server and what it answers, key for key as its clients have it. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, Field

from api.railway.fields import STORABLE, Amount, Count, Id, Int32, Moment

NAME: Final = 50
TEXT: Final = 255
CATEGORY: Final = 100
IDS: Final = 50
LINES: Final = 1000
"""Lines of a purchase, at most."""
DATA: Final = 10_000
"""Characters of a purchase's additional data as JSON, at most."""
DEPTH: Final = 32
"""Levels of it, at most."""

Name = Annotated[str, Field(max_length=NAME), STORABLE]
Long = Annotated[str, Field(max_length=TEXT), STORABLE]
Category = Annotated[str, Field(max_length=CATEGORY), STORABLE]
StoreType = Literal["SHOP", "RESTAURANT"]
Row = Mapping[str, Any]


class NewStore(BaseModel):
    """What makes a store."""

    name: Name
    description: Long
    logo_url: Long
    store_type: StoreType


class Item(BaseModel):
    """Something a store sells. An item that does not run out has `unlimited` and a balance of 0."""

    name: str
    description: str
    logo_url: str
    balance: int
    price_penny: int = Field(description="In the smallest unit.")
    category: str
    id: str
    unlimited: bool


class Store(BaseModel):
    """A store; lists of stores leave `items` empty."""

    name: str
    description: str
    logo_url: str
    store_type: StoreType
    id: str
    items: Sequence[Item] = ()


class _Stock(BaseModel):
    """How many pieces there are: null, or `unlimited` with nothing but 0, means that they do not run out."""

    balance: Amount | None = None
    unlimited: bool = False

    @property
    def stock(self) -> int | None:
        """Pieces; None: they do not run out."""
        return None if self.unlimited and not self.balance else self.balance


class NewItem(_Stock):
    """What makes an item."""

    name: Name
    description: Long
    price_penny: Amount
    logo_url: Long = ""
    category: Category = ""


class ItemChange(_Stock):
    """What an item is from now on; a key that is absent, or null where it is a text or the price, stays as it was."""

    id: Id
    name: Name | None = None
    description: Long | None = None
    logo_url: Long | None = None
    price_penny: Amount | None = None
    category: Category | None = None

    @property
    def has_stock(self) -> bool:
        """Whether the stock is to be another."""
        return "balance" in self.model_fields_set or self.unlimited


class Line(BaseModel):
    """So many pieces of an item."""

    item_id: Id
    count: Count


def _storable(data: dict[str, Any]) -> dict[str, Any]:
    """Checked without recursion: what is too deep could not be written either."""
    level: list[Any] = [data]
    for _ in range(DEPTH):
        texts = (one for one in _inside(level) if isinstance(one, str))
        if any("\x00" in text or any("\ud800" <= letter <= "\udfff" for letter in text) for text in texts):
            raise ValueError("characters that cannot be stored")
        level = [one for one in _inside(level) if isinstance(one, dict | list)]
        if not level:
            break
    else:
        raise ValueError(f"more than {DEPTH} levels")
    if len(as_json(data)) > DATA:
        raise ValueError(f"more than {DATA} characters of JSON")
    return data


def _inside(level: list[Any]) -> list[Any]:
    found: list[Any] = []
    for one in level:
        found += [*one.keys(), *one.values()] if isinstance(one, dict) else one
    return found


def as_json(data: Mapping[str, Any]) -> str:
    """Text of an object. Raises ValueError for a number that JSON does not have."""
    return json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


class PurchaseAsked(BaseModel):
    """What somebody buys; `is_default_ready` says that nothing has to be done for it."""

    user_id: Id
    items: Annotated[list[Line], Field(min_length=1, max_length=LINES)]
    is_default_ready: bool
    additional_data: Annotated[dict[str, Any], AfterValidator(_storable)] = Field(default_factory=dict[str, Any])


class Purchase(BaseModel):
    """What somebody bought."""

    id: str
    store_id: str
    user_id: str
    items: Sequence[Line]
    date: str


class Task(BaseModel):
    """What a store has to do for a purchase."""

    id: str
    purchase: Purchase
    store_id: str
    user_id: str
    is_ready: bool
    date: str
    additional_data: dict[str, Any]


class Ids(BaseModel):
    """Which stores."""

    ids: Annotated[list[Id], Field(min_length=1, max_length=IDS)]


class Trip(BaseModel):
    """A train that leaves at a time; its number may be a text of digits."""

    train_number: Int32
    train_date: Moment


def item(row: Row) -> Item:
    """An item as it is answered; `balance` None: it does not run out."""
    told = {name: row[name] for name in ("name", "description", "logo_url", "price_penny", "category")}
    return Item(**told, balance=row["balance"] or 0, id=str(row["id"]), unlimited=row["balance"] is None)


def store(row: Row, items: Sequence[Row] = ()) -> Store:
    """A store as it is answered."""
    told = {name: row[name] for name in ("name", "description", "logo_url", "store_type")}
    return Store(**told, id=str(row["id"]), items=[item(one) for one in items])
