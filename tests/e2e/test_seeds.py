"""Every request of seeds 000 and 001, documented or relied on by their devices and pages, against the whole system."""

from __future__ import annotations

import base64
import json
import math
import shutil
import subprocess
from collections.abc import Iterator
from datetime import datetime

import httpx
import pytest

from tests.drivers.stack import Stack, fresh_stack
from tests.drivers.waiting import eventually

BULK = "/api/v1/logs/bulk"
JPEG = bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffd9")


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with fresh_stack({"SITE_TIMEZONE": "Europe/Moscow", "DEVICE_NAMES": "jetson_2=Back Door"}) as running:
        yield running


@pytest.fixture
def http(stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stack.base_url, timeout=30) as client:
        yield client


@pytest.fixture
def empty(stack, http) -> httpx.Client:
    answer = http.post("/admin/truncate", headers={"Authorization": f"Bearer {stack.admin_token}"})
    assert (answer.status_code, answer.json()["ok"]) == (200, True)
    return http


def record(**changes):
    return {
        "session_person_id": 5,
        "track_id": 72,
        "absolute_time": "2025-12-09T17:15:34+03:00",
        "valence": 0.12,
        "arousal": 0.67,
        "bbox_x1": 100,
        "bbox_y1": 80,
        "bbox_x2": 160,
        "bbox_y2": 160,
    } | changes


def bulk(*records, device="raspberry_pi_001", session="20251209_180102"):
    return {"device_id": device, "session_id": session, "records": list(records)}


def v3(**changes):
    return {key: value for key, value in record(**changes).items() if key != "session_person_id"}


