"""Which train a ticket bought on the web is for: by boarding station and hour of departure. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Final, Literal

Station = Literal["MOSCOW", "SPB"]
ZONE: Final = timezone(timedelta(hours=3))
"""The trains' own time."""
_HOURS: Final = {5: 12, 8: 13, 9: 13, 13: 14, 17: 15}
_FROM: Final = {"MOSCOW": 1000, "SPB": 2000}


def train_number(station: Station, date: datetime) -> int | None:
    """The train that leaves a station in this hour; None: none does. The web form offers 8 for the train of 9."""
    number = _HOURS.get(date.astimezone(ZONE).hour)
    return None if number is None else _FROM[station] + number
