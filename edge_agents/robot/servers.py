"""The railway's servers as a robot that has signed in sees them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

from edge_agents.robot.connection import Call, Connection, Signing
from edge_agents.robot.errors import BadAnswer, Refused

_LARGEST_PICTURE = 20_000_000


@dataclass(frozen=True, slots=True)
class Servers:
    """Where they are, and who asks."""

    base_url: str
    store_url: str
    resource_url: str
    connection: Connection
    signing: Signing

    async def base(self, method: str, path: str, body: Any = None, query: Mapping[str, Any] | None = None) -> Any:
        """Ask the Base server; all that robots ask of it may be asked again. Raises Refused, ServerAway, BadAnswer."""
        return await self.connection.ask(Call(method, f"{self.base_url}{path}", body, query=query), self.signing)

    async def store(self, method: str, path: str, body: Any = None, *, once: str | None = None) -> Any:
        """Ask the Store server. With `once` it is a write, done once however often it is sent."""
        harmless = once is None
        call = Call(method, f"{self.store_url}{path}", body, once=once, harmless=harmless)
        return await self.connection.ask(call, self.signing)

    async def picture(self, path: str) -> bytes:
        """The bytes of a picture at a path from the root, without our token: a picture is nobody's secret.

        Raises BadAnswer for an address elsewhere, which could be anybody's, and for one that is too large.
        """
        try:
            url = urljoin(f"{self.resource_url}/", path)
            is_here = urlsplit(url)[:2] == urlsplit(self.resource_url)[:2]
        except ValueError as error:
            raise BadAnswer(f"a picture at no address: {path!r:.200}") from error
        if not is_here:
            raise BadAnswer(f"a picture elsewhere: {path!r:.200}")
        answer = await self.connection.send(Call("GET", url))
        if answer.status_code != 200:
            raise Refused(answer.status_code, "no picture")
        if len(answer.content) > _LARGEST_PICTURE:
            raise BadAnswer(f"a picture of {len(answer.content)} bytes: {path!r:.200}")
        return answer.content


def part(value: str) -> str:
    """A value as one part of a path, whatever it holds."""
    return quote(value, safe="")


def item_picture(logo_url: str) -> str:
    """Where an item's picture is: its `logo_url` is a bare file name."""
    return f"/static/logos/items/{part(logo_url)}"
