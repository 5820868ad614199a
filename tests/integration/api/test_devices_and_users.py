"""Devices and users end to end: HTTP, commands, deciders, read models, and back."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace

import httpx
import psycopg
import pytest

from api.passwords import Passwords
from api.routes import devices, users
from api.routes.users import People
from api.sign_in import SignIn, SignInOptions
from producers.commands import Writer
from producers.publisher import Publisher
from producers.replies import ReplyReader
from projections import runner
from projections.queries.database import Database
from projections.read_model import ReadModel
from projections.registry import READ_MODELS
from schemas import cloudevents, examples, serde
from tests.drivers.deciding import RING, DecidingSite
from tests.drivers.desk import app_of
from tests.drivers.waiting import eventually, until

ADMIN = {"Authorization": "Bearer admin-token"}
DEVICES, USERS, LOGIN = "/api/v1/admin/devices", "/api/v1/users", "/api/v1/auth/login"


def at_site(model: ReadModel, site: DecidingSite) -> ReadModel:
    return replace(model, topics=tuple(site.topics[topic] for topic in model.topics))


@pytest.fixture(scope="module")
def site(kafka_bootstrap: str) -> Iterator[DecidingSite]:
    with contextlib.closing(DecidingSite(kafka_bootstrap, "audio.chunks")) as made:
        yield made


@pytest.fixture(scope="module")
def projected(site: DecidingSite, database_url: str) -> Iterator[None]:
    models = {name: at_site(READ_MODELS[name], site) for name in ("devices", "users")}
    stop, ready = threading.Event(), threading.Event()
    thread = threading.Thread(
        target=runner.run, args=(site.bootstrap, database_url, RING, "t", stop, models, ready.set), name="projector"
    )
    thread.start()
    assert ready.wait(30)
    yield
    stop.set()
    thread.join()


@pytest.fixture(scope="module")
def deciding(site: DecidingSite) -> Iterator[None]:
    with site.deciding():
        yield


@pytest.fixture
async def client(
    site: DecidingSite, database_url: str, projected: None, deciding: None
) -> AsyncIterator[httpx.AsyncClient]:
    publisher = Publisher(site.bootstrap, client_id="front", linger_ms=0)
    replies = ReplyReader(site.bootstrap, uuid.uuid4().hex)
    database = Database(database_url)
    writer = Writer(publisher, replies, deadline_s=20, model_wait_s=20, topic_of=site.topic_of)
    sign_in = SignIn(SignInOptions("admin-token", "s" * 32), database)
    people = People(database, writer, sign_in, RING, Passwords(memory_kib=8, passes=1))
    app = app_of(devices.build(database, writer, sign_in), users.build(people))
    await replies.start()
    await database.open()
    await until(is_ready(replies))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://t", headers=ADMIN, timeout=60) as session:
        yield session
    await replies.stop()
    await database.close()
    publisher.close()


def is_ready(replies: ReplyReader) -> Callable[[], Awaitable[bool]]:
    async def ready() -> bool:
        return replies.ready

    return ready


def device(**changed: str) -> dict[str, str]:
    ids = {name: str(uuid.uuid4()) for name in ("device_id", "point_id", "register_id")}
    return ids | {"token_plain": uuid.uuid4().hex} | changed


async def test_what_was_answered_is_in_the_next_read(client: httpx.AsyncClient) -> None:
    asked = device()
    answer = await client.post(DEVICES, json=asked)
    assert answer.status_code == 201
    rows = (await client.get(DEVICES)).json()
    assert answer.json() in rows
    await client.patch(f"/api/v1/admin/points/{asked['point_id']}", json={"name": "Вокзал"})
    await client.patch(f"/api/v1/admin/registers/{asked['register_id']}", json={"name": "Касса 1"})
    off = await client.patch(f"{DEVICES}/{asked['device_id']}", json={"is_enabled": False})
    (row,) = [row for row in (await client.get(DEVICES)).json() if row["device_id"] == asked["device_id"]]
    assert row == off.json() | {"point_name": "Вокзал", "register_name": "Касса 1"}
    assert not row["is_enabled"]


async def test_two_racing_registrations(client: httpx.AsyncClient) -> None:
    asked = device()
    answers = await asyncio.gather(*[client.post(DEVICES, json=asked) for _ in range(4)])
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]


async def test_a_retry_with_its_key_gets_the_first_answer(client: httpx.AsyncClient) -> None:
    asked, key = device(), {"Idempotency-Key": uuid.uuid4().hex}
    first, again = [await client.post(DEVICES, json=asked, headers=key) for _ in range(2)]
    assert (again.status_code, again.json()) == (201, first.json())
    other = await client.post(DEVICES, json=device(), headers=key)
    assert other.status_code == 409


async def test_a_device_was_seen_and_dropped_recordings(
    client: httpx.AsyncClient, site: DecidingSite, database_url: str
) -> None:
    asked = device()
    bound = {name: asked[name] for name in ("device_id", "point_id", "register_id")}
    seen = examples.load("DeviceSeen") | {"device_id": asked["device_id"], "seen_us": 2_000_000}
    chunk = examples.load("AudioChunkUploaded") | bound | {"received_us": 5_000_000}
    silence = examples.load("SilenceReported") | bound | {"received_us": 4_000_000}
    drops = examples.load("RecordingsDropped") | bound | {"received_us": 3_000_000, "report_id": uuid.uuid4().hex}
    for name, body in (
        ("AudioChunkUploaded", chunk), ("DeviceSeen", seen), ("SilenceReported", silence),
        ("RecordingsDropped", drops), ("RecordingsDropped", drops),
    ):  # fmt: skip
        site.send(name, asked["device_id"], body)
    await client.post(DEVICES, json=asked)
    path = f"/v1/sales/devices/{asked['device_id']}/history"

    async def history() -> dict:
        return (await client.get(path)).json()

    async def complete() -> bool:
        return (await history())["count"] == 2 and (await history())["device"]["last_seen_at"] is not None

    await until(complete)
    told = await history()
    assert told["device"]["last_seen_at"] == "1970-01-01T00:00:05Z"
    assert [entry["event"] for entry in told["events"]] == ["DeviceRegistered", "RecordingsDropped"]
    assert (told["dropped"]["files"], told["dropped"]["last_at"]) == (drops["files"], "1970-01-01T00:00:03Z")
    first = await client.get(path, params={"limit": 1})
    after = httpx.URL(first.headers["link"].split(">")[0].removeprefix("<")).params["after"]
    assert (await client.get(path, params={"after": after})).json()["events"] == told["events"][1:]
    with psycopg.connect(database_url) as connection:
        row = connection.execute(
            "SELECT token_hash, last_seen_at FROM devices WHERE device_id = %s", [asked["device_id"]]
        )
        token_hash, _ = row.fetchone() or ("", None)
    assert len(token_hash) == 64


async def test_a_users_life(client: httpx.AsyncClient, site: DecidingSite) -> None:
    name = f"anna-{uuid.uuid4().hex[:8]}"
    new = {"username": name, "password": "secret-password", "full_name": "Анна", "is_admin": True}
    user = (await client.post(USERS, json=new)).json()
    assert (await client.post(USERS, json=new)).status_code == 409
    answer = await client.post(LOGIN, json={"username": name, "password": "secret-password"})
    mine = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    assert (await client.get(f"{USERS}/me", headers=mine)).json()["full_name"] == "Анна"
    assert user["user_id"] in [row["user_id"] for row in (await client.get(USERS, headers=mine)).json()]
    path = f"{USERS}/{user['user_id']}"
    assert (await client.delete(path, headers=mine)).status_code == 400
    changed = await client.patch(path, json={"full_name": "Анна П.", "password": "another-password"})
    assert changed.json()["full_name"] == "Анна П."
    assert (await client.post(LOGIN, json={"username": name, "password": "secret-password"})).status_code == 401
    assert (await client.post(LOGIN, json={"username": name, "password": "another-password"})).status_code == 200

    async def recorded() -> bool:
        return (await client.get(f"{USERS}/me", headers=mine)).json()["last_login_at"] is not None

    await until(recorded)
    await client.patch(path, json={"is_active": False})
    assert (await client.get(f"{USERS}/me", headers=mine)).status_code == 401
    assert (await client.delete(path)).status_code == 204
    assert (await client.delete(path)).status_code == 404
    log = b"".join(record.value or b"" for topic in site.topics for record in site.records(topic))
    for secret in (b"secret-password", b"another-password", name.encode(), "Анна".encode()):
        assert secret not in log


async def test_the_checksums_of_a_rebuilt_version_are_the_same(
    client: httpx.AsyncClient, site: DecidingSite, database_url: str
) -> None:
    from projections import checksum
    from projections.projection import Projection, starts_of
    from projections.read_model import Target
    from projections.store import Store
    from projections.store_models import Models
    from streams.log_reader import LogReader, TopicPartition

    await client.post(DEVICES, json=device())
    await client.post(USERS, json={"username": uuid.uuid4().hex, "password": "secret1", "full_name": "A"})
    for name in ("devices", "users"):
        model = at_site(READ_MODELS[name], site)
        with Models(database_url) as models, LogReader(site.bootstrap, "rebuild") as reader:
            live = models.live(name)
            version = models.create(model, starts_of(model, reader), state="building")
            ends = {TopicPartition(topic, 0): reader.end_offsets(topic)[0] for topic in model.topics}
            store = Store(database_url, version.schema)
            projection = Projection(
                model, Target(version.schema, None, RING), store=store, reader=reader, publisher=site.publisher
            )
            projection.advance_to(ends, threading.Event())
            store.close()
        assert live is not None
        with psycopg.connect(database_url) as connection:
            rebuilt = checksum(connection, version.schema, name)
            eventually(lambda live=live, name=name, rebuilt=rebuilt: _live(database_url, live.schema, name) == rebuilt)
        assert sum(table["rows"] for table in rebuilt.values()) > 0


def _live(database_url: str, schema: str, name: str) -> dict:
    from projections import checksum

    with psycopg.connect(database_url) as connection:
        return checksum(connection, schema, name)


async def test_nobody_decides_and_the_caller_is_told_to_come_again(site: DecidingSite) -> None:
    publisher = Publisher(site.bootstrap, client_id="front", linger_ms=0)
    replies = ReplyReader(site.bootstrap, uuid.uuid4().hex)
    lonely = Writer(publisher, replies, deadline_s=0.2, topic_of=lambda _: site.topics["devices.tokens"])
    app = app_of(devices.build(None, lonely, SignIn(SignInOptions("admin-token", ""), None)))  # pyright: ignore
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://t", headers=ADMIN) as session:
        early = await session.post(DEVICES, json=device())
        await replies.start()
        await until(is_ready(replies))
        begun = time.monotonic()
        late = await session.post(DEVICES, json=device())
    assert (early.status_code, late.status_code) == (503, 503)
    assert late.headers["retry-after"] == "2"
    assert time.monotonic() - begun < 5
    assert not replies._listening
    await replies.stop()
    publisher.close()


def test_headers_of_commands_are_cloudevents(site: DecidingSite, deciding: None) -> None:
    sent = site.send("NamePoint", "p", {"point_id": str(uuid.uuid4()), "name": "A", "by": None})
    site.wait_settled(sent)
    for record in site.records("devices.events"):
        names = {name for name, _ in record.headers}
        assert {name for name, _ in cloudevents.headers("X", id="1", source="/")} <= names
        assert serde.decode(record.value)
