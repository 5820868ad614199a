"""Tokens of a provider: what is taken, what is not, and what happens while it is away or changes its keys."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from api.openid import NotSignedIn, OpenIdOptions, Provider, ProviderAway, looks_signed, roles_of
from api.openid_keys import LARGEST
from tests.drivers.openid_provider import ISSUER, Key, OpenIdProvider, User, key

RSA = key("RS256", "rsa")
THERE = OpenIdProvider(keys=[RSA], user=User(roles=("analyst", "uma_authorization"), client_roles=("operator",)))


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def opened(there: OpenIdProvider, clock: Callable[[], float] = time.monotonic, **options: Any) -> Provider:
    chosen = OpenIdOptions(there.issuer, there.client_id, **options)
    return Provider(chosen, client=there.client(), clock=clock)


def part(said: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(said).encode()).decode().rstrip("=")


async def test_a_good_token_says_who_asks_and_his_roles() -> None:
    person = await opened(THERE).person(THERE.token())
    assert (person.subject, person.name) == (THERE.user.subject, "anna")
    assert person.roles == {"analyst", "operator"}
    assert person.by == f"openid:{THERE.user.subject}"


@pytest.mark.parametrize("name", ["\ud800", "a\nb", "", None, 5])
async def test_a_name_that_cannot_be_shown_is_not(name: Any) -> None:
    person = await opened(THERE).person(THERE.token(preferred_username=name, name="Анна"))
    assert person.name == "Анна"


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "EdDSA"])
async def test_every_signature_that_is_taken(algorithm: str) -> None:
    there = OpenIdProvider(keys=[key(algorithm)])
    assert (await opened(there).person(there.token())).subject == there.user.subject


def forged_by_public_key() -> str:
    """HS256 with the public key as its secret: the oldest trick of all."""
    public = RSA.private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    head, body = part({"alg": "HS256", "kid": "rsa"}), part(THERE.claims())
    algorithm = jwt.get_algorithm_by_name("HS256")
    signature = algorithm.sign(f"{head}.{body}".encode(), public)
    return f"{head}.{body}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def tampered() -> str:
    head, _, signature = THERE.token().split(".")
    return f"{head}.{part(THERE.claims(realm_access={'roles': ['admin']}))}.{signature}"


def now() -> int:
    return int(time.time())


BAD = {
    "another issuer": lambda: THERE.token(iss="https://evil.example/realms/ai_site"),
    "no issuer": lambda: THERE.token(iss=None),
    "made for another client": lambda: THERE.token(azp="shop"),
    "an audience in one word": lambda: THERE.token(azp="shop", aud="shop sensorium"),
    "expired": lambda: THERE.token(exp=now() - 120),
    "without an end": lambda: THERE.token(exp=None),
    "not yet": lambda: THERE.token(nbf=now() + 600),
    "from the future": lambda: THERE.token(iat=now() + 600),
    "an endless number": lambda: THERE.token(exp=float("inf")),
    "without a subject": lambda: THERE.token(sub=None),
    "a subject that is no text": lambda: THERE.signed(THERE.claims() | {"sub": ["a"]}),
    "an endless subject": lambda: THERE.token(sub="s" * 300),
    "a subject with a line break": lambda: THERE.token(sub="a\nb"),
    "an ID token": lambda: THERE.token(typ="ID"),
    "an ID token of others": lambda: THERE.token(at_hash="x"),
    "a refresh token": lambda: THERE.token(typ="Refresh"),
    "a logout token": lambda: THERE.token(headers={"typ": "logout+jwt"}),
    "signed by another key of that name": lambda: THERE.token(key("RS256", "rsa")),
    "another way to sign with that key": lambda: THERE.token(Key("rsa", "PS256", RSA.private)),
    "RS512": lambda: jwt.encode(THERE.claims(), RSA.private, "RS512", headers={"kid": "rsa"}),
    "an unknown key": lambda: THERE.token(key("RS256", "elsewhere")),
    "no signature": lambda: f"{part({'alg': 'none'})}.{part(THERE.claims())}.",
    "our secret is your public key": forged_by_public_key,
    "tampered": tampered,
    "a key of its own": lambda: THERE.token(key("RS256", "rsa"), {"jwk": RSA.public(), "jku": "https://evil.example"}),
    "what must be understood": lambda: THERE.token(headers={"crit": ["x"], "x": 1}),
    "a name that is no text": lambda: f"{part({'alg': 'RS256', 'kid': [1]})}.e30.AA",
    "too long": lambda: THERE.token(filler="x" * 20_000),
    "no token": lambda: "a.b.c",
    "nothing": lambda: "",
    "a list": lambda: f"{part([])}.e30.AA",
    "deep": lambda: f"{base64.urlsafe_b64encode(b'[' * 9000).decode().rstrip('=')}.e30.AA",
}  # fmt: skip


@pytest.mark.parametrize("token", BAD.values(), ids=BAD.keys())
async def test_what_is_no_access_token_of_ours_is_refused(token: Callable[[], str]) -> None:
    with pytest.raises(NotSignedIn):
        await opened(THERE).person(token())


async def test_clocks_may_be_a_little_apart_and_an_audience_may_be_added() -> None:
    assert await opened(THERE).person(THERE.token(exp=now() - 10))
    assert await opened(THERE, audiences=("web",)).person(THERE.token(azp="web"))
    assert await opened(THERE).person(THERE.token(azp=None, aud=["account", "sensorium"]))


@pytest.mark.parametrize(
    "token", ["a.b.c", "uuid", "", forged_by_public_key(), "x" * 20_000, f"{part({'alg': 'none'})}.e30."]
)
def test_only_what_a_provider_may_have_signed_is_asked_about(token: str) -> None:
    assert looks_signed(THERE.token())
    assert not looks_signed(token)


async def test_a_weak_key_proves_nothing() -> None:
    weak = Key("weak", "RS256", rsa.generate_private_key(65537, 1024))
    there = OpenIdProvider(keys=[weak])
    with pytest.warns(jwt.InsecureKeyLengthWarning):
        token = there.token()
    with pytest.raises(NotSignedIn, match="weak"):
        await opened(there).person(token)


async def test_a_new_key_is_looked_for_at_once_and_a_withdrawn_one_counts_no_more() -> None:
    there, clock = OpenIdProvider(), Clock()
    provider = opened(there, clock)
    before = there.token()
    await provider.person(before)
    there.rotate()
    assert await provider.person(there.token())
    with pytest.raises(NotSignedIn):
        await provider.person(before)
    assert there.asked["/certs"] == 2


async def test_unknown_keys_make_one_question_in_thirty_seconds() -> None:
    there, clock = OpenIdProvider(), Clock()
    provider = opened(there, clock)
    for n in range(20):
        clock.now += 1
        with pytest.raises(NotSignedIn):
            await provider.person(there.token(key("ES256", f"key {n}")))
    assert there.asked["/certs"] == 2  # the first of all, and one look for what was unknown
    fresh = there.rotate(keep=True)
    clock.now += 30
    assert await provider.person(there.token(fresh))
    assert there.asked["/certs"] == 3


async def test_while_the_provider_is_away_known_keys_count_and_unknown_ones_are_no_refusal() -> None:
    there, clock = OpenIdProvider(), Clock()
    provider = opened(there, clock)
    there.away = True
    with pytest.raises(ProviderAway) as caught:
        await provider.person(there.token())
    assert caught.value.retry_after_s > 0
    there.away, clock.now = False, clock.now + 5
    assert await provider.person(there.token())
    there.away, clock.now = True, clock.now + 3600
    assert await provider.person(there.token())
    with pytest.raises(ProviderAway):
        await provider.person(there.token(key("ES256", "new")))
    there.away, clock.now = False, clock.now + 5
    with pytest.raises(NotSignedIn):
        await provider.person(there.token(key("ES256", "new")))
    await provider.close()


async def test_an_absent_provider_is_not_asked_by_every_request() -> None:
    there, clock = OpenIdProvider(broken=500), Clock()
    provider = opened(there, clock)
    for _ in range(10):
        with pytest.raises(ProviderAway):
            await provider.person(there.token())
    assert there.asked == {"/.well-known/openid-configuration": 1}


@pytest.mark.parametrize(
    "document",
    [
        {"issuer": "https://evil.example"}, {"jwks_uri": None}, {"token_endpoint": "ftp://x"}, {"jwks_uri": 5},
        {"end_session_endpoint": "javascript:alert(1)"}, {"filler": "x" * LARGEST},
    ],
)  # fmt: skip
async def test_a_document_that_cannot_be_right_is_as_none(document: dict[str, Any]) -> None:
    there = OpenIdProvider(document=document)
    with pytest.raises(ProviderAway):
        await opened(there).person(there.token())


async def test_the_document_may_lie_elsewhere_and_its_issuer_counts() -> None:
    there = OpenIdProvider()
    inside = f"{ISSUER}/.well-known/openid-configuration"
    there.issuer = ISSUER
    provider = Provider(OpenIdOptions(ISSUER + "/", "sensorium", document_url=inside), client=there.client())
    assert await provider.person(there.token())


ROLES = [
    ({"realm_access": {"roles": ["admin", "x"]}}, {}, {"admin"}),
    ({"resource_access": {"sensorium": {"roles": ["security"]}, "other": {"roles": ["admin"]}}}, {}, {"security"}),
    ({"roles": "analyst"}, {}, {"analyst"}),
    ({"roles": {"admin": True}, "realm_access": ["admin"]}, {}, set[str]()),
    ({"groups": ["/Duty"]}, {"role_claims": ("groups",), "role_names": {"/Duty": "operator"}}, {"operator"}),
    ({"roles": ["admin"]}, {"role_names": {"Boss": "admin"}}, set[str]()),
    ({"https://x.y/roles": ["analyst"]}, {"role_claims": ("https://x.y/roles",)}, {"analyst"}),
    ({"https://x.y": {"roles": ["analyst"]}}, {"role_claims": ("https://x.y.roles",)}, {"analyst"}),
    ({}, {}, set[str]()),
]


@pytest.mark.parametrize(("claims", "options", "expected"), ROLES)
def test_roles_are_found_where_the_options_say(
    claims: dict[str, Any], options: dict[str, Any], expected: set[str]
) -> None:
    assert roles_of(OpenIdOptions(ISSUER, "sensorium", **options), [claims]) == expected
