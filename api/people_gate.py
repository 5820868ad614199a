"""Stands in front of everything where a provider of identities is configured, and says who asks. Raw ASGI.

It answers nobody: it leaves a `Visit` in the scope, and the guards of the routes decide as they always did, letting in
a person whose roles allow the route besides. A request without a provider's token or a session passes it unchanged.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final, Protocol
from urllib.parse import urlsplit

from starlette.requests import cookie_parser

from api.openid import NotSignedIn, Person, ProviderAway, looks_signed
from api.person_cookies import SESSION, Cookies
from api.route_rules import rule_of
from producers.admission import PERSON, Visit
from producers.answers import Answer, AsgiApp, Headers, Receive, Scope, Send, refusal, unavailable

log = logging.getLogger(__name__)

SAFE: Final = ("GET", "HEAD", "OPTIONS")
NOT_YOURS: Final = "Your roles do not allow this"


class Persons(Protocol):
    """Says whose access token it is."""

    async def person(self, token: str) -> Person:
        """The person. Raises NotSignedIn, ProviderAway."""
        ...


@dataclass(frozen=True, slots=True)
class Site:
    """How browsers call this server: by `public`, an origin such as https://trains.example, or as they happen to."""

    public: str | None = None

    def origin(self, scope: Scope) -> str:
        """The origin of a request's own page."""
        host = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
        return self.public or f"{scope.get('scheme', 'http')}://{host}"

    def is_reached_by_own_name(self, scope: Scope) -> bool:
        """Whether the browser calls us as we are called: cookies of another name would not come back."""
        host = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
        return self.public is None or urlsplit(self.public).netloc == host

    def is_secure(self, scope: Scope) -> bool:
        """Whether cookies may be kept to https."""
        return self.origin(scope).startswith("https://")

    def cookie_name(self, scope: Scope, name: str) -> str:
        """With https a name that no other page of the domain, and no plain one, can set (RFC 6265bis, 4.1.3.2)."""
        return f"__Host-{name}" if self.is_secure(scope) else name

    def cookie(self, scope: Scope, name: str) -> str:
        """What the browser keeps under a name; empty for nothing."""
        header = dict(scope["headers"]).get(b"cookie", b"").decode("latin-1")
        return cookie_parser(header).get(self.cookie_name(scope, name), "")

    def is_asked_by_own_page(self, scope: Scope) -> bool:
        """Whether a request with a cookie comes from a page of ours: no other site may use somebody's sign-in.

        Browsers say with whatever changes something from where it comes; reading, they may say nothing.
        """
        headers: Headers = dict(scope["headers"])
        origin, fetched = headers.get(b"origin"), headers.get(b"sec-fetch-site")
        if origin is not None and not self._is_own(origin.decode("latin-1"), headers.get(b"host", b"")):
            return False
        if fetched is not None and fetched not in (b"same-origin", b"none"):
            return False
        return scope["method"] in SAFE or origin is not None or fetched == b"same-origin"

    def _is_own(self, origin: str, host: bytes) -> bool:
        if self.public is not None and origin == self.public:
            return True
        return bool(host) and urlsplit(origin).netloc == host.decode("latin-1")


class Gate:
    """Puts the visit of who asks into the scope of `app`'s requests."""

    def __init__(self, app: AsgiApp, persons: Persons, cookies: Cookies, site: Site) -> None:
        self._app, self._persons, self._cookies, self._site = app, persons, cookies, site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, with what is known of who makes it."""
        if scope["type"] == "http":
            scope.pop(PERSON, None)
            if any(name in (b"authorization", b"cookie") for name, _ in scope["headers"]):
                visit = await self._visit(scope)
                if visit is not None:
                    scope[PERSON] = visit
        await self._app(scope, receive, send)

    async def _visit(self, scope: Scope) -> Visit | None:
        rule = rule_of(scope["method"], scope["path"])
        if rule is None or not rule.roles:
            return None
        try:
            person = await self._person(scope)
        except NotSignedIn as error:
            log.debug("a token is not taken: %s", error)
            return None
        except ProviderAway as away:
            return Visit("", "", frozenset(), unavailable(str(away), away.retry_after_s).answer)
        return person and Visit(person.name, person.by, person.roles, _verdict(rule.lets_in(person.roles)))

    async def _person(self, scope: Scope) -> Person | None:
        """By the header if there is one, else by the cookie."""
        header = dict(scope["headers"]).get(b"authorization")
        if header is None:
            return self._of_session(scope)
        scheme, _, token = header.decode("latin-1").strip().partition(" ")
        if scheme.lower() != "bearer" or not looks_signed(token.strip()):
            return None
        return await self._persons.person(token.strip())

    def _of_session(self, scope: Scope) -> Person | None:
        sealed = self._site.cookie(scope, SESSION)
        return self._cookies.person(sealed) if sealed and self._site.is_asked_by_own_page(scope) else None


def _verdict(may: bool) -> Answer | None:
    return None if may else refusal(403, NOT_YOURS).answer
