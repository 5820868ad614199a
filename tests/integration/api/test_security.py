"""Unwanted persons and deviance end to end: pictures and scores in, alerts on an open terminal, once each."""

from __future__ import annotations

import asyncio
import base64
import threading
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import Request

from api.railway.face_desk import Described
from api.railway.parts import Railway
from api.security import Security
from ops.replay import Replay, Servers
from schemas.envelope import seal
from tests.drivers import faces
from tests.drivers.deciding import RING, DecidingSite
from tests.drivers.faces import vector
from tests.drivers.pictures import SAMPLE_FACES
from tests.drivers.security_site import TOKEN, Terminal, app_of, at_work, client_of, model_at, served
from tests.drivers.waiting import until

BEGIN = datetime(2026, 1, 1, 9, tzinfo=UTC)
ASKED = Request({"type": "http", "method": "POST", "path": "/", "headers": []})
JPEG = b"\xff\xd8\xff\xe0 a key frame \xff\xd9"


class Quiet:
    """Reports nothing."""

    def phase(self, name: str, total: int) -> None:
        """Nothing."""

    def advanced(self, rows: int, offsets: int) -> None:
        """Nothing."""


def picture(*seeds: float) -> str:
    """What `describe` takes for a picture of these faces."""
    return base64.b64encode(" ".join(map(str, seeds)).encode()).decode()


async def describe(data: bytes, _purpose: str, /) -> Sequence[Described]:
    return [Described(vector(int(one), near=one % 1).tobytes(), 1.0) for one in map(float, data.decode().split())]


@pytest.fixture(scope="module")
def site(kafka_bootstrap: str, database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DecidingSite]:
    with at_work(kafka_bootstrap, database_url, tmp_path_factory.mktemp("security")) as made:
        yield made


@pytest.fixture
async def parts(site: DecidingSite, database_url: str, tmp_path: Path) -> AsyncIterator[tuple[Security, Railway]]:
    async with served(site, database_url, tmp_path, describe) as made:
        yield made


@pytest.fixture
async def client(parts: tuple[Security, Railway]) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(parts[0]) as session:
        yield session


@pytest.fixture
async def terminal(parts: tuple[Security, Railway]) -> AsyncIterator[Terminal]:
    made = Terminal(parts[0])
    await made.open()
    yield made
    await made.close()


async def person(railway: Railway, name: str) -> str:
    """A passenger of this name."""
    user_id = str(uuid.uuid4())
    details = {"name": name, "username": None, "email": None, "password_hash": None}
    sealed = seal(RING, f"passenger/{user_id}", "PassengerDetails", details)
    record = {"user_id": user_id, "details": sealed, "name_is_taken_once": False, "by": None}
    answer = await railway.writer.command("AddPassenger", "passengers", record, await_model="railway_passengers")
    assert answer.seen
    return user_id


def sighting(camera: str, seconds: float, image: str) -> dict[str, Any]:
    return {"camera_id": camera, "seen_at": (BEGIN + timedelta(seconds=seconds)).isoformat(), "image": image}


def window(camera: str, seconds: float, score: float, **more: Any) -> dict[str, Any]:
    start = BEGIN + timedelta(seconds=seconds)
    times = {"start": start.isoformat(), "end": (start + timedelta(seconds=1)).isoformat()}
    return {"camera_id": camera, "score": score, "model": "violent-flows-1"} | times | more


async def seen(client: httpx.AsyncClient, *args: Any) -> dict[str, Any]:
    answer = await client.post("/v1/security/sightings", json=sighting(*args))
    assert answer.status_code == 200, answer.text
    return answer.json()