class TestSeed000:
    """The Raspberry's server: documented dialect."""

    def test_documented_post_and_its_repetition(self, empty):
        first, again = (empty.post(BULK, json=bulk(record())) for _ in range(2))
        assert (first.status_code, first.json()) == (200, {"ok": True, "inserted": 1})
        assert (again.status_code, again.json()) == (200, {"ok": True, "inserted": 0})

    def test_who_got_200_finds_it_in_the_next_read(self, empty):
        empty.post(BULK, json=bulk(record(), record(session_person_id=6, valence=-0.5, arousal=0)))
        session = {"device_id": "raspberry_pi_001", "session_id": "20251209_180102"}
        times = {"min_ms": 1765289734000, "max_ms": 1765289734000}
        assert empty.get("/api/v1/sessions").json() == [session | {"n_points": 2, "n_persons": 2} | times]
        assert empty.get("/v1/persons", params=session).json() == [
            {"session_person_id": 5, "n_points": 1, "avg_valence": 0.12, "avg_arousal": 0.67} | times,
            {"session_person_id": 6, "n_points": 1, "avg_valence": -0.5, "avg_arousal": 0} | times,
        ]
        one = empty.get("/v1/logs", params=session | {"session_person_id": 5}).json()
        assert one == {
            "count": 1,
            "records": [
                {"t_ms": 1765289734000, "valence": 0.12, "arousal": 0.67, "track_id": 72, "bbox": [100, 80, 160, 160]}
            ],
        }
        mixed = empty.get("/v1/logs", params=session).json()
        assert mixed["count"] == 2
        assert set(mixed["records"][0]) == {"t_ms", "valence", "arousal", "session_person_id", "track_id"}

    def test_an_average_of_zero_is_the_integer(self, empty):
        empty.post(BULK, json=bulk(record(valence=0.0)))
        text = empty.get("/v1/persons", params={"device_id": "raspberry_pi_001", "session_id": "20251209_180102"}).text
        assert '"avg_valence":0,' in text

    @pytest.mark.parametrize(
        ("sent", "t_ms"),
        [
            ("2025-12-09T14:15:34Z", 1765289734000),
            ("2025-12-09T17:15:34", 1765289734000),  # no offset: the site's zone
            ("2025-12-09T17:15:34.123999+03:00", 1765289734123),
            ("20251209T171534+0300", 1765289734000),
            ("2025-12-09", 1765227600000),
            ("2025-W50-2T17:15:34+03:00", 1765289734000),
        ],
    )
    def test_times_of_every_form(self, empty, stack, sent, t_ms):
        assert empty.post(BULK, json=bulk(record(absolute_time=sent))).json() == {"ok": True, "inserted": 1}
        session = {"device_id": "raspberry_pi_001", "session_id": "20251209_180102"}
        assert [row["t_ms"] for row in empty.get("/v1/logs", params=session).json()["records"]] == [t_ms]
        kept = stack.command("psql", "-c", "SELECT absolute_time FROM emotion_logs")
        assert sent in kept.stdout, kept.stderr

    def test_a_bad_time_refuses_the_whole_post(self, empty):
        answer = empty.post(BULK, json=bulk(record(), record(absolute_time="yesterday")))
        assert answer.status_code == 400
        assert answer.json()["detail"] == "Bad absolute_time: yesterday"
        assert 1 in answer.json().values()
        assert empty.get("/v1/sessions").json() == []

    @pytest.mark.parametrize(
        ("changes", "where"),
        [
            ({"track_id": None}, "track_id"),
            ({"track_id": 100.5}, "track_id"),
            ({"valence": "much"}, "valence"),
            ({"bbox_x1": 1.5}, "bbox_x1"),
            ({"absolute_time": 5}, "absolute_time"),
        ],
    )
    def test_a_bad_record_is_named_by_its_index(self, empty, changes, where):
        answer = empty.post(BULK, json=bulk(record(), record(**changes)))
        assert answer.status_code == 422
        detail = answer.json()["detail"]
        assert ["body", "records", 1, where] in [problem["loc"] for problem in detail]
        assert all(problem.keys() >= {"type", "loc", "msg", "input"} for problem in detail)
        assert empty.get("/v1/sessions").json() == []

    @pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity", "1e999"])
    def test_what_is_no_number_is_refused(self, empty, word):
        content = json.dumps(bulk(record())).replace("0.12", word)
        answer = empty.post(BULK, content=content, headers={"Content-Type": "application/json"})
        assert answer.status_code == 422
        assert empty.get("/v1/sessions").json() == []

    def test_leniency(self, empty):
        lenient = record(
            track_id="72", session_person_id=5.0, bbox_x1=True, valence="0.12", colour="blue", bbox_y1=None
        )
        assert empty.post(BULK, json=bulk(lenient)).json() == {"ok": True, "inserted": 1}
        query = {"device_id": "raspberry_pi_001", "session_id": "20251209_180102", "session_person_id": 5}
        (row,) = empty.get("/v1/logs", params=query).json()["records"]
        assert (row["track_id"], row["valence"], row["bbox"]) == (72, 0.12, [1, None, 160, 160])

    def test_a_body_that_is_not_json_is_422(self, http):
        assert http.post(BULK, content=json.dumps(bulk(record()))).status_code == 422
        broken = http.post(BULK, content="{", headers={"Content-Type": "application/json"})
        assert (broken.status_code, broken.json()["detail"][0]["type"]) == (422, "json_invalid")

    def test_an_empty_post(self, http):
        answer = http.post(BULK, json=bulk())
        assert answer.status_code == 200
        assert answer.json()["inserted"] == 0

    def test_limits_and_missing_queries(self, http):
        session = {"device_id": "d", "session_id": "s"}
        for bad in ({"limit": 0}, {"limit": 10001}, {"session_person_id": ""}, {"limit": "x"}):
            answer = http.get("/v1/logs", params=session | bad)
            assert (answer.status_code, type(answer.json()["detail"])) == (422, list), bad
        assert http.get("/v1/logs").status_code == 422
        assert http.get("/v1/persons", params={"device_id": "d"}).status_code == 422
        assert http.get("/v1/logs", params=session).json() == {"count": 0, "records": []}
        assert http.get("/v1/persons", params=session).json() == []

    def test_health_paths_and_methods(self, http):
        for path in ("/health", "/api/health"):
            assert http.get(path).json()["ok"] is True
        assert http.get("/nowhere").json() == {"detail": "Not Found"}
        assert http.get(BULK).json() == {"detail": "Method Not Allowed"}
        assert http.head("/v1/sessions").status_code == 405
        for path in ("/docs", "/redoc", "/openapi.json"):
            page = http.get(path)
            assert page.status_code == 200
            assert "cdn." not in page.text

    def test_truncate_restarts_the_numbers_and_wants_the_token(self, empty, stack):
        assert empty.post("/admin/truncate").status_code == 401
        wrong = empty.post("/api/admin/truncate", headers={"Authorization": "Bearer wrong"})
        assert wrong.status_code == 401
        empty.post(BULK, json=bulk(v3()))
        for _ in range(2):
            token = {"Authorization": f"Bearer {stack.admin_token}"}
            assert empty.post("/api/admin/truncate", headers=token).json()["ok"] is True
            assert empty.post(BULK, json=bulk(v3(), v3(absolute_time="2025-12-09T17:15:35Z"))).json()["person_id"] == 1
            ids = stack.command("psql", "-c", "SELECT min(id) || '|' || max(id) FROM emotion_logs")
            assert "1|2" in ids.stdout, ids.stdout + ids.stderr


