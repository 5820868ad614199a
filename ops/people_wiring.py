"""The composition root's part for people's sign-in: the provider, what browsers keep, who is a passenger."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ops.settings import Settings

if TYPE_CHECKING:
    from api.openid import OpenIdOptions
    from api.railway.people import ByUserinfo, Person
    from api.routes.person_pages import Reception
    from producers.answers import AsgiApp
    from projections.queries.database import Database


@dataclass(frozen=True, slots=True)
class People:
    """What a site has of it. `reception` None: no provider is configured, and all stays as it is without one."""

    reception: Reception | None = None
    userinfo: ByUserinfo | None = None

    def gated(self, app: AsgiApp) -> AsgiApp:
        """`app` behind the gate that says who asks; the app itself where nobody signs in."""
        if self.reception is None:
            return app
        from api.people_gate import Gate

        at = self.reception
        return Gate(app, at.provider, at.cookies, at.site)

    def passengers(self, database: Database) -> Person | None:
        """The dependency for passengers: by signature, by userinfo where only that is configured, None without both."""
        from api.railway.people import BySignature, person_of

        subjects = BySignature(self.reception.provider) if self.reception else self.userinfo
        return None if subjects is None else person_of(subjects, partial(_linked, database))

    async def close(self) -> None:
        """Close the connections; afterwards nothing is asked."""
        if self.reception:
            await self.reception.provider.close()
        if self.userinfo:
            await self.userinfo.close()


def people(settings: Settings, secret: str) -> People:
    """What the settings say; `secret` is what browsers' cookies are sealed with, the same in all processes."""
    from api.openid import Provider
    from api.people_gate import Site
    from api.person_cookies import Cookies
    from api.railway.people import ByUserinfo
    from api.routes.person_pages import Reception

    chosen = settings.people
    if chosen.issuer is None:
        return People(userinfo=ByUserinfo(chosen.userinfo) if chosen.userinfo else None)
    provider = Provider(_options(settings))
    return People(Reception(provider, Cookies(secret, chosen.session_s), Site(chosen.public_url)))


def _options(settings: Settings) -> OpenIdOptions:
    from api.openid import ROLE_CLAIMS, OpenIdOptions

    chosen = settings.people
    return OpenIdOptions(
        chosen.issuer or "",
        chosen.client_id,
        chosen.client_secret,
        audiences=chosen.audiences,
        role_claims=chosen.roles_claims or ROLE_CLAIMS,
        role_names=chosen.role_names,
        document_url=chosen.discovery_url,
    )


async def _linked(database: Database, keycloak_id: str) -> str | None:
    """The passenger by the table keycloak_users."""
    from projections.queries import railway_passengers

    return await database.read(partial(railway_passengers.user_of_keycloak, keycloak_id=keycloak_id))
