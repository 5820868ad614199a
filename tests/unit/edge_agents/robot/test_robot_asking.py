"""What the servers say, and what the robot takes it for."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as settings_of
from hypothesis import strategies as st

from edge_agents.robot import effects, events, info_service, settings, shapes, store, tickets, users
from edge_agents.robot.assembly import Parts, attend, running
from edge_agents.robot.errors import BadAnswer, RobotError, ServerAway
from edge_agents.robot.hands import Doing, Hands
from edge_agents.robot.hardware.lines import Key
from edge_agents.robot.pictures import LARGEST, face_part, jpeg64, read_code
from edge_agents.robot.tickets import Door, Verdict, refusal
from edge_agents.robot.video import Stills
from tests.drivers.pictures import drawn_face
from tests.drivers.railway_shops import SHOP
from tests.drivers.robot_desk import DATE, Desk, code_picture, settings_at
from tests.drivers.waiting import until

AT = datetime(2026, 3, 1, 14, 30, tzinfo=UTC)
DOOR = Door("MOSCOW", 1012, 5, AT)
TICKET = {"id": "t", "user_id": "u", "station_id": "s", "code": "", "train_number": "1", "wagon_number": 2,
          "place_number": 3.0, "date": "2026-03-01"}  # fmt: skip
BLACK = Stills([np.zeros((9, 9, 3), np.uint8)], 1)


def test_shapes_take_what_the_contract_takes() -> None:
    told = shapes.ticket(TICKET | {"more": 1})
    assert (told.train_number, told.wagon_number, told.place_number) == (1, 2, 3)
    for changed in ({"id": 1}, {"code": None}, {"train_number": "x"}, {"train_number": True}, {"date": "soon"}):
        with pytest.raises(BadAnswer):
            shapes.ticket(TICKET | changed)
    with pytest.raises(BadAnswer):
        shapes.page({"items": [], "total": 0, "page": 1, "size": 50}, shapes.user)
    with pytest.raises(BadAnswer):
        shapes.store({"id": "", "name": "", "description": "", "logo_url": "", "store_type": "SHOP"})


ANSWERS = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@settings_of(max_examples=40, deadline=None)
@given(ANSWERS)
def test_no_answer_upsets_the_reading(answer: Any) -> None:
    for read in (shapes.user, shapes.ticket, shapes.store, shapes.purchase, shapes.item, shapes.place):
        with pytest.raises(BadAnswer):
            read(shapes.record(answer))
    refusal(answer)
    refusal({"message": answer, "right_ticket": answer})


def test_refusals() -> None:
    assert refusal("No") == Verdict(False, None, "No")
    told = refusal({"message": "Invalid date", "right_ticket": TICKET})
    assert told.ticket is not None
    assert told.message == "Invalid date"


def test_pictures() -> None:
    code = "aB3!@#$%^&*()" * 9
    assert read_code(code_picture(code)) == code
    assert read_code(np.zeros((480, 640, 3), np.uint8)) is None
    assert face_part(np.zeros((480, 640, 3), np.uint8)).shape == (480, 476, 3)
    assert face_part(np.zeros((720, 1280, 3), np.uint8)).shape == (720, 952, 3)
    noise = np.random.default_rng(1).integers(0, 255, (3000, 4000, 3), np.uint8)
    assert len(jpeg64(noise)) <= LARGEST


async def instantly(_: float) -> None:
    await asyncio.sleep(0.01)


class Site:
    """A robot beside servers in memory."""

    def __init__(self, desk: Desk, parts: Parts, told: dict[str, Any]) -> None:
        self.desk, self.parts, self.told = desk, parts, told
        self.said: list[str] = []

    def send(self, command: str) -> None:
        self.said.append(command)


@pytest.fixture
async def site(tmp_path: Path) -> Any:
    desk = Desk()
    told = await desk.furnished()
    robot = settings_at(tmp_path)
    frames = [np.asarray(drawn_face(), np.uint8)]
    async with httpx.AsyncClient(transport=desk) as http, running(robot, http, Stills(frames, 1)) as parts:
        parts.hands.doing = Doing(parts.servers, parts.eye, SHOP, instantly)
        made = Site(desk, parts, told)
        parts.hands.board = made
        stop = asyncio.Event()
        attending = asyncio.ensure_future(attend(parts, stop))
        yield made
        stop.set()
        await attending


async def test_every_question_of_the_contract(site: Site) -> None:
    servers, user = site.parts.servers, site.told["user"]
    assert (await users.by_id(servers, user)).name == "Анна"
    face = jpeg64(np.asarray(drawn_face(), np.uint8))
    assert await users.identify(servers, face) == shapes.User(user, "Анна")
    valid = await tickets.validate(servers, DOOR, code=site.told["ticket"]["code"])
    assert valid is not None
    assert valid.valid
    assert await tickets.validate(servers, DOOR, code="wrong") is None
    elsewhere = await tickets.validate(servers, Door("MOSCOW", 1012, 6, AT), face=face)
    assert elsewhere is not None
    assert (elsewhere.valid, elsewhere.ticket is not None) == (False, True)
    current = await tickets.current_ticket(servers, user, 1012, AT)
    assert current is not None
    assert await tickets.current_ticket(servers, user, 1, AT) is None
    assert await info_service.destination(servers, user, 1012, AT) == "SPB"
    assert await info_service.destination(servers, user, 1, AT) is None
    assert [one.name for one in await info_service.places(servers, "hotels", "SPB")] == ["Астория"]
    shop = await store.one(servers, SHOP)
    assert shop is not None
    assert len(shop.items) == 3
    assert await store.one(servers, site.told["user"]) is None
    assert await store.recommendations(servers, SHOP, user) == ()
    assert await store.on_train(servers, 1, DATE) == ()
    assert [one.id for one in await store.by_ids(servers, [SHOP])] == [SHOP]
    site.desk.faces.sees = None
    assert await users.identify(servers, face) is None
    assert await tickets.validate(servers, DOOR, face=face) is not None


async def test_a_purchase_whose_answer_is_lost_is_made_once(site: Site) -> None:
    item, path = site.told["items"]["Чай"], f"POST /store_api/v1/robot/store/{SHOP}/make_purchase"
    site.desk.lose = lambda request: f"POST {request.url.path}" == path and site.desk.calls[path] < 3
    bought = await store.buy(site.parts.servers, SHOP, site.told["user"], item, "key-1")
    assert bought.items == ((item, 1),)
    assert site.desk.calls[path] == 3
    assert site.desk.shops.items[item]["balance"] == 1
    site.desk.lose = lambda _: True
    with pytest.raises(ServerAway) as away:
        await store.buy(site.parts.servers, SHOP, site.told["user"], item, "key-2")
    assert away.value.effect_unknown
    site.desk.lose = lambda _: False
    await store.buy(site.parts.servers, SHOP, site.told["user"], item, "key-2")
    assert site.desk.shops.items[item]["balance"] == 0


async def test_a_card_opens_once_and_a_stranger_s_sounds(site: Site) -> None:
    engineer = {"id": "0f9d3c1e-0000-4000-8000-0000000000e1", "login": "eva", "privileges": 7}
    site.desk.shops.reads["engineer_of_card"] = lambda marks: engineer
    site.parts.hands.heard(Key("0xAB 0x3 0x4 0x5F"))
    site.parts.hands.heard(Key("0xAB 0x3 0x4 0x5F"))
    await until(lambda: site.said == ["servo 1\n", "servo 0\n"])
    site.desk.shops.reads["engineer_of_card"] = lambda marks: None
    site.parts.hands.heard(Key("0x1 0x2 0x3 0x4"))
    await until(lambda: site.said[2:] == ["tone"])
    site.desk.down = True
    site.parts.servers.connection.patience = type(site.parts.servers.connection.patience)(0.1, 0.1)
    await until(lambda: site.parts.hands._card is None or site.parts.hands._card.done())
    site.parts.hands.heard(Key("0x1 0x2 0x3 0x4"))
    await until(lambda: site.said[3:] == ["tone"])


async def test_a_robot_that_nobody_can_sign_in_says_so(tmp_path: Path) -> None:
    desk = Desk()
    robot = settings_at(tmp_path, engineer_password="wrong")
    async with httpx.AsyncClient(transport=desk) as http, running(robot, http, BLACK) as parts:
        parts.console.close()
        with pytest.raises(RobotError, match="engineer"):
            await asyncio.wait_for(attend(parts, asyncio.Event()), 10)


async def test_a_fault_of_ours_leaves_no_page_waiting(caplog: pytest.LogCaptureFixture) -> None:
    broken: Any = None
    happened: list[Any] = []
    hands = Hands(Doing(broken, broken, None), happened.append)
    hands.do(effects.Identify(7))
    hands.do(effects.Buy("r-1", "s", "u", "tea"))
    await until(lambda: len(happened) == 2)
    assert happened[0] == events.Failed(7)
    assert (happened[1].once, happened[1].unknown) == ("r-1", True), "the same key again: it is made once at most"
    assert "AttributeError" in caplog.text


def test_settings() -> None:
    told = settings.load({}, {"BASE_API_URL": "https://h/base_api", "ROBOT_KEY_KIND": "ed25519", "ROBOT_FPS": "5"})
    assert (told.base_api_url, told.key_kind, told.fps) == ("https://h/base_api", "ed25519", 5.0)
    for wrong in ({"ROBOT_KEY_KIND": "dsa"}, {"STORE_API_URL": "h"}, {"ROBOT_FPS": "0"}, {"ROBOT_HEADLESS": "perhaps"}):
        with pytest.raises(RobotError):
            settings.load({}, wrong)
    with pytest.raises(RobotError, match="one source"):
        settings.load({"camera": 0, "video": "a.mp4"}, {})
