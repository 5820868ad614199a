"""Security over HTTP, in memory: what cameras send, cameras, the watch list, alerts and the live feed."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import HTTPException, Request

from api import security_feed
from api.live import Hub
from api.railway.face_desk import Described
from api.routes import security_alerts, security_cameras, security_devices, security_people
from api.security import Security
from api.security_feed import Feed
from producers.pictures import Pictures, address_of
from projections.queries.errors import Unavailable
from schemas.envelope import unseal
from schemas.errors import InvalidEvent, Overloaded, TransientFailure
from streams.steps import WorkFailed
from tests.drivers.deciding import AT_US, RING
from tests.drivers.desk import app_of
from tests.drivers.faces import vector
from tests.drivers.security import CAMERA, THIEF, sighting, watch_details
from tests.drivers.security_office import Office
from tests.drivers.serving import served
from tests.drivers.waiting import until

BEGIN = datetime.fromtimestamp(AT_US / 1_000_000, UTC)
TOKEN = {"Authorization": "Bearer t"}
JPEG = b"\xff\xd8\xff\xe0 picture"


async def anybody() -> str | None:
    return None


async def guard(request: Request) -> str:
    if request.headers.get("authorization") != TOKEN["Authorization"]:
        raise HTTPException(401, "Not authenticated")
    return "token"


async def describe(data: bytes, purpose: str, /) -> Sequence[Described]:
    assert purpose == "search"
    word = data.decode()
    failures = {"broken": InvalidEvent("Not an image"), "away": TransientFailure("no"), "bomb": WorkFailed("no")}
    if word in failures:
        raise failures[word]
    return [Described(vector(int(one)).tobytes(), 1.0) for one in word.split()]


@pytest.fixture
def office() -> Office:
    return Office()


@pytest.fixture
async def security(office: Office, tmp_path: Path) -> AsyncIterator[Security]:
    kept: Any = office
    made = Security(
        kept, kept, RING, Feed(office, office), anybody, anybody, guard, describe, Pictures(tmp_path),
        zone="Europe/Moscow",
        now=lambda: BEGIN,
    )  # fmt: skip
    yield made
    await made.close()


@pytest.fixture
async def client(security: Security) -> AsyncIterator[httpx.AsyncClient]:
    routes = [one.build(security) for one in (security_devices, security_cameras, security_people, security_alerts)]
    transport = httpx.ASGITransport(app_of(*routes))
    async with httpx.AsyncClient(transport=transport, base_url="http://t/v1", headers=TOKEN) as session:
        yield session


def text(data: bytes | str) -> str:
    return base64.b64encode(data.encode() if isinstance(data, str) else data).decode()


def window(seconds: float = 0, score: float = 0.9, **more: Any) -> dict[str, Any]:
    start = BEGIN + timedelta(seconds=seconds)
    times = {"start": start.isoformat(), "end": (start + timedelta(seconds=1)).isoformat()}
    return {"camera_id": CAMERA, "score": score, "model": "m"} | times | more


def files(folder: Path) -> list[Path]:
    return list(folder.rglob("*"))


async def post(client: httpx.AsyncClient, path: str, body: Any) -> tuple[int, Any]:
    answer = await client.post(path, json=body)
    return answer.status_code, answer.json()


async def watch(client: httpx.AsyncClient, **more: Any) -> None:
    assert (await client.put(f"/security/watch-list/{THIEF.upper()}", json=more)).status_code == 200


def threat(office: Office, seconds: float) -> None:
    office.decide("RaiseAlert", {**sighting(seconds), "model": "x", "evidence": '{"distance": 0.4}', "by": None})


async def test_a_window_is_an_event_with_its_cameras_thresholds(client: httpx.AsyncClient, office: Office) -> None:
    settings = {"name": "Door", "deviance_on": 0.9, "deviance_off": 0.5}
    assert (await client.put(f"/security/cameras/{CAMERA}", json=settings)).status_code == 200
    status, first = await post(client, "/deviance", window(score=0.8, participants=[{"bbox": [1, 2, 3, 4]}]))
    assert (status, first["frame"]) == (200, None)
    assert (await post(client, "/deviance", window(score=0.8)))[1]["id"] == first["id"]
    other = await post(client, "/deviance", window(score=0.8, device_id="another"))
    assert other[1]["id"] != first["id"], "two devices may look through one camera"
    (name, key, record, event_id), *_ = office.appended
    assert (name, key, event_id, record["device_id"]) == ("DevianceScored", CAMERA, first["id"], CAMERA)
    assert (record["window_start_us"], record["window_end_us"]) == (AT_US, AT_US + 1_000_000)
    assert (round(record["deviance_on"], 3), record["deviance_off"]) == (0.9, 0.5)
    assert (await client.get("/security/alerts")).json()["items"] == []
    await post(client, "/deviance", window(1, 0.95))
    assert [one["score"] for one in (await client.get("/security/alerts")).json()["items"]] == [0.95]


async def test_a_time_without_an_offset_is_the_sites(client: httpx.AsyncClient, office: Office) -> None:
    await post(client, "/deviance", window() | {"start": "2026-01-01T12:00:00", "end": "2026-01-01T12:00:01"})
    assert office.appended[0][2]["window_start_us"] == AT_US


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"score": 1.1}, 422), ({"score": None}, 422), ({"camera_id": ""}, 422), ({"start": "yesterday"}, 422),
        ({"end": "2025-01-01T00:00:00Z"}, 422), ({"frame": "x"}, 422), ({"frame": text(b"GIF89a")}, 422),
        ({"participants": [{"bbox": [1]}]}, 422), ({"frame": "A" * 3_200_000}, 413),
        ({"end": "2026-01-03T00:00:00Z"}, 422), ({"end": "9999-12-31T23:59:59-23:59"}, 422),
        ({"start": "0001-01-01T00:00:00+23:59"}, 422),
    ],
)  # fmt: skip
async def test_what_is_no_window_is_refused(
    client: httpx.AsyncClient, office: Office, wrong: dict[str, Any], status: int
) -> None:
    assert (await post(client, "/deviance", window(**wrong)))[0] == status
    assert office.appended == []


async def test_a_camera_introduces_itself_once(client: httpx.AsyncClient, office: Office) -> None:
    named = {"camera": "Door", "location": "Wagon 3"}
    await post(client, "/deviance", window() | named)
    told = (await client.get(f"/security/cameras/{CAMERA}")).json()
    assert (told["name"], told["location"], told["deviance_on"], told["schedule"]) == ("Door", "Wagon 3", 0.5, [])
    await client.put(f"/security/cameras/{CAMERA}", json={"name": "Ours"})
    await post(client, "/deviance", window(5) | named)
    assert [one["name"] for one in (await client.get("/security/cameras")).json()["items"]] == ["Ours"]


async def test_a_camera_that_sends_faces_only_introduces_itself_too(client: httpx.AsyncClient) -> None:
    body = {"camera_id": CAMERA, "image": text("1")}
    await post(client, "/security/sightings", body)
    assert (await client.get("/security/cameras")).json()["items"] == [], "it said no name"
    await post(client, "/security/sightings", body | {"camera": "Door", "location": "Wagon 3"})
    (told,) = (await client.get("/security/cameras")).json()["items"]
    assert (told["name"], told["location"]) == ("Door", "Wagon 3")
    await post(client, "/security/sightings", body | {"camera": "Another"})
    assert (await client.get(f"/security/cameras/{CAMERA}")).json()["name"] == "Door"


async def test_a_key_frame_is_kept_by_its_content(client: httpx.AsyncClient) -> None:
    address = (await post(client, "/deviance", window(frame=text(JPEG))))[1]["frame"]
    assert address == address_of(JPEG)
    shown = await client.get(f"/security/frames/{address}")
    assert (shown.content, shown.headers["x-content-type-options"]) == (JPEG, "nosniff")
    assert (await client.get(f"/security/frames/{'0' * 64}")).status_code == 404
    assert (await client.get("/security/frames/..%2f..%2fetc")).status_code in (404, 422)


async def test_each_face_is_sealed_and_sent_and_the_picture_kept_nowhere(
    client: httpx.AsyncClient, office: Office, tmp_path: Path
) -> None:
    body = {"camera_id": CAMERA, "device_id": "robot-1", "seen_at": BEGIN.isoformat(), "image": text("1 2")}
    status, answer = await post(client, "/security/sightings", body)
    assert (status, answer["faces"], len(set(answer["sightings"]))) == (200, 2, 2)
    assert (await post(client, "/security/sightings", body))[1] == answer, "the same picture is the same sighting"
    name, key, record, event_id = office.appended[1]
    assert (name, key, event_id) == ("FaceSeen", "robot-1", answer["sightings"][1])
    assert (record["camera"], record["seen_us"]) == (CAMERA, AT_US)
    template: Any = unseal(RING, record["face"], "FaceTemplate")
    assert template == {"model": "dlib-resnet-1", "vector": vector(2).tobytes()}
    assert files(tmp_path) == []


@pytest.mark.parametrize(("word", "status"), [("broken", 422), ("away", 503), ("bomb", 422)])
async def test_a_picture_that_cannot_be_looked_at(client: httpx.AsyncClient, word: str, status: int) -> None:
    assert (await post(client, "/security/sightings", {"camera_id": CAMERA, "image": text(word)}))[0] == status
    assert (await post(client, "/security/sightings", {"camera_id": CAMERA, "image": "?"}))[0] == 422


async def test_a_sighting_of_a_day_that_has_not_come(client: httpx.AsyncClient, office: Office) -> None:
    for wrong in ("9999-12-31T23:59:59", "2026-01-02T12:00:01+00:00", "0001-01-01T00:00:00"):
        body = {"camera_id": CAMERA, "seen_at": wrong, "image": text("1")}
        assert (await post(client, "/security/sightings", body))[0] == 422
    assert office.appended == []
    ahead = {"camera_id": CAMERA, "seen_at": (BEGIN + timedelta(hours=23)).isoformat(), "image": text("1")}
    assert (await post(client, "/security/sightings", ahead))[0] == 200


async def test_a_camera_without_faces_has_none_looked_for(client: httpx.AsyncClient, office: Office) -> None:
    await client.put(f"/security/cameras/{CAMERA}", json={"name": "Door", "faces": False})
    answer = await post(client, "/security/sightings", {"camera_id": CAMERA, "image": text("away")})
    assert answer == (200, {"faces": 0, "sightings": []})
    assert office.appended == []


async def test_the_log_is_away_and_the_tables_are(client: httpx.AsyncClient, office: Office) -> None:
    office.outage = Unavailable("PostgreSQL does not answer.")
    assert (await post(client, "/deviance", window()))[0] == 200, "a device is not held up by the tables"
    assert (await client.get("/security/alerts")).status_code == 503
    assert (await client.get("/security/live")).status_code == 503
    office.outage, office.failure = None, TransientFailure("Kafka is away")
    for path, body in (("/deviance", window()), ("/security/sightings", {"camera_id": CAMERA, "image": text("1")})):
        answer = await client.post(path, json=body)
        assert (answer.status_code, "retry-after" in answer.headers) == (503, True)


async def test_cameras_are_configured_shown_and_removed(client: httpx.AsyncClient, office: Office) -> None:
    hours = [{"days": [0, 6], "from": "22:00", "to": "06:00"}]
    settings = {"name": "Door", "location": "Wagon 3", "source": "rtsp://cam/1", "schedule": hours}
    told = (await client.put(f"/security/cameras/{CAMERA}", json=settings)).json()
    assert (told["schedule"], told["source"]) == ([{**hours[0], "zone": "Europe/Moscow"}], "rtsp://cam/1")
    for wrong in ({}, {"name": "x", "deviance_on": 0.1}, {"name": "x", "schedule": [{"days": [9]}]}):
        assert (await client.put(f"/security/cameras/{CAMERA}", json=wrong)).status_code == 422
    muted = await post(client, f"/security/cameras/{CAMERA}/mute", {"kind": "threat"})
    assert muted == (200, {"ok": True, "until": "2026-01-01T09:30:00+00:00"})
    assert (await client.get(f"/security/cameras/{CAMERA}")).json()["mutes"] == [
        {"kind": "threat", "until": "2026-01-01T09:30:00Z", "by": "token"}
    ]
    assert await post(client, f"/security/cameras/{CAMERA}/mute", {"kind": "threat", "minutes": 0}) == (
        200, {"ok": True, "until": None},
    )  # fmt: skip
    assert (await client.get(f"/security/cameras/{CAMERA}")).json()["mutes"] == []
    assert (await client.get("/security/cameras")).json()["zone"] == "Europe/Moscow", "whose hours they are"
    assert (await client.delete(f"/security/cameras/{CAMERA}")).json() == {"ok": True}
    assert (await client.delete(f"/security/cameras/{CAMERA}")).status_code == 200
    assert (await client.get(f"/security/cameras/{CAMERA}")).status_code == 404


async def test_the_watch_list(client: httpx.AsyncClient, office: Office) -> None:
    office.names[THIEF] = "Anna"
    await watch(client, level="high", reason="Stole tea", instruction="Call")
    shown = (await client.get(f"/security/watch-list/{THIEF}")).json()
    told = {name: shown[name] for name in ("name", "level", "reason", "instruction", "by")}
    assert told == {"name": "Anna", "level": "high", "reason": "Stole tea", "instruction": "Call", "by": "token"}
    assert b"Stole" not in str(office.sent).encode(), "sealed on its way"
    assert len((await client.get("/security/watch-list")).json()["items"]) == 1
    assert (await client.put(f"/security/watch-list/{THIEF}", json={"level": "huge"})).status_code == 422
    assert (await client.delete(f"/security/watch-list/{THIEF}")).json() == {"ok": True}
    assert (await client.get(f"/security/watch-list/{THIEF}")).status_code == 404


async def test_somebody_whom_only_the_face_server_knows_is_watched_under_her_own_id(client: httpx.AsyncClient) -> None:
    assert (await client.put("/security/watch-list/Anna-7", json={})).status_code == 200
    (one,) = (await client.get("/security/watch-list")).json()["items"]
    assert one["user_id"] == "Anna-7", "faces.gallery has her under this id: another letter case is somebody else"
    statuses = [(await client.get(f"/security/watch-list/{one}")).status_code for one in ("Anna-7", "anna-7")]
    assert statuses == [200, 404]
    assert (await client.delete("/security/watch-list/Anna-7")).status_code == 200


async def test_an_alert_with_its_person_and_how_it_is_settled(client: httpx.AsyncClient, office: Office) -> None:
    office.names[THIEF] = "Anna"
    seat = {"train_number": 12, "wagon_number": 3, "place_number": 7, "station_id": "A", "destination_id": "B"}
    days = {"date": BEGIN + timedelta(hours=20), "start_date": BEGIN + timedelta(hours=3), "used": True}
    office.tickets = [{"user_id": THIEF, **seat, **days}]
    await watch(client, reason="Stole tea")
    threat(office, 0)
    threat(office, 10)
    (listed,) = (await client.get("/security/alerts", params={"status": "open", "kind": "threat"})).json()["items"]
    assert (listed["person"], listed["sightings"], listed["level"]) == ({"user_id": THIEF, "name": "Anna"}, 2, "medium")
    url = f"/security/alerts/{listed['alert_id']}"
    one = (await client.get(url)).json()
    assert one["person"]["ticket"] == seat | {
        "used": True, "date": "2026-01-02T05:00:00Z", "start_date": "2026-01-01T12:00:00Z"
    }  # fmt: skip
    assert one["person"]["watched"]["reason"] == "Stole tea"
    assert [event["event"] for event in one["events"]] == ["AlertRaised", "AlertUpdated"]
    assert one["events"][0]["details"]["evidence"] == {"distance": 0.4}
    assert (await post(client, f"{url}/acknowledge", None))[1]["status"] == "acknowledged"
    assert (await post(client, f"{url}/escalate", {"note": "Police"}))[1]["note"] == "Police"
    assert (await post(client, f"{url}/acknowledge", {}))[0] == 409
    assert (await post(client, f"{url}/resolve", {}))[1]["settled_by"] == "token"
    assert (await post(client, f"{url}/resolve", {}))[0] == 200
    assert (await post(client, "/security/alerts/x/resolve", {}))[0] == 404
    assert (await client.get("/security/alerts/x")).status_code == 404


async def test_pages_of_alerts(client: httpx.AsyncClient, office: Office) -> None:
    await watch(client)
    for n in range(5):
        threat(office, 100 * n)
    seen: list[str] = []
    url: str | None = "/security/alerts?limit=2"
    while url:
        answer = await client.get(url)
        seen += [one["alert_id"] for one in answer.json()["items"]]
        url = answer.links.get("next", {}).get("url")
        url = f"/security/alerts{url}" if url else None
    assert len(seen) == len(set(seen)) == 5
    assert seen == sorted(seen, reverse=True)
    assert (await client.get("/security/alerts?after=x")).status_code == 422


async def test_who_has_no_token_learns_nothing(client: httpx.AsyncClient) -> None:
    for path in ("alerts", "alerts/x", "watch-list", f"watch-list/{THIEF}", "live", f"frames/{'0' * 64}"):
        assert (await client.get(f"/security/{path}", headers={"authorization": ""})).status_code == 401, path
    for path in ("alerts/x/resolve", f"cameras/{CAMERA}/mute"):
        assert (await client.post(f"/security/{path}", json={}, headers={"authorization": ""})).status_code == 401


class Reader:
    """Takes a feed's frames as they come."""

    def __init__(self, feed: Feed, after: int | None) -> None:
        self.frames: list[bytes] = []
        self._task = asyncio.create_task(self._read(feed, after))

    async def _read(self, feed: Feed, after: int | None) -> None:
        async for one in feed.frames(after):
            self.frames.append(one)

    def ids(self) -> list[int]:
        return [int(one.split(b"id: ")[1].split(b"\n")[0]) for one in self.frames if b"event: alert" in one]

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


