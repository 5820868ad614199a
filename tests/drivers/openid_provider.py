"""A small OpenID provider: discovery, keys, code with PKCE, tokens, userinfo; it rotates keys, and it can be away."""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

ISSUER = "https://id.example/realms/ai_site"
MAKERS = {
    "RS256": lambda: rsa.generate_private_key(65537, 2048),
    "PS256": lambda: rsa.generate_private_key(65537, 2048),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}


@dataclass
class User:
    """Who signs in: `roles` of the realm, `client_roles` of the client."""

    subject: str = "4b0c7a52-2f0e-4d4a-9a57-0d6d2a1f5a11"
    name: str = "anna"
    roles: tuple[str, ...] = ()
    client_roles: tuple[str, ...] = ()


@dataclass
class Key:
    name: str
    algorithm: str
    private: Any

    def public(self, **more: Any) -> dict[str, Any]:
        said: Any = jwt.get_algorithm_by_name(self.algorithm).to_jwk(self.private.public_key())
        shown = json.loads(said) if isinstance(said, str) else dict(said)
        shown.pop("key_ops", None)
        return shown | {"kid": self.name, "use": "sig", "alg": self.algorithm} | more


def key(algorithm: str = "ES256", name: str | None = None) -> Key:
    return Key(name or secrets.token_hex(8), algorithm, MAKERS[algorithm]())


