"""Agitation of frames, models of clips, signals with hysteresis, and the worker that joins them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from streams.vision.clip_model import ClipModel, chosen, sigmoid
from streams.vision.deviance import CALM, MIDDLE, agitation, regions, squashed
from streams.vision.frames import Frame
from streams.vision.signals import Rule, Signal, State, Window, signals, step
from streams.vision.video_file import VideoFile
from streams.workers import BadInput, NotNow
from streams.workers import deviance as deviance_worker
from streams.workers.deviance import AHEAD_BYTES, Film, open_worker
from tests.drivers.video import MEDIA, constant_model, film, number_of, numbered

SECOND = 1_000_000
RULE = Rule()
FIGHTS = MEDIA / "fight"
needs_media = pytest.mark.skipif(not FIGHTS.is_dir(), reason="the sample media are not here")


def ground(size: tuple[int, int] = (320, 240)) -> np.ndarray:
    """Something to see: blurred noise."""
    noise = np.random.default_rng(4).integers(0, 255, (size[1], size[0], 3), np.uint8)
    return np.asarray(cv2.GaussianBlur(noise, (0, 0), 4) * 3.0 % 255, np.uint8)


def scene(steps: Sequence[int], size: tuple[int, int] = (320, 240)) -> list[np.ndarray]:
    """A patch of another ground in the middle, moved by so many pixels from frame to frame."""
    still, patch = ground(size), ground((size[0] // 2, size[1] // 2))[::-1]
    frames, x = [], size[0] // 8
    for each in steps:
        x = min(max(0, x + each), size[0] // 2)
        frame = still.copy()
        frame[size[1] // 4 : size[1] // 4 + patch.shape[0], x : x + patch.shape[1]] = patch
        frames.append(frame)
    return frames


SMOOTH = scene([4] * 20)
JERKS = scene([12, -12, 0, 0] * 5)


# --- agitation ----------------------------------------------------------------------------------------------------


def test_jerks_are_agitated_and_even_motion_is_not() -> None:
    jerks, smooth, still = agitation(JERKS), agitation(SMOOTH), agitation([SMOOTH[0]] * 20)
    assert jerks.score > 0.9
    assert smooth.score < 0.3
    assert still.score < 0.01
    assert still.regions == ()


def test_the_lively_part_is_told_in_pixels_of_the_frame() -> None:
    found = agitation(JERKS)
    assert 0 < found.key_frame < len(JERKS)
    x1, y1, x2, y2 = found.regions[0]
    assert x1 < 160 < x2 <= 320
    assert y1 < 120 < y2 <= 240


def test_a_cut_of_the_film_is_no_commotion() -> None:
    cut = [SMOOTH[0]] * 10 + [ground()[::-1]] * 10
    assert agitation(cut).score < 0.1


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_frames_are_calm(count: int) -> None:
    assert agitation(JERKS[:count]) == CALM


@pytest.mark.parametrize("size", [(1, 1), (3, 900), (900, 3), (17, 33)])
def test_odd_sizes_are_measured(size: tuple[int, int]) -> None:
    flat = [np.full((size[1], size[0], 3), 7, np.uint8)] * 4
    assert 0 <= agitation(flat).score < 0.1


def test_a_size_that_changes_in_the_window_is_no_motion() -> None:
    assert agitation([SMOOTH[0], SMOOTH[0][:100], SMOOTH[0], SMOOTH[0][:50]]).score < 0.5


@given(st.floats(0, 1e9), st.floats(0, 1e9))
def test_the_score_rises_with_the_change(one: float, other: float) -> None:
    assert 0 <= squashed(one) <= 1
    assert squashed(MIDDLE) == 0.5
    if one < other:
        assert squashed(one) <= squashed(other)


def test_small_lively_parts_are_nobody() -> None:
    change = np.zeros((75, 100), np.float32)
    assert regions(change, 100, 75) == ()
    change[10:30, 20:40] = 2
    change[60:65, 80:90] = 2
    assert len(regions(change, 200, 150)) == 2
    assert regions(change, 200, 150)[0] == (36, 16, 84, 64)


# --- signals ------------------------------------------------------------------------------------------------------


def windows(*scores: float, length_s: float = 1, gap_s: float = 0) -> list[Window]:
    each, gap = int(length_s * SECOND), int(gap_s * SECOND)
    return [Window(n * (each + gap), n * (each + gap) + each, score) for n, score in enumerate(scores)]


def spans(*scores: float, rule: Rule = RULE, **how: float) -> list[tuple[float, float, float]]:
    return [(one.start_us / SECOND, one.end_us / SECOND, one.score) for one in signals(windows(*scores, **how), rule)]


def test_one_commotion_is_one_signal_however_it_wavers() -> None:
    assert spans(0.1, 0.6, 0.3, 0.9, 0.4, 0.26, 0.7, 0.1, 0.1, 0.1, 0.1) == [(1, 7, 0.9)]


def test_a_pause_that_is_short_does_not_end_it_and_a_long_one_does() -> None:
    assert spans(0.9, 0.1, 0.1, 0.9) == [(0, 4, 0.9)]
    assert spans(0.9, 0.1, 0.1, 0.1, 0.9) == [(0, 1, 0.9), (4, 5, 0.9)]


def test_what_is_too_short_is_no_signal() -> None:
    rule = Rule(begin_us=2 * SECOND)
    assert spans(0.9, 0.4, 0.9, 0.4, rule=rule) == []
    assert spans(0.9, 0.8, 0.4, rule=rule) == [(0, 3, 0.9)]


def test_a_camera_that_was_away_ends_its_signal() -> None:
    assert spans(0.9, 0.9, gap_s=40) == [(0, 1, 0.9), (41, 42, 0.9)]


def test_an_old_window_changes_nothing() -> None:
    state, ended = step(State(), Window(0, SECOND, 0.9), RULE)
    assert ended is None
    assert state.on == Signal(0, SECOND, 0.9)
    assert step(state, Window(0, SECOND, 0.1), RULE) == (state, None)


@given(st.lists(st.floats(0, 1), max_size=60))
def test_signals_never_overlap_and_each_has_a_high_window(scores: list[float]) -> None:
    found = signals(windows(*scores), RULE)
    assert all(one.score >= RULE.on and one.start_us < one.end_us for one in found)
    assert all(one.end_us + RULE.end_us <= other.start_us for one, other in pairwise(found))
    assert bool(found) == any(score >= RULE.on for score in scores)


# --- models of clips ----------------------------------------------------------------------------------------------


def mean_model(path: Path, shape: Sequence[int | str] = (1, 6, 3, 20, 30)) -> Path:
    """A model whose logit is the mean of the first frame's blue, times 10."""
    held = [
        numpy_helper.from_array(np.array([0, 0, 0], np.int64), "from"),
        numpy_helper.from_array(np.array([1, 1, 1], np.int64), "to"),
        numpy_helper.from_array(np.array([0, 1, 2], np.int64), "axes"),
        numpy_helper.from_array(np.array([10], np.float32), "ten"),
        numpy_helper.from_array(np.array([1, 1], np.int64), "out"),
    ]
    nodes = [
        helper.make_node("Slice", ["clip", "from", "to", "axes"], ["blue"]),
        helper.make_node("ReduceMean", ["blue"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "ten"], ["scaled"]),
        helper.make_node("Reshape", ["scaled", "out"], ["logit"]),
    ]
    clip = helper.make_tensor_value_info("clip", TensorProto.FLOAT, shape)
    logit = helper.make_tensor_value_info("logit", TensorProto.FLOAT, [1, 1])
    graph = helper.make_graph(nodes, "mean", [clip], [logit], held)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_a_model_gets_blue_first_and_shares_and_gives_a_logit(tmp_path: Path) -> None:
    model = ClipModel(str(mean_model(tmp_path / "mean.onnx")))
    assert (model.frames, model.name) == (6, "mean")
    blue = np.zeros((50, 70, 3), np.uint8)
    blue[:, :, 0] = 51
    assert model([blue] + [np.zeros((9, 9, 3), np.uint8)] * 5) == pytest.approx(sigmoid(2.0), abs=1e-4)
    assert model([np.zeros((1, 1, 3), np.uint8)]) == 0.5


