"""Faces end to end: HTTP, commands, the decider, gallery and table, and back; what is deleted stays deleted."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import threading
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import httpx
import psycopg
import pytest
from fastapi import HTTPException, Request

from api.railway.app import Front, servers
from api.railway.face_desk import Described, FaceDesk, FaceOptions
from api.railway.parts import Railway
from ops.errors import OperatorError
from ops.replay import Replay, Servers
from producers.commands import Writer
from producers.publisher import Publisher
from producers.replies import ReplyReader
from projections import runner
from projections.queries import faces as queries
from projections.queries.database import Database
from projections.read_model import ReadModel
from projections.registry import READ_MODELS
from projections.store import ExtensionMissing
from projections.store_models import Models
from schemas import examples
from schemas.envelope import KeyRing
from schemas.errors import InvalidEvent, TransientFailure
from schemas.serde import encode
from streams.gallery import FollowedGallery, Gallery
from tests.drivers.deciding import RING, DecidingSite
from tests.drivers.faces import children, described_by, face, vector
from tests.drivers.pictures import SAMPLE_FACES
from tests.drivers.waiting import eventually, until

TOPICS = ("faces.commands", "faces.events", "faces.gallery", "faces.accesses", "security.matches")
NEWER = KeyRing({**RING.keys, "k2": b"2" * 32}, "k2")
FACE = "/face_api/v1"
TOKEN = {"Authorization": "Bearer token"}


class Quiet:
    """Reports nothing."""

    def phase(self, name: str, total: int) -> None:
        """Nothing."""

    def advanced(self, rows: int, offsets: int) -> None:
        """Nothing."""


def picture(*seeds: float) -> str:
    """What `describe` takes for a picture of these faces; 7.3 is the face 7, 0.3 away from its other pictures."""
    return base64.b64encode(" ".join(map(str, seeds)).encode()).decode()


async def describe(data: bytes, purpose: str, /) -> Sequence[Described]:
    text = data.decode()
    if text.startswith("broken"):
        raise InvalidEvent("Image too big" if purpose == "enrol" else "Not an image")
    if text.startswith("away"):
        raise TransientFailure("no model")
    seeds = [float(word) for word in text.split()]
    return [Described(vector(int(one), near=one % 1).tobytes(), 1.0) for one in seeds]


async def with_token(request: Request) -> str:
    if request.headers.get("authorization") != TOKEN["Authorization"]:
        raise HTTPException(401, "Not authenticated")
    return "token"


async def no_other(_scope: Any, _receive: Any, _send: Any) -> None:
    raise AssertionError("nothing else is asked")


async def nobody_in_particular(_request: Request) -> None:
    return None


@pytest.fixture(scope="module")
def site(kafka_bootstrap: str) -> Iterator[DecidingSite]:
    with contextlib.closing(DecidingSite(kafka_bootstrap, *TOPICS)) as made, made.deciding("faces"):
        yield made


def at_site(site: DecidingSite, **changed: Any) -> ReadModel:
    model = READ_MODELS["faces"]
    return replace(model, topics=tuple(site.topics[topic] for topic in model.topics), **changed)


@pytest.fixture(scope="module")
def projected(site: DecidingSite, database_url: str) -> Iterator[None]:
    lacking = replace(at_site(site), name="other_faces", needs="no_such_extension", views={})
    stop, ready = threading.Event(), threading.Event()
    models = {"other_faces": lacking, "faces": at_site(site)}
    arguments = (site.bootstrap, database_url, NEWER, "t", stop, models, ready.set)
    thread = threading.Thread(target=runner.run, args=arguments, name="projector")
    thread.start()
    assert ready.wait(30)
    yield
    stop.set()
    thread.join()


@pytest.fixture
async def railway(site: DecidingSite, database_url: str, projected: None) -> AsyncIterator[Railway]:
    publisher = Publisher(site.bootstrap, client_id="front", linger_ms=0)
    replies = ReplyReader(site.bootstrap, uuid.uuid4().hex)
    database = Database(database_url)
    writer = Writer(publisher, replies, deadline_s=20, model_wait_s=20, topic_of=site.topic_of)
    desk = FaceDesk(database, writer, RING, describe, lambda: 1_767_258_000_000_000, FaceOptions(0.5))
    await replies.start()
    await database.open()
    await until(lambda: replies.ready)
    yield Railway(database, writer, RING, admin=nobody_in_particular, biometrics=with_token, faces=desk)
    await replies.stop()
    await database.close()
    publisher.close()


@pytest.fixture
async def client(railway: Railway) -> AsyncIterator[httpx.AsyncClient]:
    app = Front(servers(railway), no_other)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://t", headers=TOKEN) as session:
        yield session


async def enrol(client: httpx.AsyncClient, user_id: str, image: str, **headers: str) -> tuple[int, Any]:
    answer = await client.post(f"{FACE}/face", json={"user_id": user_id, "image": image}, headers=headers)
    return answer.status_code, answer.json()


async def search(client: httpx.AsyncClient, image: str) -> tuple[int, Any]:
    answer = await client.post(f"{FACE}/search", json={"image": image})
    return answer.status_code, answer.json()


async def test_enrol_search_replace_delete_and_no_replay_brings_it_back(
    client: httpx.AsyncClient, site: DecidingSite, database_url: str
) -> None:
    anna, boris = str(uuid.uuid4()), str(uuid.uuid4())
    assert await search(client, picture(1)) == (404, {"detail": "User not found"})
    assert await enrol(client, anna, picture(1)) == (200, {"status": "OK"})
    assert await search(client, picture(1.3)) == (200, {"user_id": anna})
    assert await search(client, picture(3)) == (404, {"detail": "Not found"})
    assert await enrol(client, boris, picture(1.3)) == (409, {"detail": "User already exists"})
    assert await enrol(client, boris, picture(2)) == (200, {"status": "OK"})
    assert await enrol(client, anna.upper(), picture(1.3)) == (200, {"status": "OK"}), "one's own face is replaced"
    assert await enrol(client, anna, picture(4)) == (200, {"status": "OK"}), "and by quite another one"
    assert await search(client, picture(1)) == (404, {"detail": "Not found"})
    assert await search(client, picture(4, 2)) == (200, {"user_id": anna}), "the largest counts"
    assert (await client.get(f"{FACE}/faces")).json() == [{"user_id": boris}, {"user_id": anna}]
    assert (await client.delete(f"/face_api/face/{anna}")).json() == {"status": "OK"}
    assert (await client.delete(f"/face_api/face/{anna}")).json() == {"status": "OK"}
    assert (await client.get(f"{FACE}/check/{anna}")).json() == {"status": False}
    assert (await client.get(f"{FACE}/check/{boris}")).json() == {"status": True}
    assert await search(client, picture(4)) == (404, {"detail": "Not found"})

    replay = Replay(Servers(site.bootstrap, database_url, NEWER), at_site(site), threading.Event(), Quiet())
    outcome = await asyncio.to_thread(replay.next_version)
    assert outcome.switched
    assert outcome.differences == ()
    with pytest.raises(OperatorError, match="faces has no past"):
        replay.past("before", 1)
    assert [one["user_id"] for one in (await client.get(f"{FACE}/faces")).json()] == [boris]
    assert await search(client, picture(2)) == (200, {"user_id": boris}), "turned the same way as before"

    gallery = FollowedGallery(site.bootstrap, Gallery(RING, 0.5), topic=site.topics["faces.gallery"])
    gallery.start()
    await until(lambda: gallery.ready)
    found = [await gallery({"vector": vector(one).tobytes()}) for one in (1, 2, 4)]
    await gallery.close()
    assert [one["user_id"] for one in found] == [None, boris, None]
    newest = {record.key: record for record in site.records("faces.gallery")}
    assert len(newest[anna.encode()].value or b"") < 100, "compaction leaves this one, which holds no face"


async def test_every_access_is_kept(client: httpx.AsyncClient, database_url: str) -> None:
    anna = str(uuid.uuid4())
    await enrol(client, anna, picture(21))
    await enrol(client, anna, picture(21.2))
    await search(client, picture(21))
    await search(client, picture(22))
    await client.get(f"{FACE}/check/{anna}")
    await client.delete(f"{FACE}/face/{anna}")
    await enrol(client, anna, picture(1, 2))

    def kept() -> list[tuple[Any, ...]]:
        with psycopg.connect(database_url) as connection:
            asked = (
                "SELECT purpose, outcome, user_id IS NOT NULL, distance < 0.5, by FROM face_accesses"
                " WHERE user_id = %s OR (user_id IS NULL AND outcome = 'unknown') ORDER BY kafka_offset DESC LIMIT 7"
            )
            return connection.execute(asked, (anna,)).fetchall()[::-1]

    expected = [
        ("enrol", "done", True, None, "token"),
        ("replace", "done", True, None, "token"),
        ("search", "found", True, True, "token"),
        ("search", "unknown", False, False, "token"),
        ("check", "yes", True, None, "token"),
        ("delete", "done", True, None, "token"),
        ("enrol", "Too many faces", True, None, "token"),
    ]
    eventually(lambda: kept() == expected)


async def test_sightings_are_kept(client: httpx.AsyncClient, site: DecidingSite, database_url: str) -> None:
    seen = examples.load("FaceMatched") | {"sighting_id": uuid.uuid4().hex}
    for _ in range(2):
        value = encode("FaceMatched", seen)
        site.send_raw(site.topics["security.matches"], "robot-1", value, uuid.uuid4().hex, "FaceMatched")

    def kept() -> list[tuple[Any, ...]]:
        with psycopg.connect(database_url) as connection:
            return connection.execute("SELECT sighting_id, camera, user_id, distance FROM face_sightings").fetchall()

    eventually(lambda: kept() == [(seen["sighting_id"], "door", seen["user_id"], 0.5)])


async def test_what_is_no_portrait_is_refused_with_a_sentence(client: httpx.AsyncClient) -> None:
    assert await enrol(client, "u", picture()) == (422, {"detail": "No faces"})
    assert await enrol(client, "u", picture(1, 2)) == (422, {"detail": "Too many faces"})
    assert await enrol(client, "u", base64.b64encode(b"broken").decode()) == (422, {"detail": "Image too big"})
    assert await search(client, picture()) == (422, {"detail": "No faces"})
    assert await search(client, base64.b64encode(b"broken").decode()) == (422, {"detail": "Not an image"})
    assert await search(client, "no-base64") == (422, {"detail": "Not an image: its base64 cannot be read"})
    assert (await search(client, "A" * 10_485_761))[0] == 422
    assert (await enrol(client, "", picture(1)))[0] == 422
    assert (await enrol(client, "a\x00b", picture(1)))[0] == 422
    away = await client.post(f"{FACE}/search", json={"image": base64.b64encode(b"away").decode()})
    assert (away.status_code, "retry-after" in away.headers) == (503, True)


async def test_a_retry_with_its_key_is_one_enrolment_and_one_face_has_one_owner(client: httpx.AsyncClient) -> None:
    anna, key = str(uuid.uuid4()), {"Idempotency-Key": uuid.uuid4().hex}
    assert await enrol(client, anna, picture(31), **key) == (200, {"status": "OK"})
    assert await enrol(client, anna, picture(31), **key) == (200, {"status": "OK"})
    assert (await enrol(client, anna, picture(32), **key))[0] == 409
    racing = await asyncio.gather(*(enrol(client, str(uuid.uuid4()), picture(33 + one / 10)) for one in range(3)))
    assert sorted(status for status, _ in racing) == [200, 409, 409]


ROUTES = [("POST", "/face"), ("POST", "/search"), ("DELETE", "/face/u"), ("GET", "/faces"), ("GET", "/check/u")]


async def test_nobody_comes_in_without_a_role(client: httpx.AsyncClient) -> None:
    body = {"user_id": "u", "image": picture(1)}
    for method, path in ROUTES:
        answer = await client.request(method, FACE + path, json=body, headers={"Authorization": ""})
        assert answer.status_code == 401, path


async def test_a_face_under_another_key_is_found_and_one_whose_key_is_gone_is_not(
    railway: Railway, site: DecidingSite
) -> None:
    asked = Request({"type": "http", "method": "POST", "path": "/", "headers": []})
    older, newer = str(uuid.uuid4()), str(uuid.uuid4())
    desk = railway.faces
    assert desk is not None
    rotated = FaceDesk(railway.database, railway.writer, NEWER, describe, lambda: 0)
    await desk.enrol(asked, older, picture(41), None)
    sealed = {"user_id": newer, "face": face(newer, vector(42), ring=NEWER), "at_us": 1}
    site.send_raw(site.topics["faces.gallery"], newer, encode("GalleryFaceSet", sealed), newer, "GalleryFaceSet")
    await until(lambda: rotated.has(newer))
    assert await rotated.search(picture(41.1), None) == older
    assert await rotated.search(picture(42.1), None) == newer
    assert await desk.search(picture(42), None) is None, "this process has not got the newer key"
    assert not await desk.has(newer)
    nearest = partial(queries.nearest, vector=vector(41).tobytes(), model="another-model", ring=NEWER)
    assert await railway.database.read(nearest) is None


def test_without_the_extension_one_sentence_is_said_and_the_others_go_on(
    site: DecidingSite, projected: None, database_url: str
) -> None:
    with Models(database_url) as models:
        assert {version.model for version in models.listing()} == {"faces"}, "the projector was asked for both"
        with pytest.raises(ExtensionMissing, match="lacking needs PostgreSQL's extension no_such_extension"):
            models.create(at_site(site, name="lacking", needs="no_such_extension"), {}, state="live")
        assert {version.model for version in models.listing()} == {"faces"}


@pytest.mark.skipif(not SAMPLE_FACES.is_dir(), reason="no photographs: a drawn face is none to dlib")
async def test_real_pictures_through_a_child(railway: Railway) -> None:
    pool = children()
    desk = FaceDesk(railway.database, railway.writer, RING, described_by(pool), lambda: 0)
    asked = Request({"type": "http", "method": "POST", "path": "/", "headers": []})
    president, other = str(uuid.uuid4()), str(uuid.uuid4())
    images = {path.stem: base64.b64encode(path.read_bytes()).decode() for path in SAMPLE_FACES.iterdir()}
    try:
        await desk.enrol(asked, president, images["obama"], None)
        await desk.enrol(asked, other, images["happy"], None)
        assert await desk.search(images["obama2"], None) == president
        assert await desk.search(images["surprised"], None) is None
    finally:
        await pool.close()
