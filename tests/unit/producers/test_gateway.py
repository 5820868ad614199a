"""The gateway's answers on every route, as both seeds' clients need them, with a log and replies that are fakes."""

import asyncio
import json
import socket
import threading
from datetime import datetime
from typing import Any

import httpx
import pytest

from producers.bodies import Limits
from schemas.emotions import NO_BOX
from schemas.envelope import unseal
from schemas.errors import InvalidEvent, Overloaded, TransientFailure
from tests.drivers.gateway import RING, TOKEN, GatewayDriver, reply

POINT: dict[str, Any] = {"track_id": 72, "absolute_time": "2025-12-09T17:15:34+03:00", "valence": 0.12, "arousal": 0.67}
V2 = {"device_id": "pi", "session_id": "s", "records": [POINT | {"session_person_id": 5, "bbox_x1": 100}]}
V3 = {"device_id": "pi", "session_id": "s", "records": [POINT]}
BATCH = {
    "device_id": "jetson_1",
    "timestamp": "2025-11-14T12:34:56Z",
    "people": [{"person_id": "1", "cumulative": {"happy": 100, "sad": 20, "angry": 5}}] * 2,
}
FRAME = {"device_id": "jetson_1", "frame_b64": "/9j/", "fps": 12.5}
BULK, BULK_API = "/v1/logs/bulk", "/api/v1/logs/bulk"


@pytest.fixture
def home() -> GatewayDriver:
    return GatewayDriver()


