"""Who may post: loopback and trusted networks without a token, everybody else with ADMIN_TOKEN. Pure."""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from functools import lru_cache
from hashlib import sha256
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from producers.answers import Answer, Headers, Refused, answer_json

_LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


class Admission:
    """Decides by the client's address and its bearer token, of which only the hash is kept.

    A trusted peer may be a proxy: then its X-Forwarded-For (read from the right, past trusted proxies) or X-Real-IP
    names the client. Nobody else's are believed.
    """

    def __init__(self, admin_token: str | None, trusted_networks: Iterable[str] = ()) -> None:
        self._token_hash = sha256(admin_token.encode()).digest() if admin_token else None
        self._trusted = (*_LOOPBACK, *(ip_network(network, strict=False) for network in trusted_networks))
        self._is_trusted = lru_cache(4096)(self._look_up)

    def admit(self, scope: Any, headers: Headers) -> str:
        """Let a device or console in and say its address. Raises `Refused` with 401."""
        client = self.client(scope, headers)
        if not self._is_trusted(client):
            self.require_token(headers)
        return client

    def require_token(self, headers: Headers) -> None:
        """Let an administrator in, from wherever. Raises `Refused` with 401."""
        if not self.has_token(headers):
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
        if b"x-forwarded-for" not in headers and b"x-real-ip" not in headers:
            return peer
        if not self._is_trusted(peer):
            return peer
        if forwarded := headers.get(b"x-forwarded-for"):
            return self._first_untrusted(forwarded.decode("latin-1").split(","))
        return headers[b"x-real-ip"].decode("latin-1").strip()

    def _first_untrusted(self, hops: list[str]) -> str:
        for hop in reversed(hops):
            if not self._is_trusted(hop.strip()):
                return hop.strip()
        return hops[0].strip()

    def _look_up(self, host: str) -> bool:
        if not host:
            return True
        try:
            address = _unmapped(ip_address(host))
        except ValueError:
            return False
        return any(_contains(network, address) for network in self._trusted)


def _unmapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """::ffff:10.0.0.1 is 10.0.0.1 on a dual-stack socket."""
    return getattr(address, "ipv4_mapped", None) or address


def _contains(network: IPv4Network | IPv6Network, address: IPv4Address | IPv6Address) -> bool:
    return network.version == address.version and address in network


def _not_authenticated() -> Answer:
    answer = answer_json(401, {"detail": "Not authenticated"})
    answer.headers.append((b"www-authenticate", b"Bearer"))
    return answer