def test_a_model_without_sizes_gets_those_of_the_video_transformer(tmp_path: Path) -> None:
    model = ClipModel(str(mean_model(tmp_path / "m.onnx", ("b", "t", "c", "h", "w"))))
    assert model.frames == 40
    assert model([np.zeros((9, 9, 3), np.uint8)]) == 0.5


@given(st.integers(1, 300), st.integers(1, 60))
def test_frames_are_chosen_in_order(there: int, wanted: int) -> None:
    found = chosen(there, wanted)
    assert len(found) == wanted
    assert found == sorted(found)
    assert (found[0], found[-1] < there) == (0, True)


def test_models_of_another_shape_are_refused(tmp_path: Path) -> None:
    one = {"logit": np.zeros((1, 1), np.float32)}
    for shape in [(1, 3, 200, 200), (8, 40, 3, 20, 20), (1, 40, 1, 20, 20), (1, 40, 3, 9000, 9000), (1, 0, 3, 9, 9)]:
        with pytest.raises(BadInput, match=r"^inference_error: .* takes "):
            ClipModel(str(constant_model(tmp_path / "m.onnx", one, shape=shape)))
    for answer in (np.zeros((1, 2), np.float32), np.array([[np.nan]], np.float32)):
        wrong = constant_model(tmp_path / "m.onnx", {"logit": answer}, shape=(1, 4, 3, 8, 8))
        with pytest.raises(BadInput, match=r"^inference_error: .*one number is expected"):
            ClipModel(str(wrong))([SMOOTH[0]])
    with pytest.raises(NotNow, match="is not there"):
        open_worker({"model": str(tmp_path / "none.onnx")})


