"""The page of sales audio in a real browser, over real tables: the day, the list, one dialogue with its quotes."""

from __future__ import annotations

import io
import re
import wave
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Browser, Route, expect

from api import app
from tests.drivers import sales, sales_site
from tests.drivers.sales import POINT, made_id
from tests.drivers.sales_site import TOKEN, Log
from tests.drivers.serving import served
from tests.drivers.waiting import eventually
from tests.e2e.browser import Watched, chromium
from tests.integration.api.sales_day import HOUR, day

HOSTILE = "<img src=x onerror=\"document.title='owned'\"> десерт 🍰 не желаете?"
WIDE: dict[str, Any] = {"viewport": {"width": 1440, "height": 1000}, "locale": "en-GB", "timezone_id": "Asia/Tokyo"}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "locale": "ru-RU"}
DAY = "/ui/sales#day=2026-01-01"

pytestmark = pytest.mark.timeout(120)


def said() -> list[sales.Saying]:
    """The day, and one dialogue that tries to be markup, with a quote behind a letter that JavaScript counts twice."""
    start = sales.NOON - 2 * HOUR
    quote = sales.quote(HOSTILE, "не желаете?")
    return [
        *day(),
        sales.dialogue("hostile", start_us=start),
        sales.transcript("hostile", text=HOSTILE, start_us=start),
        sales.analysed("hostile", quotes=[quote]),
    ]


