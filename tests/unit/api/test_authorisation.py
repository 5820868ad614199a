"""The authorisation matrix: every route of the front app x every kind of caller, and own and foreign objects."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from api.doors import ROLES, Door, Rule
from api.roles import TABLE
from api.route_rules import canonical, of_route, rule_of
from tests.drivers.front_door import HERE, HOST, NEAR, Caller, FrontDoor
from tests.drivers.railway_office import AS_ROBOT, client_at, railway_of, server_of
from tests.drivers.railway_shops import AS_RIVAL, AS_SHOP, PASSENGER, RIVAL, SHOP, Shops, purchase

SOME_ID = "0f9d3c1e-0000-4000-8000-0000000000ff"
REFUSALS = (401, 403)
STRANGER = Caller("nobody far away", headers={"origin": f"http://{HOST}"})


@pytest.fixture(scope="module")
def patch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patching:
        yield patching


@pytest.fixture(scope="module")
def with_provider(tmp_path_factory: pytest.TempPathFactory, patch: pytest.MonkeyPatch) -> FrontDoor:
    """A front app where people sign in; putting one together takes a second."""
    return FrontDoor(tmp_path_factory.mktemp("home"), patch, provider=True)


@pytest.fixture(scope="module")
def without(tmp_path_factory: pytest.TempPathFactory, patch: pytest.MonkeyPatch) -> FrontDoor:
    """As it always was."""
    return FrontDoor(tmp_path_factory.mktemp("home"), patch, provider=False)


def near(caller: Caller) -> bool:
    return caller.peer in (NEAR, HERE) and caller.host != "evil.example"


def comes_in(rule: Rule, caller: Caller, *, provider: bool) -> bool:
    """Whether the table lets somebody in."""
    name = caller.name
    doors = {
        Door.OPEN: True,
        Door.NETWORK: near(caller) or name == "ADMIN_TOKEN",
        Door.TOKEN: name == "ADMIN_TOKEN",
        Door.USERS: name in ("ADMIN_TOKEN", "a user", "an administrator"),
        Door.ADMINISTRATORS: name in ("ADMIN_TOKEN", "an administrator"),
        Door.USER: name in ("a user", "an administrator"),
        Door.DEVICE: name == "a recorder",
        Door.INTERNAL: name == "an asr worker",
        Door.ROBOT: name == "a robot",
        Door.NETWORK_AND_ROBOTS: near(caller) or name in ("ADMIN_TOKEN", "a robot"),
        Door.STORE: name == "a store",
        Door.PASSENGER: provider and caller.signed_in,
    }
    return doors[rule.door] or (provider and rule.lets_in(caller.roles))


def concrete(path: str) -> str:
    return re.sub(r"\{\w+(:path)?\}", SOME_ID, path)


async def differences(door: FrontDoor, *, provider: bool) -> list[str]:
    """Where the app does not do what the table says."""
    found: list[str] = []
    # Without a provider all of its people are alike: one is enough.
    callers = [one for one in door.callers() if provider or "admin" in one.roles or not one.signed_in]
    for method, path in sorted(door.routes()):
        rule = of_route(method, path)
        if rule is None:
            found.append(f"{method} {path} is not in the table of api/roles.py")
            continue
        for caller in [STRANGER] if rule.door is Door.OPEN else callers:
            status = await door.status(method, concrete(path), caller)
            let_in = status not in REFUSALS
            if let_in != comes_in(rule, caller, provider=provider):
                found.append(f"{method} {path}: {caller.name} got {status} ({rule.door.value}; {sorted(rule.roles)})")
    return found


async def test_every_route_lets_in_whom_the_table_says(with_provider: FrontDoor) -> None:
    assert await differences(with_provider, provider=True) == []


async def test_without_a_provider_nobodys_roles_count(without: FrontDoor) -> None:
    assert await differences(without, provider=False) == []


def test_every_line_of_the_table_is_a_route(with_provider: FrontDoor) -> None:
    there = {of_route(method, path) for method, path in with_provider.routes()}
    forwarded = {of_route("GET", "/v1/internal/asr"), of_route("GET", "/v1/internal/asr/{rest:path}")}
    assert [f"{rule.method} {rule.path}" for rule in TABLE if rule not in there | forwarded] == []


def test_the_table_says_everything_once() -> None:
    counted = Counter((rule.method, re.sub(r"\{\w+", "{", rule.path)) for rule in TABLE)
    assert [route for route, number in counted.items() if number > 1] == []
    assert all(rule.roles <= set(ROLES) for rule in TABLE)
    assert all(not rule.roles or "admin" in rule.roles for rule in TABLE)


def test_no_request_fits_two_lines_that_differ() -> None:
    for rule in TABLE:
        found = rule_of(rule.method, concrete(rule.path))
        assert found is not None
        assert (found.door, found.roles) == (rule.door, rule.roles), rule.path


@pytest.mark.parametrize(
    ("path", "same"),
    [
        ("/api/v1/sessions", "/v1/sessions"), ("/base_api/v1/admin/users", "/base_api/admin/users"),
        ("/v1/sessions", "/v1/sessions"), ("/api/health", "/api/health"), ("/base_api/v1", "/base_api/v1"),
        ("/store_api/v1/v1/x", "/store_api/v1/x"), ("/api/api/v1/x", "/api/api/v1/x"),
    ],
)  # fmt: skip
def test_paths_that_are_the_same_route(path: str, same: str) -> None:
    assert canonical(path) == same


@pytest.mark.parametrize("path", ["//v1/sessions", "/V1/sessions", "/v1/sessions/x", "/v1/reviews/a/b", "/v1/reviews/"])
def test_what_is_not_a_route_is_nobodys(path: str) -> None:
    assert rule_of("GET", path) is None


def test_a_head_is_a_get() -> None:
    assert rule_of("HEAD", "/v1/sessions") == rule_of("GET", "/v1/sessions")
    assert rule_of("OPTIONS", "/v1/sessions") is None


# Own and foreign objects: who has signed in as a store reaches what is its own, and no more.


@pytest.fixture
def shops() -> Shops:
    return Shops()


@pytest.fixture
async def client(shops: Shops) -> AsyncIterator[httpx.AsyncClient]:
    async with client_at(server_of(railway_of(shops))) as session:
        yield session


async def made(client: httpx.AsyncClient, shop: dict[str, str]) -> tuple[str, str]:
    """An item of a shop and a task for it."""
    new = {"name": "Чай", "description": "", "logo_url": "", "balance": 10, "price_penny": 5}
    item = (await client.post("/store_api/store/item", json=new, headers=shop)).json()["id"]
    asked = purchase(item, is_default_ready=False)
    assert (await client.post("/store_api/store/purchase", json=asked, headers=shop)).status_code == 200
    (task,) = (await client.get("/store_api/store/tasks", headers=shop)).json()["items"]
    return item, task["id"]


OBJECTS: dict[str, tuple[str, str, Any]] = {
    "an item": ("GET", "/store/item/{item}", None),
    "an item's change": ("PUT", "/store/item", {"id": "{item}", "balance": 99}),
    "a purchase": ("POST", "/store/purchase", "{purchase}"),
    "a task": ("PUT", "/store/task/{task}/ready", None),
    "a task as the console calls it": ("PUT", "/store/task/{task}", None),
    "an item's end": ("DELETE", "/store/item/{item}", None),
}


@pytest.mark.parametrize(("method", "path", "body"), OBJECTS.values(), ids=OBJECTS.keys())
async def test_own_and_foreign_objects(
    client: httpx.AsyncClient, shops: Shops, method: str, path: str, body: Any
) -> None:
    item, task = await made(client, AS_SHOP)
    before = dict(shops.items[item]), dict(shops.tasks[task])
    sent = purchase(item) if body == "{purchase}" else body and body | {"id": item}
    url = "/store_api" + path.format(item=item, task=task)
    statuses = {}
    for who, headers in (("nobody", {}), ("robot", AS_ROBOT), ("rival", AS_RIVAL)):
        statuses[who] = (await client.request(method, url, json=sent, headers=headers)).status_code
        assert (shops.items[item], shops.tasks[task]) == before
    statuses["own"] = (await client.request(method, url, json=sent, headers=AS_SHOP)).status_code
    assert statuses == {"nobody": 401, "robot": 401, "rival": 404, "own": 200}


async def test_lists_have_ones_own_only(client: httpx.AsyncClient) -> None:
    await made(client, AS_SHOP)
    for path in ("/store/items", "/store/tasks"):
        url = f"/store_api{path}"
        assert (await client.get(url, headers=AS_SHOP)).json()["total"] == 1
        assert (await client.get(url, headers=AS_RIVAL)).json()["total"] == 0


async def test_a_robot_buys_a_stores_own_items_only(client: httpx.AsyncClient) -> None:
    item, _ = await made(client, AS_SHOP)
    asked = purchase(item, user_id=PASSENGER)
    url = "/store_api/robot/store/{}/make_purchase"
    assert (await client.post(url.format(RIVAL), json=asked, headers=AS_ROBOT)).status_code == 404
    assert (await client.post(url.format(SHOP), json=asked, headers=AS_SHOP)).status_code == 401
    assert (await client.post(url.format(SHOP), json=asked, headers=AS_ROBOT)).status_code == 200
