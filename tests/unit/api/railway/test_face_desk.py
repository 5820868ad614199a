"""The desk of faces when things go wrong: no answer without a trace, no queue without an end."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, cast

import pytest

from api.railway import faces
from api.railway.face_desk import UNUSABLE, Described, FaceDesk, FaceOptions, decoded
from api.railway.parts import Railway, Unrecognisable
from projections.queries.database import Database
from projections.queries.errors import Unavailable
from projections.queries.faces import Nearest
from schemas.errors import InvalidEvent, Overloaded, TransientFailure
from streams.steps import WorkFailed
from tests.drivers.deciding import RING
from tests.drivers.faces import vector

IMAGE = base64.b64encode(b"picture").decode()
FACE = Described(vector(1).tobytes(), 1.0)


class Site:
    """A read model that always answers the same, and a log that keeps what is told."""

    def __init__(self, answer: Any = None, failure: Exception | None = None) -> None:
        self.answer, self.failure = answer, failure
        self.told: list[Mapping[str, Any]] = []

    async def read(self, _read: Any) -> Any:
        return self.answer

    async def tell(self, _event: str, _key: str, record: Mapping[str, Any]) -> None:
        if self.failure:
            raise self.failure
        self.told.append(record)

    def desk(self, describe: Callable[[bytes, str], Awaitable[Sequence[Described]]], **options: Any) -> FaceDesk:
        both = cast("Any", self)
        return FaceDesk(cast("Database", both), both, RING, describe, lambda: 7, FaceOptions(**options))


async def one_face(_picture: bytes, _purpose: str) -> Sequence[Described]:
    return [FACE]


def failing(failure: Exception) -> Callable[[bytes, str], Awaitable[Sequence[Described]]]:
    async def describe(_picture: bytes, _purpose: str) -> Sequence[Described]:
        raise failure

    return describe


async def test_the_threshold_itself_still_matches() -> None:
    site = Site(Nearest("anna", 0.5))
    assert await site.desk(one_face).search(IMAGE, "robot") == "anna"
    assert (await site.desk(one_face, match_distance=0.4999).look(IMAGE, None)).user_id is None
    first, second = site.told
    assert (first["user_id"], first["outcome"], first["by"], first["at_us"]) == ("anna", "found", "robot", 7)
    assert (second["user_id"], second["outcome"], second["distance"]) == (None, "unknown", 0.5)


@pytest.mark.parametrize("failure", [TransientFailure("Kafka"), Overloaded("full")])
async def test_nothing_is_answered_when_the_access_cannot_be_kept(failure: Exception) -> None:
    desk = Site(Nearest("anna", 0.1), failure).desk(one_face)
    with pytest.raises(Unavailable, match="cannot be kept"):
        await desk.search(IMAGE, None)
    with pytest.raises(Unavailable):
        await desk.has("anna")
    with pytest.raises(Unavailable):
        await Site(["anna"], failure).desk(one_face).everybody(None)


@pytest.mark.parametrize(
    ("failure", "sentence"), [(InvalidEvent("Image too big"), "Image too big"), (WorkFailed("SIGSEGV"), UNUSABLE)]
)
async def test_a_picture_that_is_bad_or_breaks_the_worker_is_the_askers_matter(
    failure: Exception, sentence: str
) -> None:
    site = Site()
    with pytest.raises(Unrecognisable, match=sentence):
        await site.desk(failing(failure)).search(IMAGE, None)
    assert [one["outcome"] for one in site.told] == [sentence]


async def test_an_outage_of_the_worker_is_nobodys_fault() -> None:
    site = Site()
    with pytest.raises(Unavailable, match="now"):
        await site.desk(failing(TransientFailure("no model data"))).search(IMAGE, None)
    assert site.told == []


async def test_so_many_pictures_wait_and_no_more() -> None:
    site, going_on = Site(), asyncio.Event()

    async def slow(_picture: bytes, _purpose: str) -> Sequence[Described]:
        await going_on.wait()
        return [FACE]

    desk = site.desk(slow, waiting=2)
    waiting = [asyncio.create_task(desk.search(IMAGE, None)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable, match="Too many"):
        await desk.search(IMAGE, None)
    going_on.set()
    assert await asyncio.gather(*waiting) == [None, None]
    assert await desk.search(IMAGE, None) is None, "there is room again"


def test_standard_base64_is_read_with_line_ends_and_nothing_else() -> None:
    assert decoded(base64.encodebytes(b"x" * 100).decode()) == b"x" * 100
    for bad in ("data:image/png;base64,AAAA", "A", "AA AA", "каша", "AA=A"):
        with pytest.raises(Unrecognisable, match="base64"):
            decoded(bad)


def test_the_face_server_has_a_guard_of_its_own() -> None:
    async def admin() -> str:
        return "anybody near"

    async def biometrics() -> str:
        return "a role"

    def guards(railway: Railway) -> set[Any]:
        routes = cast("Any", faces.build(railway).routes)
        return {one.call for route in routes for one in route.dependant.dependencies}

    there = cast("Any", None)
    assert guards(Railway(there, there, RING, admin=admin, biometrics=biometrics)) == {biometrics}
    assert guards(Railway(there, there, RING, admin=admin)) == {admin}