def silence() -> bytes:
    """Eight seconds of it, as WAV."""
    sink = io.BytesIO()
    with wave.open(sink, "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(8 * 16_000))
    return sink.getvalue()


@pytest.fixture(scope="module")
def log(database_url: str) -> Iterator[Log]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        sales_site.create(connection)
        connection.execute("INSERT INTO points VALUES (%s, 'Кофе на углу', 'devices.events', 0, 1)", (POINT,))
        made = Log(database_url)
        made.project(said(), connection)
        yield made


@pytest.fixture(scope="module")
def address(log: Log, database_url: str) -> Iterator[str]:
    with served(app.build(sales_site.api(database_url, log))) as base:
        yield base


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def desk(browser: Browser, address: str) -> Iterator[Watched]:
    """The page on a desk, signed in by ADMIN_TOKEN."""
    with browser.new_context(**WIDE) as context:
        watched = Watched(context)
        watched.page.goto(address + DAY)
        watched.page.locator("#admin-token").fill(TOKEN)
        watched.page.locator("#sign-in button").click()
        expect(watched.page.locator("#list .session").first).to_be_visible()
        expect(watched.page.locator(".figure-card").first).to_be_visible()
        yield watched
        assert watched.complaints == []


def test_the_day_in_belgrade_whatever_the_browsers_zone(desk: Watched) -> None:
    page = desk.page
    expect(page.locator("#day-title")).to_have_text(re.compile("1 January 2026"))
    expect(page.locator("#day-facts")).to_contain_text("Europe/Belgrade")
    expect(page.locator(".figure-card b")).to_have_text(["8", "2", "1.50", "2"])
    expect(page.locator(".hour").nth(1)).to_have_attribute("aria-label", "10:00 — dialogues: 2, with an offer: 1")
    expect(page.locator("#list .session")).to_have_count(8)
    expect(page.locator("#list .session b").first).to_have_text("17:00:00")
    expect(page.locator("#list")).to_contain_text("Кофе на углу")


def test_a_dialogue_with_its_quotes_marked_and_played_where_they_were_said(desk: Watched) -> None:
    page = desk.page

    def play(route: Route) -> None:
        assert route.request.headers["authorization"] == f"Bearer {TOKEN}"
        route.fulfill(body=silence(), content_type="audio/wav")

    page.route("**/v1/sales/dialogues/*/audio", play)
    page.locator(f"[data-key='{made_id('yes')}']").click()
    expect(page.locator("#dialogue .spoken mark")).to_have_text(sales.OFFER)
    expect(page.locator("#dialogue .spoken")).to_have_text(sales.TEXT)
    expect(page.locator("#dialogue")).to_contain_text("speech.dialogues/0@")
    page.locator("#dialogue .spoken mark").click()
    expect(page.locator("#dialogue audio")).to_have_attribute("src", re.compile("^blob:"))
    eventually(lambda: page.evaluate("document.querySelector('#dialogue audio').currentTime") >= 2.0)
    assert f"dialogue={made_id('yes')}" in page.url


def test_a_recording_that_is_gone_says_so(desk: Watched) -> None:
    page = desk.page
    page.locator(f"[data-key='{made_id('no')}']").click()
    page.locator("[data-key=listen]").click()
    expect(page.locator("#dialogue [role=alert]")).to_contain_text("cannot be played")
    desk.complaints.clear()  # the browser itself tells of the 404


def test_what_was_said_stays_text_and_quotes_stand_right_behind_a_picture(desk: Watched) -> None:
    page = desk.page
    page.locator(f"[data-key='{made_id('hostile')}']").click()
    expect(page.locator("#dialogue .spoken")).to_have_text(HOSTILE)
    expect(page.locator("#dialogue .spoken mark")).to_have_text("не желаете?")
    assert page.title() == "Sensorium: sales"
    assert page.locator("img[src='x']").count() == 0


def test_words_are_searched_and_marked(desk: Watched) -> None:
    page = desk.page
    page.locator("#text").fill("десерты")
    expect(page.locator("#list mark").first).to_have_text(re.compile("десерт", re.IGNORECASE))
    page.locator("#attempted").select_option("no")
    expect(page.locator("#list .session")).to_have_count(1)
    page.locator("#text").fill("сироп")
    expect(page.locator("#list .state")).to_have_text("No dialogue matches.")
    page.locator("#attempted").select_option("")
    page.locator("#all-days").check()
    expect(page.locator("#list .session")).to_have_count(1)
    expect(page.locator("#list mark")).to_have_text(["сиропом"])


def test_what_changes_appears_by_itself(desk: Watched, log: Log) -> None:
    expect(desk.page.locator("#pulse")).to_have_text("Live")
    log.project([sales.dialogue("new", start_us=sales.NOON + HOUR)])
    with psycopg.connect(log.database_url, autocommit=True) as connection:
        connection.execute("SELECT pg_notify('sensorium_live', %s)", ('{"model":"sales_dialogues","dialogues":["x"]}',))
    expect(desk.page.locator(f"[data-key='{made_id('new')}']")).to_be_visible()
    log.project([sales.dialogue("new", 2, status="WITHDRAWN", merged_into=made_id("yes"), pieces=[])])


def test_a_day_without_dialogues_and_another_language(desk: Watched) -> None:
    page = desk.page
    page.locator("#earlier").click()
    expect(page.locator("#figures .state")).to_have_text("No dialogue on this day.")
    page.locator("#language").click()
    expect(page.locator("#figures .state")).to_have_text("В этот день диалогов нет.")
    expect(page.locator("#list-title")).to_have_text("Диалоги")
    page.locator("#later").click()
    expect(page.locator(".figure-card").first).to_contain_text("диалогов")


def test_the_door_is_closed_to_a_wrong_token_and_after_leaving(browser: Browser, address: str) -> None:
    with browser.new_context(**WIDE) as context:
        page = Watched(context).page
        page.goto(address + DAY)
        page.locator("#admin-token").fill("wrong")
        page.locator("#sign-in button").click()
        expect(page.locator("#sign-in-state")).to_have_text("That token is not the right one.")
        expect(page.locator("#stage")).to_be_hidden()
        page.locator("#admin-token").fill("")
        page.locator("#user-name").fill("nobody")
        page.locator("#password").fill("nothing")
        page.locator("#sign-in button").click()
        expect(page.locator("#sign-in-state")).to_have_text("Incorrect user name or password.")
        page.locator("#admin-token").fill(TOKEN)
        page.locator("#sign-in button").click()
        expect(page.locator(".figure-card").first).to_be_visible()
        page.reload()
        expect(page.locator(".figure-card").first).to_be_visible()
        page.locator("#sign-out").click()
        expect(page.locator("#sign-in")).to_be_visible()
        assert page.locator(".figure-card").count() == 0
        assert page.evaluate("sessionStorage.length") == 0


def test_a_phone_shows_it_all_without_scrolling_sideways(browser: Browser, address: str) -> None:
    with browser.new_context(**PHONE) as context:
        watched = Watched(context)
        watched.page.add_init_script(f"sessionStorage.setItem('token', '{TOKEN}')")
        watched.page.goto(address + DAY + f"&dialogue={made_id('yes')}")
        expect(watched.page.locator("#dialogue .spoken mark")).to_be_visible()
        expect(watched.page.locator("#dialogue-title")).to_have_text("Диалог")
        assert watched.page.evaluate("document.documentElement.scrollWidth") <= 390
        assert watched.complaints == []


def test_a_database_that_is_away_is_said_in_words(browser: Browser) -> None:
    nothing = app.build(sales_site.api("host=/nowhere dbname=none", None))
    with served(nothing) as base, browser.new_context(**WIDE) as context:
        page = context.new_page()
        page.add_init_script(f"sessionStorage.setItem('token', '{TOKEN}')")
        page.goto(base + DAY)
        for card in ("#figures", "#list"):
            expect(page.locator(f"{card} .state")).to_contain_text("does not answer", timeout=15_000)
            expect(page.locator(f"{card} button")).to_have_text("Try again")
