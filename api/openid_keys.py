"""An OpenID provider's document and public keys: fetched, bounded, kept while it is away. Speaks HTTP to it alone."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import httpx
import jwt

from schemas.errors import SensoriumError

log = logging.getLogger(__name__)

LARGEST: Final = 1 << 18
"""Bytes of any answer of a provider."""
MOST_KEYS: Final = 64
LEAST_RSA_BITS: Final = 2048
FAMILIES: Final[Mapping[str, str]] = {"RS256": "RSA", "PS256": "RSA", "ES256": "EC", "EdDSA": "OKP"}
"""Signatures that are taken, and the type of key each wants."""
_NEEDED: Final = ("issuer", "jwks_uri", "authorization_endpoint", "token_endpoint")


class NotSignedIn(SensoriumError):
    """A token, or a sign-in, that proves nothing; the text says why, without showing it."""


class ProviderAway(SensoriumError):
    """The provider does not answer, so nothing can be said of a token. Ask again in `retry_after_s` seconds."""

    def __init__(self, reason: str, retry_after_s: int = 5) -> None:
        super().__init__(f"The provider of identities does not answer ({reason}); try again")
        self.reason, self.retry_after_s = reason, retry_after_s


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds: of one exchange, until keys are looked at again, between looks for an unknown key, or while away."""

    exchange_s: float = 10.0
    stale_s: float = 300.0
    unknown_s: float = 30.0
    away_s: float = 5.0


@dataclass(frozen=True, slots=True)
class Document:
    """What discovery tells (OpenID Connect Discovery 1.0, 3)."""

    issuer: str
    jwks_uri: str
    authorization_endpoint: str
    token_endpoint: str
    userinfo_endpoint: str | None = None
    end_session_endpoint: str | None = None
    token_endpoint_auth_methods: tuple[str, ...] = ("client_secret_basic",)


async def exchanged(client: httpx.AsyncClient, request: httpx.Request, seconds: float) -> tuple[int, bytes]:
    """Status and body of one exchange, bounded in time and size; redirects are not followed. Raises ProviderAway."""
    try:
        async with asyncio.timeout(seconds):
            answer = await client.send(request, stream=True, follow_redirects=False)
            try:
                return answer.status_code, await _bounded(answer)
            finally:
                await answer.aclose()
    except (httpx.HTTPError, TimeoutError) as error:
        raise ProviderAway(type(error).__name__) from error


async def _bounded(answer: httpx.Response) -> bytes:
    body = b""
    async for part in answer.aiter_bytes():
        body += part
        if len(body) > LARGEST:
            raise ProviderAway("its answer is too large")
    return body


