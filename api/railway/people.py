"""Which passenger asks: the holder of an access token that the provider of identities gave. FastAPI dependencies."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final, Protocol
from uuid import UUID

import httpx
from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPBearer

from api.openid import LONGEST_TOKEN, NotSignedIn, Provider, ProviderAway
from api.openid_keys import as_object, exchanged

AT_ONCE: Final = 32
_shown = HTTPBearer(auto_error=False, description="An access token of the provider of identities (Keycloak).")
Shown = Annotated[Any, Depends(_shown)]
"""Shows the padlock in the documentation; decides nothing."""

Linked = Callable[[str], Awaitable[str | None]]
"""The passenger that a sign-in (its `sub`) was linked to, by the table keycloak_users; None: to none."""
Person = Callable[..., Awaitable[str]]


class Subjects(Protocol):
    """Says whose token it is."""

    async def subject(self, token: str) -> str:
        """The `sub`. Raises NotSignedIn, ProviderAway."""
        ...


class BySignature:
    """Checks tokens here, by the provider's keys."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    async def subject(self, token: str) -> str:
        """The `sub`. Raises NotSignedIn, ProviderAway."""
        return str((await self._provider.access_claims(token))["sub"])


class ByUserinfo:
    """Asks the provider's userinfo endpoint each time, as the first Base server did.

    Whoever the endpoint answers is let in, whatever client his token was made for.
    """

    def __init__(self, endpoint: str, *, client: httpx.AsyncClient | None = None, seconds: float = 5.0) -> None:
        limits = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=4)
        self._endpoint, self._seconds = endpoint, seconds
        self._client = client or httpx.AsyncClient(timeout=seconds, limits=limits)

    async def subject(self, token: str) -> str:
        """The `sub`. Raises NotSignedIn for whatever is not 200, ProviderAway."""
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        request = self._client.build_request("POST", self._endpoint, headers=headers)
        status, body = await exchanged(self._client, request, self._seconds)
        if status >= 500:
            raise ProviderAway(f"status {status}")
        if status != 200:
            raise NotSignedIn(f"status {status}")
        subject = as_object(body).get("sub")
        if not isinstance(subject, str) or not subject:
            raise NotSignedIn("nobody")
        return subject

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def person_of(subjects: Subjects, linked: Linked | None = None) -> Person:
    """A dependency that gives the passenger's id, in lower case.

    It raises HTTPException: 401 without a good token, 403 where it is good and stands for no passenger, 503 while the
    provider cannot be asked.
    """

    async def person(request: Request, _shown: Shown = None) -> str:
        token = bearer(request)
        if token is None:
            raise _invalid()
        try:
            subject = await subjects.subject(token)
        except NotSignedIn as error:
            raise _invalid() from error
        except ProviderAway as away:
            raise HTTPException(503, str(away), {"Retry-After": str(away.retry_after_s)}) from away
        return await passenger(subject, linked)

    return person


async def passenger(subject: str, linked: Linked | None) -> str:
    """The passenger a `sub` stands for: `f:<component>:<user id>` says so, else the link, else itself."""
    inside = subject.split(":", 2)
    is_ours = subject.startswith("f:") and len(inside) == 3
    try:
        own = str(UUID(inside[2] if is_ours else subject))
    except ValueError as error:
        raise HTTPException(403, "This sign-in stands for no passenger") from error
    return own if is_ours or linked is None else await linked(own) or own


def bearer(request: Request) -> str | None:
    """The token of `Authorization: Bearer TOKEN`, in any letter case; None without one that could be a token."""
    words = request.headers.get("authorization", "").split()
    if len(words) != 2 or words[0].lower() != "bearer" or len(words[1]) > LONGEST_TOKEN or not words[1].isascii():
        return None
    return words[1]


def _invalid() -> HTTPException:
    return HTTPException(401, "Invalid credentials")
