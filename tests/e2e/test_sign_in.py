"""One sign-in in a real browser: from the sales page to the provider, back, and out again."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.drivers.front_door import FrontDoor
from tests.drivers.openid_provider import OpenIdProvider, User
from tests.drivers.serving import served
from tests.e2e.browser import Watched, chromium

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def provider() -> Iterator[OpenIdProvider]:
    there = OpenIdProvider(with_form=True, user=User(name="Анна", roles=("analyst",)))
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        port = probe.getsockname()[1]
    there.issuer = f"http://127.0.0.1:{port}/realms/ai_site"
    with served(there.app, port):
        yield there


@pytest.fixture
def site(provider: OpenIdProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    door = FrontDoor(tmp_path, monkeypatch, provider=True, there=provider)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        """The app; of what it has behind itself only the line to the provider is there to be closed."""
        if scope["type"] == "http":
            await door.app(scope, receive, send)
            return
        for kind in ("startup", "shutdown"):
            await receive()
            if kind == "shutdown":
                await door.people.close()
            await send({"type": f"lifespan.{kind}.complete"})

    with served(app) as address:
        yield address


def test_a_person_signs_in_and_out(site: str) -> None:
    with chromium() as browser, closing(browser.new_context(locale="en-GB")) as context:
        watched = Watched(context)
        page = watched.page
        page.goto(f"{site}/ui/sales#text=tea")
        expect(page.locator("#sign-in")).to_be_visible()
        page.get_by_role("button", name="Sign in", exact=True).click()
        page.get_by_role("button", name="Anna").click()
        expect(page.locator("#person")).to_contain_text("Анна")
        expect(page.locator("#stage")).to_be_visible()
        expect(page.locator("#sign-in")).to_be_hidden()
        assert page.url == f"{site}/ui/sales#text=tea"
        (kept,) = [cookie for cookie in context.cookies() if cookie.get("value")]
        assert (kept.get("httpOnly"), kept.get("sameSite")) == (True, "Lax")
        assert page.evaluate("[document.cookie, sessionStorage.length]") == ["", 0]
        page.get_by_role("button", name="Русский").or_(page.locator("#language")).first.click()
        page.get_by_role("button", name="Выйти", exact=True).click()
        page.wait_for_url(f"{site}/ui")
        expect(page.locator("#person")).not_to_contain_text("Анна")
        assert context.request.get(f"{site}/v1/sales/costs").status == 401
        assert not [one for one in watched.complaints if "503" not in one and "401" not in one]
