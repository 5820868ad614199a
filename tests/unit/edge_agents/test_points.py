from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from edge_agents.emotion_sensor.boxes import Box
from edge_agents.emotion_sensor.clock import JumpDetector, PointTimes, media_wall
from edge_agents.emotion_sensor.points import Point, absolute_time, post_body

T_MS = 1_765_289_734_078
MOSCOW = datetime(2025, 12, 9, tzinfo=timezone(timedelta(hours=3)))
POINT = Point(5, 72, T_MS, absolute_time(T_MS, MOSCOW), 0.12, 0.67, Box(100, 80, 160, 161))


def test_a_time_carries_milliseconds_and_the_offset() -> None:
    assert POINT.absolute_time == "2025-12-09T17:15:34.078+03:00"


@given(st.integers(0, 4_000_000_000_000))
def test_no_millisecond_is_lost_in_a_time(t_ms: int) -> None:
    moment = datetime.fromisoformat(absolute_time(t_ms))
    assert moment.utcoffset() is not None
    assert (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1) == t_ms


def test_a_post_has_the_documented_shape() -> None:
    assert json.loads(gzip.decompress(post_body("raspberry_pi_001", "20251209_180102", [POINT]))) == {
        "device_id": "raspberry_pi_001",
        "session_id": "20251209_180102",
        "records": [
            {
                "session_person_id": 5,
                "track_id": 72,
                "absolute_time": "2025-12-09T17:15:34.078+03:00",
                "valence": 0.12,
                "arousal": 0.67,
                "bbox_x1": 100,
                "bbox_y1": 80,
                "bbox_x2": 160,
                "bbox_y2": 161,
            }
        ],
    }


def test_the_same_points_make_the_same_bytes() -> None:
    assert post_body("d", "s", [POINT]) == post_body("d", "s", [POINT])


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 50)), max_size=60))
def test_times_of_a_track_always_rise(looks: list[tuple[int, int]]) -> None:
    times = PointTimes()
    stamped = [(track, times.stamp(track, t_ms)) for track, t_ms in looks]
    assert len(set(stamped)) == len(stamped)
    assert all(given <= got for (_, given), (_, got) in zip(looks, stamped, strict=True))


def test_a_set_clock_is_noticed_once_and_drift_is_followed() -> None:
    jumps = JumpDetector()
    readings = [(0, 0.0), (1001, 1.0), (2002, 2.0), (62_000, 3.0), (63_000, 4.0), (50_000, 5.0)]
    assert [jumps.jumped(wall, steady) for wall, steady in readings] == [False, False, False, True, False, True]


def test_media_time_counts_from_its_start() -> None:
    assert media_wall(1000)(0.5) == 1500
