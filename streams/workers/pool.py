"""Runs a heavy part in child processes and outlives whatever they do. One pool is one capability."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from schemas.errors import TransientFailure

_NO_OPTIONS: Final[Mapping[str, Any]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class ChildLimits:
    """What a child may take.

    - `memory_bytes` of address space (RLIMIT_AS), libraries and model included.
    - `seconds` of wall clock for one request; a request may name its own in `limit_s`, up to `longest_s`.
    - `load_s` of wall clock for loading.
    - `threads` for numeric libraries (OMP_NUM_THREADS and its like).
    - `nice`: how much it stands back for others, 0 to 19.
    - `message_bytes`: the largest request or answer.
    """

    memory_bytes: int = 1 << 30
    seconds: float = 60.0
    longest_s: float = 3600.0
    load_s: float = 300.0
    threads: int = 1
    nice: int = 0
    message_bytes: int = 64 << 20


class ChildPool:
    """A `streams.steps.Heavy` that works in `size` child processes of `target` (`module:function`)."""

    def __init__(
        self,
        target: str,
        options: Mapping[str, Any] = _NO_OPTIONS,
        limits: ChildLimits = ChildLimits(),
        *,
        size: int = 1,
        name: str | None = None,
    ) -> None:
        self.target, self.options, self.limits, self.size = target, options, limits, size
        self.name = name or target.partition(":")[0].rpartition(".")[2]
        self.progress = 0

    async def __call__(self, request: Mapping[str, Any], /) -> Mapping[str, Any]:
        """Do one request in a free child."""
        raise TransientFailure("There are no children yet.")

    def warm(self) -> None:
        """Let the children start and load now, in the running event loop; else the first requests do."""

    async def close(self) -> None:
        """End all children."""
