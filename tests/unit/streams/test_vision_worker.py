"""The worker: intervals, sampling, motion, going on, and the same answers however the video is cut into requests."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streams.vision.boxes import Detection
from streams.vision.frames import Source
from streams.vision.live import Live, Patience
from streams.vision.looking import Looking
from streams.vision.video_file import VideoFile
from streams.workers import BadInput, NotNow
from streams.workers.pool import ChildLimits, ChildPool
from streams.workers.vision import Worker, open_worker
from tests.drivers.video import PEDESTRIANS, constant_model, count, film, number_of, numbered, square_at, square_finder

Work = Callable[[Mapping[str, Any]], dict[str, Any]]
EACH = {"every": 1, "interval": 10, "motion": False}
needs_media = pytest.mark.skipif(not PEDESTRIANS.is_file(), reason="the sample media are not here")


class Watcher:
    """A worker with a detector of white squares; knows which frames were looked at and what was opened."""

    def __init__(self, find: Callable[[np.ndarray], list[Detection]] = square_finder) -> None:
        self.looks, self.opened, self.find = 0, 0, find
        self.work = Worker({}, self._open, self._detector)

    def _open(self, name: str) -> Source:
        self.opened += 1
        return VideoFile(name)

    def _detector(self, _: Looking) -> Callable[[np.ndarray], list[Detection]]:
        def detect(picture: np.ndarray) -> list[Detection]:
            self.looks += 1
            return self.find(picture)

        return detect


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """95 frames, 25 a second: one square walks from left to right, a second one comes after frame 50 and stands."""

    def pictures() -> Iterator[np.ndarray]:
        for number in range(95):
            picture = square_at(10 + 2 * number, 60)
            if number >= 50:
                picture = np.maximum(picture, square_at(250, 180))
            yield picture

    return film(tmp_path_factory.mktemp("walk") / "walk.mp4", pictures(), qmin="1", qmax="3", b="9000000")


def in_portions(work: Work, path: Path, frames: int, **request: Any) -> list[dict[str, Any]]:
    """All answers of a video that is asked for in portions."""
    answers: list[dict[str, Any]] = []
    following = 0
    while not answers or not answers[-1]["end"]:
        answers.append(work({"source": str(path), "first_frame": following, "frames": frames, **request}))
        following = answers[-1]["next_frame"]
    return answers


def test_intervals_follow_each_other_and_hold_what_was_seen(walk: Path) -> None:
    answers = in_portions(Watcher().work, walk, 30, settings=EACH)
    intervals = [one for answer in answers for one in answer["intervals"]]
    assert [(one["first_frame"], one["last_frame"]) for one in intervals] == [
        *((first, first + 9) for first in range(0, 90, 10)),
        (90, 94),
    ]
    assert [one["video_ms"] for one in intervals] == [(one["last_frame"]) * 40 for one in intervals]
    assert [sorted(each["track_id"] for each in one["detections"]) for one in intervals] == [[1]] * 5 + [[1, 2]] * 5
    last = answers[-1]
    assert (last["end"], last["next_frame"], last["frames_total"], last["fps"], last["size"]) == (
        True,
        95,
        95,
        25.0,
        [320, 240],
    )
    seen = last["summary"]["predictions"][0]
    assert (seen["class"], seen["tracks"], seen["most_at_once"]) == ("person", 2, 2)
    assert (seen["first_frame"], seen["last_frame"], seen["last_ms"]) == (0, 94, 3760)
    assert (last["summary"]["frames"], last["summary"]["video_ms"]) == (95, 3760)


def test_a_video_that_ends_with_an_interval_ends_once(tmp_path: Path) -> None:
    path = count(tmp_path / "v.mp4", 20)
    answers = in_portions(Watcher().work, path, 10, settings=EACH)
    assert [len(one["intervals"]) for one in answers] == [1, 1, 0]
    assert (answers[-1]["end"], answers[-1]["next_frame"]) == (True, 20)


@pytest.mark.parametrize("frames", [1, 10, 30, 1000])
def test_how_the_video_is_cut_into_requests_changes_nothing(walk: Path, frames: int) -> None:
    watcher = Watcher()
    cut = in_portions(watcher.work, walk, frames, settings={"interval": 10, "motion": False})
    whole = in_portions(Watcher().work, walk, 1000, settings={"interval": 10, "motion": False})
    assert [one for answer in cut for one in answer["intervals"]] == whole[0]["intervals"]
    assert cut[-1]["summary"] == whole[0]["summary"]
    assert watcher.opened == 1


def test_somebody_else_goes_on_after_the_last_told_frame(walk: Path) -> None:
    settings = EACH | {"hits": 2}
    whole = in_portions(Watcher().work, walk, 1000, settings=settings)[0]
    first = Watcher().work({"source": str(walk), "first_frame": 0, "frames": 60, "settings": settings})
    other = Watcher()
    second = other.work(
        {"source": str(walk), "first_frame": 60, "frames": 100, "settings": settings, "summary": first["summary"]}
    )
    assert [one["first_frame"] for one in second["intervals"]] == [60, 70, 80, 90]
    assert other.looks == 35
    assert [one["bbox"] for one in second["intervals"][-1]["detections"]] == [
        one["bbox"] for one in whole["intervals"][-1]["detections"]
    ]
    seen = second["summary"]["predictions"][0]
    assert (second["summary"]["frames"], seen["first_frame"], seen["tracks"]) == (95, 0, 4)  # both are new to it
    assert {one["track_id"] for one in second["intervals"][0]["detections"]} == {3, 4}


def test_a_request_that_does_not_go_on_seeks(walk: Path) -> None:
    watcher = Watcher()
    for first in (0, 50, 50, 7):
        answer = watcher.work({"source": str(walk), "first_frame": first, "frames": 1, "settings": EACH})
        interval = answer["intervals"][0]
        assert (interval["first_frame"], interval["last_frame"]) == (first, first // 10 * 10 + 9)
        assert interval["detections"][0]["bbox"][0] == pytest.approx(10 + 2 * interval["last_frame"], abs=20)
    assert watcher.opened == 4


@pytest.mark.parametrize(
    ("settings", "looks"), [({"every": 1}, 95), ({"every": 10}, 10), ({"per_second": 5}, 19), ({"per_second": 100}, 95)]
)
def test_frames_are_sampled(walk: Path, settings: dict[str, Any], looks: int) -> None:
    watcher = Watcher()
    in_portions(watcher.work, walk, 1000, settings={"motion": False, **settings})
    assert watcher.looks == looks


def test_frames_that_do_not_come_evenly_are_sampled_by_their_times(tmp_path: Path) -> None:
    """Fast for a second, then slow: five looks a second are what they are in both."""
    times = [*range(0, 1000, 20), *range(1000, 5000, 160)]
    path = film(tmp_path / "v.mkv", (square_at(9, 9) for _ in times), times=times)
    watcher = Watcher()
    in_portions(watcher.work, path, 1000, settings={"motion": False, "per_second": 5})
    assert watcher.looks == len({time * 5 // 1000 for time in times})


def test_where_nothing_moves_nothing_is_searched_and_who_stands_there_stays(tmp_path: Path) -> None:
    still = film(tmp_path / "v.mp4", (square_at(100, 100) for _ in range(400)), qmin="1", qmax="2", b="9000000")
    watcher = Watcher()
    (answer,) = in_portions(watcher.work, still, 1000, settings={"every": 2, "refresh_s": 5})
    assert watcher.looks <= 10
    assert all(one["detections"][0]["track_id"] == 1 for one in answer["intervals"][1:])
    seen = answer["summary"]["predictions"][0]
    assert (seen["tracks"], seen["last_frame"]) == (1, 398)


def test_a_request_ends_in_time(walk: Path) -> None:
    answer = Watcher().work({"source": str(walk), "frames": 1000, "seconds": 1e-9, "settings": EACH})
    assert (len(answer["intervals"]), answer["next_frame"], answer["end"]) == (1, 10, False)


def test_what_is_slow_is_told_in_pieces(walk: Path) -> None:
    watcher = Watcher()
    request = {"source": str(walk), "limit_s": 1e-9, "settings": EACH}
    for first in range(3):
        answer = watcher.work({**request, "first_frame": first})
        assert [(one["first_frame"], one["last_frame"]) for one in answer["intervals"]] == [(first, first)]
    whole = watcher.work({**request, "first_frame": 3, "limit_s": 60})["intervals"]
    assert [(one["first_frame"], one["last_frame"]) for one in whole] == [(3, 9)]
    assert watcher.opened == 1


def test_a_long_way_to_where_it_goes_on_takes_several_requests(walk: Path) -> None:
    watcher = Watcher()
    request = {"source": str(walk), "first_frame": 90, "settings": EACH}
    nothing = watcher.work({**request, "limit_s": 1e-9})
    assert (nothing["intervals"], nothing["next_frame"], nothing["end"]) == ([], 90, False)
    (interval,) = watcher.work(request)["intervals"]
    assert (interval["first_frame"], interval["last_frame"], watcher.opened) == (90, 94, 1)


def test_after_an_error_nothing_is_open(walk: Path, tmp_path: Path) -> None:
    def broken(_: np.ndarray) -> list[Detection]:
        raise BadInput("inference_error: it broke")

    watcher = Watcher(broken)
    for _ in range(2):
        with pytest.raises(BadInput, match="inference_error"):
            watcher.work({"source": str(walk), "settings": EACH})
    assert watcher.opened == 2


def test_what_is_not_looked_at_any_more_is_let_go_of(walk: Path) -> None:
    watcher = Watcher()
    request = {"source": str(walk), "settings": EACH}
    following = watcher.work(request)["next_frame"]
    assert watcher.work({"release": True}) == watcher.work({"release": True}) == {}
    watcher.work({**request, "first_frame": following})
    assert watcher.opened == 2


@pytest.mark.parametrize(
    "request_body",
    [{"first_frame": -1}, {"frames": 0}, {"frames": "many"}, {"seconds": 0}, {"settings": {"interval": -1}}],
)
def test_a_request_that_cannot_be_meant_is_refused(walk: Path, request_body: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        Watcher().work({"source": str(walk), **request_body})


# --- live ---------------------------------------------------------------------------------------------------------


def live_worker(stay: threading.Event, frames: int) -> Worker:
    taken = threading.Semaphore(0)

    class Paced(Live):
        def next(self, wait_s: float) -> Any:
            taken.release()
            return super().next(wait_s)

    def pictures() -> Iterator[np.ndarray]:
        for number in range(frames):
            taken.acquire(timeout=10)
            yield square_at(10 + number, 60)
        stay.wait(10)

    return Worker({}, lambda _: Paced("test", pictures, Patience()), lambda _: square_finder)


def test_a_live_source_never_ends_and_has_no_total() -> None:
    stay = threading.Event()
    work = live_worker(stay, 30)
    first = work({"source": "0", "frames": 20, "seconds": 10, "settings": EACH})
    assert [one["last_frame"] for one in first["intervals"]] == [9, 19]
    assert (first["end"], first["frames_total"]) == (False, None)
    second = work({"source": "0", "first_frame": 20, "frames": 20, "seconds": 0.5, "settings": EACH})
    assert (second["next_frame"], second["end"]) == (30, False)
    empty = work({"source": "0", "first_frame": 30, "frames": 20, "seconds": 0.05, "settings": EACH})
    assert (empty["intervals"], empty["next_frame"], empty["end"]) == ([], 30, False)
    stay.set()


# --- the real thing -----------------------------------------------------------------------------------------------


def test_the_model_of_the_settings_is_used_and_its_absence_said(walk: Path, tmp_path: Path) -> None:
    rows = np.zeros((1, 5, 200), np.float32)
    rows[0, :, 0] = (32, 32, 8, 16, 0.9)
    model = constant_model(tmp_path / "m.onnx", {"output0": rows}, names=["person"])
    work = open_worker({"threads": 1, "interval": 50})
    answer = work({"source": str(walk), "frames": 50, "settings": {"model": str(model), "every": 1, "motion": False}})
    assert answer["intervals"][0]["detections"] == [
        {"class": "person", "confidence": 0.9, "bbox": [140, 80, 180, 160], "track_id": 1}
    ]
    with pytest.raises(NotNow, match="inference_error"):
        work({"source": str(walk), "settings": {"model": str(tmp_path / "none.onnx")}})
    with pytest.raises(BadInput, match="vision"):
        open_worker({"interval": "often"})


def test_tiny_frames_hold_nobody(tmp_path: Path) -> None:
    grey = (np.full((1, 1, 3), 128, np.uint8) for _ in range(30))
    path = film(tmp_path / "v.avi", grey, codec="png", pix_fmt="rgb24")
    (answer,) = in_portions(open_worker({}), path, 100)
    assert (answer["size"], answer["summary"]["predictions"], answer["end"]) == ([1, 1], [], True)


@needs_media
async def test_people_are_found_in_the_sample_through_a_child() -> None:
    pool = ChildPool("streams.workers.vision:open_worker", {"threads": 1}, ChildLimits(memory_bytes=2 << 30))
    try:
        request = {"source": str(PEDESTRIANS), "first_frame": 300, "frames": 20, "seconds": 60}
        answer = await pool({**request, "settings": {"interval": 20, "every": 4}})
    finally:
        await pool.close()
    (interval,) = answer["intervals"]
    certain = [one for one in interval["detections"] if one["track_id"]]
    assert (interval["first_frame"], interval["last_frame"], answer["frames_total"]) == (300, 319, 795)
    assert len(certain) >= 2
    assert all(0.5 <= one["confidence"] <= 1 and one["class"] == "person" for one in certain)
    assert all(0 <= x1 < x2 <= 480 and 0 <= y1 < y2 <= 360 for x1, y1, x2, y2 in (one["bbox"] for one in certain))


def test_the_numbers_of_the_test_s_frames_are_read_back() -> None:
    assert [number_of(numbered(number)) for number in (0, 17, 255)] == [0, 17, 255]