@dataclass
class OpenIdProvider:
    """`away`: no connection; `broken`: the status of all answers. `asked` counts requests by path.

    `changed`: claims of what it hands out that are not as they should be, of the `identity` or the `access` token.
    """

    issuer: str = ISSUER
    client_id: str = "sensorium"
    client_secret: str = ""
    keys: list[Key] = field(default_factory=lambda: [key()])
    user: User = field(default_factory=User)
    away: bool = False
    broken: int | None = None
    with_form: bool = False
    changed: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    document: dict[str, Any] = field(default_factory=dict[str, Any])
    asked: dict[str, int] = field(default_factory=dict[str, int])
    codes: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])

    def rotate(self, *, keep: bool = False) -> Key:
        """A new key signs from now on; the old one is shown no more, unless kept."""
        fresh = key(self.keys[0].algorithm)
        self.keys = [fresh, *self.keys] if keep else [fresh]
        return fresh

    def claims(self, **changes: Any) -> dict[str, Any]:
        """What an access token of the user says, as Keycloak's do; None takes a claim out."""
        now = int(time.time())
        said: dict[str, Any] = {
            "iss": self.issuer, "sub": self.user.subject, "aud": "account", "azp": self.client_id, "typ": "Bearer",
            "iat": now, "exp": now + 300, "preferred_username": self.user.name,
            "realm_access": {"roles": [*self.user.roles, "offline_access"]},
            "resource_access": {self.client_id: {"roles": list(self.user.client_roles)}},
        }  # fmt: skip
        return {name: value for name, value in (said | changes).items() if value is not None}

    def token(self, signer: Key | None = None, headers: Mapping[str, Any] | None = None, **changes: Any) -> str:
        """An access token of the user."""
        return self.signed(self.claims(**changes), signer, headers)

    def signed(
        self, claims: Mapping[str, Any], signer: Key | None = None, headers: Mapping[str, Any] | None = None
    ) -> str:
        by = signer or self.keys[0]
        return jwt.encode(dict(claims), by.private, by.algorithm, headers={"kid": by.name} | dict(headers or {}))

    def client(self) -> httpx.AsyncClient:
        """A connection to it without a socket."""
        return httpx.AsyncClient(transport=_Line(self), base_url="https://id.example")

    @property
    def app(self) -> Starlette:
        """It as an ASGI app, below the issuer's path."""
        below = httpx.URL(self.issuer).path.rstrip("/")
        routes = {
            "/.well-known/openid-configuration": (self._discovery, ["GET"]),
            "/certs": (self._certs, ["GET"]),
            "/auth": (self._authorise, ["GET", "POST"]),
            "/token": (self._token, ["POST"]),
            "/userinfo": (self._userinfo, ["GET", "POST"]),
            "/logout": (self._logout, ["GET"]),
        }
        made = [Route(below + path, self._counted(path, act), methods=ways) for path, (act, ways) in routes.items()]
        made.append(Route("/favicon.ico", lambda _: Response(status_code=204)))  # browsers ask for one
        return Starlette(routes=made)

    def _counted(self, path: str, act: Any) -> Any:
        async def answer(request: Request) -> Response:
            self.asked[path] = self.asked.get(path, 0) + 1
            return Response("", self.broken) if self.broken else await act(request)

        return answer

    async def _discovery(self, _request: Request) -> Response:
        at = self.issuer
        return JSONResponse(
            {
                "issuer": at, "jwks_uri": f"{at}/certs", "authorization_endpoint": f"{at}/auth",
                "token_endpoint": f"{at}/token", "userinfo_endpoint": f"{at}/userinfo",
                "end_session_endpoint": f"{at}/logout",
                "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            } | self.document
        )  # fmt: skip

    async def _certs(self, _request: Request) -> Response:
        return JSONResponse({"keys": [one.public() for one in self.keys]})

    async def _authorise(self, request: Request) -> Response:
        asked = dict(request.query_params)
        if request.method == "GET" and self.with_form:
            return HTMLResponse("<form method=post><button>Anna</button></form>")
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        answer = urlencode({"code": code, "state": asked["state"], "iss": self.issuer})
        return RedirectResponse(f"{asked['redirect_uri']}?{answer}", 303)

    async def _token(self, request: Request) -> Response:
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        asked = self.codes.pop(form.get("code", ""), None)
        digest = sha256(form.get("code_verifier", "").encode()).digest()
        fits = (
            asked is not None
            and asked["redirect_uri"] == form.get("redirect_uri")
            and asked["code_challenge"] == base64.urlsafe_b64encode(digest).decode().rstrip("=")
            and self._is_client(request, form)
        )
        if not fits or asked is None:
            return JSONResponse({"error": "invalid_grant"}, 400)
        own: dict[str, Any] = {"aud": self.client_id, "typ": "ID", "nonce": asked["nonce"], "realm_access": None}
        identity = self.signed(self.claims(**own | self.changed.get("identity", {})))
        access = self.token(**self.changed.get("access", {}))
        return JSONResponse({"access_token": access, "id_token": identity, "token_type": "Bearer", "expires_in": 300})

    def _is_client(self, request: Request, form: Mapping[str, str]) -> bool:
        header = request.headers.get("authorization", "")
        if not self.client_secret:
            return form.get("client_id") == self.client_id and not header
        name, _, secret = base64.b64decode(header.removeprefix("Basic ")).decode().partition(":")
        return (unquote(name), unquote(secret)) == (self.client_id, self.client_secret)

    async def _userinfo(self, request: Request) -> Response:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        try:
            public = self.keys[0].private.public_key()
            claims = jwt.decode(token, public, [self.keys[0].algorithm], options={"verify_aud": False})
        except jwt.InvalidTokenError:
            return JSONResponse({"error": "invalid_token", "sub": self.user.subject}, 401)
        return JSONResponse({"sub": claims["sub"], "preferred_username": claims.get("preferred_username")})

    async def _logout(self, request: Request) -> Response:
        return RedirectResponse(request.query_params["post_logout_redirect_uri"], 303)


class _Line(httpx.AsyncBaseTransport):
    """A connection that can be cut."""

    def __init__(self, provider: OpenIdProvider) -> None:
        self._provider = provider
        self._inside = httpx.ASGITransport(provider.app)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._provider.away:
            raise httpx.ConnectError("no route")
        return await self._inside.handle_async_request(request)
