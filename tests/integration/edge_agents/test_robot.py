"""A robot without a screen beside the real servers: it signs in, checks, identifies, sells once, and reports."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI, HTTPException, Request

from api.railway.face_desk import FaceDesk, FaceOptions
from api.railway.sessions import near_or_robot
from api.routes import security_devices
from api.security import Security
from edge_agents.emotion_sensor.sources import Frame
from edge_agents.robot.assembly import Parts, attend, running
from edge_agents.robot.events import CategoryPressed, ItemPressed, Pressed
from edge_agents.robot.hands import Doing
from edge_agents.robot.pictures import Picture, jpeg64
from edge_agents.robot.states import StoreItem, TicketCheckingResult, UserMenu
from producers.pictures import Pictures
from tests.drivers import faces, railway_site
from tests.drivers.access_desk import Component
from tests.drivers.deciding import RING, DecidingSite
from tests.drivers.pictures import SAMPLE_FACES, drawn_face
from tests.drivers.railway_office import server_of
from tests.drivers.robot_desk import code_picture, settings_at
from tests.drivers.waiting import until

DATE = "2026-03-01T14:30:00Z"
SEAT = {"train_number": 1012, "wagon_number": 5, "place_number": 12, "station_id": "MOSCOW", "destination": "SPB"}
REAL = SAMPLE_FACES.is_dir()


class Scene:
    """What the camera sees; a test changes it."""

    def __init__(self, picture: Picture) -> None:
        self.picture = picture

    def frames(self, ticks: Any) -> Iterator[Frame]:
        for tick in ticks:
            yield Frame(self.picture, tick, 0)


class Wire(httpx.AsyncBaseTransport):
    """The railway at its paths, the security desk at /v1; `loses` names answers that get lost, once each."""

    def __init__(self, railway: Any, security: FastAPI) -> None:
        self._railway, self._security = (httpx.ASGITransport(app) for app in (railway, security))
        self.loses: set[str] = set()
        self.asked: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        self.asked.append(path)
        answer = await (self._security if path.startswith("/v1/") else self._railway).handle_async_request(request)
        await answer.aread()
        found = {one for one in self.loses if path.endswith(one)}
        self.loses -= found
        if found:
            raise httpx.ReadError("the answer is lost")
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)


@dataclass
class World:
    """Everything around the robot."""

    wire: Wire
    site: DecidingSite
    login: str
    ids: dict[str, str]
    codes: dict[str, str]


@pytest.fixture(scope="module")
def site(kafka_bootstrap: str, database_url: str) -> Iterator[DecidingSite]:
    topics = (*railway_site.TOPICS, "security.deviance", "security.faces")
    with (
        closing(DecidingSite(kafka_bootstrap, *topics)) as made,
        made.deciding("railway", "faces"),
        railway_site._projecting(made, database_url),
    ):
        yield made


def photograph(name: str) -> Picture:
    """A frame of a camera with this person in it, or a drawing that stands for it."""
    if not REAL:
        return np.asarray(drawn_face(), np.uint8)
    face = cv2.imread(str(SAMPLE_FACES / f"{name}.jpg"))
    height, width = face.shape[:2]
    factor = min(640 / width, 480 / height)
    small = cv2.resize(face, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    across, down = 640 - small.shape[1], 480 - small.shape[0]
    edges = (down // 2, down - down // 2, across // 2, across - across // 2)
    return np.asarray(cv2.copyMakeBorder(small, *edges, cv2.BORDER_REPLICATE), np.uint8)


@asynccontextmanager
async def servers(site: DecidingSite, database_url: str, folder: Path) -> AsyncIterator[World]:
    """The servers with an engineer, a passenger, a ticket and a shop."""
    pool = faces.children()
    describe: Any = faces.described_by(pool) if REAL else _one_face
    try:
        async with railway_site.served(site, database_url) as railway:
            desk = FaceDesk(railway.database, railway.writer, RING, describe, lambda: 0, FaceOptions(0.5))
            nothing: Any = None
            security = FastAPI()
            doors = (near_or_robot(replace(railway, admin=nobody)), nobody, nobody)
            parts = Security(
                railway.database, railway.writer, RING, nothing, *doors, describe, Pictures(folder / "kept")
            )
            security.include_router(security_devices.build(parts))
            wire = Wire(server_of(replace(railway, faces=desk)), security)
            async with httpx.AsyncClient(transport=wire, base_url="http://t", timeout=60) as http:
                yield await _furnished(http, wire, site)
    finally:
        await pool.close()


async def nobody(_request: Request) -> str | None:
    """Nobody comes in by the network here: it is the robot's session that counts."""
    raise HTTPException(401, "Not authenticated")


async def _one_face(_data: bytes, _purpose: str, /) -> Any:
    from api.railway.face_desk import Described
    from tests.drivers.faces import vector

    return [Described(vector(1).tobytes(), 1.0)]


