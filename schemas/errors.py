"""The verdicts on an event, as types: invalid, transient, overloaded, forgotten."""

from __future__ import annotations

from typing import Final, final


class SensoriumError(Exception):
    """Anything that Sensorium itself raises on purpose."""


class InvalidEvent(SensoriumError):
    """The event can never be processed as it is: it becomes a dead letter."""


class TransientFailure(SensoriumError):
    """It may work later: retry with backoff; never a dead letter."""


class Overloaded(SensoriumError):
    """A bounded queue is full: slow down and try again."""


@final
class Forgotten:
    """Stands for personal data whose key has been destroyed."""

    def __repr__(self) -> str:
        return "FORGOTTEN"


FORGOTTEN: Final = Forgotten()
