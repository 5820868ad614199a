"""Whether a passenger may enter here: the rules of the door, in their order. Pure.

Seed 003 asks for a place exactly (`judge`), the conductor's question is wider (`looked_up`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

Ticket = Mapping[str, Any]
"""A row of `tickets`: train_number, wagon_number, station_id, date (aware), used and more."""
Verdict = Literal["valid", "used", "other_wagon", "other_date", "other_train", "none", "staff"]


@dataclass(frozen=True, slots=True)
class Door:
    """Where and when somebody wants to enter; None: not asked about."""

    train_number: int
    date: datetime
    wagon_number: int | None = None
    station_id: str | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict and the ticket it is about: the one that fits, or the one that would be right."""

    verdict: Verdict
    ticket: Ticket | None = None


REFUSALS: Final[Mapping[Verdict, str]] = {
    "other_wagon": "Invalid wagon number",
    "other_date": "Invalid date",
    "other_train": "Invalid train number",
    "none": "User haven`t any active tickets",
}
"""What a robot reads, word by word."""


def judge(tickets: Iterable[Ticket], door: Door) -> Finding:
    """The verdict on all tickets of a passenger; the first rule that one of them meets decides.

    `valid`: everything is right, used or not, for a robot looks at the same passenger every two seconds.
    `other_wagon`: all but the wagon. `other_date`: train and station, and the date is yet to come. `other_train`: any
    ticket whose date is yet to come. Of several the next by date, then the first issued.
    """
    offered = sorted(tickets, key=_next_first)
    rules: tuple[tuple[Verdict, Callable[[Ticket], bool]], ...] = (
        ("valid", lambda it: _here(it, door) and it["date"] == door.date and _in_wagon(it, door)),
        ("other_wagon", lambda it: _here(it, door) and it["date"] == door.date),
        ("other_date", lambda it: _here(it, door) and it["date"] >= door.date),
        ("other_train", lambda it: it["date"] >= door.date),
    )
    for verdict, fits in rules:
        for ticket in offered:
            if fits(ticket):
                return Finding(verdict, ticket)
    return Finding("none")


def looked_up(tickets: Iterable[Ticket], door: Door) -> Finding:
    """The verdict for who wants to know more than yes or no: a ticket that was used is `used`, unless another is not.

    A ticket of another day is `other_date` also when that day has passed; likewise `other_train`.
    """
    offered = list(tickets)
    unused = [ticket for ticket in offered if not ticket["used"]]
    found = judge(unused, door)
    if found.verdict == "valid":
        return found
    again = judge(offered, door)
    if again.verdict == "valid":
        return Finding("used", again.ticket)
    return again if again.ticket is not None else _of_the_past(offered, door)


def _of_the_past(offered: list[Ticket], door: Door) -> Finding:
    latest = sorted(offered, key=_next_first, reverse=True)
    for ticket in latest:
        if ticket["train_number"] == door.train_number:
            return Finding("other_date", ticket)
    return Finding("other_train", latest[0]) if latest else Finding("none")


def _here(ticket: Ticket, door: Door) -> bool:
    """On this train, boarding at this station."""
    at_station = door.station_id is None or ticket["station_id"] == door.station_id
    return ticket["train_number"] == door.train_number and at_station


def _in_wagon(ticket: Ticket, door: Door) -> bool:
    return door.wagon_number is None or ticket["wagon_number"] == door.wagon_number


def _next_first(ticket: Ticket) -> tuple[Any, ...]:
    return ticket["date"], ticket["created_at"], ticket["id"]