async def _furnished(http: httpx.AsyncClient, wire: Wire, site: DecidingSite) -> World:
    login = uuid.uuid4().hex

    async def made(method: str, path: str, body: Any, **headers: str) -> dict[str, Any]:
        answer = await http.request(method, path, json=body, headers=headers)
        assert answer.status_code == 200, (path, answer.text)
        return answer.json()

    base, shops = "/base_api/v1/admin", "/store_api/v1"
    engineer = await made("POST", f"{base}/engineer", {"login": login, "password": "p"})
    rights = {"id": engineer["id"], "privileges": ["ROBOT_LOGIN", "STORE_LOGIN"]}
    await made("PUT", f"{base}/engineer_privileges", rights)
    person = {"name": f"Barack {login}", "face": jpeg64(photograph("obama"))}
    user = await made("POST", f"{base}/user", person)
    ticket = await made("POST", f"{base}/ticket", SEAT | {"user_id": user["id"], "date": DATE, "start_date": DATE})
    shop = {"name": login[:20], "description": "", "logo_url": "", "store_type": "SHOP"}
    store = await made("POST", f"{shops}/admin/store", shop)
    terminal = Component(http, Ed25519PrivateKey.generate(), "store")
    assert (await terminal.register(login, "p", store_id=store["id"])).status_code == 200
    tea = {"name": "Tea", "description": "", "logo_url": "t.jpg", "balance": 5, "price_penny": 5000, "category": "food"}
    item = await made("POST", f"{shops}/store/item", tea, **await terminal.sign_in())
    ids = {"user": user["id"], "store": store["id"], "item": item["id"]}
    return World(wire, site, login, ids, {"code": ticket["code"]})


@asynccontextmanager
async def robot(world: World, home: Path, scene: Scene, **changed: Any) -> AsyncIterator[Parts]:
    """A robot at work, whose pauses are short."""
    told = {"engineer_login": world.login, "engineer_password": "p"}
    told |= {"robot_model_id": f"R-{home.name}-{world.login[:8]}"}
    settings = settings_at(home, default_store=world.ids["store"], patience=20.0, fps=30.0, **(told | changed))
    async with httpx.AsyncClient(transport=world.wire) as http, running(settings, http, scene) as parts:
        pause: Callable[[float], Any] = lambda _: asyncio.sleep(0.05)  # noqa: E731
        parts.hands.doing = Doing(parts.servers, parts.eye, settings.default_store, pause)
        stop = asyncio.Event()
        attending = asyncio.ensure_future(attend(parts, stop))
        yield parts
        stop.set()
        await attending


async def test_a_headless_robot_s_day(site: DecidingSite, database_url: str, tmp_path: Path) -> None:
    scene = Scene(np.full((480, 640, 3), 90, np.uint8))
    async with servers(site, database_url, tmp_path) as world:
        for kind in ("rsa", "ed25519"):
            for attempt in ("registers", "signs in by its key"):
                async with robot(world, tmp_path / kind, scene, key_kind=kind) as parts:
                    assert await parts.signing.token(), (kind, attempt)
        registered = [name for name, _ in site.events("railway.events") if name == "RobotRegistered"]
        assert len(registered) == 2
        async with robot(world, tmp_path / "ed25519", scene, deviance_frames=8, deviance_key=0.0) as parts:
            await _checks_a_ticket(parts, scene, world)
            await _identifies(parts, scene, world)
            await _sells_once(parts, world)
            await _reports(parts, world)


async def _checks_a_ticket(parts: Parts, scene: Scene, world: World) -> None:
    parts.console.line(f"1 1012 5 {DATE} MOSCOW")
    scene.picture = code_picture(world.codes["code"])
    results: list[TicketCheckingResult] = []

    def checked() -> bool:
        state = parts.robot.world.state
        results.extend([state] if isinstance(state, TicketCheckingResult) else [])
        return bool(results)

    await until(checked)
    assert results[0].verdict.valid
    assert results[0].user is not None
    assert results[0].user.id == world.ids["user"]
    used = [record for name, record in world.site.events("railway.events") if name == "TicketUsed"]
    assert len(used) == 1


async def _identifies(parts: Parts, scene: Scene, world: World) -> None:
    parts.console.line(f"5 1012 {DATE}")
    scene.picture = photograph("obama2")
    parts.console.line("2")
    await until(lambda: isinstance(parts.robot.world.state, UserMenu))
    state: Any = parts.robot.world.state
    assert state.user.id == world.ids["user"]


async def _sells_once(parts: Parts, world: World) -> None:
    happen = parts.robot.happen
    happen(Pressed("shops"))
    await until(lambda: not isinstance(parts.robot.world.state, UserMenu))
    world.wire.loses.add("/make_purchase")
    for press in (CategoryPressed("food"), ItemPressed(world.ids["item"]), Pressed("buy"), Pressed("buy")):
        happen(press)

    def bought() -> bool:
        state = parts.robot.world.state
        assert isinstance(state, StoreItem)
        return state.notice == "bought" and state.item.balance == 4

    await until(bought)
    assert sum(path.endswith("/make_purchase") for path in world.wire.asked) == 2
    purchases = [record for name, record in world.site.events("railway.events") if name == "PurchaseMade"]
    assert len(purchases) == 1


async def _reports(parts: Parts, world: World) -> None:
    world.wire.loses.add("/v1/deviance")
    parts.console.line("6")
    parts.console.line("8")
    assert parts.console.closed
    await until(lambda: len(world.site.events("security.deviance")) >= 2)
    scored = [record for _, record in world.site.events("security.deviance")]
    assert {one["model"] for one in scored} == {"flow-change-1"}
    assert scored[0]["frame"] is not None
    assert all(one["window_start_us"] < one["window_end_us"] for one in scored)
    parts.watch.start_faces()
    await until(lambda: world.site.events("security.faces"))
