"""The railway's page in a real browser, over the real decider in memory: lists, forms, refusals, two languages."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi import HTTPException, Request
from playwright.sync_api import Browser, expect

from api.railway.app import Front, servers
from api.railway.static_files import build as static
from api.routes import page as pages
from api.routes import person_pages, railway_purchases
from ops import logos
from tests.drivers.desk import app_of
from tests.drivers.railway_office import Faces, railway_of
from tests.drivers.railway_shops import PASSENGER, SHOP, Shops
from tests.drivers.serving import served
from tests.e2e.browser import Watched, chromium

HOSTILE = "<img src=x onerror=\"document.title='owned'\"> Анна"
WIDE: dict[str, Any] = {"viewport": {"width": 1440, "height": 900}, "locale": "en-GB"}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "locale": "ru-RU"}
TOKEN = "the-admin-token"

pytestmark = pytest.mark.timeout(90)


class Site(Shops):
    """Shops with accounts; `is_guarded`: whoever asks needs the token."""

    def __init__(self) -> None:
        super().__init__()
        self.is_guarded = False
        self.reads |= {"after": self._booked, "reached": lambda cursor, limit: {} if cursor else {0: 1}}

    def _booked(self, cursor: Mapping[int, int], limit: int) -> Any:
        line = {"item_id": uuid.UUID(int=1), "name": "Чай", "category": "food", "count": 2, "price_penny": 5000}
        place = {"kafka_partition": 0, "kafka_offset": 1}
        ids = place | {"purchase_id": uuid.UUID(int=2), "store_id": uuid.UUID(SHOP), "user_id": uuid.UUID(PASSENGER)}
        told = {"channel": "ROBOT", "total_penny": 10_000, "booked_at": datetime(2026, 1, 1, 9, tzinfo=UTC)}
        return [] if cursor else [ids | told | {"lines": [line]}], {0: 1}

    async def admit(self, request: Request) -> str | None:
        if self.is_guarded and request.headers.get("authorization") != f"Bearer {TOKEN}":
            raise HTTPException(401, "Invalid admin token")
        return None


@pytest.fixture(scope="module")
def site() -> Site:
    made = Site()
    for n in range(3):
        told = {"name": f"Товар {n}", "description": "", "logo_url": "tea.jpg", "category": "food", "by": SHOP}
        stock = {"balance": None if n else 4, "price_penny": 5000 + n, "item_id": str(uuid.UUID(int=n + 1))}
        made.decide("AddItem", {"store_id": SHOP} | told | stock)
    return made


@pytest.fixture(scope="module")
def address(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("static")
    logos.draw(folder)
    own = app_of(pages.build(), person_pages.build(None), static(folder), railway_purchases.build(site, site.admit))  # pyright: ignore
    with served(Front(servers(railway_of(site, admin=site.admit, faces=Faces())), own)) as base:
        yield base


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def desk(browser: Browser, address: str, site: Site) -> Iterator[Watched]:
    site.is_guarded = False
    with browser.new_context(**WIDE) as context:
        watched = Watched(context)
        watched.page.goto(f"{address}/ui/railway")
        expect(watched.page.locator("#list-title")).to_have_text("Passengers")
        yield watched
        assert watched.complaints == []


def go(desk: Watched, name: str) -> None:
    desk.page.get_by_role("button", name=name, exact=True).click()
    expect(desk.page.locator("#list-title")).to_have_text(name)


def test_a_passenger_is_added_and_deleted_and_stays_text(desk: Watched) -> None:
    page = desk.page
    page.locator("#add").click()
    page.locator("#fields [name=name]").fill(HOSTILE)
    page.locator("#submit").click()
    expect(page.locator("#list tbody tr")).to_have_count(1)
    expect(page.locator("#list tbody b")).to_have_text(HOSTILE)
    assert page.title() == "Sensorium: railway"
    page.get_by_role("button", name="Delete").click()
    expect(page.locator("#dialog-title")).to_contain_text("Анна")
    page.locator("#submit").click()
    expect(page.locator("#list .state")).to_have_text("Nothing here yet.")


def test_a_store_is_added_refused_opened_and_deleted(desk: Watched) -> None:
    page = desk.page
    go(desk, "Stores")
    expect(page.locator("#list tbody tr")).to_have_count(2)
    page.locator("#add").click()
    page.locator("#fields [name=name]").fill("Кафе")
    page.locator("#submit").click()
    expect(page.locator("#dialog-state")).to_contain_text("Store with this name already exists")
    desk.complaints.clear()  # the browser itself tells of the 409
    page.locator("#fields [name=name]").fill("Буфет")
    page.locator("#fields [name=store_type]").select_option("RESTAURANT")
    page.locator("#submit").click()
    expect(page.locator("#list tbody tr")).to_have_count(3)
    page.locator("#list tbody tr").nth(0).get_by_role("button", name="Open").click()
    expect(page.locator("#detail-body tbody tr")).to_have_count(3)
    expect(page.locator("#detail-body")).to_contain_text("unlimited")
    expect(page.locator("#detail-body")).to_contain_text("50.00")
    assert page.locator("#detail-body img").first.evaluate("image => image.decode().then(() => image.naturalWidth)")
    assert f"store={SHOP}" in page.url
    page.locator("#list tbody tr").nth(2).get_by_role("button", name="Delete").click()
    page.locator("#submit").click()
    expect(page.locator("#list tbody tr")).to_have_count(2)


def test_a_hotel_of_a_destination_with_its_picture(desk: Watched) -> None:
    page = desk.page
    go(desk, "Hotels")
    page.locator("#scope [name=destination_id]").fill("SPB")
    page.locator("#scope button").click()
    expect(page.locator("#list .state")).to_have_text("Nothing here yet.")
    page.locator("#add").click()
    for name, text in (("name", "Нева"), ("description", "У реки"), ("logo_url", "/static/logos/hotels/1.png")):
        page.locator(f"#fields [name={name}]").fill(text)
    page.locator("#submit").click()
    expect(page.locator("#list tbody tr")).to_have_count(1)
    assert page.locator("#list img").evaluate("image => image.decode().then(() => image.naturalWidth)") == 640
    page.reload()
    expect(page.locator("#list tbody tr")).to_have_count(1)


def test_a_store_goes_on_a_train_and_leaves(desk: Watched) -> None:
    page = desk.page
    go(desk, "Stores on trains")
    page.locator("#scope [name=train_number]").fill("12")
    page.locator("#scope [name=train_date]").fill("2026-01-01T09:00")
    page.locator("#scope button").click()
    expect(page.locator("#list .state")).to_have_text("Nothing here yet.")
    page.locator("#add").click()
    page.locator("#fields [name=store_id]").fill(SHOP)
    page.locator("#submit").click()
    expect(page.locator("#list tbody b")).to_have_text("Кафе")
    page.get_by_role("button", name="Take off").click()
    page.locator("#submit").click()
    expect(page.locator("#list .state")).to_have_text("Nothing here yet.")


def test_purchases_are_shown_and_downloaded(desk: Watched) -> None:
    go(desk, "Purchases")
    expect(desk.page.locator("#list tbody tr")).to_contain_text("2 × Чай")
    expect(desk.page.locator("#list tbody tr")).to_contain_text("100.00")
    with desk.page.expect_download() as download:
        desk.page.locator("#download").click()
    assert download.value.suggested_filename == "purchases.csv"
    assert '"Чай"' in download.value.path().read_text("utf-8")


def test_on_a_phone_in_russian_with_a_token(browser: Browser, address: str, site: Site) -> None:
    site.is_guarded = True
    with browser.new_context(**PHONE) as context:
        watched = Watched(context)
        page = watched.page
        page.goto(f"{address}/ui/railway#list=stores")
        expect(page.locator("#token")).to_be_visible()
        for token in ("wrong", TOKEN):
            page.locator("#token-text").fill(token)
            page.locator("#token button").click()
        expect(page.locator("#list tbody tr")).to_have_count(2)
        expect(page.locator("#list-title")).to_have_text("Магазины")
        expect(page.locator("#token")).to_be_hidden()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.locator("#sign-out").click()
        expect(page.locator("#token")).to_be_visible()
        assert [one for one in watched.complaints if not re.search("401", one)] == []