@pytest.mark.parametrize("logit", [-1e9, -800.0, 0.0, 800.0, 1e9])
def test_any_logit_has_a_share(logit: float) -> None:
    assert 0 <= sigmoid(logit) <= 1


# --- the worker ---------------------------------------------------------------------------------------------------


def jpegs(frames: Sequence[np.ndarray]) -> list[bytes]:
    return [cv2.imencode(".jpg", frame)[1].tobytes() for frame in frames]


def test_a_device_s_pictures_are_scored() -> None:
    work = open_worker({})
    lively, calm = work({"frames": jpegs(JERKS)}), work({"frames": jpegs([SMOOTH[0]] * 20)})
    assert lively["score"] > 0.9
    assert (lively["model"], lively["frames"]) == ("violent-flows-1", 20)
    assert lively["participants"]
    assert set(lively["participants"][0]) == {"bbox", "track_id", "user_id"}
    assert (calm["participants"], calm["score"] < 0.01) == ([], True)


@pytest.mark.parametrize(
    "frames",
    [[], "text", [b""], [b"no picture"], ["text"], [jpegs(JERKS[:1])[0][:300]], [jpegs(JERKS[:1])[0]] * 251, None],
)
def test_what_are_no_pictures_is_refused(frames: Any) -> None:
    with pytest.raises(BadInput):
        open_worker({})({"frames": frames})


