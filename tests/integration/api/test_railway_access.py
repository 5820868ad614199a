"""Sign-in of robots and stores end to end: HTTP, commands, the decider, read models, and back."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from dataclasses import dataclass, replace
from typing import Any, LiteralString

import httpx
import psycopg
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from api.passwords import Passwords
from api.railway import app as railway_app
from api.railway.parts import Railway, RailwayOptions
from producers.commands import Writer
from producers.publisher import Publisher
from producers.replies import ReplyReader
from projections import checksum, runner
from projections.projection import Projection, starts_of
from projections.queries.database import Database
from projections.read_model import ReadModel, Target
from projections.registry import READ_MODELS
from projections.store import Store
from projections.store_models import Models
from streams.log_reader import LogReader, TopicPartition
from tests.drivers.access import digest, rsa_key
from tests.drivers.access_desk import Component
from tests.drivers.deciding import RING, DecidingSite
from tests.drivers.waiting import eventually, until

TOPICS = ("railway.commands", "railway.events", "railway.purchases", "faces.commands")
BASE, SHOPS = "/base_api/v1", "/store_api/v1"
INVALID = {"detail": "Invalid credentials"}


BRIEF_S = 2.0
"""Sessions of the other instance live so long."""
pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Front:
    """Two instances of the servers on one log: what one wrote, the other has to show."""

    http: httpx.AsyncClient
    other: httpx.AsyncClient
    database_url: str

    async def engineer(self) -> tuple[str, str]:
        login, password = f"eva-{uuid.uuid4().hex[:8]}", "secret"
        made = await self.http.post(f"{BASE}/admin/engineer", json={"login": login, "password": password})
        assert made.status_code == 200, made.text
        body = {"id": made.json()["id"], "privileges": ["ROBOT_LOGIN", "STORE_LOGIN", "ROBOT_ADMIN"]}
        assert (await self.other.put(f"{BASE}/admin/engineer_privileges", json=body)).status_code == 200
        return login, password

    async def robot(self, engineer: tuple[str, str], key: Any, model: str = "") -> Component:
        robot = Component(self.http, key, "robot")
        more = {"robot_model_id": model or uuid.uuid4().hex, "robot_model_name": "Robot"}
        answer = await robot.register(*engineer, **more)
        assert answer.status_code == 200, answer.text
        return robot

    def sql(self, statement: LiteralString, *parameters: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database_url) as connection:
            return connection.execute(statement, parameters).fetchall()

    async def card(self, header: dict[str, str], key: str = "0xAB") -> httpx.Response:
        """A robot's route; on the other instance."""
        return await self.other.post(f"{BASE}/robot/engineer/admin_access", json={"key": key}, headers=header)


def at_site(model: ReadModel, site: DecidingSite) -> ReadModel:
    return replace(model, topics=tuple(site.topics[topic] for topic in model.topics))


@pytest.fixture(scope="module")
def site(kafka_bootstrap: str) -> Iterator[DecidingSite]:
    with contextlib.closing(DecidingSite(kafka_bootstrap, *TOPICS)) as made:
        yield made


@pytest.fixture(scope="module")
def at_work(site: DecidingSite, database_url: str) -> Iterator[None]:
    """A projector and a decider."""
    models = {name: at_site(READ_MODELS[name], site) for name in ("railway_access", "railway_stores")}
    stop, ready = threading.Event(), threading.Event()
    arguments = (site.bootstrap, database_url, RING, "t", stop, models, ready.set)
    thread = threading.Thread(target=runner.run, args=arguments, name="projector")
    thread.start()
    try:
        with site.deciding("railway"):
            assert ready.wait(30)
            yield
    finally:
        stop.set()
        thread.join()


