"""CORS headers of the raw routes, as Starlette's middleware with credentials writes them; preflights are not ours."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from producers.answers import Headers, RawHeaders

# The pages of seeds 001 and 002 as their compose files serve them.
SEED_ORIGINS: Final = tuple(f"http://{host}:{port}" for port in (3000, 8080) for host in ("localhost", "127.0.0.1"))
_CREDENTIALS: Final = (b"access-control-allow-credentials", b"true")
_VARY: Final = (b"vary", b"Origin")


class Cors:
    """Which origins may read answers: the seeds' own and those of the setting (`*` allows every one)."""

    def __init__(self, more_origins: Iterable[str] = ()) -> None:
        self.origins = tuple(dict.fromkeys([*SEED_ORIGINS, *more_origins]))
        self._allowed = frozenset(origin.encode("latin-1") for origin in self.origins)
        self._all = "*" in self.origins

    def headers(self, request: Headers) -> RawHeaders:
        """What to add to an answer; nothing when the request names no origin."""
        origin = request.get(b"origin")
        if origin is None:
            return []
        if self._all or origin in self._allowed:
            return [_CREDENTIALS, (b"access-control-allow-origin", origin), _VARY]
        return [_CREDENTIALS, _VARY]
