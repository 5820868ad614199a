"""The page in a real browser, over real tables: what an analyst sees, does, and must never see."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
from playwright.sync_api import Browser, expect

from api import app
from tests.drivers import read_models
from tests.drivers.serving import served
from tests.drivers.waiting import eventually
from tests.e2e.browser import Watched, chromium

START = 1_765_289_734_000
DEVICE, SESSION = "raspberry_pi_001", "20251209_180102"
HOSTILE = "<img src=x onerror=\"document.title='owned'\">"
WIDE: dict[str, Any] = {"viewport": {"width": 1440, "height": 1000}, "locale": "en-GB", "timezone_id": "Europe/Berlin"}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "is_mobile": True,
    "locale": "ru-RU",
}

pytestmark = pytest.mark.timeout(120)


def face(n: int, start: int) -> list[tuple[int, float, float]]:
    """A drifting expression at ten points a second."""
    chance = random.Random(n)
    valence = arousal = 0.0
    points = []
    for i in range(n):
        valence = max(-1, min(1, valence * 0.98 + chance.gauss(0, 0.05)))
        arousal = max(-1, min(1, arousal * 0.98 + chance.gauss(0, 0.05)))
        points.append((start + i * 100, valence, arousal))
    return points


@pytest.fixture(scope="module")
def database(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        read_models.create(connection, [(2025, 12)])
        read_models.add_person(connection, (DEVICE, SESSION, 5), face(6000, START))
        read_models.add_person(connection, (DEVICE, SESSION, 6), face(300, START + 700_000))
        read_models.add_person(connection, (HOSTILE, HOSTILE, 1), face(200, START - 10**7))
        read_models.aggregate(connection)
        connection.execute(
            "INSERT INTO emotion_moments VALUES (gen_random_uuid(), %s, %s, 5, 'VALENCE', 'STRONG', 'UP', %s, %s,"
            " 0.6, 0.1, 0.83, %s, 'emotion.moments', 2, 17)",
            (DEVICE, SESSION, START + 60_000, START + 64_000, START + 62_000),
        )
        connection.execute(
            "INSERT INTO person_emotions (device_id, person_id, time_happy, time_sad, time_angry, time_neutral,"
            " last_seen, reported_us, topic, kafka_partition, kafka_offset)"
            " VALUES ('jetson_1', %s, 91.5, 2, 3, 4, now(), 0, 'emotion.totals', 0, 0)",
            (HOSTILE,),
        )
        connection.execute("INSERT INTO device_totals VALUES ('jetson_1', 91500000, 2000000, 3000000, 4000000)")
        yield connection


@pytest.fixture(scope="module")
def address(database: psycopg.Connection[Any], database_url: str) -> Iterator[str]:
    del database
    with served(app.build(app.wire(database_url))) as base:
        yield base


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def desk(browser: Browser, address: str) -> Iterator[Watched]:
    """The page on a desk, drawn."""
    with browser.new_context(**WIDE) as context:
        watched = Watched(context)
        watched.page.goto(address + "/ui")
        expect(watched.page.locator("#curve .scatterlayer .trace").first).to_be_visible(timeout=20_000)
        expect(watched.page.locator("#plane .heatmaplayer .hm")).to_be_visible(timeout=20_000)
        yield watched
        assert watched.complaints == []


def chosen(watched: Watched) -> dict[str, str]:
    return {key: values[0] for key, values in parse_qs(urlsplit(watched.page.url).fragment).items()}


def curves_asked(watched: Watched) -> list[dict[str, list[str]]]:
    return [parse_qs(urlsplit(url).query) for url in watched.asked if "/v1/logs?" in url and "max_points" in url]


def test_the_newest_session_opens_by_itself_with_its_figures(desk: Watched) -> None:
    page = desk.page
    expect(page.locator("#session-title")).to_have_text(f"{DEVICE} · {SESSION}")
    expect(page.locator("#session-facts")).to_contain_text("2 persons · 6,300 points")
    expect(page.locator(".session")).to_have_count(2)
    expect(page.locator(".person")).to_have_text(
        [re.compile("Everybody"), re.compile("Person 6"), re.compile("Person 5")]
    )
    expect(page.locator("#curve-note")).to_contain_text("Europe/Berlin")
    expect(page.locator(".moment")).to_contain_text("Valence +0.83")
    expect(page.locator(".moment")).to_have_attribute("title", "event: emotion.moments/2@17")
    expect(page.locator("#totals")).to_contain_text("91.5 s")
    expect(page.locator("#pulse")).to_have_text("Live")


def test_everything_comes_from_our_own_server(desk: Watched, address: str) -> None:
    assert {url.split("/ui")[0][: len(address)] for url in desk.asked if not url.startswith(("data:", "blob:"))} == {
        address
    }


def test_what_a_device_calls_itself_stays_text(desk: Watched) -> None:
    page = desk.page
    page.locator(".session", has_text="onerror").click()
    expect(page.locator("#session-title")).to_have_text(f"{HOSTILE} · {HOSTILE}")
    expect(page.locator("#curve .scatterlayer .trace").first).to_be_visible()
    expect(page.locator("#totals td").first).to_have_text(HOSTILE)
    assert page.title() == "Sensorium"
    assert page.locator("img[src='x']").count() == 0


def test_a_person_and_a_closer_look_ask_for_just_that(desk: Watched) -> None:
    page = desk.page
    page.locator(".person", has_text="Person 5").click()
    eventually(lambda: curves_asked(desk)[-1].get("session_person_id") == ["5"])
    expect(page.locator("#curve")).to_have_attribute("aria-label", re.compile("15:15:3.*15:25:3"))
    box = page.locator("#curve .nsewdrag").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 100, steps=4)
    page.mouse.up()
    expect(page.locator("#curve-note")).to_contain_text("every point")
    query = curves_asked(desk)[-1]
    assert int(query["from_ms"][0]) == pytest.approx(START + 240_000, abs=3000)
    assert int(query["to_ms"][0]) == pytest.approx(START + 300_000, abs=3000)
    page.go_back()
    expect(page.locator("#curve-note")).to_contain_text("mean line")
    assert set(chosen(desk)) == {"device", "session", "person"}


def test_a_moment_opens_its_surroundings(desk: Watched) -> None:
    desk.page.locator(".moment").click()
    expect(desk.page.locator("#curve-note")).to_contain_text("every point")
    assert chosen(desk)["person"] == "5"
    assert int(chosen(desk)["from"]) < START + 60_000 < START + 64_000 < int(chosen(desk)["to"])
    expect(desk.page.locator("#curve .shapelayer path")).to_have_count(1)


def test_the_keyboard_is_enough(desk: Watched) -> None:
    page = desk.page
    page.locator("#filter").focus()
    seen = []
    for _ in range(40):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.dataset.key ?? document.activeElement.id"))
    assert [key for key in ("null", "5", "earlier", "later", "zoomIn", "zoomOut") if key not in seen] == []
    page.locator("[data-key=zoomIn]").focus()
    page.keyboard.press("Enter")
    eventually(lambda: "from" in chosen(desk))
    eventually(lambda: page.evaluate("document.activeElement.dataset.key") == "zoomIn")
    expect(page.locator("[data-key=all]")).to_be_enabled()
    page.locator("[data-key=all]").press("Enter")
    eventually(lambda: "from" not in chosen(desk))


def test_language_and_dress_are_remembered(desk: Watched) -> None:
    page = desk.page
    page.locator("#language").click()
    page.locator("#theme").click()
    expect(page.locator("#sessions-title")).to_have_text("Сеансы")
    page.reload()
    expect(page.locator("#sessions-title")).to_have_text("Сеансы")
    expect(page.locator("html")).to_have_attribute("lang", "ru")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(page.locator("#curve .legendtext").first).to_have_text("Валентность")


def test_new_points_appear_without_asking(desk: Watched, database: psycopg.Connection[Any]) -> None:
    expect(desk.page.locator("#pulse")).to_have_text("Live")
    database.execute("UPDATE sessions SET n_points = n_points + 77 WHERE device_id = %s", (DEVICE,))
    database.execute(
        "SELECT pg_notify('sensorium_live', %s)",
        (f'{{"model":"emotion_logs","sessions":[["{DEVICE}","{SESSION}"]]}}',),
    )
    expect(desk.page.locator("#session-facts")).to_contain_text("6,377 points", timeout=5000)
    database.execute("UPDATE sessions SET n_points = n_points - 77 WHERE device_id = %s", (DEVICE,))


def test_a_phone_shows_it_all_without_scrolling_sideways(browser: Browser, address: str) -> None:
    with browser.new_context(**PHONE) as context:
        watched = Watched(context)
        watched.page.goto(address + "/ui")
        expect(watched.page.locator("#plane .heatmaplayer .hm")).to_be_visible(timeout=20_000)
        expect(watched.page.locator("#sessions-title")).to_have_text("Сеансы")
        assert watched.page.evaluate("document.documentElement.scrollWidth") <= 390
        watched.page.locator("#fold").tap()
        expect(watched.page.locator(".session").first).to_be_hidden()
        assert watched.complaints == []


def test_nothing_yet_and_nothing_reachable_are_said_in_words(browser: Browser) -> None:
    with served(app.build(app.wire("host=/nowhere dbname=none"))) as base, browser.new_context(**WIDE) as context:
        page = context.new_page()
        page.goto(base + "/ui")
        expect(page.locator("#sessions .state")).to_contain_text(
            "The database does not answer just now.", timeout=15_000
        )
        expect(page.locator("#totals .state")).to_contain_text("Try again", timeout=15_000)
        expect(page.locator("#pulse")).to_have_text("Server does not answer", timeout=15_000)
        assert not re.search(r"\d", page.locator("main").inner_text())  # no figure is invented


def test_an_empty_house_says_so(browser: Browser, database_url: str, database: psycopg.Connection[Any]) -> None:
    database.execute("CREATE DATABASE empty_house")
    empty = database_url.replace(database.info.dbname, "empty_house")
    try:
        with psycopg.connect(empty, autocommit=True) as connection:
            read_models.create(connection, [])
        with served(app.build(app.wire(empty))) as base, browser.new_context(**WIDE) as context:
            page = context.new_page()
            page.goto(base + "/ui")
            expect(page.locator("#sessions .state")).to_contain_text("No session yet", timeout=15_000)
            expect(page.locator("#curve .state")).to_contain_text("No session yet")
            expect(page.locator("#totals .state")).to_contain_text("No device has reported")
    finally:
        database.execute("DROP DATABASE empty_house WITH (FORCE)")


def test_the_policy_lets_nothing_in(address: str, browser: Browser) -> None:
    with browser.new_context(**WIDE) as context:
        answer = context.request.get(address + "/ui")
        policy = answer.headers["content-security-policy"]
        assert "script-src 'self';" in policy
        assert "default-src 'none'" in policy
        assert "unsafe-eval" not in policy
        assert context.request.get(address + "/assets/..%2f..%2fapp.py").status == 404
        assert context.request.get(address + "/assets/__init__.py").status == 404
