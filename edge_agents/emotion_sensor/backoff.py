"""How long to wait after a failure. Pure but for the random source it is given."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


@dataclass(slots=True)
class Backoff:
    """Doubling pauses with jitter: half of each is certain, half is chance, so that devices do not march in step."""

    first_s: float = 1.0
    longest_s: float = 60.0
    chance: random.Random = field(default_factory=random.Random)
    failures: int = 0

    def after_failure(self, retry_after_s: float | None = None) -> float:
        """Seconds to wait now; never less than what the server asked for."""
        ceiling = min(self.longest_s, self.first_s * 2.0 ** min(self.failures, 30))
        self.failures += 1
        pause = ceiling / 2 + self.chance.uniform(0, ceiling / 2)
        return max(pause, retry_after_s or 0.0)

    def after_success(self) -> None:
        """Begin again with the shortest pause."""
        self.failures = 0


def retry_after_s(header: str | None, now: datetime | None = None, longest_s: float = 3600.0) -> float | None:
    """Seconds that a Retry-After header asks for (RFC 9110, 10.2.3: seconds or a date), at most `longest_s`.

    None when there is none or it cannot be read: a server's slip must not stop the device.
    """
    if not header:
        return None
    if header.strip().isdigit():
        return float(min(int(header), int(longest_s)))
    try:
        until = parsedate_to_datetime(header)
    except ValueError:
        return None
    wait = (until - (now or datetime.now(UTC))).total_seconds() if until.tzinfo else None
    return None if wait is None else min(max(wait, 0.0), longest_s)