@contextlib.asynccontextmanager
async def serving(site: DecidingSite, database_url: str, life_s: float) -> AsyncGenerator[httpx.AsyncClient]:
    """The servers as they are put together, on this site's log."""
    publisher = Publisher(site.bootstrap, client_id="front", linger_ms=0)
    replies, database = ReplyReader(site.bootstrap, uuid.uuid4().hex), Database(database_url)

    async def admin() -> str:
        return "token"

    railway = Railway(
        database, Writer(publisher, replies, deadline_s=20, model_wait_s=20, topic_of=site.topic_of), RING, admin,
        options=RailwayOptions(auth_session_timeout=life_s), extra={"passwords": Passwords(memory_kib=8, passes=1)},
    )  # fmt: skip
    app = railway_app.Front(railway_app.servers(railway), None)  # pyright: ignore[reportArgumentType]
    await replies.start()
    await database.open()
    await until(lambda: replies.ready)
    transport = httpx.ASGITransport(app)  # pyright: ignore[reportArgumentType]
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://t", timeout=60) as http:
            yield http
    finally:
        await replies.stop()
        await database.close()
        publisher.close()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def front(site: DecidingSite, database_url: str, at_work: None) -> AsyncIterator[Front]:
    async with serving(site, database_url, 3600) as first, serving(site, database_url, BRIEF_S) as second:
        yield Front(first, second, database_url)


async def test_a_robot_and_a_store_sign_in_with_either_kind_of_key(front: Front) -> None:
    engineer = await front.engineer()
    new = {"name": uuid.uuid4().hex, "description": "", "logo_url": "", "store_type": "SHOP"}
    shop = (await front.other.post(f"{SHOPS}/admin/store", json=new)).json()
    for key in (rsa_key(), Ed25519PrivateKey.generate()):
        robot = await front.robot(engineer, key)
        terminal = Component(front.http, key, "store")
        registered = await terminal.register(*engineer, store_id=shop["id"])
        assert registered.json() == shop
        as_robot, as_store = await robot.sign_in(), await terminal.sign_in()
        items = await front.other.get(f"{SHOPS}/store/items", headers=as_store)
        assert (items.status_code, items.json()["total"]) == (200, 0)
        assert (await front.card(as_robot)).json() == {"detail": "Access denied"}
        assert (await front.card(as_store)).json() == INVALID
        assert (await front.other.get(f"{SHOPS}/store/items", headers=as_robot)).json() == INVALID
    assert (await front.http.delete(f"{SHOPS}/admin/store/{shop['id']}")).status_code == 200
    await until(lambda: _status_of_store(front, as_store, 401))  # the terminal is forgotten with its store
    unknown = await terminal.register(*engineer, store_id=shop["id"])
    assert (unknown.status_code, unknown.json()) == (404, {"detail": "Store id not found"})


async def _status_of_store(front: Front, header: dict[str, str], status: int) -> bool:
    return (await front.other.get(f"{SHOPS}/store/items", headers=header)).status_code == status


async def test_fifty_racing_answers_open_one_session(front: Front) -> None:
    robot = await front.robot(await front.engineer(), rsa_key())
    challenge = await robot.ask()
    second = replace(robot, http=front.other)
    racing = [(robot, second)[n % 2].answer(challenge) for n in range(50)]
    answers = await asyncio.gather(*racing)
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 49
    (token,) = [answer.json()["token"] for answer in answers if answer.status_code == 200]
    rows = front.sql("SELECT token_sha256 FROM component_sessions WHERE component_id = %s", robot.id)
    assert rows == [(digest(token),)]


async def test_whoever_is_replaced_removed_or_revoked_is_refused_at_once(front: Front, site: DecidingSite) -> None:
    engineer, model = await front.engineer(), uuid.uuid4().hex
    robot = await front.robot(engineer, rsa_key(), model)
    header = await robot.sign_in()
    again = await front.robot(engineer, Ed25519PrivateKey.generate(), model)
    assert (await front.card(header)).json() == INVALID
    with pytest.raises(ValueError, match=r"(?i)decryption|encryption"):
        robot.proof(await robot.ask())  # the old id is nobody's now
    header = await again.sign_in()
    ((session_id,),) = front.sql("SELECT session_id FROM component_sessions WHERE component_id = %s", again.id)
    assert (await front.card(header)).status_code == 403
    site.send("RevokeSession", "access", {"session_id": str(session_id), "by": None})
    await until(lambda: _is_refused(front, header))
    header = await again.sign_in()
    assert (await front.http.delete(f"{BASE}/admin/robots/{again.id}")).status_code == 200
    assert (await front.card(header)).json() == INVALID


