"""The whole front app as `sensorium` puts it together, with nothing behind it: who is let in where?

Log and database are away, but for who signed in; so whoever is let in gets something else than 401 and 403, and
nothing happens.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from fastapi.routing import iter_route_contexts

from api.openid import OpenIdOptions, Person, Provider
from api.people_gate import Site
from api.person_cookies import SESSION, Cookies
from api.railway import sessions
from api.routes.person_pages import Reception
from api.sign_in import SignIn, SignInOptions
from ops import people_wiring, sales_wiring, settings, wiring
from producers.answers import refusal
from producers.gateway import Gateway
from projections.queries import railway_access, users
from projections.queries.errors import Unavailable
from schemas.errors import TransientFailure
from tests.drivers.gateway import FakeLog, FakeReplies
from tests.drivers.openid_provider import OpenIdProvider, User, key
from tests.drivers.recorders import TOKEN as DEVICE_TOKEN
from tests.drivers.recorders import FakeDirectory, device

HOST = "sensorium.example"
FAR, NEAR, HERE = "203.0.113.9", "10.1.2.3", "127.0.0.1"
ADMIN_TOKEN, INTERNAL_TOKEN = "the-admin-token-of-this-site", "the-internal-token"
ROBOT_TOKEN, STORE_TOKEN = "0f9d3c1e-robot", "0f9d3c1e-store"
USER, ADMINISTRATOR = UUID(int=1), UUID(int=2)
KEY = key()


@dataclass(frozen=True)
class Caller:
    """Somebody who asks: from where, and what he shows."""

    name: str
    peer: str = FAR
    host: str = HOST
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    roles: frozenset[str] = frozenset()
    signed_in: bool = False


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


class Nothing:
    """A database that knows who signed in, and is away for all else."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    async def read(self, read: Any, **_: Any) -> Any:
        function, asked = (read.func, read.keywords) if isinstance(read, partial) else (read, {})
        if function is railway_access.sessions:
            kinds = {sessions.hash_of(ROBOT_TOKEN): "ROBOT", sessions.hash_of(STORE_TOKEN): "STORE"}
            told = {
                "session_id": "s",
                "component_id": UUID(int=3),
                "expires_at": datetime.now(UTC) + timedelta(hours=1),
            }
            return {one: told | {"client_type": kinds[one]} for one in asked["token_sha256s"] if one in kinds}
        if function is users.one:
            who = asked["user_id"]
            told = {"username": "u", "user_id": str(who), "is_active": True, "is_admin": who == ADMINISTRATOR}
            return told if who in (USER, ADMINISTRATOR) else None
        raise Unavailable("PostgreSQL is away")


class NoWriter:
    def __init__(self, *_: Any) -> None:
        pass

    async def command(self, *_: Any, **__: Any) -> Any:
        raise TransientFailure("Kafka is away")

    append = tell = command


