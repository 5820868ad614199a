"""Settings of people's sign-in, and what is put together from them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops import people_settings, people_wiring, settings
from ops.errors import OperatorError

ISSUER = {"OIDC_ISSUER": "https://id.example/realms/ai_site/"}


def test_without_any_nobody_signs_in_at_a_provider(tmp_path: Path) -> None:
    chosen = settings.load({"SENSORIUM_HOME": str(tmp_path)}, None)
    assert chosen.people == people_settings.PeopleSettings()
    people = people_wiring.people(chosen, "secret")
    assert people.reception is people.userinfo is None
    front = object()
    assert people.gated(front) is front  # pyright: ignore[reportArgumentType]


def test_every_variable_is_read() -> None:
    read = people_settings.read(
        ISSUER
        | {
            "OIDC_CLIENT_ID": "pages", "OIDC_CLIENT_SECRET": "hidden", "OIDC_AUDIENCE": "ai_site, shop",
            "OIDC_ROLES_CLAIM": "groups,realm_access.roles", "OIDC_ROLE_NAMES": "/a=b=operator, Chiefs=admin",
            "OIDC_DISCOVERY_URL": "http://keycloak:8080/x", "OIDC_PUBLIC_URL": "https://Trains.example",
            "OIDC_SESSION_SEC": "600", "KEYCLOAK_INTROSPECTIVE_ENDPOINT": "http://localhost/userinfo",
        }
    )  # fmt: skip
    assert read == people_settings.PeopleSettings(
        "https://id.example/realms/ai_site", "pages", "hidden", ("ai_site", "shop"),
        ("groups", "realm_access.roles"), {"/a=b": "operator", "Chiefs": "admin"},
        "http://keycloak:8080/x", "http://localhost/userinfo", "https://trains.example", 600.0,
    )  # fmt: skip
    assert "hidden" not in repr(read)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OIDC_ISSUER", "id.example"), ("OIDC_ROLE_NAMES", "Chiefs"), ("OIDC_ROLE_NAMES", "Chiefs=boss"),
        ("OIDC_ROLE_NAMES", "=admin"), ("OIDC_PUBLIC_URL", "https://a.example/ui"), ("OIDC_SESSION_SEC", "5"),
        ("OIDC_PUBLIC_URL", "https://u@a.example"), ("OIDC_PUBLIC_URL", "https://"), ("OIDC_DISCOVERY_URL", "x"),
        ("KEYCLOAK_INTROSPECTIVE_ENDPOINT", "localhost/userinfo"),
    ],
)  # fmt: skip
def test_a_bad_value_is_one_sentence_that_names_the_variable(name: str, value: str) -> None:
    with pytest.raises(OperatorError, match=f"^{name}"):
        people_settings.read(ISSUER | {name: value})


def test_the_rest_says_nothing_without_an_issuer() -> None:
    with pytest.raises(OperatorError, match="OIDC_CLIENT_ID says nothing without OIDC_ISSUER"):
        people_settings.read({"OIDC_CLIENT_ID": "pages"})


async def test_only_what_is_configured_is_put_together(tmp_path: Path) -> None:
    home = {"SENSORIUM_HOME": str(tmp_path)}
    endpoint = {"KEYCLOAK_INTROSPECTIVE_ENDPOINT": "http://localhost/userinfo"}
    alone = people_wiring.people(settings.load(home | endpoint, None), "secret")
    assert alone.reception is None
    assert alone.userinfo is not None
    both = people_wiring.people(settings.load(home | endpoint | ISSUER, None), "secret")
    assert both.reception is not None
    assert both.userinfo is None
    assert both.reception.provider.options.role_claims[0] == "realm_access.roles"
    await alone.close()
    await both.close()
