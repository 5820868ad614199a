"""Cameras with a source of their own: which there are, how one is looked at, what is told, and who begins and ends."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson
import pytest
from immutables import Map

from api.security import id_of
from producers.audio_store import StoreFull
from producers.publisher import Message
from schemas import serde
from schemas.envelope import unseal
from schemas.errors import InvalidEvent, Overloaded, TransientFailure
from streams.cameras.crew import Crew
from streams.cameras.reports import Reports
from streams.cameras.roster import Camera, evolve, watched
from streams.cameras.watch import Pace, Seen, Watch
from streams.cameras.worker import permitted_of
from streams.steps import WorkFailed
from tests.drivers import virtual_time
from tests.drivers.deciding import RING
from tests.drivers.waiting import until

CONFIGURED = {
    "camera_id": "c", "name": "Door", "location": "5", "device_id": None, "source": "rtsp://cam/1", "deviance": True,
    "deviance_on": 0.5, "deviance_off": 0.25, "faces": True, "schedule": "[]", "at_us": 0, "by": None,
}  # fmt: skip
CAMERA = Camera("c", "c", "rtsp://cam/1", True, True, 0.5, 0.25, "[]")
NIGHT = orjson.dumps([{"days": [0, 1, 2, 3, 4, 5, 6], "from": "22:00", "to": "06:00", "zone": "UTC"}]).decode()
HOUR_US = 3_600_000_000


def test_only_cameras_with_a_source_and_something_to_look_for_are_looked_at() -> None:
    roster = evolve(Map(), "CameraConfigured", CONFIGURED)
    assert dict(roster) == {"c": CAMERA}
    for changed in ({"source": None}, {"source": ""}, {"deviance": False, "faces": False}):
        assert not evolve(roster, "CameraConfigured", CONFIGURED | changed)
    assert not evolve(roster, "CameraRemoved", {"camera_id": "c"})
    assert evolve(roster, "CameraRemoved", {"camera_id": "other"}) is roster
    assert evolve(roster, "AlertRaised", {}) is roster
    assert evolve(Map(), "CameraConfigured", CONFIGURED | {"device_id": "d"})["c"].device_id == "d"


def test_a_camera_is_looked_at_in_its_hours() -> None:
    roster = Map({"c": replace(CAMERA, schedule=NIGHT), "always": CAMERA})
    assert set(watched(roster, 23 * HOUR_US)) == {"c", "always"}
    assert set(watched(roster, 12 * HOUR_US)) == {"always"}


def test_what_a_site_does_not_permit_is_left_out() -> None:
    roster = Map({"c": CAMERA, "file": replace(CAMERA, source="/etc/passwd")})
    assert set(permitted_of(roster, ["rtsp://cam"])) == {"c"}
    assert permitted_of(roster, []) == roster


def answer(first: int, start_ms: int, end_ms: int, *, end: bool = False, score: float | None = 0.75) -> dict[str, Any]:
    return {
        "score": score, "model": "m", "key_frame": first, "key_picture": b"jpeg", "frames": 25, "end": end,
        "first_frame": first, "last_frame": first + 24, "next_frame": first + 25, "start_ms": start_ms,
        "end_ms": end_ms, "participants": [{"bbox": [1, 2, 3, 4], "track_id": None, "user_id": None}],
    }  # fmt: skip


class Child:
    """Gives answers in order, raises those that are exceptions, then waits for ever."""

    def __init__(self, *answers: dict[str, Any] | Exception) -> None:
        self.answers, self.requests, self.closed = list(answers), list[Mapping[str, Any]](), False

    async def __call__(self, request: Mapping[str, Any], /) -> Mapping[str, Any]:
        self.requests.append(request)
        if not self.answers:
            await asyncio.Event().wait()
        given = self.answers.pop(0)
        if isinstance(given, Exception):
            raise given
        return given

    async def close(self) -> None:
        self.closed = True


def looked(*answers: dict[str, Any] | Exception) -> tuple[list[tuple[float, Seen]], Child, float]:
    """What is told and when, in virtual time; how long it took to the film's end."""

    async def main() -> tuple[list[tuple[float, Seen]], Child, float]:
        told: list[tuple[float, Seen]] = []
        now = asyncio.get_running_loop().time
        began = now()

        async def tell(_: Camera, seen: Seen) -> None:
            told.append((now() - began, seen))

        child = Child(*answers)
        await Watch(CAMERA, child, tell, clock=lambda: round(1e6 * (now() - began))).run()
        return told, child, now() - began

    return virtual_time.run(main())


def test_a_film_is_looked_at_as_fast_as_it_was_filmed() -> None:
    told, child, _ = looked(answer(0, 0, 1920), answer(25, 1960, 3880), answer(50, 3920, 5840, end=True))
    assert [(seen.start_us, seen.end_us) for _, seen in told] == [
        (-1_920_000, 0),
        (40_000, 1_960_000),
        (2_000_000, 3_920_000),
    ]
    assert [round(at, 3) for at, _ in told] == [0, 1.96, 3.92]
    assert [(one["first_frame"], one["picture"]) for one in child.requests] == [(0, True), (25, True), (50, True)]
    assert told[0][1] == Seen(-1_920_000, 0, 0.75, "m", answer(0, 0, 0)["participants"], b"jpeg")


def test_what_is_too_short_to_judge_by_is_not_told() -> None:
    silent = answer(0, 0, 0, score=None) | {"start_ms": None, "end_ms": None}
    told, _, _ = looked(silent, answer(0, 0, 900), answer(25, 1000, 2000, end=True))
    assert [seen.end_us for _, seen in told] == [0]


