"""Every route of the three servers against whatever their own documentation allows, and forbids, to be sent.

Seeded and bounded. Nothing may be a 5xx, nothing a status or a body that the documentation does not name. Half of the
requests are about things that exist.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.drivers import railway_site
from tests.drivers.railway_office import server_of
from tests.drivers.railway_site import PERSON, Tokens, picture
from tests.drivers.serving import served

SERVERS = ("base_api", "store_api", "face_api")
EXAMPLES = {GenerationMode.POSITIVE: 5, GenerationMode.NEGATIVE: 3}
"""Of each route."""
SEED = 3
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
SKIPPED = (503,)
"""Told when there is too much to do; it is documented, and says nothing of the route."""
DATE = "2026-03-01T14:30:00Z"


class Lived:
    """The servers as an app with a life: what they answer from belongs to the loop they run in."""

    def __init__(self, *site: Any) -> None:
        self._site, self._stack = site, AsyncExitStack()
        self._app: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            railway = await self._stack.enter_async_context(
                railway_site.served(*self._site, extra={"sessions": Tokens()})
            )
            self._app = server_of(railway)
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await self._stack.aclose()
            await send({"type": "lifespan.shutdown.complete"})
        else:
            await self._app(scope, receive, send)


@dataclass(frozen=True)
class Served:
    """An address, ids that exist by the names of parameters, and who is let in where."""

    url: str
    known: Mapping[str, str]
    headers: Mapping[str, Mapping[str, str]]

    def allowed(self, path: str) -> Mapping[str, str]:
        """What lets in at a route."""
        return next((one for prefix, one in self.headers.items() if path.startswith(f"/v1{prefix}")), {})


@pytest.fixture(scope="module")
def servers(kafka_bootstrap: str, database_url: str) -> Iterator[Served]:
    with railway_site.at_work(kafka_bootstrap, database_url) as site, served(Lived(site, database_url)) as url:
        known = _filled(url)
        as_store = {"Authorization": f"Bearer STORE/{known['store_id']}"}
        as_robot = {"Authorization": f"Bearer ROBOT/{uuid.uuid4()}"}
        headers = {"/store": as_store, "/robot": as_robot, "/frontend": {PERSON: known["user_id"]}}
        yield Served(url, known, headers)


def _filled(url: str) -> dict[str, str]:
    """One of each kind."""
    known = {"destination_id": "SPB", "date": DATE, "face": picture(1), "image": picture(1)}
    with httpx.Client(base_url=url, timeout=30) as client:

        def made(path: str, body: Any, **headers: str) -> str:
            answer = client.post(path, json=body, headers=headers)
            assert answer.status_code == 200, answer.text
            return str(answer.json()["id"])

        base, shop = "/base_api/admin", {"description": "", "logo_url": ""}
        known["user_id"] = made(f"{base}/user", {"name": "Анна", "face": picture(1)})
        known["engineer_id"] = made(f"{base}/engineer", {"login": "eva", "password": "p"})
        place = {"train_number": 7, "wagon_number": 1, "place_number": 1, "station_id": "a", "destination": "SPB"}
        dates = {"user_id": known["user_id"], "date": DATE, "start_date": DATE}
        known["ticket_id"] = made(f"{base}/ticket", place | dates)
        known["hotel_id"] = made(f"{base}/destination/SPB/hotel", shop | {"name": "a"})
        known["store_id"] = made("/store_api/admin/store", shop | {"name": "a", "store_type": "SHOP"})
        item = {"name": "a", "price_penny": 1} | shop
        token = f"Bearer STORE/{known['store_id']}"
        known["item_id"] = made("/store_api/store/item", item, Authorization=token)
        known |= {"id": known["engineer_id"], "k_id": str(uuid.uuid4()), "code": known["ticket_id"]}
    return known


@pytest.mark.parametrize("server", SERVERS)
def test_nothing_breaks_and_nothing_surprises(servers: Served, server: str) -> None:
    schema = schemathesis.openapi.from_url(f"{servers.url}/{server}/openapi.json")
    faults: list[str] = []
    operations = sorted((one.ok() for one in schema.get_all_operations()), key=lambda one: one.method == "delete")
    assert operations
    with requests.Session() as session:
        for operation in operations:
            for mode in GenerationMode:
                faults += _faults(servers, operation, mode, session)
    assert not faults, "\n\n".join(faults)


def _faults(servers: Served, operation: Any, mode: GenerationMode, session: requests.Session) -> list[str]:
    """What is wrong with a route; the first fault of it is enough."""
    allowed = servers.allowed(operation.path)

    @seed(SEED)
    @settings(
        max_examples=EXAMPLES[mode], deadline=None, database=None, derandomize=False,
        phases=[Phase.generate], suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy(generation_mode=mode), real=st.booleans())
    def asked(case: Any, real: bool) -> None:
        if real:
            case.path_parameters = _real(case.path_parameters, servers.known)
            case.body = _real(case.body, servers.known) if mode is GenerationMode.POSITIVE else case.body
        response = case.call(session=session, headers=dict(allowed))
        if response.status_code not in SKIPPED:
            case.validate_response(response, checks=CHECKS)

    try:
        asked()
    except Unsatisfiable:  # nothing can be wrong about a request without parameters
        return []
    except FailureGroup as fault:
        return [f"{operation.method.upper()} {operation.path} ({mode.value}): {fault.exceptions}"]
    return []


def _real(sent: Any, known: Mapping[str, str]) -> Any:
    """The same with what exists in its place."""
    match sent:
        case dict():
            return {name: known.get(name) or _real(value, known) for name, value in sent.items()}
        case list():
            return [_real(one, known) for one in sent]
        case _:
            return sent


HOSTILE = [
    b"",
    b"\xff\xfe{",
    b"[" * 50_000,
    b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    b'{"name": NaN, "date": Infinity, "page": -1e999}',
    b'{"name": "\\ud800", "login": "\\u0000", "train_number": ' + b"9" * 5000 + b"}",
    b'{"date": -99999999999999999999, "start_date": 1e308, "user_id": {}}',
]
"""Bodies that no documentation has."""


@pytest.mark.parametrize("server", SERVERS)
def test_what_is_no_json_is_refused(servers: Served, server: str) -> None:
    document = httpx.get(f"{servers.url}/{server}/openapi.json").json()
    asked = 0
    with httpx.Client(base_url=f"{servers.url}/{server}", timeout=30) as client:
        for path, operations in document["paths"].items():
            for method in [name for name, one in operations.items() if "requestBody" in one]:
                place = path.format_map(Known(servers.known))
                headers: Any = {"Content-Type": "application/json", "Idempotency-Key": b"\xff"} | servers.allowed(path)
                for body in HOSTILE:
                    answer = client.request(method, place, content=body, headers=headers)
                    told = operations[method]["responses"]
                    assert answer.status_code < 500, (method, path, body[:80])
                    assert str(answer.status_code) in told, (method, path, body[:80], answer.text)
                    asked += 1
    assert asked >= 2 * len(HOSTILE)


class Known(dict[str, str]):
    """Ids by name; of what is not known, some id."""

    def __missing__(self, _key: str) -> str:
        return str(uuid.UUID(int=1))
