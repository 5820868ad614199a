"""CORS of the raw routes is what Starlette's middleware says of the others."""

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from producers.cors import Cors

NAMES = ("vary", "access-control-allow-origin", "access-control-allow-credentials")


@pytest.mark.parametrize("more", [(), ("https://shop.example",), ("*",)])
@pytest.mark.parametrize(
    "origin",
    ["http://localhost:3000", "http://127.0.0.1:3000", "http://localhost:8080", "https://shop.example", "null"],
)
async def test_an_answer_has_the_headers_that_starlette_gives(more: tuple[str, ...], origin: str):
    cors = Cors(more)
    app = Starlette(routes=[Route("/", lambda _request: PlainTextResponse("x"))])
    guarded = CORSMiddleware(app, allow_origins=cors.origins, allow_credentials=True)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(guarded), base_url="http://gateway") as client:
        theirs = (await client.get("/", headers={"Origin": origin})).headers
    ours = {name.decode(): value.decode() for name, value in cors.headers({b"origin": origin.encode()})}
    expected = {name: theirs[name] for name in NAMES if name in theirs}
    # With "*" Starlette leaves Vary out or in by version; a named origin in the answer always needs it.
    assert ours == expected | {"vary": "Origin"}


@pytest.mark.parametrize("origin", ["http://localhost:3000", "http://localhost:8080"])
def test_the_seeds_own_pages_are_let_read_out_of_the_box(origin: str):
    assert (b"access-control-allow-origin", origin.encode()) in Cors().headers({b"origin": origin.encode()})


def test_without_an_origin_nothing_is_added():
    assert Cors().headers({}) == []
