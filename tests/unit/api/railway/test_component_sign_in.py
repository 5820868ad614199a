"""How robots and stores' terminals register and sign in, byte by byte, against the decider in memory."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fastapi import Depends, FastAPI
from fastapi.exceptions import RequestValidationError

from api.attempts import AttemptLimits
from api.passwords import Passwords
from api.railway import cards, component_sign_in, engineers
from api.railway.component_sign_in import SignInLimits
from api.railway.parts import POOL, Railway
from api.railway.sessions import robot_of, store_of
from api.railway.unfit import unfit
from schemas.errors import Overloaded, TransientFailure
from tests.drivers.access import digest, pem_of, rsa_key
from tests.drivers.access_desk import AccessDesk, Component
from tests.drivers.deciding import RING
from tests.drivers.waiting import until

STORE = "0f9d3c1e-0000-4000-8000-00000000005e"
SHOP = {"id": STORE, "name": "Shop", "description": "", "logo_url": "", "store_type": "SHOP"}
MODEL = {"robot_model_id": "m1", "robot_model_name": "Robot"}
BASE = "/base_api/v1"
FAILS = r"(?i)decryption|encryption"
INVALID = (401, {"detail": "Invalid credentials"})


class Spy(Passwords):
    """Counts verifications: what a request costs, without a clock."""

    def __init__(self) -> None:
        super().__init__(memory_kib=8, passes=1)
        self.verified: list[bool] = []
        self.busy = False

    async def fits(self, password: str, known: str | None) -> bool:
        if self.busy:
            raise Overloaded("Too many people sign in at once")
        self.verified.append(known is not None)
        return await super().fits(password, known)


@dataclass
class Site:
    """A railway in memory, and clients of it."""

    desk: AccessDesk
    passwords: Spy
    http: httpx.AsyncClient

    async def engineer(self, login: str = "eva", privileges: tuple[str, ...] = ("ROBOT_LOGIN", "STORE_LOGIN")) -> str:
        made = await self.http.post(f"{BASE}/admin/engineer", json={"login": login, "password": "secret"})
        assert made.status_code == 200, made.text
        body = {"id": made.json()["id"], "privileges": privileges}
        assert (await self.http.put(f"{BASE}/admin/engineer_privileges", json=body)).status_code == 200
        return made.json()["id"]

    async def robot(self, key: Any = None) -> Component:
        one = Component(self.http, key or rsa_key(), "robot")
        assert (await one.register("eva", "secret", **MODEL)).status_code == 200
        return one

    async def store(self, key: Any = None) -> Component:
        one = Component(self.http, key or rsa_key(), "store")
        assert (await one.register("eva", "secret", store_id=STORE)).status_code == 200
        return one

    async def me(self, kind: str, headers: dict[str, str]) -> tuple[int, Any]:
        answer = await self.http.get(f"/{kind}/me", headers=headers)
        assert "www-authenticate" not in answer.headers
        return answer.status_code, answer.json()


def app_of(railway: Railway) -> FastAPI:
    app = FastAPI(exception_handlers={RequestValidationError: unfit})
    for one in (component_sign_in, engineers, cards):
        app.include_router(one.build(railway), prefix=BASE)
    robot, store = Depends(robot_of(railway)), Depends(store_of(railway))

    @app.get("/robot/me")
    async def robot_me(robot_id: str = robot) -> str:
        return robot_id

    @app.get("/store/me")
    async def store_me(store_id: str = store) -> str:
        return store_id

    return app


async def administrator() -> str:
    return "token"


@pytest.fixture(scope="module")
def served() -> tuple[AccessDesk, Spy, FastAPI, list[int]]:
    """Built once, for that takes a while; the number is that of the test and makes an address of its own."""
    desk, passwords, number = AccessDesk(), Spy(), [0]
    limits = SignInLimits(AttemptLimits(per_name=20, per_source=30), AttemptLimits(per_name=60, per_source=60))
    railway = Railway(
        desk, desk, RING, administrator, now=lambda: desk.now,  # pyright: ignore[reportArgumentType]
        client=lambda request: request.headers.get("x-from", f"10.0.1.{number[0]}"),
        extra={"passwords": passwords, "sign_in_limits": limits},
    )  # fmt: skip
    return desk, passwords, app_of(railway), number


@pytest.fixture
async def site(served: tuple[AccessDesk, Spy, FastAPI, list[int]]) -> AsyncIterator[Site]:
    desk, passwords, app, number = served
    desk.__init__()
    passwords.__init__()
    desk.stores[STORE] = SHOP
    number[0] += 1
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://t") as http:
        yield Site(desk, passwords, http)


@pytest.mark.parametrize("bits", [2048, 3072, 0], ids=["RSA 2048", "RSA 3072", "Ed25519"])
async def test_a_robot_and_a_store_sign_in(site: Site, bits: int):
    await site.engineer()
    key = rsa_key(bits) if bits else Ed25519PrivateKey.generate()
    robot, store = await site.robot(key), await site.store(key)
    as_robot, as_store = await robot.sign_in(), await store.sign_in()
    assert await site.me("robot", as_robot) == (200, robot.id)
    assert await site.me("store", as_store) == (200, STORE)
    assert await site.me("store", as_robot) == INVALID
    assert await site.me("robot", as_store) == INVALID
    token = as_robot["Authorization"].removeprefix("Bearer ")
    assert str(UUID(token, version=4)) == token


async def test_what_registration_answers(site: Site):
    await site.engineer()
    robot, store = Component(site.http, rsa_key(), "robot"), Component(site.http, rsa_key(), "store")
    answer = await robot.register("eva", "secret", **MODEL)
    assert answer.json() == {"id": robot.id} | MODEL
    assert UUID(robot.id).version == 4
    answer = await store.register("eva", "secret", store_id=STORE.upper())
    assert answer.json() == SHOP | {"items": []}
    listed = (await site.http.get(f"{BASE}/admin/robots")).json()
    assert listed == {"items": [{"id": robot.id} | MODEL], "total": 1, "page": 1, "size": 50, "pages": 1}


async def test_who_may_not_register(site: Site):
    await site.engineer("may", ("ROBOT_LOGIN",))
    await site.engineer("sells", ("STORE_LOGIN", "ROBOT_ADMIN"))
    robot, store = Component(site.http, rsa_key(), "robot"), Component(site.http, rsa_key(), "store")
    for refusal in (
        await robot.register("sells", "secret", **MODEL),
        await store.register("may", "secret", store_id=STORE),
    ):
        assert (refusal.status_code, refusal.json()) == (403, {"detail": "Insufficient privileges"})
    for login, password in (("may", "wrong"), ("nobody", "secret")):
        refusal = await robot.register(login, password, **MODEL)
        assert (refusal.status_code, refusal.json()) == INVALID
        assert "www-authenticate" not in refusal.headers
    unknown = await store.register("sells", "secret", store_id="0f9d3c1e-0000-4000-8000-00000000dead")
    assert (unknown.status_code, unknown.json()) == (404, {"detail": "Store id not found"})


async def test_a_store_deleted_meanwhile_keeps_no_terminal(site: Site):
    await site.engineer()
    store = Component(site.http, rsa_key(), "store")
    seen = iter([SHOP, None])

    class Vanishing(dict[str, Any]):
        def get(self, key: str, default: Any = None) -> Any:
            return next(seen)

    site.desk.stores = Vanishing()
    assert (await store.register("eva", "secret", store_id=STORE)).status_code == 404
    assert len(site.desk.state.components) == 0


async def test_an_unknown_login_costs_as_much_as_a_wrong_password(site: Site):
    await site.engineer()
    robot = Component(site.http, rsa_key(), "robot")
    for login, known in (("eva", True), ("nobody", False), ("eva", True), ("x" * 255, False)):
        site.passwords.verified.clear()
        refusal = await robot.register(login, "wrong", **MODEL)
        assert (refusal.status_code, refusal.json()) == INVALID
        assert site.passwords.verified == [known]


async def test_whoever_guesses_shuts_out_only_himself(site: Site):
    await site.engineer()
    guesser = Component(site.http, rsa_key(), "robot")
    statuses = [(await guesser.register("eva", "wrong", **MODEL)).status_code for _ in range(7)]
    assert statuses == [401] * 5 + [429] * 2
    refusal = await guesser.register("eva", "secret", **MODEL)
    assert (refusal.status_code, int(refusal.headers["retry-after"]) > 0) == (429, True)
    body = {"login": "eva", "password": "secret", "public_key": pem_of(rsa_key())} | MODEL
    answer = await site.http.post(f"{BASE}/auth/robot/new_login", json=body, headers={"X-From": "10.0.0.2"})
    assert answer.status_code == 200


async def test_too_many_at_once_are_told_to_come_again(site: Site):
    await site.engineer()
    site.passwords.busy = True
    refusal = await Component(site.http, rsa_key(), "robot").register("eva", "secret", **MODEL)
    assert (refusal.status_code, refusal.headers["retry-after"]) == (503, "2")


def bad_key(name: str) -> str:
    spki = (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    match name:
        case "junk" | "":
            return name
        case "cut":
            return pem_of(rsa_key())[:-60]
        case "short":
            return pem_of(rsa_key(1024))
        case "exponent":
            numbers = rsa.RSAPublicNumbers(3, rsa_key().public_key().public_numbers().n)
            return numbers.public_key().public_bytes(*spki).decode()
        case "elliptic":
            return ec.generate_private_key(ec.SECP256R1()).public_key().public_bytes(*spki).decode()
        case "pkcs1":
            return rsa_key().public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1).decode()
        case "letters":
            return pem_of(rsa_key()).replace("M", "Ж", 1)
        case _:
            return "-----BEGIN PUBLIC KEY-----" + "A" * 20_000


@pytest.mark.parametrize("name", ["junk", "", "cut", "short", "exponent", "elliptic", "pkcs1", "letters", "long"])
async def test_a_key_that_is_none_is_refused_when_it_is_registered(site: Site, name: str):
    await site.engineer()
    for kind, more in (("robot", MODEL), ("store", {"store_id": STORE})):
        body = {"login": "eva", "password": "secret", "public_key": bad_key(name)} | more
        refusal = await Component(site.http, rsa_key(), kind).post("new_login", body)
        assert refusal.status_code == 422
        assert refusal.json()["detail"][0]["loc"] == ["body", "public_key"]
    assert site.passwords.verified == []


async def test_a_key_may_come_with_other_line_ends(site: Site):
    await site.engineer()
    robot = Component(site.http, rsa_key(), "robot")
    key = "\r\n" + pem_of(rsa_key()).replace("\n", "\r\n")
    answer = await robot.post("new_login", {"login": "eva", "password": "secret", "public_key": key} | MODEL)
    robot.id = answer.json()["id"]
    assert site.desk.named("RobotRegistered")[0]["public_key"] == pem_of(rsa_key())
    assert (await site.me("robot", await robot.sign_in()))[0] == 200


async def test_a_challenge_in_bytes(site: Site):
    await site.engineer()
    robot, longer = await site.robot(), await site.robot(rsa_key(3072))
    challenge = await longer.ask()
    assert sorted(challenge) == ["data", "request_id"]
    assert len(base64.b64decode(challenge["data"], validate=True)) == 384
    await robot.register("eva", "secret", **MODEL)
    challenge = await robot.ask()
    assert (len(challenge["data"]), UUID(challenge["request_id"]).version) == (344, 4)
    text = robot.proof(challenge)
    assert len(text) == 100
    assert set(text) <= set(POOL)
    assert robot.proof(await robot.ask()) != text
    assert site.desk.named("ChallengeIssued")[-2]["proof_sha256"] == digest(text)


async def test_an_unknown_id_gets_what_looks_like_a_challenge(site: Site):
    await site.engineer()
    robot = await site.robot()
    known = len(site.desk.sent)
    store = Component(site.http, rsa_key(), "store", robot.id)  # a robot is no store
    for one in ("0f9d3c1e-0000-4000-8000-00000000dead", "not an id", "", "\x00", robot.id.upper()):
        stranger = Component(site.http, rsa_key(), "robot", one)
        challenge = await stranger.ask()
        assert len(base64.b64decode(challenge["data"], validate=True)) == 256
        assert UUID(challenge["request_id"]).version == 4
        if one == robot.id.upper():
            assert (await stranger.answer(challenge)).status_code == 200
            continue
        with pytest.raises(ValueError, match=FAILS):
            stranger.proof(challenge)
        assert (await stranger.answer(challenge, "guess")).json() == INVALID[1]
    assert len((await store.ask())["data"]) == 344
    issued = [name for name, _ in site.desk.sent[known:]]
    assert issued.count("IssueChallenge") == 6  # unknown or not, it goes through the log
    assert len(site.desk.named("ChallengeIssued")) == 1


async def test_decoys_of_an_id_stay_below_a_bound_of_its_own(site: Site):
    async def highest(component_id: str) -> int:
        one = Component(site.http, rsa_key(), "robot", component_id)
        return max([int.from_bytes(base64.b64decode((await one.ask())["data"])) for _ in range(15)])

    first, second = await highest("a"), await highest("0f9d3c1e-0000-4000-8000-00000000dead")
    assert first != second
    assert max(first, second) < 2**2048


async def test_of_a_key_replaced_meanwhile_nothing_is_shown(site: Site):
    await site.engineer()
    await site.store()
    old = pem_of(rsa_key())
    await site.store(rsa_key(3072))
    component = site.desk.component

    def late(client_type: str, component_id: UUID) -> dict[str, Any] | None:
        row = component(client_type, component_id)
        return row and row | {"public_key": old}

    site.desk.component = late  # type: ignore[method-assign]
    stale = Component(site.http, rsa_key(), "store", STORE)
    with pytest.raises(ValueError, match=FAILS):
        stale.proof(await stale.ask())


async def test_a_challenge_is_good_for_one_answer(site: Site):
    await site.engineer()
    robot = await site.robot()
    challenge = await robot.ask()
    assert (await robot.answer(challenge, "wrong")).json() == INVALID[1]
    assert (await robot.answer(challenge)).json() == INVALID[1]
    challenge = await robot.ask()
    assert (await robot.answer(challenge)).status_code == 200
    assert (await robot.answer(challenge)).status_code == 401
    challenge = await robot.ask()
    as_store = {"request_id": challenge["request_id"], "data": robot.proof(challenge)}
    assert (await site.http.post(f"{BASE}/auth/store/login_code", json=as_store)).status_code == 401
    assert (await robot.answer(challenge)).status_code == 401
    for request_id in ("no id", "0f9d3c1e-0000-4000-8000-00000000dead", "\x00"):
        assert (await robot.answer({"request_id": request_id}, "\x00")).json() == INVALID[1]


async def test_a_challenge_lives_half_a_minute(site: Site):
    await site.engineer()
    robot = await site.robot()
    challenge = await robot.ask()
    site.desk.now += timedelta(seconds=29.9)
    assert (await robot.answer(challenge)).status_code == 200
    challenge = await robot.ask()
    site.desk.now += timedelta(seconds=30)
    assert (await robot.answer(challenge)).status_code == 401


async def test_racing_answers_open_one_session(site: Site):
    await site.engineer()
    robot = await site.robot()
    challenge = await robot.ask()
    answers = await asyncio.gather(*(robot.answer(challenge) for _ in range(50)))
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 49
    assert len(site.desk.state.sessions) == 1


async def test_a_retry_with_its_key_gets_the_same_token_and_nobody_else_does(site: Site):
    await site.engineer()
    robot, store = await site.robot(), await site.store()
    key = {"Idempotency-Key": "k1"}
    challenge, again = [await robot.ask(**key) for _ in range(2)]
    assert challenge["request_id"] == again["request_id"]
    assert robot.proof(challenge) == robot.proof(again)
    first, second = [await robot.answer(challenge, **key) for _ in range(2)]
    assert (first.status_code, first.json()) == (200, second.json())
    assert len(site.desk.state.sessions) == 1
    assert (await robot.answer(challenge, "a guess", **key)).status_code == 409
    assert store.proof(await store.ask(**key)) != robot.proof(challenge)
    other = Component(site.http, rsa_key(), "robot", STORE)
    answer = await site.http.post(f"{BASE}/auth/robot/login", json={"id": other.id}, headers=key)
    assert answer.status_code == 409


async def test_a_key_used_again_when_its_command_is_long_forgotten_gives_another_component_another_text(site: Site):
    await site.engineer()
    first = await site.robot()
    second = Component(site.http, rsa_key(), "robot")
    await second.register("eva", "secret", robot_model_id="m2", robot_model_name="")
    key = {"Idempotency-Key": "k1"}
    known = first.proof(await first.ask(**key))
    site.desk.answers.clear()
    challenge = await second.ask(**key)
    assert second.proof(challenge) != known
    assert (await second.answer(challenge, known)).status_code == 401


async def test_nothing_secret_goes_into_the_log(site: Site):
    await site.engineer()
    robot = await site.robot()
    challenge = await robot.ask()
    text = robot.proof(challenge)
    token = (await robot.answer(challenge)).json()["token"]
    log = repr(site.desk.sent) + repr(site.desk.events)
    for secret in (text, token, "secret", "eva"):
        assert secret not in log
    assert digest(token) in log


async def test_challenges_and_answers_of_one_place_are_limited(site: Site):
    stranger = Component(site.http, rsa_key(), "robot", "0f9d3c1e-0000-4000-8000-00000000dead")
    body = {"id": stranger.id}
    statuses = [(await site.http.post(f"{BASE}/auth/robot/login", json=body)).status_code for _ in range(21)]
    assert statuses == [200] * 20 + [429]
    elsewhere = await site.http.post(f"{BASE}/auth/robot/login", json=body, headers={"X-From": "10.0.0.2"})
    assert elsewhere.status_code == 200
    guesses = [(await stranger.answer({"request_id": stranger.id}, "x")).status_code for _ in range(61)]
    assert guesses == [401] * 60 + [429]


async def test_kafka_is_away(site: Site):
    await site.engineer()
    robot = await site.robot()
    challenge, header = await robot.ask(), await robot.sign_in()
    site.desk.failure = TransientFailure("Kafka is away")
    answer = await robot.answer(challenge)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    site.desk.now += timedelta(minutes=30)
    assert await site.me("robot", header) == (200, robot.id)  # not renewed, and served
    site.desk.failure = None
    assert (await robot.answer(challenge)).status_code == 401


@pytest.mark.parametrize(
    ("shown", "status"),
    [
        ("Bearer {}", 200), ("bearer {}", 200), ("BEARER   {}", 200), ("{}", 401), ("Token {}", 401), ("Basic {}", 401),
        ("Bearer {} more", 401), ("Bearer", 401), ("", 401), ("Bearer " + "x" * 200, 401), ("Bearer 0", 401),
    ],
)  # fmt: skip
async def test_how_a_token_is_shown(site: Site, shown: str, status: int):
    await site.engineer()
    robot = await site.robot()
    token = (await robot.sign_in())["Authorization"].split()[1]
    assert (await site.me("robot", {"Authorization": shown.format(token)}))[0] == status
    assert (await site.me("robot", {}))[0] == 401


async def test_a_session_lives_an_hour_after_its_last_use_and_is_renewed_seldom(site: Site):
    await site.engineer()
    robot = await site.robot()
    header = await robot.sign_in()

    def renewals() -> int:
        return [name for name, _ in site.desk.sent].count("RenewSession")

    for _ in range(20):
        await site.me("robot", header)
    assert renewals() == 0
    for n in range(1, 4):
        site.desk.now += timedelta(minutes=55)
        for _ in range(5):
            assert (await site.me("robot", header))[0] == 200
        await until(lambda n=n: renewals() == n)
    site.desk.now += timedelta(minutes=59, seconds=59)
    assert (await site.me("robot", header))[0] == 200
    site.desk.now += timedelta(hours=1)
    assert await site.me("robot", header) == INVALID


async def test_whoever_is_replaced_or_removed_is_signed_out(site: Site):
    await site.engineer()
    robot, store = await site.robot(), await site.store()
    as_robot, as_store = await robot.sign_in(), await store.sign_in()
    again = await site.robot()
    assert again.id != robot.id
    assert await site.me("robot", as_robot) == INVALID
    await site.store(Ed25519PrivateKey.generate())
    assert await site.me("store", as_store) == INVALID
    as_robot = await again.sign_in()
    for _ in range(2):
        assert (await site.http.delete(f"{BASE}/admin/robots/{again.id}")).json() == {"status": "OK"}
        assert await site.me("robot", as_robot) == INVALID
    assert (await site.http.get(f"{BASE}/admin/robots")).json()["total"] == 0


async def test_input_that_is_none(site: Site):
    good: dict[str, Any] = {"login": "eva", "password": "secret", "public_key": pem_of(rsa_key())} | MODEL
    robot, store = Component(site.http, rsa_key(), "robot"), Component(site.http, rsa_key(), "store")
    for changed in (
        {"login": "x" * 256}, {"password": "x" * 256}, {"login": "\x00"}, {"password": "\ud800"}, {"login": 1},
        {"robot_model_id": "x" * 61}, {"robot_model_id": ""}, {"robot_model_name": "x" * 61}, {"public_key": None},
    ):  # fmt: skip
        assert (await robot.post("new_login", good | changed)).status_code == 422, changed
    for one in (robot, store):
        for route in ("new_login", "login", "login_code"):
            assert (await one.post(route, {"id": 5, "request_id": "x"})).status_code == 422
    assert (await store.post("new_login", good | {"store_id": "5"})).status_code == 422
