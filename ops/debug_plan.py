"""What the demo railway consists of, as requests to make: the same for the same seed, day and numbers. Pure."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from hashlib import sha256
from typing import Any, Final

from ops.debug_texts import ATTRACTIONS, FIRST_NAMES, HOTELS, ITEMS, STORE_LOGO, STORES

ZONE: Final = timezone(timedelta(hours=3))
"""The trains' own time."""
_HOURS: Final = (5, 9, 13, 17)
_WAGONS: Final = 8
_PLACES: Final = 36
_RETURNING: Final = 0.3
"""Share of passengers who also have a ticket for the way back, on the next day."""
PRIVILEGES: Final = (("ROBOT_LOGIN", "STORE_LOGIN", "ROBOT_ADMIN"), ("STORE_LOGIN",), ("ROBOT_LOGIN",))
"""Of the engineers in turn; the first signs stores in."""
Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything; `day` is the trains' day of departure."""

    seed: int = 1
    users: int = 40
    trains: int = 4
    stores: int = 2
    engineers: int = 3
    day: date | None = None


@dataclass(frozen=True, slots=True)
class Train:
    """A train of the day: from where to where, and when it starts."""

    number: int
    station: str
    destination: str
    start: datetime


def logins(size: Size) -> list[str]:
    """Logins of the engineers, the first has every privilege."""
    return [f"demo-engineer-{size.seed}-{number + 1}" for number in range(size.engineers)]


def card_of(login: str, password: str) -> str:
    """The key of an engineer's card as a reader tells it: four bytes of its number, which nobody can guess."""
    return " ".join(f"0x{byte:X}" for byte in sha256(f"card\n{login}\n{password}".encode()).digest()[:4])


def names(size: Size) -> list[str]:
    """Names of the passengers, each once; beyond all combinations they are numbered."""
    every = [f"{first} {last}" for first, surnames in FIRST_NAMES for last in surnames]
    random.Random(f"names {size.seed}").shuffle(every)  # noqa: S311 - nothing secret
    rounds = range(-(-size.users // len(every)))
    return [name if turn == 0 else f"{name} {turn + 1}" for turn in rounds for name in every][: size.users]


def trains(size: Size, day: date) -> list[Train]:
    """Trains between the two cities by turns, at the hours of the timetable; further ones at later minutes."""
    made: list[Train] = []
    for number in range(size.trains):
        back, turn = number % 2, number // 2
        station, destination = ("SPB", "MOSCOW") if back else ("MOSCOW", "SPB")
        start = datetime.combine(day, time(_HOURS[turn % len(_HOURS)], turn // len(_HOURS) % 60), ZONE)
        made.append(Train(1012 + 1000 * back + turn, station, destination, start))
    return made


def tickets(size: Size, of_day: Sequence[Train]) -> Iterator[tuple[int, Body]]:
    """(number of the passenger, ticket without `user_id`): nobody shares a place; some have a way back."""
    if not of_day:
        return
    chance = random.Random(f"tickets {size.seed}")  # noqa: S311 - nothing secret
    taken: set[tuple[int, datetime, int]] = set()
    back = {train.station: train for train in of_day}
    for passenger in range(size.users):
        train = chance.choice(of_day)
        yield passenger, _ticket(chance, train, train.start, taken)
        home = back.get(train.destination)
        if chance.random() < _RETURNING and home:
            yield passenger, _ticket(chance, home, home.start + timedelta(days=1), taken)


def _ticket(chance: random.Random, train: Train, start: datetime, taken: set[tuple[int, datetime, int]]) -> Body:
    """A free place; a train that is full gets more wagons."""
    free = _WAGONS * _PLACES
    seats = chance.sample(range(free), 8)
    seat = next((seat for seat in seats if (train.number, start, seat) not in taken), 0)
    while (train.number, start, seat) in taken:
        seat += 1
    taken.add((train.number, start, seat))
    when = start.isoformat()
    return {
        "train_number": train.number, "wagon_number": seat // _PLACES + 1, "place_number": seat % _PLACES + 1,
        "station_id": train.station, "destination": train.destination, "date": when, "start_date": when,
    }  # fmt: skip


def places() -> Iterator[tuple[str, Body]]:
    """(path, body) of every hotel and sight."""
    for kind, texts in (("hotel", HOTELS), ("attraction", ATTRACTIONS)):
        for destination, there in texts.items():
            for place in there:
                logo = f"/static/logos/{kind}s/{place.drawing}.png"
                body = {"name": place.name, "description": place.description, "logo_url": logo}
                yield f"/admin/destination/{destination}/{kind}", body


def stores(size: Size) -> list[Body]:
    """The stores, with names of their own; beyond those that have one they are numbered."""
    made: list[Body] = []
    for number in range(size.stores):
        turn, at = divmod(number, len(STORES))
        name, description, kind = STORES[at]
        numbered = name if turn == 0 else f"{name} {turn + 1}"
        made.append({"name": numbered, "description": description, "logo_url": STORE_LOGO, "store_type": kind})
    return made


def items() -> list[Body]:
    """What every store sells."""
    return [
        {
            "name": item.name, "description": item.description, "logo_url": item.logo, "category": category,
            "price_penny": item.price, "balance": item.balance,
        }
        for category, there in ITEMS.items() for item in there
    ]  # fmt: skip