async def scored(client: httpx.AsyncClient, *args: Any, **more: Any) -> dict[str, Any]:
    answer = await client.post("/v1/deviance", json=window(*args, **more))
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_person_on_the_list_is_one_threat_until_the_face_is_deleted(
    parts: tuple[Security, Railway],
    client: httpx.AsyncClient,
    terminal: Terminal,
    site: DecidingSite,
    database_url: str,
) -> None:
    railway, desk = parts[1], parts[1].faces
    assert desk is not None
    thief, other = await person(railway, "Анна"), await person(railway, "Boris")
    await desk.enrol(ASKED, thief, picture(1), None)
    await desk.enrol(ASKED, other, picture(2), None)
    wanted = {"level": "high", "reason": "Stole tea"}
    assert (await client.put(f"/v1/security/watch-list/{thief}", json=wanted)).json() == {"ok": True}
    assert [(one["name"], one["reason"]) for one in (await client.get("/v1/security/watch-list")).json()["items"]] == [
        ("Анна", "Stole tea")
    ]
    camera = f"door-{uuid.uuid4().hex[:8]}"
    assert await seen(client, camera, 0, picture()) == {"faces": 0, "sightings": []}
    await seen(client, camera, 0, picture(2, 1.3))
    first = await seen(client, camera, 20, picture(1.2))
    assert await seen(client, camera, 20, picture(1.2)) == first, "sent again"
    await until(lambda: [one["sightings"] for one in terminal.alerts("threat")][-1:] == [2], 30)
    alerts = terminal.alerts("threat")
    assert len({one["alert_id"] for one in alerts}) == 1
    assert alerts[0]["person"] == {"user_id": thief, "name": "Анна"}
    assert (alerts[0]["level"], alerts[0]["camera"]["camera_id"], alerts[0]["status"]) == ("high", camera, "open")
    one = (await client.get(f"/v1/security/alerts/{alerts[0]['alert_id']}")).json()
    assert [event["event"] for event in one["events"]] == ["AlertRaised", "AlertUpdated"]
    assert one["person"]["watched"]["reason"] == "Stole tea"

    await desk.remove(ASKED, thief, None)
    await until(lambda: nobody_is_watched(client), 20)
    await seen(client, camera, 300, picture(1))
    await scored(client, camera, 300, 0.9)
    await until(lambda: terminal.alerts("deviance"), 20)
    for name in ("faces", "security"):
        replay = Replay(Servers(site.bootstrap, database_url, RING), model_at(site, name), threading.Event(), Quiet())
        outcome = await asyncio.to_thread(replay.next_version)
        assert (outcome.switched, outcome.differences) == (True, ())
    await seen(client, camera, 600, picture(1))
    await scored(client, camera, 700, 0.9)
    await until(lambda: len({one["alert_id"] for one in terminal.alerts("deviance")}) == 2, 20)
    assert len({one["alert_id"] for one in terminal.alerts("threat")}) == 1
    found = (await client.get("/v1/security/alerts", params={"camera_id": camera, "limit": 2})).json()
    assert [one["kind"] for one in found["items"]] == ["deviance", "deviance"]
    assert found["newest"] == terminal.last_id


async def is_configured(client: httpx.AsyncClient, camera: str) -> bool:
    return (await client.get(f"/v1/security/cameras/{camera}")).status_code == 200


async def nobody_is_watched(client: httpx.AsyncClient) -> bool:
    return (await client.get("/v1/security/watch-list")).json()["items"] == []


