"""Keys and sign-in: both kinds, lost answers, a server that is away, forgets us, or never knew us."""

from __future__ import annotations

import asyncio
import base64
import json
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import serialization

from edge_agents.robot import users
from edge_agents.robot.connection import Call, Connection, Patience
from edge_agents.robot.errors import BadAnswer, NotRegistered, Refused, RobotError, ServerAway
from edge_agents.robot.keys import KeyFiles, answer_to, new_key, public_pem
from edge_agents.robot.servers import Servers
from edge_agents.robot.sign_in import Credentials, Model, SignIn
from tests.drivers.railway_office import AS_ROBOT
from tests.drivers.robot_desk import ENGINEER, OAEP, Desk

EVA = (ENGINEER["login"], ENGINEER["password"])


async def at_once(_: float) -> None:
    await asyncio.sleep(0)


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
async def connection(desk: Desk) -> AsyncIterator[Connection]:
    async with httpx.AsyncClient(transport=desk) as http:
        yield Connection(http, Patience(2.0, 1.0), at_once)


def robot(connection: Connection, home: Path, *answers: Credentials | None, kind: str = "ed25519") -> SignIn:
    """A robot whose engineer answers this, one after the other, then nothing."""
    waiting = list(answers)

    async def ask(why: str) -> Credentials | None:
        assert why
        return waiting.pop(0) if waiting else None

    files = KeyFiles(home / "keys" / "deep", home / "login" / "data")
    return SignIn("http://t/base_api/v1", files, Model("m", "M", kind), connection, ask)


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
async def test_first_with_an_engineer_then_by_key(
    desk: Desk, connection: Connection, tmp_path: Path, kind: str
) -> None:
    first = robot(connection, tmp_path, EVA, kind=kind)
    assert await first.token() in desk.tokens
    again = robot(connection, tmp_path, kind=kind)
    assert await again.token() in desk.tokens
    assert (len(desk.keys), len(desk.tokens)) == (1, 2)
    robot_id = next(iter(desk.keys))
    assert json.loads((tmp_path / "login" / "data").read_text()) == {"robot_id": robot_id}
    for name in ("keys/deep/private_key.pem", "keys/deep/public_key.pem", "login/data"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "keys" / "deep").stat().st_mode) == 0o700
    assert (tmp_path / "keys/deep/public_key.pem").read_text() == desk.keys[robot_id]
    assert len(list((tmp_path / "keys" / "deep").iterdir())) == 2


async def test_a_lost_answer_registers_no_second_robot(desk: Desk, connection: Connection, tmp_path: Path) -> None:
    paths = [f"POST /base_api/v1/auth/robot/{route}" for route in ("new_login", "login")]
    desk.lose = lambda request: f"POST {request.url.path}" in paths and desk.calls[f"POST {request.url.path}"] == 1
    assert await robot(connection, tmp_path, EVA).token() in desk.tokens
    assert len(desk.keys) == 1
    assert desk.calls[paths[0]] == 2


async def test_wrong_words_are_asked_for_again_and_nothing_is_kept(
    desk: Desk, connection: Connection, tmp_path: Path
) -> None:
    signing = robot(connection, tmp_path, ("eva", "wrong"))
    signing.given = ("eva", "also wrong")
    with pytest.raises(RobotError, match="engineer"):
        await signing.token()
    assert not (tmp_path / "keys").exists()
    assert desk.calls["POST /base_api/v1/auth/robot/new_login"] == 2
    assert await robot(connection, tmp_path, ("eva", "wrong"), EVA).token() in desk.tokens


async def test_a_server_that_is_away_asks_no_engineer(desk: Desk, connection: Connection, tmp_path: Path) -> None:
    await robot(connection, tmp_path, EVA).token()
    desk.down = True
    with pytest.raises(ServerAway):
        await robot(connection, tmp_path).token()
    desk.down = False
    assert await robot(connection, tmp_path).token() in desk.tokens


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
async def test_who_is_not_known_any_more_needs_an_engineer(
    desk: Desk, connection: Connection, tmp_path: Path, kind: str
) -> None:
    await robot(connection, tmp_path, EVA, kind=kind).token()
    desk.keys.clear()
    with pytest.raises(RobotError):
        await robot(connection, tmp_path, kind=kind).token()
    assert await robot(connection, tmp_path, EVA, kind=kind).token() in desk.tokens


