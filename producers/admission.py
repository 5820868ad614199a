"""Who may post: loopback and trusted networks without a token, all others with ADMIN_TOKEN. Pure but for own_names.

Where people sign in at a provider of identities, a gate in front leaves in the scope who asks, as a `Visit`.
"""

from __future__ import annotations

import hmac
import re
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from types import MappingProxyType
from typing import Any, Final

from producers.answers import Answer, Headers, Refused, answer_json

PERSON: Final = "sensorium.person"
"""Where in a request's scope a `Visit` stands."""
_NO_SCOPE: Final[Mapping[str, Any]] = MappingProxyType({})
_PROXIED: Final = (b"x-forwarded-for", b"x-real-ip", b"forwarded")
"""Headers by which proxies say whom they speak for."""
_FORWARDED_FOR: Final = re.compile(rb'(?i)(?:^|[;,\s])for="?([^";,\s]*)')
_LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


@dataclass(frozen=True, slots=True)
class Visit:
    """A person whose sign-in was checked, and whether his roles allow this request; if not, what he is answered.

    `by` is what events call him.
    """

    name: str
    by: str
    roles: frozenset[str]
    refusal: Answer | None = None


def visit(scope: Any) -> Visit | None:
    """The person who may make this request; None where nobody signed in. Raises `Refused` where he may not."""
    found: Visit | None = scope.get(PERSON)
    if found is not None and found.refusal is not None:
        raise Refused(found.refusal)
    return found


class Admission:
    """Decides by the client's address and its bearer token, of which only the hash is kept.

    A trusted peer may be a proxy: then its X-Forwarded-For (read from the right, past trusted proxies), X-Real-IP or
    Forwarded (RFC 7239) names the client. Nobody else's are believed.

    Loopback counts for requests to this machine by an address or a name of its own (`host_names`): a page from
    elsewhere, whose name was made to resolve to 127.0.0.1 (DNS rebinding), sends its own name as Host.

    Where only our pages may (`own_pages`), a browser's place counts for pages of ours and of `origins` (`*`: of
    everybody): one from elsewhere, open on this machine, has to know the token like everybody else from there.
    """

    def __init__(
        self,
        admin_token: str | None,
        trusted_networks: Iterable[str] = (),
        host_names: Iterable[str] = (),
        origins: Iterable[str] = (),
    ) -> None:
        self._token_hash = sha256(admin_token.encode()).digest() if admin_token else None
        networks = tuple(ip_network(network, strict=False) for network in trusted_networks)
        names = frozenset(("", "localhost", *(name.lower().rstrip(".") for name in host_names)))
        self._origins = frozenset(origin.encode("latin-1") for origin in origins)
        self._is_in_network = lru_cache(4096)(lambda host: not host or _is_within(networks, host))
        self._is_loopback = lru_cache(4096)(lambda host: _is_within(_LOOPBACK, host))
        self._is_own_name = lru_cache(1024)(lambda header: _is_own(_host_name(header), names))

    def admit(self, scope: Any, headers: Headers, *, own_pages: bool = False) -> str:
        """Let a device or console in and say its address. Raises `Refused` with 401, 403 or 503."""
        client = self.client(scope, headers)
        is_near = self._is_in_network(client) or (
            self._is_loopback(client) and self._is_own_name(headers.get(b"host", b""))
        )
        if not is_near or (own_pages and self._is_of_foreign_page(headers)):
            self.require_token(headers, scope)
        return client

    def require_token(self, headers: Headers, scope: Mapping[str, Any] = _NO_SCOPE) -> None:
        """Let in who has ADMIN_TOKEN, or a role for this, from wherever. Raises `Refused` with 401, 403 or 503."""
        if not self.has_token(headers) and visit(scope) is None:
            raise Refused(_not_authenticated())

    def has_token(self, headers: Headers) -> bool:
        """Whether the request carries ADMIN_TOKEN as its bearer token."""
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        presented = sha256(token.strip()).digest()
        if self._token_hash is None or scheme.lower() != b"bearer":
            return False
        return hmac.compare_digest(presented, self._token_hash)

    def client(self, scope: Any, headers: Headers) -> str:
        """The address the request really comes from, as text; empty for a peer on a Unix socket."""
        peer: str = (scope.get("client") or ("", 0))[0]
        if not any(name in headers for name in _PROXIED) or not self._is_trusted(peer):
            return peer
        hops = _forwarded(headers.get(b"forwarded", b""))
        hops += headers.get(b"x-forwarded-for", b"").decode("latin-1").split(",")
        hops.append(headers.get(b"x-real-ip", b"").decode("latin-1"))
        return self._first_untrusted([name for hop in hops if (name := hop.strip())]) or peer

    def _is_of_foreign_page(self, headers: Headers) -> bool:
        """Browsers say with whatever may change something from whose page it comes; devices say nothing."""
        origin = headers.get(b"origin")
        if origin is None or origin in self._origins or b"*" in self._origins:
            return False
        if headers.get(b"sec-fetch-site") == b"same-origin":
            return False
        ours = {_host_name(headers.get(name, b"")) for name in (b"host", b"x-forwarded-host")}
        return _host_name(origin.partition(b"://")[2]) not in ours - {""}

    def _first_untrusted(self, hops: list[str]) -> str | None:
        """From the right; the first of all when all are trusted. X-Real-IP stands last: the nearest proxy wrote it."""
        for hop in reversed(hops):
            if not self._is_trusted(hop):
                return hop
        return hops[0] if hops else None

    def _is_trusted(self, host: str) -> bool:
        return self._is_in_network(host) or self._is_loopback(host)


@lru_cache(1)
def own_names() -> tuple[str, ...]:
    """The names this machine goes by; asks the resolver once per process."""
    return socket.gethostname(), socket.getfqdn()


def _forwarded(header: bytes) -> list[str]:
    """The clients that a Forwarded header names, the first one first; one without a name is `unknown`."""
    return [_host_name(name) or "unknown" for name in _FORWARDED_FOR.findall(header)] or ["unknown"] * bool(header)


def _host_name(header: bytes) -> str:
    """The name in a Host header, without brackets, port and final dot."""
    text = header.decode("latin-1").strip().lower()
    name = text[1:].partition("]")[0] if text.startswith("[") else text.partition(":")[0]
    return name.rstrip(".")


def _is_own(name: str, names: frozenset[str]) -> bool:
    """Whether nobody else can have made a browser send this name: one of ours, or an address."""
    return name in names or _address(name) is not None


def _is_within(networks: Iterable[IPv4Network | IPv6Network], host: str) -> bool:
    address = _address(host)
    return address is not None and any(_contains(network, address) for network in networks)


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return _unmapped(ip_address(host))
    except ValueError:
        return None


def _unmapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """::ffff:10.0.0.1 is 10.0.0.1 on a dual-stack socket."""
    return getattr(address, "ipv4_mapped", None) or address


def _contains(network: IPv4Network | IPv6Network, address: IPv4Address | IPv6Address) -> bool:
    return network.version == address.version and address in network


def _not_authenticated() -> Answer:
    answer = answer_json(401, {"detail": "Not authenticated"})
    answer.headers.append((b"www-authenticate", b"Bearer"))
    return answer