async def _is_refused(front: Front, header: dict[str, str]) -> bool:
    return (await front.card(header)).status_code == 401


async def test_a_session_expires_unless_it_is_used(front: Front) -> None:
    robot = await front.robot(await front.engineer(), rsa_key())
    kept, left = [await replace(robot, http=front.other).sign_in() for _ in range(2)]
    token = digest(left["Authorization"].split()[1])

    async def has_expired() -> bool:
        assert (await front.card(kept)).status_code == 403  # signed in, with a card that lets nobody in
        ((gone,),) = front.sql("SELECT expires_at < now() FROM component_sessions WHERE token_sha256 = %s", token)
        return gone

    await until(has_expired, 20, 0.1)
    assert (await front.card(left)).json() == INVALID
    assert (await front.card(kept)).status_code == 403


async def test_what_was_answered_is_in_the_next_read_of_any_server(front: Front) -> None:
    login, password = await front.engineer()
    listed = (await front.other.get(f"{BASE}/admin/engineers", params={"size": 100})).json()
    (row,) = [one for one in listed["items"] if one["login"] == login]
    taken = await front.http.post(f"{BASE}/admin/engineer", json={"login": login, "password": "other"})
    assert taken.status_code == 409
    robot = await front.robot((login, password), rsa_key())
    header = await robot.sign_in()
    path, card = f"{BASE}/admin/engineer/{row['id']}/auth_card", uuid.uuid4().hex
    assert (await front.http.put(path, json={"key": card})).json() == {"status": "OK"}
    assert (await front.card(header, card)).json() == {"login": login, "id": row["id"]}
    assert (await front.http.put(path, json={"key": None})).status_code == 200
    assert (await front.card(header, card)).json() == {"detail": "Access denied"}
    assert (await front.http.put(path, json={"key": card})).status_code == 200
    assert (await front.http.delete(f"{BASE}/admin/engineers/{row['id']}")).status_code == 200
    assert (await front.card(header, card)).status_code == 403
    assert (await front.http.delete(f"{BASE}/admin/engineers/{row['id']}")).status_code == 404
    assert (await robot.register(login, password, robot_model_id="m", robot_model_name="")).json() == INVALID


async def test_a_retry_of_the_last_step_gets_the_first_token(front: Front) -> None:
    robot = await front.robot(await front.engineer(), rsa_key())
    key = {"Idempotency-Key": uuid.uuid4().hex}
    challenge = await robot.ask()
    first, again = [await robot.answer(challenge, **key) for _ in range(2)]
    assert (first.status_code, first.json()) == (200, again.json())
    header = {"Authorization": f"Bearer {again.json()['token']}"}
    assert (await front.card(header)).status_code == 403


async def test_nothing_secret_is_in_the_log_and_a_rebuilt_version_is_the_same(
    site: DecidingSite, database_url: str, at_work: None
) -> None:
    log = b"".join(record.value or b"" for topic in TOPICS for record in site.records(topic))
    for secret in (b"eva-", b"secret", b"argon2"):
        assert secret not in log
    model = at_site(READ_MODELS["railway_access"], site)
    with Models(database_url) as models, LogReader(site.bootstrap, "rebuild") as reader:
        live = models.live(model.name)
        assert live is not None
        version = models.create(model, starts_of(model, reader), state="building")
        ends = {TopicPartition(topic, 0): reader.end_offsets(topic)[0] for topic in model.topics}
        store = Store(database_url, version.schema)
        target = Target(version.schema, None, RING)
        Projection(model, target, store=store, reader=reader, publisher=site.publisher).advance_to(
            ends, threading.Event()
        )
        store.close()
    with psycopg.connect(database_url) as connection:
        rebuilt = checksum(connection, version.schema, model.name)
    assert rebuilt["component_sessions"]["rows"] > 0
    eventually(lambda: _checksum(database_url, live.schema) == rebuilt)


def _checksum(database_url: str, schema: str) -> dict[str, dict[str, int]]:
    with psycopg.connect(database_url) as connection:
        return checksum(connection, schema, "railway_access")