def test_a_video_is_scored_window_by_window(tmp_path: Path) -> None:
    path = film(tmp_path / "v.mp4", (JERKS[n // 2 % 20] for n in range(110)), qmin="1", qmax="2", b="20000000")
    work = open_worker({})
    answers: list[dict[str, Any]] = []
    while not answers or not answers[-1]["end"]:
        first = answers[-1]["next_frame"] if answers else 0
        answers.append(work({"source": str(path), "first_frame": first, "window_s": 2}))
    assert [(one["first_frame"], one["last_frame"], one["frames"]) for one in answers] == [
        (0, 48, 25),
        (49, 97, 25),
        (98, 109, 6),
    ]
    assert (answers[0]["start_ms"], answers[0]["end_ms"], answers[1]["start_ms"]) == (0, 1920, 1960)
    assert answers[0]["score"] > 0.8
    assert answers[0]["first_frame"] < answers[0]["key_frame"] <= answers[0]["last_frame"]
    assert cv2.imdecode(np.frombuffer(answers[0]["key_picture"], np.uint8), 1).shape == (240, 320, 3)
    again = work({"source": str(path), "first_frame": 110})
    assert (again["score"], again["end"], again["frames"]) == (None, True, 0)


def test_whoever_asks_in_whatever_order_gets_the_windows_frames(tmp_path: Path) -> None:
    path = film(tmp_path / "v.mp4", (numbered(n) for n in range(120)), qmin="1", qmax="2")

    def seen(frames: Sequence[tuple[Frame, Any]]) -> list[int]:
        assert all(number_of(picture) == frame.number for frame, picture in frames)
        return [frame.number for frame, _ in frames]

    following = Film(str(path), VideoFile(str(path)), 5)
    assert seen(following.window(1.0, None)[0]) == [5, *range(7, 30, 2)][:12]
    first = following.following
    assert seen(following.window(1.0, 6)[0]) == list(
        range(first, first + 6)
    )  # what was taken ahead was of another kind
    rest: list[int] = []
    end = False
    while not end:
        frames, end = following.window(1.0, 6)
        rest += seen(frames)
    assert rest == list(range(first + 6, 120))
    assert following.window(1.0, 6) == ([], True)
    following.close()
    following.close()


def test_large_windows_and_cameras_are_not_taken_ahead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = film(tmp_path / "v.mp4", (numbered(n) for n in range(60)))
    taken: list[str] = []
    original = VideoFile.next

    def noted(self: VideoFile, wait_s: float = 0) -> Frame | None:
        taken.append(threading.current_thread().name)
        return original(self, wait_s)

    monkeypatch.setattr(VideoFile, "next", noted)
    camera = VideoFile(str(path))
    monkeypatch.setattr(camera, "live", True)
    for source, bytes_ahead in (
        (camera, AHEAD_BYTES),
        (VideoFile(str(path)), 1000),
        (VideoFile(str(path)), AHEAD_BYTES),
    ):
        monkeypatch.setattr(deviance_worker, "AHEAD_BYTES", bytes_ahead)
        following = Film(str(path), source, 0)
        following.window(0.5, None)
        following.close()
        assert any(name.startswith("film") for name in taken) == (source is not camera and bytes_ahead == AHEAD_BYTES)


def test_a_model_of_the_options_scores_as_many_frames_as_it_takes(tmp_path: Path) -> None:
    path = film(tmp_path / "v.mp4", (numbered(0) for _ in range(15)))
    work = open_worker({"model": str(mean_model(tmp_path / "mean.onnx")), "participants_from": 2})
    answer = work({"source": str(path)})
    assert (answer["frames"], answer["next_frame"], answer["model"]) == (6, 6, "mean")
    assert answer["score"] == pytest.approx(sigmoid(10 * 8 / 255), abs=0.05)
    assert answer["key_picture"] is None


@pytest.mark.parametrize("request_body", [{"window_s": 0}, {"window_s": 1e9}, {"first_frame": -1}])
def test_windows_that_cannot_be_meant_are_refused(tmp_path: Path, request_body: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        open_worker({})({"source": str(tmp_path / "none.mp4"), **request_body})
    with pytest.raises(BadInput, match="failed_to_read_frame"):
        open_worker({})({"source": str(tmp_path / "none.mp4")})


@needs_media
def test_the_sample_clips_come_in_the_order_they_were_tuned_to() -> None:
    work = open_worker({"participants_from": 2})
    scores = {path.stem: work({"source": str(path)})["score"] for path in sorted(FIGHTS.iterdir())}
    assert min(scores["fi001"], scores["fi030"]) > 0.5 > max(scores["nofi001"], scores["nofi030"])