def as_object(body: bytes) -> dict[str, Any]:
    """A JSON object. Raises ProviderAway for anything else."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ProviderAway("its answer is no JSON") from error
    if not isinstance(found, dict):
        raise ProviderAway("its answer is no JSON object")
    return cast("dict[str, Any]", found)


class Keys:
    """The keys of one issuer.

    They are looked at again every five minutes, beside the requests, and replaced whole, so that a key which the
    provider withdrew counts no more; while it is away, those known go on counting. An unknown key is looked for at
    once, but at most once in 30 seconds, whatever tokens come.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        issuer: str,
        address: str | None = None,
        patience: Patience = Patience(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`address`: where the document lies, if not below the issuer's own address."""
        self._client, self._patience, self._clock = client, patience, clock
        self._issuer = issuer.rstrip("/")
        self._address = address or f"{self._issuer}/.well-known/openid-configuration"
        self._document: Document | None = None
        self._keys: Mapping[str, dict[str, Any]] = {}
        self._made: dict[tuple[str, str], jwt.PyJWK] = {}
        self._away: str | None = None
        self._looked = self._sought = self._fetched = -1e9
        self._one = asyncio.Lock()
        self._behind: asyncio.Task[None] | None = None

    async def document(self) -> Document:
        """What discovery told. Raises ProviderAway as long as it never answered."""
        if self._document is None:
            await self._look(self._patience.away_s)
        elif self._clock() - self._fetched > self._patience.stale_s:
            self._look_behind()
        if self._document is None:
            raise ProviderAway(self._away or "not asked yet")
        return self._document

    async def key(self, kid: str | None, algorithm: str) -> jwt.PyJWK:
        """The key of this name for this signature. Raises NotSignedIn for none, ProviderAway when that is not known."""
        await self.document()
        found = self._find(kid, algorithm)
        if found is None:
            await self._seek()
            found = self._find(kid, algorithm)
        if found is not None:
            return found
        if self._away is not None:
            raise ProviderAway(self._away)
        raise NotSignedIn("unknown key")

    async def close(self) -> None:
        """End what is under way."""
        if self._behind is not None:
            self._behind.cancel()
            await asyncio.gather(self._behind, return_exceptions=True)

    def _find(self, kid: str | None, algorithm: str) -> jwt.PyJWK | None:
        """Without a name, the only key that fits."""
        if kid is None:
            fitting = [name for name, key in self._keys.items() if _fits(key, algorithm)]
            kid = fitting[0] if len(fitting) == 1 else ""
        made = self._made.get((kid, algorithm))
        if made is None and (key := self._keys.get(kid)) and _fits(key, algorithm):
            made = self._made[kid, algorithm] = _made(key, algorithm)
        return made

    async def _seek(self) -> None:
        wait = self._patience.away_s if self._away else self._patience.unknown_s
        async with self._one:
            if self._clock() - self._sought >= wait:
                self._sought = self._clock()
                await self._fetch()

    async def _look(self, wait: float) -> None:
        async with self._one:
            if self._clock() - self._looked >= wait:
                await self._fetch()

    def _look_behind(self) -> None:
        if self._behind is None or self._behind.done():
            self._behind = asyncio.create_task(self._look(self._patience.away_s), name="keys of the provider")

    async def _fetch(self) -> None:
        """Take what the provider says, or note that it is away; what was known stays."""
        self._looked = self._clock()
        try:
            document = _document(await self._object(self._address), self._issuer)
            keys = _usable(await self._object(document.jwks_uri))
        except ProviderAway as away:
            if self._away is None:
                log.warning("%s: %s", self._address, away)
            self._away = away.reason
            return
        if self._away is not None:
            log.info("%s answers again", self._address)
        self._document, self._keys, self._made, self._away = document, keys, {}, None
        self._fetched = self._clock()

    async def _object(self, address: str) -> dict[str, Any]:
        request = self._client.build_request("GET", address, headers={"Accept": "application/json"})
        status, body = await exchanged(self._client, request, self._patience.exchange_s)
        if status != 200:
            raise ProviderAway(f"status {status}")
        return as_object(body)


def _document(said: Mapping[str, Any], issuer: str) -> Document:
    texts = {name: said.get(name) for name in (*_NEEDED, "userinfo_endpoint", "end_session_endpoint")}
    for name, text in texts.items():
        if not (isinstance(text, str) and text.startswith(("http://", "https://"))) and (text or name in _NEEDED):
            raise ProviderAway(f"its document has no {name}")
    if str(texts["issuer"]).rstrip("/") != issuer:
        raise ProviderAway(f"its document is of another issuer, {texts['issuer']}")
    methods: Any = said.get("token_endpoint_auth_methods_supported")
    if isinstance(methods, list):
        texts["token_endpoint_auth_methods"] = tuple(map(str, cast("list[Any]", methods)))
    return Document(**cast("dict[str, Any]", texts))


def _usable(said: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Public keys that sign, by their names."""
    keys: Any = said.get("keys")
    if not isinstance(keys, list):
        raise ProviderAway("it shows no keys")
    found: dict[str, dict[str, Any]] = {}
    for key in cast("list[Any]", keys)[:MOST_KEYS]:
        if isinstance(key, dict):
            named = cast("dict[str, Any]", key)
            if any(_fits(named, one) for one in FAMILIES):
                found.setdefault(str(named.get("kid", "")), named)
    return found


def _fits(key: Mapping[str, Any], algorithm: str) -> bool:
    """Whether a key may check this signature: by its type, by what it is for, and by what it says of itself."""
    if key.get("kty") != FAMILIES.get(algorithm) or key.get("use", "sig") != "sig":
        return False
    if key.get("alg", algorithm) != algorithm:
        return False
    return {"RSA": True, "EC": key.get("crv") == "P-256", "OKP": key.get("crv") == "Ed25519"}[str(key["kty"])]


def _made(key: Mapping[str, Any], algorithm: str) -> jwt.PyJWK:
    try:
        made = jwt.PyJWK(dict(key), algorithm)
    except (jwt.PyJWTError, ValueError, TypeError, KeyError) as error:
        raise NotSignedIn("unusable key") from error
    if key["kty"] == "RSA" and made.key.key_size < LEAST_RSA_BITS:
        raise NotSignedIn("weak key")
    return made
