"""Boxes, tracks, the running summary and the settings of vision: what is pure."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.vision.boxes import Detection, best, box_within, from_canvas, letterbox, overlaps
from streams.vision.looking import Looking, looking
from streams.vision.motion import LEARNING, Motion
from streams.vision.summary import Summary, remembered
from streams.vision.tracking import Tracker
from streams.workers import BadInput
from tests.drivers.video import square_at


def rows(*boxes: tuple[float, float, float, float]) -> np.ndarray:
    return np.array(boxes, np.float32).reshape(-1, 4)


def person(x: int, confidence: float = 0.9, name: str = "person") -> Detection:
    return Detection(name, confidence, (x, 0, x + 40, 80))


# --- boxes --------------------------------------------------------------------------------------------------------


def test_overlap_is_the_shared_part_of_both() -> None:
    shared = overlaps(rows((0, 0, 10, 10)), rows((0, 0, 10, 10), (5, 0, 15, 10), (10, 0, 20, 10), (0, 0, 0, 0)))
    assert shared.tolist()[0] == pytest.approx([1, 1 / 3, 0, 0])


def test_the_surest_of_those_that_overlap_stays_and_other_kinds_are_no_rivals() -> None:
    boxes = rows((0, 0, 10, 10), (1, 0, 11, 10), (1, 0, 11, 10), (50, 0, 60, 10))
    scores, kinds = np.array([0.5, 0.9, 0.8, 0.6], np.float32), np.array([0, 0, 1, 0])
    assert best(boxes, scores, kinds, 0.45, 10) == [1, 2, 3]
    assert best(boxes, scores, kinds, 0.45, 2) == [1, 2]
    assert best(boxes, scores, kinds, 1.0, 10) == [1, 2, 3, 0]


@given(st.integers(1, 700), st.integers(1, 700))
def test_what_is_put_on_the_canvas_comes_back_to_its_place(width: int, height: int) -> None:
    picture = np.zeros((height, width, 3), np.uint8)
    canvas, fit = letterbox(picture, 128, 96)
    assert canvas.shape == (96, 128, 3)
    corners = rows((0, 0, width * fit.factor, height * fit.factor)) + np.float32([fit.left, fit.top] * 2)
    assert from_canvas(corners, fit)[0].tolist() == pytest.approx([0, 0, width, height], abs=0.01)


@pytest.mark.parametrize(
    ("given_box", "kept"),
    [
        ((-5, 3.4, 7.6, 900), (0, 3, 8, 48)),
        ((5, 5, 5.2, 9), None),
        ((float("nan"), 0, 5, 5), None),
        ((float("inf"), 0, 5, 5), None),
        ((70, 0, 90, 10), None),
    ],
)
def test_a_box_is_cut_to_the_picture(given_box: Any, kept: Any) -> None:
    assert box_within(np.array(given_box, np.float32), 64, 48) == kept


# --- tracks -------------------------------------------------------------------------------------------------------


def test_three_sightings_open_a_track_and_numbers_have_no_gaps() -> None:
    tracker = Tracker(3, 1500, first_number=7)
    assert [tracker.see([person(10 * look)], look, look * 200)[0].number for look in range(4)] == [None, None, 7, 7]
    tracker.see([person(400)], 4, 800)
    numbers = [[one.number for one in tracker.see([person(40), person(400)], n, n * 200)] for n in (5, 6)]
    assert numbers == [[7, None], [7, 8]]


def test_two_that_come_near_keep_their_tracks_by_the_larger_overlap() -> None:
    tracker = Tracker(1, 1500)
    first = tracker.see([person(0), person(60)], 0, 0)
    second = tracker.see([person(45), person(15)], 1, 200)
    assert [second[0], second[1]] == [first[1], first[0]]


def test_a_track_is_lost_by_time_and_by_looks() -> None:
    tracker = Tracker(1, 1500)
    (seen,) = tracker.see([person(0)], 0, 0)
    tracker.see([], 1, 1000)
    assert tracker.see([person(0)], 2, 1400) == [seen]
    tracker.see([], 3, 5000)  # one look without it, however late, is not enough
    assert tracker.see([person(0)], 4, 6000) == [seen]
    tracker.see([], 5, 7000)
    tracker.see([], 6, 8000)
    (again,) = tracker.see([person(0)], 7, 8100)
    assert again is not seen
    assert again.number == 2


def test_another_class_at_the_same_place_is_another_track() -> None:
    tracker = Tracker(1, 1500)
    (one,) = tracker.see([person(0)], 0, 0)
    (other,) = tracker.see([person(0, name="dog")], 1, 200)
    assert one is not other


def test_who_stands_still_is_held_but_no_surer() -> None:
    tracker = Tracker(3, 1500)
    tracker.see([person(0)], 0, 0)
    for look in range(1, 30):
        (held,) = tracker.hold(look * 200)
    assert (held.number, held.hits, held.last_ms) == (None, 1, 5800)


# --- the summary --------------------------------------------------------------------------------------------------


def test_the_summary_counts_who_is_certain() -> None:
    tracker, summary = Tracker(2, 1500), Summary(predictions=[])
    looks = [[person(0, 0.71)], [person(0, 0.876), person(200)], [person(0, 0.6), person(200)], [person(0, 0.6)], []]
    for number, found in enumerate(looks):
        summary.passed(number * 5, number * 200)
        summary.add(tracker.see(found, number * 5, number * 200), number * 5, number * 200)
    assert summary.told() == {
        "predictions": [
            {
                "class": "person",
                "confidence": 0.9,
                "bbox": (200, 0, 240, 80),
                "tracks": 2,
                "most_at_once": 2,
                "first_frame": 0,
                "first_ms": 0,
                "last_frame": 15,
                "last_ms": 600,
            }
        ],
        "frames": 21,
        "video_ms": 800,
    }


def test_two_that_become_certain_in_one_look_count_twice() -> None:
    summary, tracker = Summary(predictions=[]), Tracker(1, 1500)
    summary.add(tracker.see([person(300), person(0), person(100, name="dog")], 0, 0), 0, 0)
    assert {one.kind: one.tracks for one in summary.predictions} == {"person": 2, "dog": 1}


def test_a_summary_is_gone_on_with() -> None:
    summary, tracker = Summary(predictions=[]), Tracker(1, 1500)
    summary.add(tracker.see([person(0)], 3, 100), 3, 100)
    again = remembered(summary.told())
    assert again == summary
    again.add(Tracker(1, 1500, again.tracks + 1).see([person(0)], 9, 300), 9, 300)
    assert (again.predictions[0].tracks, again.predictions[0].first_frame) == (2, 3)
    assert remembered(None).told() == {"predictions": [], "frames": 0, "video_ms": 0}


def test_a_summary_that_is_none_is_refused() -> None:
    with pytest.raises(BadInput, match="summary"):
        remembered({"predictions": "many"})


# --- settings -----------------------------------------------------------------------------------------------------


def test_a_request_s_settings_go_above_the_worker_s_options() -> None:
    made = looking({"threads": 2, "interval": 10, "score": 0.4}, {"interval": 5, "classes": ["person", "dog"]})
    assert made == Looking(interval=5, score=0.4, classes=("person", "dog"))


@pytest.mark.parametrize(
    "settings",
    [
        {"colour": 1},
        {"interval": 0},
        {"interval": "often"},
        {"score": float("nan")},
        {"layout": "yolov99"},
        {"nms": 2},
        {"mean": [0, 0]},
        {"per_second": 0},
        {"width": 1_000_000},
    ],
)
def test_wrong_settings_are_refused_with_a_sentence(settings: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match="vision"):
        looking({}, settings)


# --- motion -------------------------------------------------------------------------------------------------------


def test_only_what_moves_is_motion() -> None:
    motion = Motion()
    still = [motion.moves(square_at(100, 100)) for _ in range(LEARNING + 20)]
    assert still == [True] * LEARNING + [False] * 20
    assert motion.moves(square_at(160, 100))
