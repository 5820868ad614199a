"""The verdicts on an event, as types: invalid, transient, overloaded, forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, final


class SensoriumError(Exception):
    """Anything that Sensorium itself raises on purpose."""


class InvalidEvent(SensoriumError):
    """The event can never be processed as it is: it becomes a dead letter.

    `outputs` is what a processor says about it all the same (`streams.steps.Emitted`); nobody else has any.
    """

    def __init__(self, *arguments: object, outputs: Sequence[Any] = ()) -> None:
        super().__init__(*arguments)
        self.outputs = tuple(outputs)


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