async def test_a_signal_reaches_the_terminal_and_who_was_away_misses_nothing(
    parts: tuple[Security, Railway], client: httpx.AsyncClient, terminal: Terminal
) -> None:
    camera = f"hall-{uuid.uuid4().hex[:8]}"
    body = window(camera, 0, 0.7, location="Wagon 3", frame=base64.b64encode(JPEG).decode()) | {"camera": "Hall"}
    body["participants"] = [{"bbox": [1, 2, 3, 4], "track_id": 7}]
    posted = (await client.post("/v1/deviance", json=body)).json()
    assert (await client.post("/v1/deviance", json=body)).json() == posted, "the same window is the same"
    mine = lambda: [one for one in terminal.alerts("deviance") if one["camera"]["camera_id"] == camera]  # noqa: E731
    await until(mine, 20)
    (alert,) = mine()
    assert alert["end_at"] is None
    assert alert["evidence"]["frame"] == posted["frame"]
    assert alert["evidence"]["participants"] == [{"bbox": [1, 2, 3, 4], "track_id": 7, "user_id": None}]
    shown = await client.get(f"/v1/security/frames/{posted['frame']}")
    assert (shown.content, shown.headers["content-type"]) == (JPEG, "image/jpeg")
    await until(lambda: is_configured(client, camera), 20)
    assert (await client.get(f"/v1/security/cameras/{camera}")).json()["location"] == "Wagon 3"

    last = terminal.last_id
    await terminal.close()
    await scored(client, camera, 4, 0.1)
    settled = await client.post(f"/v1/security/alerts/{alert['alert_id']}/acknowledge", json={"note": "Seen"})
    assert (settled.status_code, settled.json()["status"]) == (200, "acknowledged")
    again = await client.post(f"/v1/security/alerts/{alert['alert_id']}/resolve")
    assert again.json()["settled_by"] == "token"
    assert (await client.post(f"/v1/security/alerts/{alert['alert_id']}/escalate")).status_code == 409
    assert (await client.post("/v1/security/alerts/nothing/escalate")).status_code == 404
    muted = await client.post(f"/v1/security/cameras/{camera}/mute", json={"kind": "deviance", "minutes": 5})
    assert muted.status_code == 200
    await scored(client, camera, 100, 0.8)
    back = Terminal(parts[0])
    await back.open(last)
    await until(lambda: len({one["alert_id"] for one in back.alerts()}) == 2, 20)
    statuses = {one["alert_id"]: (one["status"], one["note"], one["muted"]) for one in back.alerts()}
    assert statuses.pop(alert["alert_id"]) == ("resolved", "Seen", False)
    assert list(statuses.values()) == [("open", None, True)]
    ids = [int(event_id) for event_id, _, _ in back.got]
    assert ids == sorted(ids)
    assert back.got[0][1] == "online"
    await back.close()
    lost = Terminal(parts[0])
    await lost.open(10**12)
    assert lost.got[0][1] == "reset"
    await lost.close()


async def test_who_may_not_know_is_not_told(parts: tuple[Security, Railway]) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app_of(parts[0])), base_url="http://t") as stranger:
        for path in ("alerts", "watch-list", "live", f"frames/{'0' * 64}", "alerts/x"):
            assert (await stranger.get(f"/v1/security/{path}")).status_code == 401
        assert (await stranger.get("/v1/security/cameras")).status_code == 200
        wrong = await stranger.get("/v1/security/frames/..", headers=TOKEN)
        assert wrong.status_code == 404


@pytest.mark.skipif(not SAMPLE_FACES.is_dir(), reason="no photographs: a drawn face is none to dlib")
async def test_enrolled_from_one_picture_recognised_in_another(
    site: DecidingSite, database_url: str, tmp_path: Path
) -> None:
    pool = faces.children()
    images = {one: base64.b64encode((SAMPLE_FACES / f"{one}.jpg").read_bytes()).decode() for one in ("obama", "obama2")}
    images["biden"] = base64.b64encode((SAMPLE_FACES / "biden.jpg").read_bytes()).decode()
    camera = f"real-{uuid.uuid4().hex[:8]}"
    try:
        async with served(site, database_url, tmp_path, faces.described_by(pool)) as (security, railway):
            assert railway.faces is not None
            wanted = await person(railway, "Wanted")
            await railway.faces.enrol(ASKED, wanted, images["obama"], None)
            terminal = Terminal(security)
            await terminal.open()
            async with client_of(security) as client:
                assert (await client.put(f"/v1/security/watch-list/{wanted}", json={})).status_code == 200
                assert (await seen(client, camera, 0, images["biden"]))["faces"] == 1
                assert (await seen(client, camera, 5, images["obama2"]))["faces"] == 1
                await until(lambda: terminal.alerts("threat"), 30)
                (alert,) = terminal.alerts("threat")
                assert (alert["person"]["name"], alert["start_at"]) == ("Wanted", "2026-01-01T09:00:05Z")
                assert alert["evidence"]["distance"] < 0.5
            await terminal.close()
    finally:
        await pool.close()
