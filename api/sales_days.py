"""Days and hours of a zone as ranges of UTC, right where clocks change. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, Field, model_validator
from pydantic_core import PydanticCustomError

LONGEST_DAYS: Final = 800
FIRST_DAY: Final = date(2, 1, 1)
LAST_DAY: Final = date(9998, 12, 31)
"""Further off, a day has no UTC that datetime can say."""
_HOUR: Final = timedelta(hours=1)


def known_zone(name: str) -> str:
    """The name of a zone that exists. Raises PydanticCustomError."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise PydanticCustomError("zone", "Not an IANA time zone") from error
    return name


Zone = Annotated[str, AfterValidator(known_zone)]


@dataclass(frozen=True, slots=True)
class Days:
    """Whole days of a zone, both included."""

    first: date
    last: date
    zone: str

    @property
    def start(self) -> datetime:
        """The first instant, UTC."""
        return midnight(self.first, self.zone)

    @property
    def end(self) -> datetime:
        """The instant after the last, UTC."""
        return midnight(min(self.last, LAST_DAY) + timedelta(days=1), self.zone)

    def each(self) -> Iterator[date]:
        """Every day, in order."""
        for n in range((self.last - self.first).days + 1):
            yield self.first + timedelta(days=n)


@dataclass(frozen=True, slots=True)
class Hour:
    """One hour of a day: what the clock on the wall shows, and how far that is from UTC in seconds."""

    start: datetime
    hour: int
    utc_offset: int


def midnight(day: date, zone: str) -> datetime:
    """The first instant of a day, UTC; where clocks jump over midnight, the first that the day has."""
    local = datetime.combine(max(day, FIRST_DAY), time(), ZoneInfo(zone))
    return local.astimezone(UTC)


def hours_of(day: date, zone: str) -> list[Hour]:
    """The day's hours in order of time: 23 or 25 where clocks change; an hour that comes twice is there twice."""
    start, end, there = midnight(day, zone), midnight(day + timedelta(days=1), zone), ZoneInfo(zone)
    hours: list[Hour] = []
    while start < end:
        local = start.astimezone(there)
        offset = local.utcoffset() or timedelta()
        hours.append(Hour(start, local.hour, int(offset.total_seconds())))
        start += _HOUR
    return hours


class DaysQuery(BaseModel):
    """Parameters of everything that is asked by days: `from` and `to` are whole days of `zone`, both included."""

    from_day: date | None = Field(None, alias="from", description="First day, YYYY-MM-DD; today without it.")
    to_day: date | None = Field(None, alias="to", description="Last day, included; the first day without it.")
    zone: Zone | None = Field(None, description="Zone of days and hours (IANA); the site's without it.")

    @model_validator(mode="after")
    def _in_order(self) -> DaysQuery:
        if self.from_day and self.to_day:
            if self.to_day < self.from_day:
                raise PydanticCustomError("days", "`to` is before `from`")
            if (self.to_day - self.from_day).days > LONGEST_DAYS:
                raise PydanticCustomError("days", "At most {most} days", {"most": LONGEST_DAYS})
        return self

    def days(self, site_zone: str, now: datetime) -> Days:
        """What was asked, where nothing was the zone's today."""
        zone = self.zone or site_zone
        first = self.from_day or self.to_day or now.astimezone(ZoneInfo(zone)).date()
        return Days(first, max(first, self.to_day or first), zone)