class TestSeed000Page:
    """The production dialect (v3) and the one page that exists."""

    def test_a_post_is_a_person_and_a_repetition_is_the_same_one(self, empty):
        first = empty.post(BULK, json=bulk(v3())).json()
        second = empty.post(BULK, json=bulk(v3(valence=0.5))).json()
        again = empty.post(BULK, json=bulk(v3())).json()
        assert (first, second) == (
            {"ok": True, "inserted": 1, "person_id": 1},
            {"ok": True, "inserted": 1, "person_id": 2},
        )
        assert again == {"ok": True, "inserted": 0, "person_id": 1}

    def test_the_pages_requests(self, empty):
        for shift in range(3):
            posts = [v3(absolute_time=f"2025-12-09T17:{shift:02d}:{n:02d}+03:00", valence=n / 30) for n in range(25)]
            empty.post(BULK, json=bulk(*posts))
        persons = empty.get("/api/v1/persons", headers={"Cache-Control": "no-cache"}).json()
        assert [person["person_id"] for person in persons] == [3, 2, 1]
        for person in persons:
            assert person.keys() == {
                "person_id", "device_id", "session_id", "n_points", "avg_valence", "avg_arousal", "min_ms", "max_ms",
            }  # fmt: skip
            assert person["avg_valence"] == 0.4
            logs = empty.get("/api/v1/logs", params={"person_id": person["person_id"], "limit": 5000}).json()
            assert (logs["person_id"], logs["count"]) == (person["person_id"], 25)
            times = [row["t_ms"] for row in logs["records"]]
            assert times == sorted(times)
            assert logs["records"][0].keys() == {"t_ms", "valence", "arousal", "track_id", "bbox"}


def totals(*people, device="jetson_1", timestamp="2025-11-14T12:34:56Z"):
    return {"device_id": device, "timestamp": timestamp, "people": list(people)}


def person(person_id, **cumulative):
    return {"person_id": person_id, "cumulative": cumulative}


