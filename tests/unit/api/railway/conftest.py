"""A railway in memory and a client of its servers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import Request

from api.passwords import Passwords
from tests.drivers.railway_office import Faces, Office, client_at, railway_of, server_of
from tests.drivers.railway_shops import Shops

PERSON = "X-Person"


async def person(request: Request) -> str:
    """A passenger says who he is in a header."""
    return request.headers[PERSON]


@pytest.fixture(scope="session")
def site() -> tuple[Office, Faces, object]:
    """Servers that everybody administrates; built once, for that takes a quarter of a second."""
    office, faces = Office(), Faces()
    cheap = {"passwords": Passwords(memory_kib=8, passes=1)}
    return office, faces, server_of(railway_of(office, faces=faces, person=person, extra=cheap))


@pytest.fixture
def office(site: tuple[Office, Faces, object]) -> Office:
    """Empty at each test."""
    site[0].__init__()
    return site[0]


@pytest.fixture
def faces(site: tuple[Office, Faces, object]) -> Faces:
    """Knows nobody at each test."""
    site[1].__init__()
    return site[1]


@pytest.fixture
async def base(site: tuple[Office, Faces, object], office: Office, faces: Faces) -> AsyncIterator[httpx.AsyncClient]:
    """The Base server."""
    del office, faces
    async with client_at(site[2], "/base_api") as client:
        yield client


@pytest.fixture(scope="module")
def shop_site() -> tuple[Shops, Any]:
    """Servers are built once: that takes a third of a second."""
    shops = Shops()
    return shops, server_of(railway_of(shops))


@pytest.fixture
def shops(shop_site: tuple[Shops, Any]) -> Shops:
    """As they were at the beginning."""
    shop_site[0].__init__()
    return shop_site[0]


@pytest.fixture
async def client(shop_site: tuple[Shops, Any], shops: Shops) -> AsyncIterator[httpx.AsyncClient]:
    """Of these servers."""
    del shops
    async with client_at(shop_site[1]) as session:
        yield session
