"""The page of security in a real browser, over the real deciders in memory: alerts, cameras, the watch list."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from fastapi import APIRouter, HTTPException, Request
from playwright.sync_api import Browser, Locator, Page, expect

from api.railway.app import Front, servers
from api.routes import page as pages
from api.routes import person_pages, security_alerts, security_cameras, security_devices, security_people
from api.security import Security
from api.security_feed import Feed
from producers.pictures import Pictures
from schemas.errors import TransientFailure
from tests.drivers.deciding import AT_US, RING
from tests.drivers.desk import app_of
from tests.drivers.railway_office import Office as RailwayOffice
from tests.drivers.railway_office import railway_of
from tests.drivers.security import THIEF, sighting
from tests.drivers.security_office import Office
from tests.drivers.serving import served
from tests.e2e.browser import Watched, chromium

TOKEN = "the-admin-token"
WIDE: dict[str, Any] = {"viewport": {"width": 1280, "height": 900}, "locale": "en-GB"}
PHONE: dict[str, Any] = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "locale": "ru-RU"}
DARK: dict[str, Any] = PHONE | {"color_scheme": "dark"}
BEARER = {"Authorization": f"Bearer {TOKEN}"}
GUEST = "0f9d3c1e-0000-4000-8000-0000000000f2"
HOSTILE = "<img src=x onerror=\"document.title='owned'\"> Анна"
BEGIN = datetime.fromtimestamp(AT_US / 1_000_000, UTC)

pytestmark = pytest.mark.timeout(90)


async def anybody() -> str | None:
    return None


async def guard(request: Request) -> str:
    if request.headers.get("authorization") != f"Bearer {TOKEN}":
        raise HTTPException(401, "Not authenticated")
    return "token"


def jpeg() -> str:
    """A key frame, as a camera sends it."""
    picture = np.full((180, 320, 3), (96, 72, 40), np.uint8)
    cv2.circle(picture, (110, 90), 40, (60, 160, 230), -1)
    cv2.rectangle(picture, (180, 50), (240, 150), (90, 200, 120), -1)
    return base64.b64encode(cv2.imencode(".jpg", picture)[1].tobytes()).decode()


@pytest.fixture(scope="module")
def office() -> Office:
    made = Office()
    made.names[THIEF] = HOSTILE
    return made


@pytest.fixture(scope="module")
def address(office: Office, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    kept: Any = office
    pictures = Pictures(tmp_path_factory.mktemp("pictures"))
    parts = Security(kept, kept, RING, Feed(office, office), anybody, anybody, guard, pictures=pictures)
    routes = [one.build(parts) for one in (security_devices, security_cameras, security_people, security_alerts)]
    raising = APIRouter()

    @raising.post("/raise")
    async def raise_threat(seconds: float, user_id: str = THIEF) -> None:
        office.decide("RaiseAlert", {**sighting(seconds, user_id), "model": "x", "evidence": "{}", "by": None})

    @asynccontextmanager
    async def lifespan(_app: Any) -> AsyncGenerator[None]:
        yield
        await parts.close()

    own = app_of(pages.build(), person_pages.build(None), raising, *routes)
    own.router.lifespan_context = lifespan
    with served(Front(servers(railway_of(RailwayOffice(), admin=guard)), own)) as base:
        yield base


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


def post(address: str, seconds: float, score: float, camera: str = "wagon-3", **more: Any) -> None:
    start = BEGIN + timedelta(seconds=seconds)
    times = {"start": start.isoformat(), "end": (start + timedelta(seconds=1)).isoformat()}
    body = {"camera_id": camera, "camera": "Wagon 3, door", "location": "Train 12", "score": score, "model": "m"}
    assert httpx.post(f"{address}/v1/deviance", json=body | times | more).status_code == 200


def test_alerts_come_are_settled_and_none_is_missed(browser: Browser, address: str) -> None:
    people = [{"bbox": [1, 2, 3, 4], "track_id": n} for n in range(2)]
    post(address, 0, 0.9, frame=jpeg(), participants=people)
    with browser.new_context(**WIDE) as context:
        watched = Watched(context)
        page = watched.page
        page.goto(f"{address}/ui/security")
        for token in ("wrong", TOKEN):
            expect(page.locator("#token")).to_be_visible()
            page.locator("#token-text").fill(token)
            page.locator("#token button").click()
        expect(page.locator(".alert")).to_have_count(1)
        expect(page.locator("#line")).to_have_text("live")
        expect(page.locator(".alert")).to_contain_text("Wagon 3, door · Train 12")
        expect(page.locator(".alert")).to_contain_text("people 2")
        assert page.locator(".alert img").evaluate("image => image.decode().then(() => image.naturalWidth)") == 320

        details = {"level": "high", "reason": "Stole tea", "instruction": "Call the guard"}
        watch = httpx.put(f"{address}/v1/security/watch-list/{THIEF}", json=details, headers=BEARER)
        assert watch.status_code == 200
        httpx.post(f"{address}/raise", params={"seconds": 5})
        threat = page.locator(".alert[data-kind=threat]")
        expect(threat.locator(".who b")).to_have_text(HOSTILE)
        expect(page).to_have_title("(2) Sensorium: security")
        threat.get_by_role("button", name="Details").click()
        expect(threat.locator(".details")).to_contain_text("Call the guard")

        context.set_offline(True)
        expect(page.locator("#line")).to_have_text("reconnecting …")
        post(address, 100, 0.8)
        post(address, 200, 0.7)
        httpx.post(f"{address}/raise", params={"seconds": 500})
        context.set_offline(False)
        expect(page.locator(".alert")).to_have_count(5, timeout=20_000)
        threat.first.get_by_role("button", name="Acknowledge").click()
        expect(threat.first.locator(".chips")).to_contain_text("acknowledged · by token")
        page.once("dialog", lambda dialog: dialog.accept("Police called"))
        threat.first.get_by_role("button", name="Escalate").click()
        expect(threat.first).to_contain_text("Police called")
        threat.first.get_by_role("button", name="Mute").click()
        expect(page.locator("#said")).to_contain_text("30 minutes")
        httpx.post(f"{address}/raise", params={"seconds": 900})
        expect(threat.first.locator(".chips")).to_contain_text("muted")
        if folder := os.environ.get("SCREENSHOTS"):
            page.screenshot(path=f"{folder}/security.png", full_page=True)
        unexpected = [one for one in watched.complaints if not re.search(r"401|net::|network", one)]
        assert unexpected == []


def test_on_a_phone_in_russian(browser: Browser, address: str) -> None:
    with browser.new_context(**PHONE) as context:
        watched = Watched(context)
        page = watched.page
        page.add_init_script(f"sessionStorage.setItem('token', '{TOKEN}')")
        page.goto(f"{address}/ui/security")
        expect(page.locator("#line")).to_have_text("на связи")
        expect(page.locator(".alert").first).to_be_visible()
        page.get_by_role("button", name="Угрозы").click()
        expect(page.locator(".alert[data-kind=deviance]")).to_have_count(0)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        if folder := os.environ.get("SCREENSHOTS"):
            page.screenshot(path=f"{folder}/security-phone.png")
        press(page, "Камеры")
        press(page, "Добавить камеру")
        press(page, "Добавить часы")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        page.locator("#sign-out").click()
        expect(page.locator("#token")).to_be_visible()
        expect(page.locator(".alert")).to_have_count(0)
        assert [one for one in watched.complaints if not re.search("401", one)] == []


def at(page: Page, address: str, part: str = "") -> None:
    """The page, signed in, at one of its parts."""
    page.add_init_script(f"sessionStorage.getItem('token') ?? sessionStorage.setItem('token', '{TOKEN}')")
    page.goto(f"{address}/ui/security{part}")


def shot(page: Page, name: str) -> None:
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=f"{folder}/security-{name}.png", full_page=True)


def press(where: Page | Locator, name: str) -> None:
    where.get_by_role("button", name=name, exact=True).click()


def test_a_camera_is_added_refused_changed_and_deleted(browser: Browser, address: str, office: Office) -> None:
    with browser.new_context(**WIDE) as context:
        watched = Watched(context)
        page = watched.page
        at(page, address, "#cameras")
        form, camera = page.locator(".editor"), page.locator(".thing[data-id='wagon 7?']")
        press(page, "Add a camera")
        expect(form.get_by_label("Camera's id")).to_be_focused()
        press(form, "Add")
        expect(form.locator("[role=alert]")).to_have_text("Nothing was saved: see what is marked.")
        expect(form.get_by_label("Camera's id")).to_have_accessible_description(re.compile("must not stay empty"))
        form.get_by_label("Camera's id").fill("wagon 7?")
        form.get_by_label("Name", exact=True).fill(HOSTILE)
        form.get_by_label("Where it hangs").fill("Train 12")
        form.get_by_label("A signal ends below").fill("0.9")
        form.get_by_label("Source").fill("s" * 2049)
        press(form, "Add hours")
        form.get_by_label("Fri").uncheck()
        press(form, "Add")
        expect(form).to_contain_text("Hours 1: Give both times, such as 22:00.")
        form.get_by_label("from").fill("22:00")
        form.get_by_label("to", exact=True).fill("06:00")
        press(form, "Add")
        expect(form.get_by_label("Source")).to_have_accessible_description(re.compile("At most 2048 characters"))
        expect(form.get_by_label("Source")).to_be_focused()
        form.get_by_label("Source").fill("rtsp://cam/7")
        press(form, "Add")
        expect(form.get_by_label("A signal ends below")).to_have_attribute("aria-invalid", "true")
        page.locator("#language").click()
        expect(form).to_contain_text("Сигнал не может кончаться выше оценки, с которой начинается.")
        expect(form.get_by_label("Название")).to_have_value(HOSTILE)
        shot(page, "camera-refused")
        page.locator("#language").click()
        form.get_by_label("A signal ends below").fill("0.3")
        office.failure = TransientFailure("Kafka is away")
        press(form, "Add")
        expect(form.locator("[role=alert]")).to_have_text(re.compile("cannot do this just now"))
        office.failure = None
        press(form, "Add")
        expect(camera).to_contain_text("Deviant behaviour: 0.5 / 0.3")
        expect(camera).to_contain_text("Mon–Thu 22:00–06:00")
        expect(camera.locator("h3")).to_have_text(HOSTILE)
        expect(page.locator("#cameras-add")).to_be_focused()
        (told,) = [one for one in settings(address) if one["camera_id"] == "wagon 7?"]
        kept = {"location": "Train 12", "source": "rtsp://cam/7", "device_id": None, "deviance": True, "faces": True}
        assert kept.items() <= told.items()
        assert [(one["days"], one["from"], one["to"]) for one in told["schedule"]] == [([0, 1, 2, 3], "22:00", "06:00")]

        press(page, "Add a camera")
        form.get_by_label("Camera's id").fill("wagon 7?")
        form.get_by_label("Name", exact=True).fill("Another")
        press(form, "Add")
        expect(form).to_contain_text("There is a camera of this id already")
        page.once("dialog", lambda dialog: dialog.accept())  # what was begun is given up
        press(camera, "Change")
        expect(form.get_by_label("Source")).to_have_value("rtsp://cam/7")
        form.get_by_label("Faces").uncheck()
        press(form, "Remove these hours")
        form.get_by_label("Name", exact=True).press("Enter")
        expect(camera).to_contain_text("always")
        expect(camera).not_to_contain_text("Faces")
        expect(camera.get_by_role("button", name="Change")).to_be_focused()

        press(camera, "Mute")
        form.get_by_label("What is not to be heard").select_option("threat")
        form.get_by_label("Minutes").fill("")
        press(form, "Mute")
        expect(form).to_contain_text("This must be a number.")
        form.get_by_label("Until somebody").check()
        press(form, "Mute")
        expect(camera).to_contain_text("muted: threats, until it is lifted")
        shot(page, "cameras")
        press(camera, "Unmute")
        expect(camera).not_to_contain_text("muted")
        page.once("dialog", lambda dialog: dialog.dismiss())
        press(camera, "Delete")
        expect(camera).to_be_visible()
        page.once("dialog", lambda dialog: dialog.accept())
        press(camera, "Delete")
        expect(camera).to_have_count(0)
        assert page.title().endswith("Sensorium: security"), "what a camera is called stays text"
        assert [one for one in watched.complaints if not re.search("404|422|503", one)] == []


def settings(address: str) -> list[dict[str, Any]]:
    return httpx.get(f"{address}/v1/security/cameras").json()["items"]


def test_the_watch_list_from_an_alert_and_by_name(browser: Browser, address: str, office: Office) -> None:
    office.names[GUEST] = HOSTILE
    told = {"level": "low", "reason": "Курил в тамбуре"}
    assert httpx.put(f"{address}/v1/security/watch-list/{GUEST}", json=told, headers=BEARER).status_code == 200
    httpx.post(f"{address}/raise", params={"seconds": 5000, "user_id": GUEST})
    new = httpx.post(f"{address}/base_api/admin/user", json={"name": "Алёна Громова"}, headers=BEARER).json()
    office.names[new["id"]] = new["name"]
    with browser.new_context(**DARK) as context:
        watched = Watched(context)
        page = watched.page
        at(page, address)
        form, entry = page.locator(".editor"), page.locator(f".thing[data-id='{GUEST}']")
        alert = page.locator(".alert[data-kind=threat]", has_text="Анна").first
        press(alert, "Запись списка")
        expect(form.get_by_label("Почему ищут")).to_have_value("Курил в тамбуре")
        form.get_by_label("Опасность").select_option("high")
        form.get_by_label("Что делать").fill("Позвать проводника")
        page.evaluate("sessionStorage.setItem('token', 'old')")
        press(form, "Сохранить")
        expect(form.locator("[role=alert]")).to_have_text(re.compile("Сервер требует токен: укажите его вверху"))
        page.locator("#token-text").fill(TOKEN)
        press(page.locator("#token"), "Применить")
        expect(page.locator("#token")).to_be_hidden()
        expect(form.get_by_label("Что делать")).to_have_value("Позвать проводника")
        shot(page, "entry-narrow-dark")
        press(form, "Сохранить")
        expect(entry).to_contain_text("опасность: высокая")
        expect(entry.locator("h3")).to_have_text(HOSTILE)
        page.once("dialog", lambda dialog: dialog.accept())
        press(entry, "Убрать из списка")
        expect(entry).to_have_count(0)

        press(page.locator("#parts"), "Тревоги")
        press(alert, "Запись списка")
        expect(form).to_contain_text("Этого человека больше нет в списке.")
        expect(form.get_by_label("Номер пассажира")).to_have_value(GUEST)
        form.get_by_label("Номер пассажира").fill("Анна")
        press(form, "Добавить")
        expect(form).to_contain_text("Это не номер пассажира")
        form.get_by_label("Имя пассажира").fill("громов")
        form.get_by_label("Имя пассажира").press("Enter")
        form.get_by_role("button", name="Алёна Громова").click()
        expect(form.get_by_label("Номер пассажира")).to_have_value(new["id"])
        form.get_by_label("Почему ищут").fill("Забыла вещи")
        shot(page, "found-narrow-dark")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        press(form, "Добавить")
        expect(page.locator(f".thing[data-id='{new['id']}']")).to_contain_text("Забыла вещи")
        page.locator("#sign-out").click()
        expect(page.locator(".thing")).to_have_count(0)
        assert [one for one in watched.complaints if not re.search("40[14]", one)] == []
