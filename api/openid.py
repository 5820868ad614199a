"""People by an OpenID provider, Keycloak among them: their tokens are checked here, by the provider's public keys.

Nothing of a token is believed before its signature is; which signatures count is decided here, never by the token.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, cast

import httpx
import jwt

from api.doors import ROLES
from api.openid_keys import FAMILIES, Document, Keys, NotSignedIn, Patience, ProviderAway

__all__ = ["Document", "NotSignedIn", "OpenIdOptions", "Person", "Provider", "ProviderAway", "looks_signed"]

ROLE_CLAIMS: Final = ("realm_access.roles", "resource_access.{client_id}.roles", "roles")
"""Where Keycloak has them, for the realm and for a client; and where others do."""
LONGEST_TOKEN: Final = 16_384
LONGEST_SUBJECT: Final = 255  # OpenID Connect Core 1.0, 2
LONGEST_NAME: Final = 128
_ACCESS_TYPES: Final = frozenset(("jwt", "at+jwt", "application/at+jwt"))
# What only ID tokens and logout tokens have: they say who somebody is, not what a bearer may do.
_NO_ACCESS: Final = ("at_hash", "c_hash", "events")


@dataclass(frozen=True, slots=True)
class OpenIdOptions:
    """One issuer and what is taken from it.

    Tokens count that were made for `client_id` or one of `audiences` (in `aud`, or as `azp`). Roles are looked for at
    `role_claims`, dotted paths; `role_names` says which of the provider's names is which of our roles, and without it
    they are called alike. `document_url`: where discovery's document lies, if not below the issuer. `leeway_s`: how
    far clocks may be apart.
    """

    issuer: str
    client_id: str
    client_secret: str = field(default="", repr=False)
    audiences: tuple[str, ...] = ()
    role_claims: tuple[str, ...] = ROLE_CLAIMS
    role_names: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    document_url: str | None = None
    scope: str = "openid profile"
    leeway_s: float = 30.0
    patience: Patience = field(default_factory=Patience)


@dataclass(frozen=True, slots=True)
class Person:
    """Who signed in: the provider's lasting id of him, a name to show, and his roles here."""

    subject: str
    name: str
    roles: frozenset[str] = frozenset()

    @property
    def by(self) -> str:
        """What events call him; it is no name, for the log keeps it for ever."""
        return f"openid:{self.subject}"


