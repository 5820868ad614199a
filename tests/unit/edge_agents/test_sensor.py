from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_agents.emotion_sensor.assembly import _take_up
from edge_agents.emotion_sensor.boxes import Box
from edge_agents.emotion_sensor.clock import WallMs
from edge_agents.emotion_sensor.frame_sender import annotated, frame_body
from edge_agents.emotion_sensor.keepers import PointKeeper, TotalsKeeper
from edge_agents.emotion_sensor.outbox import Outbox
from edge_agents.emotion_sensor.recorder import Recorder, RecorderRules
from edge_agents.emotion_sensor.sensor import Labelled, Meter, Sensor
from edge_agents.emotion_sensor.sources import Frame
from edge_agents.emotion_sensor.totals import Totals
from edge_agents.emotion_sensor.tracking import Sighting, TrackingRules
from tests.drivers.pictures import drawn_face
from tests.unit.edge_agents.test_outbox import times

NOON_MS = 1_765_281_600_000
FACE = Box(100, 100, 200, 200)
PICTURE = np.zeros((8, 8, 3), np.uint8)


class FakeEyes:
    """Sees a happy face wherever there is a picture."""

    def faces(self, picture: Any) -> tuple[Any, list[Box]]:
        return picture, [] if picture is None else [FACE]

    def expressions(self, grey: Any, sightings: Sequence[Sighting]) -> Any:
        return [] if grey is None else [(one, {"happy": 1.0}) for one in sightings]


class Bench:
    def __init__(self, directory: Path) -> None:
        self.outbox = Outbox(directory, 10**8)
        recorder = Recorder(self.outbox, None, RecorderRules(), lambda: None)
        self.keeper = PointKeeper("d", self.outbox, recorder, TrackingRules())

    def see(self, *frames: Frame, wall: Callable[[float], int] | None = None) -> list[list[str]]:
        """Run the sensor over `frames`; the times of each post's points, in order of the posts."""
        clock: WallMs = wall or (lambda moment_s: NOON_MS + round(moment_s * 1000))
        Sensor(FakeEyes(), self.keeper, clock, lambda frame: frame.moment_s).run(frames)  # type: ignore[arg-type]
        posts: list[list[str]] = []
        while (post := self.outbox.next_post()) is not None:
            posts.append(times(post))
            self.outbox.done(post.post_id)
        return posts


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    one = Bench(tmp_path)
    yield one
    one.outbox.close()


def watched(count: int, start: float = 0.0, scene: int = 0, picture: Any = PICTURE) -> list[Frame]:
    return [Frame(picture, start + n / 5, scene) for n in range(count)]


def test_everybody_s_visit_ends_with_the_source(bench: Bench) -> None:
    assert [len(post) for post in bench.see(*watched(10))] == [8]


def test_another_scene_is_other_people(bench: Bench) -> None:
    assert [len(post) for post in bench.see(*watched(10), *watched(10, 2.0, scene=1))] == [8, 8]


def test_a_blind_camera_ends_a_visit_after_two_seconds(bench: Bench) -> None:
    frames = [*watched(10), *watched(15, 2.0, picture=None), *watched(5, 5.0)]
    assert [len(post) for post in bench.see(*frames)] == [8, 3]


def test_a_set_clock_begins_a_new_session(bench: Bench) -> None:
    def wall(moment_s: float) -> int:
        return NOON_MS + round(moment_s * 1000) - (86_400_000 if moment_s >= 2 else 0)

    posts = bench.see(*watched(20), wall=wall)
    assert [len(post) for post in posts] == [8, 8]
    days = [datetime.fromisoformat(post[0]).timestamp() for post in posts]
    assert days[0] - days[1] == pytest.approx(86_400 - 2, abs=1)


def test_a_clock_set_back_a_little_gives_no_time_twice(bench: Bench) -> None:
    def wall(moment_s: float) -> int:
        return NOON_MS + round(moment_s * 1000) - (1500 if moment_s >= 2 else 0)

    (post,) = bench.see(*watched(20), wall=wall)
    moments = [datetime.fromisoformat(text).timestamp() for text in post]
    assert len(moments) == 18
    assert moments == sorted(set(moments))


def test_with_a_full_disk_from_the_start_it_senses_and_stores_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    full, connect = [True], sqlite3.connect

    def open_or_fail(*given: Any, **more: Any) -> sqlite3.Connection:
        if full[0]:
            raise sqlite3.OperationalError("database or disk is full")
        return connect(*given, **more)

    monkeypatch.setattr(sqlite3, "connect", open_or_fail)
    _take_up(Outbox(tmp_path, 10**8))
    assert "NOTHING CAN BE STORED" in caplog.text

    def wall(moment_s: float) -> int:
        full[0] = moment_s < 1
        return NOON_MS + round(moment_s * 1000)

    bench = Bench(tmp_path)
    assert [len(post) for post in bench.see(*watched(10), wall=wall)] == [8]
    bench.outbox.close()


def test_totals_of_a_time_without_a_disk_get_numbers_of_their_own(tmp_path: Path, monkeypatch: Any) -> None:
    before = Totals(tmp_path)
    before.add({3: ("happy", 1.0)}, NOON_MS)
    before.close()
    full, connect = [True], sqlite3.connect

    def open_or_fail(*given: Any, **more: Any) -> sqlite3.Connection:
        if full[0]:
            raise sqlite3.OperationalError("database or disk is full")
        return connect(*given, **more)

    monkeypatch.setattr(sqlite3, "connect", open_or_fail)
    totals = Totals(tmp_path)
    keeper = TotalsKeeper(totals, TrackingRules())
    keeper.new_session(NOON_MS)
    for n in range(3):
        full[0] = n < 2
        keeper.keep([(Sighting(1, 1, FACE), {"happy": 1.0})], NOON_MS, n * 0.5)
    assert [row[:2] for row in totals.unreported()] == [(3, 1.0), (4, 1.0)]
    assert totals.mend(sqlite3.DatabaseError("malformed"))
    keeper.new_session(NOON_MS)
    keeper.keep([(Sighting(1, 1, FACE), {"happy": 1.0})], NOON_MS, 9.0)
    assert [row[0] for row in totals.unreported()] == [5], "also a new file gives nobody's number again"
    totals.close()


def test_the_meter_settles_at_the_rate() -> None:
    meter = Meter()
    for n in range(20):
        meter.frame(2, n / 5)
    assert meter.points_per_second == pytest.approx(10, rel=0.01), "right from the first seconds on"
    for n in range(20, 2000):
        meter.frame(2, n / 5)
    assert meter.frames_per_second == pytest.approx(5, rel=0.01)
    assert meter.points_per_second == pytest.approx(10, rel=0.01)


def test_a_live_picture_is_a_jpeg_with_the_boxes_drawn_in() -> None:
    import base64

    import cv2

    face = drawn_face()
    drawn = annotated(face, [Labelled(FACE, "#1 happy")])
    assert not np.array_equal(drawn, face)
    assert np.array_equal(face, drawn_face()), "the original is not touched"
    body = frame_body("d", drawn, 5.987)
    jpeg = np.frombuffer(base64.b64decode(body["frame_b64"], validate=True), np.uint8)
    assert cv2.imdecode(jpeg, cv2.IMREAD_COLOR).shape == face.shape
    assert (body["device_id"], body["fps"]) == ("d", 5.99)
    assert datetime.fromisoformat(body["timestamp"]).utcoffset() is not None
