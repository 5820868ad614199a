"""What the watchdog sees of a processor, and how its blocking calls are made."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

T = TypeVar("T")


class Calls(Protocol):
    """Runs a blocking call elsewhere, so that the event loop goes on (a thread, or nothing in tests)."""

    def __call__(self, call: Callable[[], T], /) -> Awaitable[T]:
        """Await the call's result."""
        ...


@dataclass(slots=True)
class Sight:
    """Signs of life. Any of them that changes shows that the processor is alive."""

    processed: int = 0
    read_back: int = 0
    """Records read to rebuild states: no processing, but no standstill either."""
    stepping: str | None = None
    """Coordinates of the record whose step is being taken."""
    preparing: int = 0
    """Events in the hands of the heavy part."""
