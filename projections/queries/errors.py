"""What can go wrong when a read model is asked, as types."""

from __future__ import annotations

from collections.abc import Sequence

from schemas.errors import SensoriumError, TransientFailure


class Unavailable(TransientFailure):
    """PostgreSQL is away, too busy, or did not answer within the deadline: ask again after `retry_after_s`."""

    retry_after_s = 2


class UnknownAsOf(SensoriumError):
    """No view of the past has that name for that read model; `known` are the names that exist."""

    def __init__(self, name: str, model: str, known: Sequence[str]) -> None:
        self.name, self.model, self.known = name, model, tuple(known)
        names = ", ".join(sorted(known)) if known else "none"
        super().__init__(f'There is no view of the past named "{name}" of {model}. Those that exist: {names}.')
