"""Settings of people's sign-in: a provider of identities, checked. `ops.settings.load` hands the environment over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from urllib.parse import urlsplit

from api.doors import ROLES
from ops import variables
from ops.errors import OperatorError


@dataclass(frozen=True, slots=True)
class PeopleSettings:
    """What a site may set. Without `issuer` nobody signs in at a provider; `userinfo` alone lets passengers in.

    `roles_claims` empty: where Keycloak has them. `role_names` empty: roles are called there as they are here.
    `public_url` is how browsers call this server, an origin.
    """

    issuer: str | None = None
    client_id: str = "sensorium"
    client_secret: str = field(default="", repr=False)
    audiences: tuple[str, ...] = ()
    roles_claims: tuple[str, ...] = ()
    role_names: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    discovery_url: str | None = None
    userinfo: str | None = None
    public_url: str | None = None
    session_s: float = 3600.0


def read(env: Mapping[str, str]) -> PeopleSettings:
    """The settings in an environment (values stripped, empty ones left out). OperatorError names the bad variable."""
    issuer = variables.address(env, "OIDC_ISSUER")
    lonely = sorted(name for name in env if name.startswith("OIDC_") and name != "OIDC_ISSUER")
    if lonely and issuer is None:
        raise OperatorError(f"{lonely[0]} says nothing without OIDC_ISSUER, the address of the provider (its realm).")
    return PeopleSettings(
        issuer=issuer,
        client_id=env.get("OIDC_CLIENT_ID", "sensorium"),
        client_secret=env.get("OIDC_CLIENT_SECRET", ""),
        audiences=tuple(variables.listed(env.get("OIDC_AUDIENCE", ""))),
        roles_claims=tuple(variables.listed(env.get("OIDC_ROLES_CLAIM", ""))),
        role_names=_role_names(env),
        discovery_url=variables.address(env, "OIDC_DISCOVERY_URL"),
        userinfo=variables.address(env, "KEYCLOAK_INTROSPECTIVE_ENDPOINT"),
        public_url=_origin(env),
        session_s=variables.number(env, "OIDC_SESSION_SEC", 3600.0, 60, 86_400),
    )


def _role_names(env: Mapping[str, str]) -> Mapping[str, str]:
    names: dict[str, str] = {}
    for item in variables.listed(env.get("OIDC_ROLE_NAMES", "")):
        theirs, _, ours = (part.strip() for part in item.rpartition("="))
        if not theirs or ours not in ROLES:
            raise OperatorError(
                f"OIDC_ROLE_NAMES has {item!r}: write the provider's name, =, and one of {', '.join(ROLES)}, separated "
                "by commas, for example Shift leaders=operator."
            )
        names[theirs] = ours
    return MappingProxyType(names)


def _origin(env: Mapping[str, str]) -> str | None:
    text = variables.address(env, "OIDC_PUBLIC_URL")
    if text is None:
        return None
    parts = urlsplit(text)
    if not parts.netloc or parts.path or parts.query or parts.fragment or "@" in parts.netloc:
        raise OperatorError(f"OIDC_PUBLIC_URL={text} must be an origin without a path, such as https://trains.example.")
    return text.lower()
