"""When to record: from HH:MM to HH:MM of local time, over midnight too. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, time

_HH_MM = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")


def hh_mm(text: str) -> time | None:
    """The time of day, or None if the text is not HH:MM."""
    found = _HH_MM.fullmatch(text.strip())
    return time(int(found[1]), int(found[2])) if found else None


@dataclass(frozen=True, slots=True)
class Schedule:
    """Half open: `start` belongs to it, `end` does not. Equal ones mean never."""

    start: time
    end: time

    def covers(self, now: datetime) -> bool:
        """Whether the local time `now` lies within."""
        moment = now.time()
        if self.start <= self.end:
            return self.start <= moment < self.end
        return moment >= self.start or moment < self.end

    def __str__(self) -> str:
        return f"{self.start:%H:%M}-{self.end:%H:%M}"