class TestBulk:
    @pytest.mark.parametrize("path", [BULK, BULK_API])
    async def test_v2_says_how_many_were_inserted(self, home: GatewayDriver, path: str):
        home.replies.answers = [reply(inserted=1, person_id=3)]
        answer = await home.post(path, V2)
        assert (answer.status_code, answer.json()) == (200, {"ok": True, "inserted": 1})
        ((name, event),) = home.log.events
        assert (name, event["device_id"], event["dialect"]) == ("EmotionPointsRecorded", "pi", "V2")
        assert (event["bbox_x1"], event["bbox_y1"]) == ([100], [NO_BOX])

    async def test_v3_says_the_person_too(self, home: GatewayDriver):
        home.replies.answers = [reply(inserted=1, person_id=3)]
        assert (await home.post(BULK, V3)).json() == {"ok": True, "inserted": 1, "person_id": 3}

    async def test_a_late_read_model_is_a_success_that_says_so(self, home: GatewayDriver):
        answer = await home.post(BULK, V2)
        assert (answer.status_code, answer.json()) == (200, {"ok": True, "inserted": None})
        assert (await home.post(BULK, V3)).json() == {"ok": True, "inserted": None, "person_id": None}

    async def test_an_empty_post_is_answered_without_an_event(self, home: GatewayDriver):
        answer = await home.post(BULK, V2 | {"records": []})
        assert (answer.status_code, answer.json()) == (200, {"ok": True, "inserted": 0, "person_id": None})
        assert home.log.messages == []

    async def test_who_prefers_it_is_answered_at_once(self, home: GatewayDriver):
        answer = await home.post(BULK, V2, prefer="respond-async")
        assert (answer.status_code, answer.json()) == (202, {"ok": True, "inserted": None})
        assert answer.headers["preference-applied"] == "respond-async"
        assert home.replies.expected == []
        assert "correlation-id" not in dict(home.log.messages[0].headers)

    async def test_a_bad_time_is_named_by_its_record_and_nothing_is_stored(self, home: GatewayDriver):
        body = V2 | {"records": [*V2["records"], V2["records"][0] | {"absolute_time": "вчера"}]}
        answer = await home.post(BULK, body)
        assert (answer.status_code, answer.json()) == (400, {"detail": "Bad absolute_time: вчера", "index": 1})
        assert home.log.messages == []

    async def test_a_bad_record_is_named_and_nothing_is_stored(self, home: GatewayDriver):
        answer = await home.post(
            BULK, {"device_id": "pi", "session_id": "s", "records": [POINT, POINT | {"track_id": 1.5}]}
        )
        assert answer.status_code == 422
        assert answer.json()["detail"][0]["loc"] == ["body", "records", 1, "track_id"]
        assert home.log.messages == []

    async def test_nan_is_refused_in_valid_json(self, home: GatewayDriver):
        answer = await home.post(BULK, json.dumps(V2).replace("0.12", "NaN").encode())
        assert answer.status_code == 422
        assert answer.json()["detail"][0]["input"] == "NaN"

    async def test_other_content_types_are_422(self, home: GatewayDriver):
        answer = await home.post(BULK, json.dumps(V2).encode(), content_type="text/plain")
        assert answer.status_code == 422
        assert answer.json()["detail"][0]["type"] == "model_attributes_type"

    async def test_too_many_records_are_413(self):
        home = GatewayDriver(limits=Limits(records=1))
        answer = await home.post(BULK, V2 | {"records": V2["records"] * 2})
        assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")
        assert answer.json()["status"] == 413

    async def test_several_events_count_together(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr("producers.points.encode.__defaults__", (1,))
        home = GatewayDriver()
        home.replies.answers = [reply(inserted=1), reply(inserted=0)]
        assert (await home.post(BULK, V2 | {"records": V2["records"] * 2})).json() == {"ok": True, "inserted": 1}
        home.replies.answers = [reply(inserted=1), None]
        assert (await home.post(BULK, V2 | {"records": V2["records"] * 2})).json() == {"ok": True, "inserted": None}
        assert len(home.log.messages) == 4


class TestBigBodies:
    @pytest.mark.parametrize(
        ("path", "body"), [(BULK, V2), (BULK, V3), ("/api/emotions/batch", BATCH), ("/api/stream/frame", FRAME)]
    )
    async def test_they_are_read_beside_the_event_loop_a_few_at_once(
        self, home: GatewayDriver, monkeypatch: pytest.MonkeyPatch, path: str, body: dict[str, Any]
    ):
        loop, seen = threading.get_ident(), set[bool]()
        under_way, most = 0, 0
        parse_bytes, all_in = json.loads, threading.Barrier(2)

        def loads(data: bytes, **more: Any) -> Any:
            nonlocal under_way, most
            seen.add(threading.get_ident() == loop)
            under_way += 1
            most = max(most, under_way)
            all_in.wait(10)
            under_way -= 1
            return parse_bytes(data, **more)

        sent = json.dumps({"more": "x" * (1 << 18), "more_still": 1} | body).encode()
        monkeypatch.setattr("producers.leniency.json.loads", loads)
        monkeypatch.setattr("producers.points.parse_strict", lambda _body, _most: None)
        answers = await asyncio.gather(*[home.post(path, sent) for _ in range(8)])
        assert [answer.status_code for answer in answers] == [200] * 8
        assert seen == {False}
        assert most == 2

    @pytest.mark.parametrize(("path", "name"), [(BULK, "records"), ("/api/emotions/batch", "people")])
    async def test_more_rows_than_taken_are_413_before_they_are_looked_at(
        self, home: GatewayDriver, path: str, name: str
    ):
        for row in ({}, BATCH["people"][0], V2["records"][0], POINT):
            answer = await home.post(path, V2 | BATCH | {name: [row] * 10_001})
            assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")
            assert answer.json()["detail"] == f"A post may have 10000 {name}, this one has 10001"

    async def test_more_objects_than_fit_are_413(self, home: GatewayDriver):
        for path in (BULK, "/api/emotions/batch", "/api/stream/frame"):
            body = b'{"device_id":"d","x":[' + b"{}," * 250_000 + b"{}]}"
            assert (await home.post(path, body)).status_code == 413


class TestKafkaAway:
    @pytest.mark.parametrize("failure", [TransientFailure("late"), Overloaded("full")])
    @pytest.mark.parametrize(("path", "body"), [(BULK, V2), ("/api/emotions/batch", BATCH)])
    async def test_it_is_503_in_the_seeds_shape(
        self, home: GatewayDriver, failure: Exception, path: str, body: dict[str, Any]
    ):
        home.log.failure = failure
        answer = await home.post(path, body)
        assert (answer.status_code, answer.json()) == (503, {"detail": str(failure)})
        assert int(answer.headers["retry-after"]) > 0
        assert home.replies.expected == []

    async def test_what_kafka_refuses_for_good_is_413(self, home: GatewayDriver):
        home.log.failure = InvalidEvent("too large")
        assert (await home.post(BULK, V2)).status_code == 413

    async def test_health_says_so(self, home: GatewayDriver):
        answer = await home.client.get("/health")
        assert answer.status_code == 503
        assert answer.json()["ok"] is False
        home.gateway.kafka.reachable = True
        for path in ("/health", "/api/health"):
            answer = await home.client.get(path)
            assert (answer.status_code, answer.json()["ok"], answer.json()["status"]) == (200, True, "ok")

    async def test_health_has_the_time_and_what_its_neighbours_say(self, home: GatewayDriver):
        said = (await home.client.get("/health")).json()
        assert said["time"].endswith("Z")
        assert datetime.fromisoformat(said["time"]).tzinfo is not None
        assert "db" not in said
        home.gateway.neighbours = lambda: {"db": True}
        assert (await home.client.get("/health")).json()["db"] is True


class TestBatch:
    async def test_the_documented_report(self, home: GatewayDriver):
        answer = await home.post("/api/emotions/batch", BATCH)
        assert (answer.status_code, answer.json()) == (200, {"status": "ok", "updated_count": 2})
        ((name, event),) = home.log.events
        opened = unseal(RING, event["people"], "PeopleTotals")
        assert name == "EmotionTotalsReported"
        assert isinstance(opened, dict)
        assert [person["happy"] for person in opened["people"]] == [100, 100]

    async def test_nobody_is_nothing(self, home: GatewayDriver):
        answer = await home.post("/api/emotions/batch", BATCH | {"people": []})
        assert (answer.status_code, answer.json()) == (200, {"status": "ok", "updated_count": 0})
        assert home.log.messages == []

    async def test_a_number_for_a_name_is_422(self, home: GatewayDriver):
        people = [{"person_id": 1, "cumulative": {}}]
        answer = await home.post("/api/emotions/batch", BATCH | {"people": people})
        assert answer.json()["detail"][0]["loc"] == ["body", "people", 0, "person_id"]


class TestFrames:
    async def test_the_newest_frame_is_kept_with_its_rate(self, home: GatewayDriver):
        answer = await home.post("/api/stream/frame", FRAME)
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
        assert home.gateway.frames.fps("jetson_1") == 12.5

    async def test_wrong_padding_is_400(self, home: GatewayDriver):
        answer = await home.post("/api/stream/frame", FRAME | {"frame_b64": "abc"})
        assert (answer.status_code, answer.json()) == (400, {"detail": "Invalid base64 frame"})

    @pytest.mark.parametrize("change", [{"timestamp": "yesterday"}, {"fps": None}, {"frame_b64": None}])
    async def test_what_the_seed_refuses_is_422(self, home: GatewayDriver, change: dict[str, Any]):
        assert (await home.post("/api/stream/frame", FRAME | change)).status_code == 422


class TestTruncation:
    async def test_it_always_wants_the_token(self, home: GatewayDriver):
        for path in ("/admin/truncate", "/api/admin/truncate"):
            assert (await home.client.post(path)).status_code == 401
            assert (await home.post(path, b"", authorization="Bearer wrong")).status_code == 401
        assert home.log.messages == []

    async def test_one_copy_stands_in_every_partition(self, home: GatewayDriver, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr("producers.truncation.end_offsets", lambda _bootstrap, _topic: [(0, 7), (1, 9)])
        home.replies.answers = [reply(), reply()]
        answer = await home.post("/admin/truncate", b"", authorization=f"Bearer {TOKEN}")
        assert (answer.status_code, answer.json()) == (200, {"ok": True})
        assert [message.partition for message in home.log.messages] == [0, 1]
        (_, one), (_, other) = home.log.events
        assert one == other
        assert one["end_offsets"] == [{"partition": 0, "offset": 7}, {"partition": 1, "offset": 9}]

    async def test_without_the_topic_it_is_503(self, home: GatewayDriver, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr("producers.truncation.end_offsets", lambda _bootstrap, _topic: [])
        answer = await home.post("/admin/truncate", b"", authorization=f"Bearer {TOKEN}")
        assert (answer.status_code, answer.json()) == (503, {"detail": "Kafka has no topic emotion.points"})

    async def test_a_late_read_model_is_said(self, home: GatewayDriver, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr("producers.truncation.end_offsets", lambda _bootstrap, _topic: [(0, 7), (1, 9)])
        home.replies.answers = [reply(), None]
        answer = await home.post("/admin/truncate", b"", authorization=f"Bearer {TOKEN}")
        assert (answer.status_code, answer.json()) == (200, {"ok": True, "applied": False})


class TestFrontDoor:
    async def test_devices_get_a_word_and_browsers_a_page(self, home: GatewayDriver):
        assert (await home.client.get("/")).json() == {"status": "ok"}
        answer = await home.client.get("/", headers={"accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
        assert (answer.status_code, answer.headers["location"]) == (307, "/ui")

    async def test_wrong_methods_and_paths(self, home: GatewayDriver):
        assert (await home.client.put(BULK)).status_code == 405
        assert (await home.client.get(BULK)).json() == {"detail": "Method Not Allowed"}
        assert (await home.client.head("/health")).status_code == 405
        assert (await home.client.post(BULK + "/")).status_code == 307
        assert (await home.client.get("/nothing")).json() == {"detail": "Not Found"}

    @pytest.mark.parametrize("path", [BULK, "/api/emotions/batch", "/api/stream/frame"])
    async def test_strangers_need_the_token(self, path: str):
        abroad = GatewayDriver("8.8.8.8")
        body = {BULK: V2, "/api/emotions/batch": BATCH, "/api/stream/frame": FRAME}[path]
        assert (await abroad.post(path, body)).status_code == 401
        assert (await abroad.post(path, body, authorization=f"Bearer {TOKEN}")).status_code == 200
        assert (await GatewayDriver("8.8.8.8", trusted_networks=("8.0.0.0/8",)).post(path, body)).status_code == 200

    async def test_pages_bent_to_loopback_are_strangers(self, home: GatewayDriver):
        assert (await home.post(BULK, V2, host="evil.example:8000")).status_code == 401
        assert (await home.post(BULK, V2, host=f"{socket.gethostname()}:8000")).status_code == 200

    async def test_strangers_see_no_stream(self):
        assert (await GatewayDriver("8.8.8.8").client.get("/stream/jetson_1")).status_code == 401

    async def test_cors_of_answers_and_preflights(self, home: GatewayDriver):
        origin = {"origin": "http://localhost:3000"}
        for answer in (await home.post(BULK, V2, **origin), await home.client.get("/", headers=origin)):
            assert answer.headers["access-control-allow-origin"] == "http://localhost:3000"
            assert answer.headers["access-control-allow-credentials"] == "true"
            assert answer.headers["vary"] == "Origin"
        asked = origin | {"access-control-request-method": "POST", "access-control-request-headers": "content-type"}
        preflight = await home.client.options(BULK, headers=asked)
        assert (preflight.status_code, preflight.text) == (200, "OK")
        assert preflight.headers["access-control-allow-methods"] == "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"
        refused = await home.client.options(BULK, headers=asked | {"origin": "http://evil.example"})
        assert (refused.status_code, refused.text) == (400, "Disallowed CORS origin")
        stranger = await home.post(BULK, V2, origin="http://evil.example")
        assert stranger.status_code == 200
        assert "access-control-allow-origin" not in stranger.headers

    async def test_openapi_declares_the_raw_routes(self, home: GatewayDriver):
        paths = (await home.client.get("/openapi.json")).json()["paths"]
        for path in (BULK, BULK_API, "/api/emotions/batch", "/api/stream/frame"):
            operation = paths[path]["post"]
            assert "application/json" in operation["requestBody"]["content"]
            assert {"200", "413", "422", "503"} <= set(operation["responses"])
            assert "$ref" not in json.dumps(operation)

    async def test_without_the_dispatcher_the_raw_routes_answer_too(self, home: GatewayDriver):
        inner: Any = home.app
        transport = httpx.ASGITransport(inner._app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            assert (await client.post(BULK, json=V2)).json() == {"ok": True, "inserted": None}


class TestHeaders:
    async def test_every_event_has_its_cloudevents_and_reply_headers(self, home: GatewayDriver):
        await home.post(BULK, V2)
        headers = dict(home.log.messages[0].headers)
        assert headers["ce_type"] == b"sensorium.EmotionPointsRecorded"
        assert headers["content-type"] == b"application/avro"
        assert headers["correlation-id"] == headers["ce_id"]
        assert headers["reply-to"] == home.replies.instance_id.encode()
        assert home.log.messages[0].key == b"pi"

    async def test_ids_are_never_the_same(self, home: GatewayDriver):
        for _ in range(3):
            await home.post(BULK, V2)
        assert len({dict(message.headers)["ce_id"] for message in home.log.messages}) == 3
        assert len({dict(message.headers)["traceparent"] for message in home.log.messages}) == 3

    @pytest.mark.parametrize(("sent", "kept"), [("00-" + "a" * 32 + "-" + "b" * 16 + "-01", True), ("garbage", False)])
    async def test_a_trace_goes_on(self, home: GatewayDriver, sent: str, kept: bool):
        await home.post(BULK, V2, traceparent=sent)
        assert (dict(home.log.messages[0].headers)["traceparent"] == sent.encode()) is kept

    async def test_when_replies_are_not_read_yet_nobody_is_asked_for_one(self, home: GatewayDriver):
        home.replies.ready = False
        assert (await home.post(BULK, V2)).json()["inserted"] is None
        assert "reply-to" not in dict(home.log.messages[0].headers)