def test_a_source_that_fails_is_tried_again_from_its_beginning_ever_more_slowly() -> None:
    failures = (TransientFailure("away"), InvalidEvent("no video"), WorkFailed("crashed"))
    told, child, took = looked(answer(0, 0, 2000), *failures, answer(0, 0, 2000, end=True))
    assert [one["first_frame"] for one in child.requests] == [0, 25, 0, 0, 0]
    assert round(took, 3) == 7
    assert [round(at, 3) for at, _ in told] == [0, 7]


class Log:
    """Keeps messages; raises the failures first."""

    def __init__(self, *failures: Exception) -> None:
        self.failures, self.messages = list(failures), list[Message]()

    async def send(self, message: Message, /) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.messages.append(message)

    def events(self) -> list[tuple[str, Mapping[str, Any]]]:
        return [serde.decode(one.value) for one in self.messages]


async def keep(picture: bytes) -> str:
    return picture.hex()


SEEN = Seen(1_000_000, 3_000_000, 0.75, "m", [{"bbox": [1, 2, 3, 4], "track_id": None, "user_id": None}], b"jpeg")


async def test_a_window_and_its_faces_are_told_with_the_ids_that_devices_would_get() -> None:
    log, faces = Log(), Child({"faces": [{"vector": b"v" * 512, "quality": 1.0}]})
    await Reports(log, keep, RING, faces)(CAMERA, SEEN)
    (score, window), (face, sighting) = log.events()
    assert (score, face) == ("DevianceScored", "FaceSeen")
    assert (window["window_start_us"], window["window_end_us"], window["score"]) == (1_000_000, 3_000_000, 0.75)
    assert (window["frame"], window["deviance_on"], window["deviance_off"]) == (b"jpeg".hex(), 0.5, 0.25)
    assert orjson.loads(window["participants"]) == SEEN.participants
    opened = unseal(RING, sighting["face"], "FaceTemplate")
    assert isinstance(opened, dict)
    assert opened["vector"] == b"v" * 512
    assert (sighting["camera"], sighting["seen_us"]) == ("c", 3_000_000)
    ids = [dict(one.headers)["ce_id"].decode() for one in log.messages]
    assert ids[0] == id_of("deviance", "c", "c", 1_000_000, 3_000_000)
    assert ids[1] == sighting["sighting_id"] == id_of("sighting", "c", "c", 3_000_000, (b"v" * 512).hex())


@pytest.mark.parametrize(
    ("camera", "seen", "events"),
    [
        (replace(CAMERA, deviance=False), SEEN, ["FaceSeen"]),
        (replace(CAMERA, faces=False), SEEN, ["DevianceScored"]),
        (CAMERA, replace(SEEN, picture=None), ["DevianceScored"]),
    ],
)
async def test_only_what_a_camera_is_set_to_is_told(camera: Camera, seen: Seen, events: Sequence[str]) -> None:
    log = Log()
    await Reports(log, keep, RING, Child({"faces": [{"vector": b"v" * 512, "quality": 1.0}]}))(camera, seen)
    assert [name for name, _ in log.events()] == events


async def test_kafka_away_is_waited_for_and_what_it_never_takes_is_left_out() -> None:
    log = Log(TransientFailure("away"), Overloaded("full"))
    await Reports(log, keep, RING, retry_s=0)(CAMERA, SEEN)
    assert len(log.messages) == 1
    log = Log(InvalidEvent("too large"))
    await Reports(log, keep, RING, retry_s=0)(CAMERA, SEEN)
    assert not log.messages


async def test_no_room_for_pictures_and_no_finder_of_faces_hold_no_signal_up() -> None:
    async def full(_: bytes) -> str:
        raise StoreFull("no room")

    log = Log()
    await Reports(log, full, RING, Child(WorkFailed("crashed")))(CAMERA, SEEN)
    ((name, window),) = log.events()
    assert (name, window["frame"]) == ("DevianceScored", None)


async def test_a_bug_costs_a_camera_a_pause_and_no_more() -> None:
    told: list[int] = []

    async def tell(_: Camera, seen: Seen) -> None:
        told.append(seen.end_us)

    child = Child(RuntimeError("a bug"), answer(0, 0, 2000, end=True))
    crew = Crew(lambda _: child, tell, pace=Pace(longest_retry_s=0.01))
    await crew.set({"c": CAMERA})
    await until(lambda: told and child.closed)
    await crew.close()


async def test_children_come_and_go_with_their_cameras_and_no_more_than_there_may_be() -> None:
    children: dict[str, list[Child]] = {}

    def child(camera: Camera) -> Child:
        made = Child(answer(0, 0, 2000, end=camera.source == "film"))
        children.setdefault(camera.camera_id, []).append(made)
        return made

    told: list[str] = []

    async def tell(camera: Camera, _: Seen) -> None:
        told.append(camera.camera_id)

    crew = Crew(child, tell, most=2)
    one, film, third = (replace(CAMERA, camera_id=name, source=name) for name in ("one", "film", "third"))
    await crew.set({"one": one, "film": film, "third": third})
    await until(lambda: sorted(told) == ["film", "one"])
    await crew.set({"one": one, "film": film, "third": third})
    assert {name: len(made) for name, made in children.items()} == {"one": 1, "film": 1}  # a film is not begun again
    assert (children["one"][0].closed, children["film"][0].closed) == (False, True)
    await crew.set({"one": replace(one, on=0.9), "third": third})
    await until(lambda: sorted(told) == ["film", "one", "one", "third"])
    assert [made.closed for made in children["one"]] == [True, False]
    await crew.close()
    assert all(made.closed for every in children.values() for made in every)
