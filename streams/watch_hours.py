"""When a camera is watched: its schedule, read and asked. Pure; a time of day is that of the schedule's own zone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Final
from zoneinfo import ZoneInfo

import msgspec

MOST: Final = 50
"""Entries of a schedule."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_Time = Annotated[str, msgspec.Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$|^24:00$")]
_Day = Annotated[int, msgspec.Meta(ge=0, le=6)]


class Hours(msgspec.Struct, frozen=True, rename={"begin": "from", "end": "to"}):
    """On these days (0: Monday) from `begin` to `end`, which may be past midnight."""

    days: tuple[_Day, ...]
    begin: _Time
    end: _Time
    zone: str = "UTC"


def hours_of(schedule: str) -> Sequence[Hours]:
    """The entries of a schedule, JSON. Raises ValueError for one that cannot be understood."""
    try:
        found = msgspec.json.decode(schedule.encode(), type=list[Hours])
        for one in found:
            ZoneInfo(one.zone)
    except (msgspec.DecodeError, OSError, KeyError) as error:  # ZoneInfoNotFoundError is a KeyError
        raise ValueError(f"The schedule cannot be understood: {error}") from error
    if len(found) > MOST:
        raise ValueError(f"The schedule has more than {MOST} entries")
    return found


@lru_cache(1024)
def _known(schedule: str) -> Sequence[Hours]:
    return hours_of(schedule)


def is_watched(schedule: str, at_us: int) -> bool:
    """Whether a moment (UTC epoch microseconds) is within a schedule; an empty one is always."""
    entries = _known(schedule)
    return not entries or any(_holds(one, at_us) for one in entries)


def _holds(hours: Hours, at_us: int) -> bool:
    local = (_EPOCH + timedelta(microseconds=at_us)).astimezone(ZoneInfo(hours.zone))
    now, today = local.strftime("%H:%M"), local.weekday()
    if hours.begin < hours.end:
        return today in hours.days and hours.begin <= now < hours.end
    # Past midnight: the second part belongs to the day before.
    return (today in hours.days and now >= hours.begin) or ((today - 1) % 7 in hours.days and now < hours.end)