class FrontDoor:
    """The app, its routes, and every kind of caller. `there` on a socket is a provider that browsers reach, too."""

    def __init__(
        self, home: Any, patch: pytest.MonkeyPatch, *, provider: bool, there: OpenIdProvider | None = None
    ) -> None:
        self.there = there or OpenIdProvider(keys=[KEY])
        self.cookies = Cookies("a secret that all processes share")
        env = {
            "SENSORIUM_HOME": str(home), "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "ADMIN_TOKEN": ADMIN_TOKEN,
            "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", "TRUSTED_NETWORKS": "10.0.0.0/8",
            "INTERNAL_TOKEN": INTERNAL_TOKEN,
        }  # fmt: skip
        self.settings = settings.load(env, None)
        options = OpenIdOptions(self.there.issuer, self.there.client_id)
        line, site = (None, Site()) if there else (self.there.client(), Site(f"http://{HOST}"))
        reception = Reception(Provider(options, client=line), self.cookies, site)
        self.people = people_wiring.People(reception if provider else None)
        patch.setattr(people_wiring, "people", lambda *_: self.people)
        patch.setattr("api.app.Database", Nothing)
        patch.setattr("producers.commands.Writer", NoWriter)
        patch.setattr("producers.gateway.truncate", _away)
        patch.setattr(wiring, "gateway", self._gateway(wiring.gateway))
        self.app = wiring.front_app(self.settings)

    def _gateway(self, made: Any) -> Any:
        options = made(self.settings).options
        parts: Any = {"publisher": FakeLog(), "replies": FakeReplies(), "directory": FakeDirectory(device())}
        return lambda _: Gateway(options, **parts)

    def routes(self) -> Iterator[tuple[str, str]]:
        """Every method and path there is; a mounted folder counts as one path."""
        found = set(_routes(self.app, ""))
        for method, path in found:
            if method != "HEAD" or ("GET", path) not in found:
                yield method, path

    def callers(self) -> Iterator[Caller]:
        """Everybody."""
        yield Caller("nobody far away")
        yield Caller("nobody in a trusted network", NEAR)
        yield Caller("nobody on this machine", HERE, "localhost:8000")
        yield Caller("a foreign page made to reach this machine", HERE, "evil.example")
        yield Caller("somebody with a wrong token", headers=bearer("wrong"))
        yield Caller("ADMIN_TOKEN", headers=bearer(ADMIN_TOKEN))
        yield Caller("a robot", headers=bearer(ROBOT_TOKEN))
        yield Caller("a store", headers=bearer(STORE_TOKEN))
        yield Caller("a recorder", headers=bearer(DEVICE_TOKEN))
        yield Caller("an asr worker", headers=bearer(INTERNAL_TOKEN))
        sales = SignIn(SignInOptions(jwt_secret=sales_wiring.jwt_secret(self.settings)), Nothing())  # pyright: ignore[reportArgumentType]
        yield Caller("a user", headers=bearer(sales.token_of(str(USER))))
        yield Caller("an administrator", headers=bearer(sales.token_of(str(ADMINISTRATOR))))
        own: dict[str, str] = {}
        for role in ("", "analyst", "operator", "security", "admin"):
            self.there.user = User(roles=(role,) if role else ())
            roles = frozenset({role} - {""})
            name = role or "without a role"
            yield Caller(f"a person, {name}", headers=bearer(self.there.token()), roles=roles, signed_in=True)
            if role in ("analyst", "admin"):
                sealed = self.cookies.of_person(Person(self.there.user.subject, "anna", roles))
                own = {"cookie": f"{SESSION}={sealed}", "origin": f"http://{HOST}"}
                yield Caller(f"a page, {name}", headers=own, roles=roles)
        yield Caller("a foreign page", headers=own | {"origin": "https://evil.example"})

    async def status(self, method: str, path: str, caller: Caller) -> int:
        """What a caller is answered; only the beginning of the answer is waited for."""
        said = {"host": caller.host, "content-type": "application/json", **caller.headers}
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http", "method": method,
            "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "",
            "client": (caller.peer, 40_000), "server": (HOST, 80), "state": {},
            "headers": [(name.encode(), value.encode()) for name, value in said.items()],
        }  # fmt: skip
        begun: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        bodies = iter([{"type": "http.request", "body": b"[]", "more_body": False}])

        async def receive() -> Any:
            return next(bodies, None) or await asyncio.Event().wait()

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start" and not begun.done():
                begun.set_result(message["status"])

        answering = asyncio.ensure_future(self.app(scope, receive, send))
        done, _ = await asyncio.wait((answering, begun), timeout=10, return_when=asyncio.FIRST_COMPLETED)
        if not begun.done():
            raise AssertionError(f"{method} {path}: {answering.exception() if answering in done else 'no answer'}")
        answering.cancel()
        await asyncio.gather(answering, return_exceptions=True)
        return begun.result()


async def _away(*_: Any, **__: Any) -> Any:
    raise refusal(503, "Kafka is away")


def _routes(app: Any, prefix: str) -> Iterator[tuple[str, str]]:
    """The routes of an app and of all apps inside it."""
    for method, path in getattr(app, "_hot_routes", ()):
        yield method, prefix + path
    for below, server in getattr(app, "_servers", {}).items():
        yield from _routes(server, prefix + below)
    if not hasattr(app, "router"):
        for inside in ("_app", "app"):
            if hasattr(app, inside):
                yield from _routes(getattr(app, inside), prefix)
        return
    for route in iter_route_contexts(app.routes):
        path = prefix + str(route.path)
        if route.methods is None:
            yield "GET", f"{path}/{{rest:path}}"
        for method in route.methods or ():
            yield method, path
