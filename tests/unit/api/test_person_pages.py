"""People sign in on the pages: the way there and back, what browsers keep, and who may use it."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from fastapi import Depends, FastAPI, Request

from api.admitting import admits
from api.openid import OpenIdOptions, Person, Provider
from api.openid_flow import page_within
from api.people_gate import Gate, Site
from api.person_cookies import SESSION, Attempt, Cookies
from api.railway.people import BySignature, ByUserinfo, person_of
from api.route_rules import rule_of
from api.routes import person_pages
from api.routes.person_pages import Reception
from producers.admission import Admission
from tests.drivers.openid_provider import OpenIdProvider, User, key

HOME = "http://sensorium.example"
FAR = ("203.0.113.9", 40_000)
KEY = key()
TOKEN = "the-admin-token"
SECRET = "a secret that all processes share"
ANNA = Person("4b0c7a52-2f0e-4d4a-9a57-0d6d2a1f5a11", "anna", frozenset({"analyst"}))
BEARER = "Bearer "


class House:
    """A front door with three routes behind it, a provider, and one browser far away."""

    def __init__(self, public: str | None = None, secret: str = "", roles: tuple[str, ...] = ("analyst",)) -> None:
        self.there = OpenIdProvider(keys=[KEY], client_secret=secret, user=User(roles=roles))
        self.now = 1_800_000_000.0
        options = OpenIdOptions(self.there.issuer, self.there.client_id, secret)
        self.provider = Provider(options, client=self.there.client())
        self.cookies = Cookies(SECRET, 3600, lambda: self.now)
        self.site = Site(public)
        self.admission = Admission(TOKEN, ["10.0.0.0/8"], ["sensorium.example"])
        self.app = self._app()
        self.browser = self.client()

    def _app(self) -> Any:
        app = FastAPI()
        app.include_router(person_pages.build(Reception(self.provider, self.cookies, self.site)))

        @app.get("/v1/sessions")
        @app.post("/v1/sales/analysis/rerun")
        async def ours(by: str | None = Depends(admits(self.admission))) -> dict[str, Any]:
            return {"by": by}

        @app.post("/admin/truncate")
        async def named(by: str | None = Depends(admits(self.admission, only_named=True))) -> dict[str, Any]:
            return {"by": by}

        @app.get("/not/in/the/table")
        async def unknown(by: str | None = Depends(admits(self.admission))) -> dict[str, Any]:
            return {"by": by}

        return Gate(app, self.provider, self.cookies, self.site)

    def client(self, peer: tuple[str, int] = FAR, base: str = HOME) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.ASGITransport(self.app, client=peer), base_url=base)

    async def asked(self, page: str = "/ui/sales") -> dict[str, str]:
        """Begin to sign in: what the provider is asked."""
        answer = await self.browser.get("/ui/sign-in", params={"page": page})
        assert answer.status_code == 303
        return dict(parse_qsl(urlsplit(answer.headers["location"]).query))

    async def approved(self, asked: dict[str, str]) -> dict[str, str]:
        """What the provider answers through the browser."""
        async with self.there.client() as line:
            answer = await line.get(f"{self.there.issuer}/auth", params=asked)
        return dict(parse_qsl(urlsplit(answer.headers["location"]).query))

    async def enter(self) -> httpx.Response:
        return await self.browser.get("/ui/signed-in", params=await self.approved(await self.asked()))

    async def who(self) -> dict[str, Any]:
        return (await self.browser.get("/ui/me")).json()


@pytest.mark.parametrize("secret", ["", "a secret/with: all+kinds"])
async def test_signing_in_ends_on_the_page_that_was_wanted(secret: str) -> None:
    house = House(secret=secret)
    assert await house.who() == {"provider": True, "name": None, "roles": []}
    answer = await house.enter()
    assert (answer.status_code, answer.headers["location"]) == (303, "/ui/sales")
    assert await house.who() == {"provider": True, "name": "anna", "roles": ["analyst"]}
    assert (await house.browser.get("/v1/sessions")).json() == {"by": ANNA.by}
    kept = answer.headers.get_list("set-cookie")
    assert all("HttpOnly" in one and "SameSite=lax" in one and "Path=/" in one for one in kept)
    assert not any("eyJ" in one or "anna" in one for one in kept)
    assert "sensorium-sign-in" not in house.browser.cookies


async def test_the_question_to_the_provider_is_a_fresh_one() -> None:
    house = House()
    first, second = await house.asked(), await house.asked()
    assert first["code_challenge_method"] == "S256"
    assert first["redirect_uri"] == f"{HOME}/ui/signed-in"
    for name in ("state", "nonce", "code_challenge"):
        assert len(first[name]) >= 32
        assert first[name] != second[name]


async def test_another_state_another_nonce_and_another_browser_are_refused() -> None:
    house = House()
    for changed in ({"state": "x"}, {"state": ""}, {"iss": "https://evil.example"}, {"code": ""}, {"code": "x"}):
        answer = await house.approved(await house.asked()) | changed
        refused = await house.browser.get("/ui/signed-in", params=answer)
        assert refused.status_code == 400
    answer = await house.approved(await house.asked())
    assert (await house.client().get("/ui/signed-in", params=answer)).status_code == 400

    asked = await house.asked()
    swapped = await house.approved(asked | {"nonce": "of somebody else"})
    assert (await house.browser.get("/ui/signed-in", params=swapped)).status_code == 400
    stolen = await house.approved(await house.asked())
    other = await house.asked()
    assert (await house.browser.get("/ui/signed-in", params=stolen | {"state": other["state"]})).status_code == 400
    assert (await house.who())["name"] is None


STRANGE = [
    {"identity": {"aud": "shop"}}, {"identity": {"azp": "shop"}}, {"identity": {"aud": ["shop"]}},
    {"identity": {"typ": "Bearer"}}, {"identity": {"iss": "https://evil.example"}}, {"identity": {"exp": 1}},
]  # fmt: skip


@pytest.mark.parametrize("changed", STRANGE)
async def test_an_id_token_has_to_be_meant_for_us(changed: dict[str, Any]) -> None:
    house = House()
    house.there.changed = changed
    assert (await house.enter()).status_code == 400


@pytest.mark.parametrize("changed", [{"sub": "somebody-else"}, {"aud": "shop", "azp": "shop"}, {"exp": 1}])
async def test_roles_of_another_access_token_do_not_count(changed: dict[str, Any]) -> None:
    house = House(roles=("admin",))
    house.there.changed = {"access": changed}
    assert (await house.enter()).status_code == 303
    assert (await house.who())["roles"] == []


async def test_an_answer_counts_once_and_for_ten_minutes() -> None:
    house = House()
    answer = await house.approved(await house.asked())
    house.now += 601
    assert (await house.browser.get("/ui/signed-in", params=answer)).status_code == 400
    answer = await house.approved(await house.asked())
    assert (await house.browser.get("/ui/signed-in", params=answer)).status_code == 303
    assert (await house.browser.get("/ui/signed-in", params=answer)).status_code == 400


async def test_a_refusal_of_the_provider_is_said_and_shows_nothing_of_it() -> None:
    house = House()
    asked = await house.asked("/ui?a=%22%3E%3Cscript%3E")
    said = {"error": "access_denied", "error_description": "<script>alert(1)</script>", "state": asked["state"]}
    answer = await house.browser.get("/ui/signed-in", params=said)
    assert answer.status_code == 400
    assert "script" not in answer.text.replace("%3Cscript%3E", "").replace("%253Cscript%253E", "")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "Войти не удалось" in answer.text


async def test_while_the_provider_is_away_nobody_signs_in_and_sessions_go_on() -> None:
    house = House()
    house.there.away = True
    answer = await house.browser.get("/ui/sign-in")
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    bearer = {"Authorization": BEARER + house.there.token()}
    refused = await house.client().get("/v1/sessions", headers=bearer)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    near = await house.client(("10.1.1.1", 1)).get("/v1/sessions", headers=bearer)
    assert near.status_code == 200
    house.browser.cookies.set(SESSION, house.cookies.of_person(ANNA))
    assert (await house.browser.get("/v1/sessions")).status_code == 200


PAGES = [
    ("/ui", "/ui"), ("/ui/sales?day=1#x", "/ui/sales?day=1#x"), ("/ui/railway", "/ui/railway"), (None, "/ui"),
    ("https://evil.example/ui", "/ui"), ("//evil.example/ui", "/ui"), ("/\\evil.example", "/ui"), ("/ui/\\x", "/ui"),
    ("\t//evil.example", "/ui"), ("/ui\r\nSet-Cookie: a=b", "/ui"), ("javascript:alert(1)", "/ui"), ("/uix", "/ui"),
    ("/admin/truncate", "/ui"), ("/ui//evil.example", "/ui"), ("/ui/sign-out", "/ui"), ("/ui/signed-in?code=1", "/ui"),
    ("http:/ui", "/ui"), ("//[", "/ui"), ("/ui/" + "x" * 3000, "/ui"), ("/ui/Ж", "/ui"), ("///ui", "/ui"),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "given"), PAGES)
def test_only_pages_of_ours_are_gone_to(asked: str | None, given: str) -> None:
    assert page_within(asked) == given


@pytest.mark.parametrize("page", ["https://evil.example", "//evil.example/", "/\\evil.example"])
async def test_the_whole_way_leads_to_no_other_site(page: str) -> None:
    house = House()
    answer = await house.browser.get("/ui/signed-in", params=await house.approved(await house.asked(page)))
    assert answer.headers["location"] == "/ui"


async def test_a_session_ends_by_time_and_by_signing_out() -> None:
    house = House()
    await house.enter()
    kept = house.browser.cookies[SESSION]
    same = {"Origin": HOME}
    answer = await house.browser.post("/ui/sign-out", headers=same)
    assert answer.json()["next"].startswith(f"{house.there.issuer}/logout?client_id=sensorium&post_logout")
    assert (await house.who())["name"] is None
    house.browser.cookies.set(SESSION, kept)  # a copy that somebody kept
    assert (await house.browser.get("/v1/sessions")).status_code == 401
    house.browser.cookies.clear()
    await house.enter()
    house.now += 3601
    assert (await house.browser.get("/v1/sessions")).status_code == 401


def test_cookies_are_opened_only_as_what_they_were_sealed() -> None:
    cookies = Cookies(SECRET)
    session, attempt = cookies.of_person(ANNA), cookies.of_attempt(Attempt("s", "n", "v", "/ui"))
    assert cookies.person(session) == ANNA
    assert Cookies(SECRET).person(session) == ANNA
    assert cookies.person(attempt) is None
    assert cookies.attempt(session) is None
    assert Cookies("another secret").person(session) is None
    for bad in ("", "x", "AAAA", session[:-4], session[:20] + "A" + session[21:], "é" * 40, "A" * 5000, "=" * 40):
        assert cookies.person(bad) is None


CROSS = [
    ({}, 401), ({"Origin": "https://evil.example"}, 401), ({"Origin": "null"}, 401), ({"Origin": HOME}, 200),
    ({"Sec-Fetch-Site": "same-origin"}, 200), ({"Sec-Fetch-Site": "cross-site"}, 401),
    ({"Sec-Fetch-Site": "same-site"}, 401), ({"Origin": HOME, "Sec-Fetch-Site": "cross-site"}, 401),
    ({"Sec-Fetch-Site": "none"}, 401), ({"Origin": HOME + ".evil.example"}, 401), ({"Origin": HOME + ":81"}, 401),
    ({"Origin": ""}, 401),
]  # fmt: skip


@pytest.mark.parametrize(("headers", "status"), CROSS)
async def test_another_sites_page_changes_nothing_by_somebodys_cookie(headers: dict[str, str], status: int) -> None:
    house = House()
    house.browser.cookies.set(SESSION, house.cookies.of_person(ANNA))
    answer = await house.browser.post("/v1/sales/analysis/rerun", headers=headers)
    assert answer.status_code == status
    signed_out = await house.browser.post("/ui/sign-out", headers=headers)
    assert signed_out.status_code == (200 if status == 200 else 403)


@pytest.mark.parametrize(
    ("headers", "status"),
    [({}, 200), ({"Sec-Fetch-Site": "none"}, 200), ({"Origin": "https://evil.example"}, 401),
     ({"Sec-Fetch-Site": "cross-site"}, 401)],
)  # fmt: skip
async def test_another_sites_page_reads_nothing_by_somebodys_cookie(headers: dict[str, str], status: int) -> None:
    house = House()
    house.browser.cookies.set(SESSION, house.cookies.of_person(ANNA))
    assert (await house.browser.get("/v1/sessions", headers=headers)).status_code == status
    said = (await house.browser.get("/ui/me", headers=headers)).json()
    assert said["name"] == ("anna" if status == 200 else None)


async def test_with_https_cookies_stay_there_and_have_a_name_nobody_else_can_set() -> None:
    house = House(public="https://sensorium.example")
    answer = await house.enter()
    kept = answer.headers.get_list("set-cookie")
    assert all("Secure" in one and one.startswith("__Host-") for one in kept)
    assert (await house.asked())["redirect_uri"] == "https://sensorium.example/ui/signed-in"
    plain = house.client()
    plain.cookies.set(SESSION, house.cookies.of_person(ANNA))
    assert (await plain.get("/v1/sessions")).status_code == 401
    plain.cookies.set(f"__Host-{SESSION}", house.cookies.of_person(ANNA))
    assert (await plain.get("/v1/sessions")).status_code == 200
    own = {"Origin": "https://sensorium.example"}
    assert (await plain.post("/v1/sales/analysis/rerun", headers=own)).status_code == 200


async def test_signing_in_under_another_name_begins_anew_under_the_public_one() -> None:
    house = House(public="https://trains.example")
    answer = await house.browser.get("/ui/sign-in", params={"page": "/ui/sales"})
    assert answer.headers["location"] == "https://trains.example/ui/sign-in?page=%2Fui%2Fsales"


async def test_where_no_provider_is_nobody_signs_in_and_the_pages_are_told() -> None:
    app = FastAPI()
    app.include_router(person_pages.build(None))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=HOME) as browser:
        assert (await browser.get("/ui/me")).json() == {"provider": False, "name": None, "roles": []}
        for path in ("/ui/sign-in", "/ui/signed-in"):
            assert (await browser.get(path)).status_code == 404
        assert (await browser.post("/ui/sign-out")).status_code == 404


ROLES = [((), 403, 403), (("analyst",), 200, 403), (("operator",), 403, 200), (("admin",), 200, 200)]


@pytest.mark.parametrize(("roles", "reading", "truncating"), ROLES)
async def test_roles_open_what_the_table_says(roles: tuple[str, ...], reading: int, truncating: int) -> None:
    house = House(roles=roles)
    bearer = {"Authorization": BEARER + house.there.token()}
    client = house.client()
    assert (await client.get("/v1/sessions", headers=bearer)).status_code == reading
    assert (await client.post("/admin/truncate", headers=bearer)).status_code == truncating
    assert (await client.get("/not/in/the/table", headers=bearer)).status_code == 401
    near = house.client(("10.1.1.1", 1))
    assert (await near.get("/v1/sessions", headers=bearer)).json() == {"by": ANNA.by}
    assert (await near.post("/admin/truncate", headers=bearer)).status_code == truncating


async def test_a_header_counts_before_a_cookie_and_neither_takes_from_admin_token() -> None:
    house = House()
    client = house.client()
    client.cookies.set(SESSION, house.cookies.of_person(ANNA))
    assert (await client.get("/v1/sessions", headers={"Authorization": "Bearer wrong"})).status_code == 401
    assert (await client.get("/v1/sessions", headers={"Authorization": BEARER + TOKEN})).json() == {"by": "token"}
    for bad in (house.there.token(exp=1), house.there.token(key()), "a.b.c"):
        assert (await client.get("/v1/sessions", headers={"Authorization": BEARER + bad})).status_code == 401


ROUTES = [
    ("GET", "/v1/live", "analyst"), ("GET", "/v1/sales/dialogues/x/audio", "analyst"), ("GET", "/stream/x", "security"),
    ("PATCH", "/api/v1/admin/devices/x", "operator"), ("GET", "/api/v1/exports/reviews", "analyst operator"),
    ("POST", "/face_api/v1/search", "security"), ("PATCH", "/base_api/admin/user/x/face", "security"),
    ("POST", "/base_api/v1/admin/ticket", "operator"), ("PUT", "/base_api/admin/engineer_privileges", ""),
    ("GET", "/base_api/user-provider/users/all", ""), ("POST", "/api/v1/users", ""),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "roles"), ROUTES)
def test_what_each_role_is_for(method: str, path: str, roles: str) -> None:
    rule = rule_of(method, path)
    assert rule is not None
    assert rule.roles == {"admin", *roles.split()}


# Passengers.

PASSENGER = "0d6d2a1f-5a11-4b0c-8a52-2f0e4d4a9a57"


def passengers(there: OpenIdProvider, *, by_userinfo: bool = False, **linked: str) -> httpx.AsyncClient:
    app = FastAPI()
    options = OpenIdOptions(there.issuer, there.client_id)
    subjects = (
        ByUserinfo(f"{there.issuer}/userinfo", client=there.client())
        if by_userinfo
        else BySignature(Provider(options, client=there.client()))
    )

    async def link(subject: str) -> str | None:
        return linked.get(subject.replace("-", "_"))

    @app.get("/me")
    async def me(_: Request, user_id: str = Depends(person_of(subjects, link))) -> str:
        return user_id

    return httpx.AsyncClient(transport=httpx.ASGITransport(app, client=FAR), base_url=HOME)


async def asked(client: httpx.AsyncClient, token: str) -> tuple[int, Any]:
    answer = await client.get("/me", headers={"Authorization": BEARER + token})
    return answer.status_code, answer.json() if answer.status_code == 200 else answer.json()["detail"]


@pytest.mark.parametrize("by_userinfo", [False, True])
async def test_a_passenger_is_who_the_subject_or_the_link_says(by_userinfo: bool) -> None:
    there = OpenIdProvider(keys=[KEY])
    client = passengers(there, by_userinfo=by_userinfo, **{ANNA.subject.replace("-", "_"): PASSENGER})
    assert await asked(client, there.token(sub=f"f:8a3e-x:{PASSENGER.upper()}")) == (200, PASSENGER)
    assert await asked(client, there.token()) == (200, PASSENGER)
    assert await asked(client, there.token(sub=PASSENGER)) == (200, PASSENGER)
    for subject in ("auth0|12", f"f:{PASSENGER}", "f:a:b", "f:a:"):
        assert await asked(client, there.token(sub=subject)) == (403, "This sign-in stands for no passenger")


@pytest.mark.parametrize("by_userinfo", [False, True])
async def test_nobody_is_a_passenger_by_a_bad_token(by_userinfo: bool) -> None:
    there = OpenIdProvider(keys=[KEY])
    client = passengers(there, by_userinfo=by_userinfo)
    for token in (there.token(exp=1), there.token(key()), "x", "", "a b", "x" * 20_000):
        assert await asked(client, token) == (401, "Invalid credentials")
    assert (await client.get("/me")).status_code == 401
    there.away = True
    answer = await passengers(there, by_userinfo=by_userinfo).get(
        "/me", headers={"Authorization": BEARER + there.token()}
    )
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
