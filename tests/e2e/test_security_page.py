"""The page of security in a real browser, over the real decider in memory: live alerts, settling, a broken line."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from fastapi import APIRouter, HTTPException, Request
from playwright.sync_api import Browser, expect

from api.routes import page as pages
from api.routes import security_alerts, security_cameras, security_devices, security_people
from api.security import Security
from api.security_feed import Feed
from producers.pictures import Pictures
from tests.drivers.deciding import AT_US, RING
from tests.drivers.desk import app_of
from tests.drivers.security import THIEF, sighting
from tests.drivers.security_office import Office
from tests.drivers.serving import served
from tests.e2e.browser import Watched, chromium

TOKEN = "the-admin-token"
WIDE: dict[str, Any] = {"viewport": {"width": 1280, "height": 900}, "locale": "en-GB"}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "locale": "ru-RU"}
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
    async def raise_threat(seconds: float) -> None:
        office.decide("RaiseAlert", {**sighting(seconds), "model": "x", "evidence": "{}", "by": None})

    with served(app_of(pages.build(), raising, *routes)) as base:
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
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        watch = httpx.put(f"{address}/v1/security/watch-list/{THIEF}", json=details, headers=bearer)
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
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        if folder := os.environ.get("SCREENSHOTS"):
            page.screenshot(path=f"{folder}/security-phone.png")
        page.locator("#sign-out").click()
        expect(page.locator("#token")).to_be_visible()
        expect(page.locator(".alert")).to_have_count(0)
        assert [one for one in watched.complaints if not re.search("401", one)] == []