async def test_who_was_away_for_long_is_given_everything_page_by_page(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(security_feed, "PAGE", 3)
    monkeypatch.setattr(security_feed, "REMEMBERED", 4)
    feed = Feed(office, office)
    first = Reader(feed, None)
    await until(lambda: first.frames)
    office.decide("WatchPerson", {"user_id": THIEF, "level": "low", "details": watch_details(THIEF), "by": None})
    for n in range(20):
        threat(office, 100 * n)
        await asyncio.sleep(0)
    expected = list(range(1, 21))
    await until(lambda: first.ids() == expected)
    late = Reader(feed, -1)
    await until(lambda: late.ids() == expected)
    middle = Reader(feed, 12)
    await until(lambda: middle.ids() == expected[12:])
    threat(office, 5000)
    await until(lambda: first.ids()[-1] == late.ids()[-1] == middle.ids()[-1] == 21)
    unknown, new = Reader(feed, 99), Reader(feed, None)
    await until(lambda: unknown.frames and new.frames)
    assert b"event: reset" in unknown.frames[0]
    assert b"id: 21\nevent: online" in new.frames[0]
    for one in (first, late, middle, unknown, new):
        await one.close()
    await feed.close()


async def test_the_feed_goes_on_after_an_outage_and_shows_signs_of_life(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(security_feed, "LOOK_S", 0.02)
    monkeypatch.setattr(security_feed, "HEARTBEAT_S", 0.02)
    office.decide("WatchPerson", {"user_id": THIEF, "level": "low", "details": watch_details(THIEF), "by": None})
    feed = Feed(office)
    reader = Reader(feed, -1)
    await until(lambda: b": still here\n\n" in reader.frames)
    office.outage = Unavailable("away")
    threat(office, 0)
    await asyncio.sleep(0)
    office.outage = None
    await until(lambda: reader.ids() == [1])
    await reader.close()
    await feed.close()


async def test_no_more_readers_than_allowed(office: Office) -> None:
    feed = Feed(office, clients=1)
    feed.enter()
    with pytest.raises(Overloaded):
        feed.enter()
    feed.leave()
    feed.enter()


async def test_a_hub_tells_at_once_who_wants_to_know() -> None:
    news: asyncio.Queue[str] = asyncio.Queue()

    async def listen() -> AsyncIterator[str]:
        while True:
            yield await news.get()

    heard: list[str] = []
    hub = Hub(listen, gather_s=60)
    hub.tap("security", lambda: heard.append("security"))
    hub.tap("faces", lambda: heard.append("faces"))
    running = asyncio.create_task(hub.run())
    for payload in ("", '{"model": "security", "devices": ["alerts"]}', "{", '{"model": "faces"}'):
        news.put_nowait(payload)
    await until(lambda: heard == ["security", "faces", "security", "faces"])
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_who_goes_away_gives_the_place_back(security: Security, office: Office) -> None:
    own = replace(security, feed=Feed(office, office))  # of the server's own loop
    with served(app_of(security_alerts.build(own))) as base:
        async with httpx.AsyncClient(base_url=base, headers=TOKEN) as far:
            async with far.stream("GET", "/v1/security/live", params={"after": "-1"}) as answer:
                assert answer.headers["content-type"].startswith("text/event-stream")
                lines = answer.aiter_lines()
                assert [await anext(lines) for _ in range(4)][2:] == ["id: -1", "event: online"]
                assert own.feed.readers == 1
            await until(lambda: own.feed.readers == 0)
            assert (await far.get("/v1/security/live", headers={"authorization": ""})).status_code == 401
            office.outage = Unavailable("away")
            assert (await far.get("/v1/security/live")).status_code == 503
            assert own.feed.readers == 0
            office.outage = None