class Provider:
    """Checks tokens of one issuer. `keys` know its document; `client` is the connection to it."""

    def __init__(
        self,
        options: OpenIdOptions,
        *,
        client: httpx.AsyncClient | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` is of waiting; the times in tokens are compared with the machine's."""
        self.options = options
        self.client = client or httpx.AsyncClient(
            timeout=options.patience.exchange_s,
            limits=httpx.Limits(max_connections=32, max_keepalive_connections=4),
            trust_env=not _is_local(options.issuer),
        )
        self.keys = Keys(self.client, options.issuer, options.document_url, options.patience, clock)

    async def close(self) -> None:
        """Close the connections."""
        await self.keys.close()
        await self.client.aclose()

    async def person(self, token: str) -> Person:
        """Whose access token this is. Raises NotSignedIn, ProviderAway."""
        return self.described(await self.access_claims(token))

    async def access_claims(self, token: str) -> Mapping[str, Any]:
        """What an access token says. Raises NotSignedIn (an ID token is none), ProviderAway."""
        header, claims = await self._checked(token)
        kind = str(header.get("typ", "JWT")).lower()
        if kind not in _ACCESS_TYPES or claims.get("typ", "Bearer") != "Bearer" or any(map(claims.get, _NO_ACCESS)):
            raise NotSignedIn("not an access token")
        if not _audiences(claims) & {self.options.client_id, *self.options.audiences}:
            raise NotSignedIn("made for others")
        return claims

    async def identity_claims(self, token: str, nonce: str) -> Mapping[str, Any]:
        """What an ID token says that answers our question `nonce`. Raises NotSignedIn, ProviderAway."""
        _, claims = await self._checked(token)
        audience, party = claims.get("aud"), claims.get("azp", self.options.client_id)
        meant = audience if isinstance(audience, list) else [audience]
        if self.options.client_id not in meant or party != self.options.client_id:
            raise NotSignedIn("made for others")
        if claims.get("nonce") != nonce or claims.get("typ", "ID") != "ID":
            raise NotSignedIn("the answer to another question")
        return claims

    def described(self, *claims: Mapping[str, Any]) -> Person:
        """The person that claims speak of; all of them have been checked, and have one subject."""
        subject: str = claims[0]["sub"]
        if not 0 < len(subject) <= LONGEST_SUBJECT or not subject.isprintable():
            raise NotSignedIn("an unusable subject")
        names = [one.get(key) for key in ("preferred_username", "name", "email") for one in claims]
        name = next((name for name in names if isinstance(name, str) and name and name.isprintable()), subject)
        return Person(subject, name[:LONGEST_NAME], roles_of(self.options, claims))

    async def _checked(self, token: str) -> tuple[Mapping[str, Any], dict[str, Any]]:
        """Header and claims, once signature, issuer and times are right."""
        if len(token) > LONGEST_TOKEN:
            raise NotSignedIn("too long")
        header = _header(token)
        algorithm, kid = header.get("alg"), header.get("kid")
        if not isinstance(algorithm, str) or algorithm not in FAMILIES or not isinstance(kid, str | None):
            raise NotSignedIn("a signature that is not taken")
        document = await self.keys.document()
        key = await self.keys.key(kid, algorithm)
        try:
            claims = jwt.decode(
                token, key, [algorithm], issuer=document.issuer, leeway=self.options.leeway_s,
                options={"require": ["exp", "iss", "sub"], "verify_aud": False},
            )  # fmt: skip
        except (jwt.InvalidTokenError, ValueError, TypeError, OverflowError, RecursionError) as error:
            raise NotSignedIn(type(error).__name__) from error
        return header, claims


def looks_signed(token: str) -> bool:
    """Whether a bearer token may be a provider's: three parts, and not signed by a secret as our own are."""
    if token.count(".") != 2 or len(token) > LONGEST_TOKEN:
        return False
    try:
        return _header(token).get("alg") in FAMILIES
    except NotSignedIn:
        return False


def roles_of(options: OpenIdOptions, claims: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    """Our roles among those that claims name. Pure."""
    paths = [path.replace("{client_id}", options.client_id) for path in options.role_claims]
    named = {name for one in claims for path in paths for name in _texts(_at(one, path))}
    return frozenset(options.role_names.get(name, "") if options.role_names else name for name in named) & frozenset(
        ROLES
    )


def _at(value: Any, path: str) -> Any:
    """What stands at a dotted path; a claim whose own name has dots is found, too."""
    if not isinstance(value, Mapping):
        return None
    found = cast("Mapping[str, Any]", value)
    if path in found:
        return found[path]
    parts = path.split(".")
    for n in range(len(parts) - 1, 0, -1):
        if (head := ".".join(parts[:n])) in found:
            return _at(found[head], ".".join(parts[n:]))
    return None


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [one for one in cast("list[Any]", value) if isinstance(one, str)] if isinstance(value, list) else []


def _audiences(claims: Mapping[str, Any]) -> set[str]:
    return {*_texts(claims.get("aud")), *_texts(claims.get("azp"))}


def _header(token: str) -> Mapping[str, Any]:
    try:
        return jwt.get_unverified_header(token)
    except (jwt.InvalidTokenError, ValueError, RecursionError) as error:
        raise NotSignedIn("not a token") from error


def _is_local(issuer: str) -> bool:
    """Whether no proxy can stand between: on this machine."""
    return httpx.URL(issuer).host in ("localhost", "127.0.0.1", "::1")
