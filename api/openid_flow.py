"""Signing in at the provider: the authorisation code flow with PKCE (RFC 6749, RFC 7636, OpenID Connect Core 3.1)."""

from __future__ import annotations

import base64
import hmac
import json
import secrets
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final
from urllib.parse import quote, urlencode

from api.openid import Document, NotSignedIn, Person, Provider, ProviderAway, looks_signed
from api.openid_keys import as_object, exchanged
from api.person_cookies import Attempt

HOME: Final = "/ui"
LONGEST_PAGE: Final = 2000
LONGEST_CODE: Final = 4096
_OURS: Final = ("/ui/sign-in", "/ui/signed-in", "/ui/sign-out", "/ui/me")


def begun(page: str | None) -> Attempt:
    """A new sign-in, after which `page` is wanted."""
    state, nonce, verifier = secrets.token_urlsafe(24), secrets.token_urlsafe(24), secrets.token_urlsafe(48)
    return Attempt(state, nonce, verifier, page_within(page))


def page_within(page: str | None) -> str:
    """A page of ours: what was asked if it is one, else the first. No other site's address gets through. Pure."""
    if not page or len(page) > LONGEST_PAGE or "\\" in page or not all("!" <= letter <= "~" for letter in page):
        return HOME
    path = page.partition("?")[0].partition("#")[0]
    inside = path == HOME or path.startswith(f"{HOME}/")
    return page if inside and "//" not in path and path not in _OURS else HOME


def asking_address(provider: Provider, document: Document, attempt: Attempt, callback: str) -> str:
    """Where the browser is sent to sign in."""
    challenge = base64.urlsafe_b64encode(sha256(attempt.verifier.encode()).digest()).decode().rstrip("=")
    asked = {
        "response_type": "code",
        "client_id": provider.options.client_id,
        "redirect_uri": callback,
        "scope": provider.options.scope,
        "state": attempt.state,
        "nonce": attempt.nonce,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    return _with_query(document.authorization_endpoint, asked)


def leaving_address(provider: Provider, document: Document, home: str) -> str | None:
    """Where the browser is sent to sign out there, too (OpenID Connect RP-Initiated Logout 1.0); None: nowhere."""
    if document.end_session_endpoint is None:
        return None
    asked = {"client_id": provider.options.client_id, "post_logout_redirect_uri": home}
    return _with_query(document.end_session_endpoint, asked)


async def finished(provider: Provider, attempt: Attempt, answer: Mapping[str, str], callback: str) -> Person:
    """Who signed in, by the provider's answer to an attempt. Raises NotSignedIn, ProviderAway."""
    if not hmac.compare_digest(answer.get("state", "").encode(), attempt.state.encode()):
        raise NotSignedIn("the answer to another sign-in")
    document = await provider.keys.document()
    if "iss" in answer and answer["iss"] != document.issuer:  # RFC 9207
        raise NotSignedIn("the answer of another provider")
    if "error" in answer:
        raise NotSignedIn("refused by the provider")
    code = answer.get("code", "")
    if not 0 < len(code) <= LONGEST_CODE:
        raise NotSignedIn("no code")
    tokens = await _tokens(provider, document, attempt, code, callback)
    identity = await provider.identity_claims(str(tokens.get("id_token", "")), attempt.nonce)
    further = await _further(provider, document, tokens.get("access_token"), str(identity["sub"]))
    return provider.described(identity, *further)


async def _tokens(
    provider: Provider, document: Document, attempt: Attempt, code: str, callback: str
) -> Mapping[str, Any]:
    options = provider.options
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": callback,
        "code_verifier": attempt.verifier,
    }
    headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
    if options.client_secret and "client_secret_basic" in document.token_endpoint_auth_methods:
        said = f"{quote(options.client_id, safe='')}:{quote(options.client_secret, safe='')}"
        headers["Authorization"] = f"Basic {base64.b64encode(said.encode()).decode()}"
    else:
        form |= {"client_id": options.client_id}
        form |= {"client_secret": options.client_secret} if options.client_secret else {}
    request = provider.client.build_request(
        "POST", document.token_endpoint, content=urlencode(form).encode(), headers=headers
    )
    status, body = await exchanged(provider.client, request, options.patience.exchange_s)
    if status >= 500:
        raise ProviderAway(f"status {status}")
    if status != 200:
        raise NotSignedIn(f"the provider does not take the code: {_reason(status, body)}")
    return as_object(body)


async def _further(provider: Provider, document: Document, token: Any, subject: str) -> list[Mapping[str, Any]]:
    """What the access token says, for Keycloak's roles are only there; of one that cannot be read, its userinfo."""
    if not isinstance(token, str) or not token:
        return []
    if looks_signed(token):
        try:
            claims: Mapping[str, Any] = await provider.access_claims(token)
        except NotSignedIn:
            return []
        return [claims] if claims["sub"] == subject else []
    if document.userinfo_endpoint is None:
        return []
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
    request = provider.client.build_request("GET", document.userinfo_endpoint, headers=headers)
    status, body = await exchanged(provider.client, request, provider.options.patience.exchange_s)
    said = as_object(body) if status == 200 else {}
    return [said] if said.get("sub") == subject else []


def _reason(status: int, body: bytes) -> str:
    """The provider's word for an error (RFC 6749, 5.2), which names no secret."""
    try:
        word = json.loads(body).get("error")
    except (ValueError, AttributeError, RecursionError):
        word = None
    return word if isinstance(word, str) and word.isascii() and word.isidentifier() else f"status {status}"


def _with_query(address: str, asked: Mapping[str, str]) -> str:
    return f"{address}{'&' if '?' in address else '?'}{urlencode(asked)}"