class TestSeed001:
    """The Jetson's server with its newest device and page."""

    def summary(self, http, device):
        return http.get("/api/dashboard/summary", params={"device_id": device}).json()

    def test_documented_batch_and_summary(self, http):
        posted = totals(person("1", happy=123.5, sad=20.0, angry=10.0), person("2", happy=10.0, sad=0.0, angry=5.5))
        answer = http.post("/api/emotions/batch", json=posted)
        assert (answer.status_code, answer.json()) == (200, {"status": "ok", "updated_count": 2})
        summary = http.get("/api/dashboard/summary").json()
        assert summary["device_id"] == "jetson_1"
        assert summary["device_name"] == "Entrance Camera"
        assert summary["emotion_totals"] == {"happy": 133.5, "sad": 20.0, "angry": 15.5, "neutral": 0.0}
        assert datetime.fromisoformat(summary["updated_at"])
        assert summary["updated_at"].endswith("Z")
        assert summary["current_people"][0] == {
            "person_id": "1",
            "current_emotion": "happy",
            "time_happy": 123.5,
            "time_sad": 20.0,
            "time_angry": 10.0,
            "time_neutral": 0.0,
            "last_seen": "2025-11-14T12:34:56Z",
        }

    def test_each_report_replaces_and_an_older_one_changes_nothing(self, http):
        for minute, happy in ((1, 5.0), (3, 2.0), (2, 9.0)):
            body = totals(
                person("a", happy=happy, neutral=1), device="replaced", timestamp=f"2025-11-14T12:0{minute}:00Z"
            )
            assert http.post("/api/emotions/batch", json=body).json()["updated_count"] == 1
        summary = self.summary(http, "replaced")
        assert summary["emotion_totals"] == {"happy": 2.0, "sad": 0.0, "angry": 0.0, "neutral": 1.0}
        assert summary["current_people"][0]["last_seen"] == "2025-11-14T12:03:00Z"

    def test_ties_order_unknown_keys_and_doubles(self, http):
        people = [
            person("b", happy=1, sad=1, unknown=50),
            person("a", angry=2, neutral=2),
            person("c"),
            person("b", sad=3),
        ]
        answer = http.post("/api/emotions/batch", json=totals(*people, device="ties"))
        assert answer.json()["updated_count"] == 4
        current = self.summary(http, "ties")["current_people"]
        assert [(one["person_id"], one["current_emotion"]) for one in current] == [
            ("b", "sad"), ("a", "angry"), ("c", "neutral"),
        ]  # fmt: skip

    def test_an_offset_is_converted_and_a_bad_timestamp_is_now(self, http):
        http.post(
            "/api/emotions/batch", json=totals(person("1"), device="zone", timestamp="2025-11-14T15:34:56.5+03:00")
        )
        assert self.summary(http, "zone")["current_people"][0]["last_seen"] == "2025-11-14T12:34:56.500000Z"
        http.post("/api/emotions/batch", json=totals(person("1"), device="clockless", timestamp="soon"))
        seen = datetime.fromisoformat(self.summary(http, "clockless")["current_people"][0]["last_seen"])
        assert abs(seen.timestamp() - datetime.now().astimezone().timestamp()) < 60

    @pytest.mark.parametrize(
        "body",
        [
            {"device_id": "d", "timestamp": 5, "people": []},
            totals({"person_id": 1, "cumulative": {}}),
            totals(person("1", happy=None)),
            {"device_id": "d", "people": []},
            totals(person("1", happy=math.nan)),
        ],
    )
    def test_wrong_batches_are_422(self, http, body):
        answer = http.post(
            "/api/emotions/batch", content=json.dumps(body), headers={"Content-Type": "application/json"}
        )
        assert (answer.status_code, type(answer.json()["detail"])) == (422, list)

    def test_unknown_devices_and_names(self, http):
        nobody = self.summary(http, "nobody")
        assert nobody["current_people"] == []
        assert nobody["emotion_totals"] == {"happy": 0.0, "sad": 0.0, "angry": 0.0, "neutral": 0.0}
        assert (nobody["model_fps"], nobody["frontend_fps"]) == (0.0, 0.0)
        assert self.summary(http, "jetson_2")["device_name"] == "Back Door"
        assert http.get("/api/dashboard/summary?device_id=").json()["device_id"] == ""

    def test_frames_and_stream(self, http):
        frame = {"device_id": "cam", "frame_b64": base64.b64encode(JPEG).decode(), "fps": 12.5}
        assert http.post("/api/stream/frame", json=frame).json() == {"status": "ok"}
        assert self.summary(http, "cam")["model_fps"] == 12.5
        bad = http.post("/api/stream/frame", json=frame | {"frame_b64": "abc"})
        assert (bad.status_code, bad.json()) == (400, {"detail": "Invalid base64 frame"})
        with http.stream("GET", "/stream/cam") as stream:
            assert stream.headers["content-type"] == "multipart/x-mixed-replace; boundary=frame"
            received = b""
            for piece in stream.iter_bytes():
                received += piece
                if received.count(b"--frame\r\nContent-Type: image/jpeg\r\n\r\n" + JPEG + b"\r\n") >= 2:
                    break
            assert received.startswith(b"--frame\r\n")

    def test_front_door(self, http, stack):
        for accept in ("*/*", "application/json"):
            assert http.get("/", headers={"Accept": accept}).json() == {"status": "ok"}
        assert "<html" in http.get("/", headers={"Accept": "text/html"}, follow_redirects=True).text

    def test_cors(self, http):
        for origin in ("http://localhost:3000", "http://127.0.0.1:3000"):
            for answer in (
                http.get("/api/dashboard/summary", headers={"Origin": origin}),
                http.post(BULK, json=bulk(), headers={"Origin": origin}),
            ):
                assert answer.headers["access-control-allow-origin"] == origin
                assert answer.headers["access-control-allow-credentials"] == "true"
        foreign = http.get("/api/dashboard/summary", headers={"Origin": "http://evil.example"})
        assert foreign.status_code == 200
        assert "access-control-allow-origin" not in foreign.headers
        ask = {"Origin": "http://localhost:3000", "Access-Control-Request-Method": "POST"}
        allowed = http.options("/api/emotions/batch", headers=ask)
        assert (allowed.status_code, allowed.text, allowed.headers["access-control-max-age"]) == (200, "OK", "600")
        refused = http.options("/api/emotions/batch", headers=ask | {"Origin": "http://evil.example"})
        assert (refused.status_code, refused.text) == (400, "Disallowed CORS origin")


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl on this machine")
def test_the_documents_curl_examples_word_for_word(stack):
    """Seed 001, "Manual Testing with curl", with this stack's port."""

    def curl(*arguments: str) -> str:
        return subprocess.run(["curl", "-s", *arguments], capture_output=True, text=True, check=True).stdout

    assert curl(f"{stack.base_url}/") == '{"status":"ok"}'
    body = """{
    "device_id": "jetson_1",
    "timestamp": "2025-11-14T12:34:56Z",
    "people": [
      {
        "person_id": "1",
        "cumulative": {"happy": 100, "sad": 20, "angry": 5}
      }
    ]
  }"""
    posted = curl(
        "-X", "POST", f"{stack.base_url}/api/emotions/batch", "-H", "Content-Type: application/json", "-d", body
    )
    assert json.loads(posted) == {"status": "ok", "updated_count": 1}
    summary = json.loads(curl(f"{stack.base_url}/api/dashboard/summary?device_id=jetson_1"))
    assert summary["current_people"][0]["time_happy"] == 100
    assert json.loads(curl(f"{stack.base_url}/health"))["ok"] is True


def test_respond_async(http):
    answer = http.post(BULK, json=bulk(record(), device="async"), headers={"Prefer": "respond-async"})
    assert (answer.status_code, answer.headers["preference-applied"]) == (202, "respond-async")
    query = {"device_id": "async", "session_id": "20251209_180102"}
    eventually(lambda: http.get("/v1/logs", params=query).json()["count"] == 1)


def test_a_truncation_takes_the_moments_along(empty, stack):
    times = [f"2025-12-09T17:00:{n // 10:02d}.{n % 10}00Z" for n in range(300)]
    smile = [record(absolute_time=time, valence=0.9 * (n >= 100)) for n, time in enumerate(times)]
    assert empty.post(BULK, json=bulk(*smile, device="smiling")).json()["inserted"] == 300
    session = {"device_id": "smiling", "session_id": "20251209_180102"}
    eventually(lambda: empty.get("/v1/moments", params=session).json()["count"] > 0, 30)
    token = {"Authorization": f"Bearer {stack.admin_token}"}
    assert empty.post("/admin/truncate", headers=token).json()["ok"] is True
    eventually(lambda: empty.get("/v1/moments", params=session).json()["count"] == 0, 30)
