"""A passenger's walk over the screen, driven without a display."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests.drivers.pictures import drawn_face
from tests.drivers.robot_desk import DATE, Desk, settings_at
from tests.drivers.waiting import until

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
qasync = pytest.importorskip("qasync")
pytest.importorskip("PySide6.QtWidgets", exc_type=ImportError)

from PySide6.QtWidgets import QLabel  # noqa: E402

from edge_agents.robot.assembly import Parts, attend, running  # noqa: E402
from edge_agents.robot.screen.application import qt_application, screen_of  # noqa: E402
from edge_agents.robot.screen.texts import TEXTS  # noqa: E402
from edge_agents.robot.screen.window import Window  # noqa: E402
from edge_agents.robot.video import Stills  # noqa: E402

SHOTS = os.environ.get("ROBOT_SCREENSHOTS")


def state(parts: Parts) -> str:
    return type(parts.robot.world.state).__name__


def kept(window: Window, name: str) -> None:
    """Somebody may want to look at it."""
    if SHOTS:
        window.grab().save(f"{SHOTS}/{name}.png")


async def walked(desk: Desk, parts: Parts, window: Window, told: dict[str, Any]) -> None:
    """Auth -> menu -> information -> back -> shops -> food -> item -> buy -> back -> exit."""
    pages: dict[str, Any] = {type(page).__name__: page for page in window.pages.values()}
    assert not window.isVisible()
    parts.console.line(f"5 1012 {DATE}")
    parts.console.line("2")
    assert window.isVisible()
    assert (window.width(), window.height()) == (1080, 600)
    camera = pages["CameraPage"]
    await until(lambda: not camera.video.pixmap().isNull())
    kept(window, "auth")
    await until(lambda: state(parts) == "UserMenu")
    menu = pages["MenuPage"]
    assert "Анна" in menu.title.text()
    kept(window, "menu")
    menu.information.click()
    places = pages["PlacesPage"]
    await until(lambda: window.currentWidget() is places and places.notice.text() == "")
    await until(lambda: all(one.pixmap().isNull() or one.pixmap().width() > 96 for one in places.findChildren(QLabel)))
    assert {"Астория", "Эрмитаж"} <= {one.text() for one in places.findChildren(QLabel)}
    kept(window, "places")
    places.back.click()
    menu.shops.click()
    await until(lambda: state(parts) == "StoreCategorySelection")
    kept(window, "categories")
    pages["CategoriesPage"].tiles["food"].click()
    catalog = pages["CatalogPage"]
    assert [tile.item.name for tile in catalog.tiles] == ["Чай", "Печенье"]
    catalog.search.setText("пече")
    assert [tile.item.name for tile in catalog.tiles] == ["Печенье"]
    catalog.search.clear()
    await until(lambda: desk.calls["GET /static/logos/items/a b.jpg"] == 1)
    kept(window, "catalog")
    catalog.tiles[0].mouseReleaseEvent(None)
    item = pages["ItemPage"]
    assert item.balance.text() == "In stock: 2"
    desk.lose = lambda request: (
        request.url.path.endswith("make_purchase")
        and desk.calls["lost"] == 0
        and bool(desk.calls.update(["lost"]) or True)
    )
    item.buy.click()
    item.buy.click()
    await until(lambda: item.notice.text() == "Bought")
    kept(window, "bought")
    assert item.balance.text() == "In stock: 1"
    assert [row["balance"] for row in desk.shops.items.values() if row["name"] == "Чай"] == [1]
    for name, page in (("Catalog", item), ("StoreCategorySelection", catalog), ("UserMenu", pages["CategoriesPage"])):
        page.back.click()
        assert state(parts) == name
    menu.exit.click()
    assert state(parts) == "Auth"


def test_a_passenger_s_walk(tmp_path: Path) -> None:
    application = qt_application()
    application.setQuitOnLastWindowClosed(False)
    loop = qasync.QEventLoop(application)
    desk = Desk()

    async def walk() -> None:
        told = await desk.furnished()
        ticket = told["ticket"]
        desk.shops.tickets[ticket["id"]]["used"] = True
        settings = settings_at(tmp_path)
        source = Stills([np.asarray(drawn_face(), np.uint8)], 1)
        async with httpx.AsyncClient(transport=desk) as http, running(settings, http, source) as parts:
            screen = screen_of(parts, "en")
            parts.hands.doing = parts.hands.doing.__class__(
                parts.servers, parts.eye, settings.default_store, lambda _: asyncio.sleep(0.05)
            )
            stop = asyncio.Event()
            attending = asyncio.ensure_future(attend(parts, stop))
            await walked(desk, parts, screen.window, told)
            stop.set()
            await attending
            screen.window.close()

    with loop:
        loop.run_until_complete(asyncio.wait_for(walk(), 30))
    assert desk.calls["lost"] == 1


def test_both_languages_say_the_same_things() -> None:
    assert TEXTS["ru"].keys() == TEXTS["en"].keys()
    fields = [[text.count("{") for text in TEXTS[one].values()] for one in ("ru", "en")]
    assert fields[0] == fields[1]


MANY_SIGNALS = """
from PySide6.QtCore import QObject, Signal
from edge_agents.robot.screen.application import qt_application

class Sends(QObject):
    sent = Signal()

application, sends = qt_application(), Sends()
for _ in range(100_000):
    sends.sent.emit()
    application.processEvents()
"""


def test_hours_of_signals_use_nothing_up() -> None:
    ended = subprocess.run([sys.executable, "-c", MANY_SIGNALS], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, "")