@pytest.mark.parametrize("harm", ["gone", "broken", "of another kind"])
async def test_lost_keys_are_made_anew(desk: Desk, connection: Connection, tmp_path: Path, harm: str) -> None:
    await robot(connection, tmp_path, EVA).token()
    path = tmp_path / "keys" / "deep" / "private_key.pem"
    if harm == "gone":
        path.unlink()
    elif harm == "broken":
        path.write_bytes(path.read_bytes()[:60])
    else:
        from cryptography.hazmat.primitives.asymmetric import ec

        form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        key = ec.generate_private_key(ec.SECP256R1())
        path.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))
    with pytest.raises(NotRegistered):
        KeyFiles(path.parent, tmp_path).key()
    assert await robot(connection, tmp_path, EVA).token() in desk.tokens
    assert len(desk.keys) == 2


async def test_a_refused_token_leads_to_one_new_sign_in_for_all(
    desk: Desk, connection: Connection, tmp_path: Path
) -> None:
    signing = robot(connection, tmp_path, EVA)
    told = await desk.furnished()
    servers = Servers("http://t/base_api/v1", "http://t/store_api/v1", "http://t", connection, signing)
    await signing.token()
    desk.tokens.clear()
    found = await asyncio.gather(*[users.by_id(servers, told["user"]) for _ in range(5)])
    assert [one.name for one in found] == ["Анна"] * 5
    assert desk.calls["POST /base_api/v1/auth/robot/login_code"] == 2
    desk.busy["/base_api/v1/robot/user/x"] = 401
    with pytest.raises(Refused, match="401"):
        await users.by_id(servers, "x")
    assert desk.calls["POST /base_api/v1/auth/robot/login_code"] == 3


async def test_what_helps_is_tried_again_and_what_does_not_is_not(desk: Desk, connection: Connection) -> None:
    url = "http://t/base_api/v1/auth/robot/login"
    desk.busy["/base_api/v1/auth/robot/login"] = 503
    now = iter(range(100))
    connection.clock = lambda: next(now)
    connection.patience = Patience(9.0, 1.0)
    with pytest.raises(ServerAway) as away:
        await connection.ask(Call("POST", url, {"id": "x"}))
    assert not away.value.effect_unknown
    assert desk.calls["POST /base_api/v1/auth/robot/login"] > 3
    desk.busy["/base_api/v1/auth/robot/login"] = 500
    with pytest.raises(ServerAway) as away:
        await connection.ask(Call("POST", url, {"id": "x"}, harmless=False))
    assert away.value.effect_unknown
    desk.calls.clear()
    for status in (400, 404, 409, 422):
        desk.busy["/base_api/v1/auth/robot/login"] = status
        with pytest.raises(Refused):
            await connection.ask(Call("POST", url, {"id": "x"}))
    assert desk.calls.total() == 4


async def test_a_200_of_somebody_else_is_no_answer() -> None:
    async with httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200, text="<html>"))) as http:
        with pytest.raises(BadAnswer):
            await Connection(http).ask(Call("GET", "http://t/"))


async def test_pictures_come_from_the_resource_server_only(connection: Connection) -> None:
    signing: Any = None
    servers = Servers("http://t/b", "http://t/s", "http://t", connection, signing)
    assert (await servers.picture("/static/hotel.png"))[:4] == b"\x89PNG"
    for path in ("http://elsewhere/a.png", "//elsewhere/a.png", "file:///etc/passwd", "//[", "/a\0b", "/" * 70_000):
        with pytest.raises(BadAnswer):
            await servers.picture(path)


def test_answers_to_challenges() -> None:
    key = new_key("rsa")
    hidden = key.public_key().encrypt("Aä!".encode(), OAEP)  # type: ignore[union-attr, call-arg, arg-type]
    assert answer_to(key, "r", "q", base64.b64encode(hidden).decode()) == "Aä!"
    for noise in (base64.b64encode(bytes(256)).decode(), "not base64", ""):
        with pytest.raises(NotRegistered):
            answer_to(key, "r", "q", noise)
    assert len(public_pem(key)) == 451
    assert AS_ROBOT


@pytest.mark.parametrize("text", ["", "{", "[]", '{"robot_id": 7}'])
def test_a_login_file_that_says_nothing_is_told_of(tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str) -> None:
    files = KeyFiles(tmp_path, tmp_path / "login_data")
    assert files.robot_id() is None
    assert not caplog.text, "there was no sign-in yet"
    files.login_file.write_text(text)
    assert files.robot_id() is None
    assert str(files.login_file) in caplog.text
