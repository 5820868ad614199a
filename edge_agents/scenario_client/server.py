"""The connection to the server, which stands where the original had one to its database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx

from edge_agents.scenario_client.settings import Settings, load


class ServerError(Exception):
    """The server is away, or did something else than it was asked; the text says what."""


class Server:
    """Connected between `connect` and `disconnect`; `transport` is for tests."""

    def __init__(
        self, settings: Callable[[], Settings] = load, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._settings, self._transport = settings, transport
        self._http: httpx.AsyncClient | None = None

    async def connect(self) -> None:
        """Be ready to ask. The server is not asked yet."""
        if self._http is None:
            chosen = self._settings()
            headers = {"Authorization": f"Bearer {chosen.token}"} if chosen.token else {}
            url, timeout = chosen.url, chosen.timeout_s
            self._http = httpx.AsyncClient(base_url=url, headers=headers, timeout=timeout, transport=self._transport)

    async def disconnect(self) -> None:
        """Close what is open."""
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    async def create_tables(self) -> None:
        """Nothing: the server's projector makes them."""

    async def ask(self, method: str, path: str, body: Any = None, *, refusals: tuple[int, ...] = ()) -> Any:
        """The answer's JSON; None when it is one of `refusals`.

        Raises:
            ServerError: no answer, another one than 2xx, or no JSON in it. RuntimeError: not connected.
        """
        if self._http is None:
            raise RuntimeError("Not connected: call `await db.connect()` first.")
        try:
            answer = await self._http.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise ServerError(f"{self._http.base_url} does not answer: {error!r}") from error
        if answer.status_code in refusals:
            return None
        if not answer.is_success:
            raise ServerError(f"{method} {path}: {answer.status_code} {answer.text[:500]}")
        try:
            return answer.json()
        except ValueError as error:
            raise ServerError(f"{method} {path}: this is no Sensorium server: {answer.text[:500]}") from error
